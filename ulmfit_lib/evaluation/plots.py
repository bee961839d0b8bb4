"""What people would rather see than read: a function each that takes what the library returns and gives an axis."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ulmfit_lib.arrays import Floats
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.learning_curve import INTERVAL, LearningCurve
from ulmfit_lib.files import new_file

if TYPE_CHECKING:
    from ulmfit_lib.artifact.record import TrainingRecord

FORMATS = (".png", ".svg", ".pdf")
KINDS = {"train_loss": "training", "valid_loss": "validation"}
# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
BLUE, ORANGE, GREY = COLOURS[0], COLOURS[1], "#767676"
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 9,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#999999",
    "grid.color": "#e6e6e6",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}
DPI = 110
FALL = 100  # of a learning rate below its maximum that is shown
MOST_COUNTED = 25  # classes of a confusion whose counts are written into its cells


def check_plot_name(path: Path) -> None:
    """Say early if a plot could not be saved under this name.

    Raises:
        OptionError: it has another ending.
    """
    if path.suffix not in FORMATS:
        raise OptionError(f"{path}: a plot's name must end in one of {', '.join(FORMATS)}")


def save_plot(axes: Axes, path: Path) -> None:
    """Write the figure to a file, whole or not at all, and close it."""
    import matplotlib.pyplot as plt

    with new_file(path) as temporary:
        figure = axes.get_figure()
        assert isinstance(figure, Figure)
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)
    plt.close(figure)


def _axes(axes: Axes | None, *, size: tuple[float, float] = (6, 3.7)) -> Axes:
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt
    from cycler import cycler

    # Outside the context, which would undo that a notebook's first figure makes pyplot show all later ones.
    figure = plt.figure(figsize=size, dpi=DPI, layout="constrained")
    with plt.rc_context({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)}):
        return figure.add_subplot()


def _title(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=10)


def plot_schedules(schedules: Mapping[str, Callable[[float], float]], axes: Axes | None = None) -> Axes:
    """Shares of the maximal learning rate over a run, one line per schedule, by name."""
    axes = _axes(axes)
    progress = np.linspace(0, 1, 400)
    for name, schedule in schedules.items():
        axes.plot(progress, [schedule(p) for p in progress], label=name)
    axes.set(xlabel="progress of the run", ylabel="share of the maximal rate")
    _title(axes, "Learning-rate schedules")
    axes.legend(frameon=False)
    return axes


class PlottedPhase(Protocol):
    """What a plot needs to know of a phase of a training (``training.phases.Phase``)."""

    @property
    def first_group(self) -> int:
        """The lowest group that trains."""

    @property
    def epochs(self) -> int:
        """How long."""

    @property
    def lrs(self) -> Sequence[float]:
        """The maximal rate of each group, lowest group first."""

    @property
    def schedule(self) -> Callable[[float], float]:
        """Progress in [0, 1] -> share of the maximal rate."""


def plot_schedule(phases: Sequence[PlottedPhase], groups: Sequence[str] = (), axes: Axes | None = None) -> Axes:
    """The learning rate of each parameter group over all phases of a training; a frozen group has no line.

    Args:
        phases: as ``training.classifying.unfreezing`` gives them.
        groups: names of the groups, the lowest first.
        axes: where to draw.
    """
    axes = _axes(axes)
    phases = [phase for phase in phases if phase.epochs]
    starts = np.cumsum([0, *(phase.epochs for phase in phases)]).tolist()
    progress = np.linspace(0, 1, 200)
    count = len(phases[0].lrs) if phases else 0
    for group in reversed(range(count)):
        name = groups[group] if groups else f"group {group + 1}" + (" (head)" if group == count - 1 else "")
        colour = COLOURS[(count - 1 - group) % len(COLOURS)]
        for start, phase in zip(starts, phases, strict=False):
            if group >= phase.first_group:
                rates = [phase.lrs[group] * phase.schedule(p) for p in progress]
                axes.plot(start + phase.epochs * progress, rates, color=colour, label=name)
                name = "_"  # one entry a group in the legend
    for start in starts[1:-1]:
        axes.axvline(start, linestyle=":", color=GREY, linewidth=1)
    axes.set(yscale="log", xlabel="epochs", ylabel="learning rate")
    if phases:  # one-cycle ends near nothing, which would take most of the height
        axes.set_ylim(bottom=max(min(phases[0].lrs) / FALL, axes.get_ylim()[0]))
    _title(axes, "Learning rate of each parameter group")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return axes


def plot_history(training: "TrainingRecord", stage: int = -1, axes: Axes | None = None) -> Axes:
    """Losses per epoch of one stage in a model's ``training`` record; for both directions if it has them."""
    axes = _axes(axes)
    record = training.stages[stage]
    for number, (direction, rows) in enumerate(record.history.items()):
        epochs = [row["epoch"] for row in rows]
        for kind, style in (("train_loss", "--"), ("valid_loss", "-")):
            values, label = [row[kind] for row in rows], f"{direction}, {KINDS[kind]}"
            axes.plot(epochs, values, style, marker="o", markersize=4, color=COLOURS[number], label=label)
    axes.set(xlabel="epoch", ylabel="loss (nats)")
    _title(axes, f"Loss per epoch: {record.name}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if record.history:
        axes.legend(frameon=False)
    return axes


def plot_learning_curve(curve: LearningCurve, labels: int, axes: Axes | None = None) -> Axes:
    """Share of right answers against labels: as measured, and as expected beyond the ``labels`` there are."""
    axes = _axes(axes)
    reach = np.geomspace(curve.sizes[0], 4 * labels, 100)
    scales, exponents = curve.resampled.T
    low, high = np.percentile(np.minimum(scales * reach[:, None] ** -exponents, 1), INTERVAL, axis=1)
    axes.fill_between(reach, 100 * (1 - high), 100 * (1 - low), alpha=0.18, linewidth=0, label="90 % interval")
    axes.plot(reach, [100 * (1 - curve.error(n)) for n in reach], label="power law")
    axes.plot(curve.sizes, 100 * (1 - curve.errors), "o", color=ORANGE, label="measured")
    axes.axvline(labels, linestyle=":", color=GREY, label="labels there are")
    ticks = [*(n for n in curve.sizes.tolist()[::2] if n < 0.7 * labels), labels, 2 * labels, 4 * labels]
    axes.set(xscale="log", xlabel="labels", ylabel="right (%)")
    _title(axes, "What more labels are worth")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return axes


def plot_lr_find(
    rates: Sequence[float],
    losses: Sequence[float],
    suggestions: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """The loss as the learning rate grows, and the rates that are suggested.

    Args:
        rates: (n,) that were tried, one a batch.
        losses: (n,) at each of them.
        suggestions: rates by the name of what suggests them, such as ``valley``.
        axes: where to draw.
    """
    axes = _axes(axes)
    finite = np.isfinite(losses)
    known = np.asarray(losses)[finite]
    axes.plot(np.asarray(rates)[finite], known, color=GREY, linewidth=1.5)
    for number, (name, rate) in enumerate((suggestions or {}).items()):
        colour, marker = COLOURS[number % len(COLOURS)], "osD^vP*"[number % 7]
        height = float(np.interp(np.log(rate), np.log(np.asarray(rates)[finite]), known))
        axes.axvline(rate, color=colour, linestyle=":", linewidth=1)
        axes.plot([rate], [height], marker, color=colour, markersize=7, label=f"{name}: {rate:.2g}")
    if len(known):  # the loss explodes at the end: what comes before is what matters
        room = 0.1 * max(known[0] - known.min(), 1e-3)
        axes.set_ylim(known.min() - room, max(known[0], np.median(known)) + 5 * room)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss (nats)")
    _title(axes, "Loss as the rate grows")
    if suggestions:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return axes


def plot_trials(trials: Sequence[Mapping[str, Any]], axes: Axes | None = None) -> Axes:
    """The log loss of each trial of a search, and the lowest so far; one that was given up has a cross at the top."""
    axes = _axes(axes)
    numbers, losses = zip(*((one["trial"], one["log_loss"]) for one in trials if one["log_loss"]), strict=True)
    lowest = np.minimum.accumulate([*losses, min(losses)])
    axes.step([*numbers, trials[-1]["trial"]], lowest, where="post", color=GREY, label="lowest so far")
    for number, strategy in enumerate(dict.fromkeys(one["strategy"] for one in trials)):
        chosen = [(one["trial"], one["log_loss"]) for one in trials if one["log_loss"] and one["strategy"] == strategy]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), "o", color=COLOURS[number], label=strategy)
    if given_up := [one["trial"] for one in trials if not one["log_loss"]]:
        top = axes.get_xaxis_transform()
        axes.plot(given_up, [1.0] * len(given_up), "x", color=GREY, transform=top, clip_on=False, label="given up")
    axes.axhline(losses[0], linestyle=":", color=GREY, label="the defaults")
    axes.set(xlabel="trial", ylabel="log loss out of fold (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _title(axes, "What the search tried")
    axes.legend(frameon=False)
    return axes


def plot_reliability(bins: Sequence[Mapping[str, float]], axes: Axes | None = None) -> Axes:
    """Share of right predictions against their confidence, by ``Scores.reliability``."""
    axes = _axes(axes)
    axes.plot([0, 1], [0, 1], linestyle=":", color=GREY, label="as right as it is confident")
    sizes = np.sqrt([one["rows"] for one in bins])
    confidence, right = ([one[name] for one in bins] for name in ("confidence", "right"))
    axes.plot(confidence, right, color=BLUE, linewidth=1, alpha=0.5)
    axes.scatter(confidence, right, 120 * sizes / sizes.max(), color=BLUE, label="measured (larger: more rows)")
    axes.set(xlabel="confidence", ylabel="share that is right")
    _title(axes, "Can its confidence be trusted?")
    axes.set(xlim=(min([0.5, *confidence]) - 0.03, 1.03), ylim=(min([0.4, *right]) - 0.03, 1.05))
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return axes


def plot_coverage(certainty: Certainty, axes: Axes | None = None) -> Axes:
    """Share of right answers against the share of texts that are answered, the most confident ones first."""
    axes = _axes(axes)
    rows, right = np.array(certainty.rows, np.float64), np.array(certainty.right, np.float64)
    answered, share = 100 * rows / rows[-1], 100 * right / rows
    spread = 1.96 * np.sqrt((right + 1) * (rows - right + 1) / (rows + 2) ** 3) * 100
    enough = answered >= min(5, answered[-1])  # of fewer, the share jumps about
    axes.fill_between(answered, share - spread, np.minimum(share + spread, 100), enough, alpha=0.15, linewidth=0)
    axes.plot(answered, share, color=BLUE)
    steady = share[answered >= 10]
    axes.set(xlim=(0, 101), ylim=(min([90, *(steady - 5)]), 100.5))
    axes.set(xlabel="answered (%), the most confident first", ylabel="right among those (%)")
    _title(axes, "What is left unsure, and what that buys")
    return axes


def plot_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], axes: Axes | None = None) -> Axes:
    """How often each true class (row) was predicted as each class (column); colours by share of the row."""
    counts = np.asarray(confusion)
    side = min(12.0, max(3.6, 1.6 + 0.55 * len(classes)))
    axes = _axes(axes, size=(side + 0.6, side))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MOST_COUNTED:
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black" if counts[row, column] else "#aaaaaa"
            size = 9 if len(classes) <= 12 else 6
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=size)
    names = [name if len(name) <= 18 else f"{name[:17]}…" for name in classes]
    long = max(map(len, names)) * len(names) > 40
    numbers = range(len(classes))
    axes.set_xticks(numbers, names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(numbers, names)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="true")
    _title(axes, "What is taken for what")
    return axes


class PlottedExplanation(Protocol):
    """What a plot needs to know of an explanation (``serving.explanations.Explanation``)."""

    @property
    def label(self) -> str:
        """What is explained."""

    def phrases(self, most: int) -> list[tuple[str, float]]:
        """Words in a row that pull the same way, and what they add to the log odds; the strongest first."""


def plot_words(explanation: PlottedExplanation, most: int = 10, axes: Axes | None = None) -> Axes:
    """The words that speak for a label, and those that speak against it, by what they add to its log odds."""
    found = explanation.phrases(most)[::-1]
    axes = _axes(axes, size=(6, 1.4 + 0.28 * max(len(found), 3)))
    values: Floats = np.array([added for _, added in found])
    names = [phrase if len(phrase) <= 40 else f"{phrase[:39]}…" for phrase, _ in found]
    axes.barh(range(len(found)), values, color=np.where(values > 0, BLUE, ORANGE).tolist(), height=0.7)
    axes.set_yticks(range(len(found)), names)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel=f"added to the log odds of {explanation.label!r}")
    _title(axes, f"Why {explanation.label!r}?")
    return axes
