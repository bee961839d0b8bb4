"""What people would rather see than read: schedules, losses, learning curves, confusion."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.learning_curve import INTERVAL, LearningCurve
from ulmfit_lib.files import new_file

FORMATS = (".png", ".svg", ".pdf")
KINDS = {"train_loss": "training", "valid_loss": "validation"}


def check_plot_name(path: Path) -> None:
    """Say early if a plot could not be saved under this name.

    Raises:
        OptionError: it has another ending.
    """
    if path.suffix not in FORMATS:
        raise OptionError(f"{path}: a plot's name must end in one of {', '.join(FORMATS)}")


def save_plot(axes: Axes, path: Path) -> None:
    """Write the figure to a file, whole or not at all."""
    with new_file(path) as temporary:
        figure = axes.get_figure()
        assert isinstance(figure, Figure)
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)


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


def plot_learning_curve(curve: LearningCurve, labels: int, axes: Axes | None = None) -> Axes:
    """Share of right answers against labels: as measured, and as expected beyond the ``labels`` there are."""
    axes = _axes(axes)
    reach = np.geomspace(curve.sizes[0], 4 * labels, 100)
    scales, exponents = curve.resampled.T
    low, high = np.percentile(np.minimum(scales * reach[:, None] ** -exponents, 1), INTERVAL, axis=1)
    axes.fill_between(reach, 100 * (1 - high), 100 * (1 - low), alpha=0.2, label="90 % interval")
    axes.plot(reach, [100 * (1 - curve.error(n)) for n in reach], label="power law")
    axes.plot(curve.sizes, 100 * (1 - curve.errors), "o", label="measured")
    axes.axvline(labels, linestyle=":", color="grey", label="labels there are")
    axes.set(xscale="log", xlabel="labels", ylabel="right (%)", title="What more labels are worth")
    axes.legend()
    return axes


def plot_reliability(bins: Sequence[Mapping[str, float]], axes: Axes | None = None) -> Axes:
    """Share of right predictions against their confidence, by ``Scores.reliability``."""
    axes = _axes(axes)
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    sizes = np.sqrt([one["rows"] for one in bins])
    axes.scatter([one["confidence"] for one in bins], [one["right"] for one in bins], 200 * sizes / sizes.max())
    axes.set(xlabel="confidence", ylabel="share that is right", title="Reliability (larger: more rows)")
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
