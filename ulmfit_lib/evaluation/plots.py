"""What people would rather see than read: schedules, losses, confusion."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

KINDS = {"train_loss": "training", "valid_loss": "validation"}


def _axes(axes: Axes | None) -> Axes:
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6, 3.5), layout="constrained")[1]


def plot_schedules(schedules: Mapping[str, Callable[[float], float]], axes: Axes | None = None) -> Axes:
    """Shares of the maximal learning rate over a run, one line per schedule, by name."""
    axes = _axes(axes)
    progress = np.linspace(0, 1, 400)
    for name, schedule in schedules.items():
        axes.plot(progress, [schedule(p) for p in progress], label=name)
    axes.set(xlabel="progress of the run", ylabel="share of the maximal rate", title="Learning-rate schedules")
    axes.legend()
    return axes


def plot_history(training: Mapping[str, Any], stage: int = -1, axes: Axes | None = None) -> Axes:
    """Losses per epoch of one stage in a model's ``training`` record; for both directions if it has them."""
    axes = _axes(axes)
    record = training["stages"][stage]
    for direction, rows in record["history"].items():
        epochs = [row["epoch"] for row in rows]
        for kind, style in (("train_loss", "--"), ("valid_loss", "-")):
            axes.plot(epochs, [row[kind] for row in rows], style, marker="o", label=f"{direction}, {KINDS[kind]}")
    axes.set(xlabel="epoch", ylabel="loss (nats)", title=f"{record['stage']}: loss per epoch")
    axes.legend()
    return axes


def plot_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], axes: Axes | None = None) -> Axes:
    """How often each true class (row) was predicted as each class (column)."""
    axes = _axes(axes)
    counts = np.asarray(confusion)
    axes.imshow(counts, cmap="Blues")
    for row, column in np.ndindex(*counts.shape):
        dark = counts[row, column] > counts.max() / 2
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color="white" if dark else "black")
    numbers = range(len(classes))
    axes.set(xticks=numbers, yticks=numbers, xticklabels=classes, yticklabels=classes)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion")
    return axes
