"""Figures of notebooks, commands and the report: each function takes what the library returns and gives an axis.

Intervals of accuracies are Wilson's (1927, ``metrics.wilson_interval``), as in all tables of scores.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ulmfit_lib.arrays import Bools, Floats
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.figure_style import BLUE as BLUE
from ulmfit_lib.evaluation.figure_style import COLOURS as COLOURS
from ulmfit_lib.evaluation.figure_style import GREY, INK, MARKERS, make_axes, shortened, titled
from ulmfit_lib.evaluation.figure_style import ORANGE as ORANGE
from ulmfit_lib.evaluation.figure_style import check_plot_name as check_plot_name
from ulmfit_lib.evaluation.figure_style import save_plot as save_plot
from ulmfit_lib.evaluation.learning_curve import INTERVAL, LearningCurve
from ulmfit_lib.evaluation.metrics import wilson_interval

if TYPE_CHECKING:
    from ulmfit_lib.artifact.record import TrainingRecord
    from ulmfit_lib.serving.explanations import Explanation
    from ulmfit_lib.training.phases import Phase

LOSSES = {"train_loss": ("training", "--"), "valid_loss": ("validation", "-")}  # in a record: name, line
FALL = 100  # of a learning rate below its maximum that is shown
MOST_COUNTED = 25  # classes of a confusion whose counts are written into its cells
MOST_GROUPS = 6  # classes that a map tells apart by colour and marker; more share the last one
FEWEST_ANSWERED = 0.05  # share of the rows; among fewer, accuracy jumps about
BARS = 24  # of the histogram of lengths


def plot_schedules(schedules: Mapping[str, Callable[[float], float]], axes: Axes | None = None) -> Axes:
    """Shares of the maximal learning rate over a run, one line per schedule, by name."""
    axes = make_axes(axes)
    progress = np.linspace(0, 1, 400)
    for name, schedule in schedules.items():
        axes.plot(progress, [schedule(p) for p in progress], label=name)
    axes.set(xlabel="progress of the run", ylabel="share of the maximal rate")
    axes.legend(frameon=False)
    return titled(axes, "Learning-rate schedules")


def plot_schedule(phases: "Sequence[Phase]", groups: Sequence[str] = (), axes: Axes | None = None) -> Axes:
    """The learning rate of each parameter group, the lowest first, over all phases; a frozen group has no line."""
    axes = make_axes(axes)
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
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return titled(axes, "Learning rate of each parameter group")


def plot_history(training: "TrainingRecord", stage: int = -1, axes: Axes | None = None) -> Axes:
    """Losses per epoch of one stage in a model's ``training`` record; for both directions if it has them."""
    axes = make_axes(axes)
    record = training.stages[stage]
    for colour, (direction, rows) in zip(COLOURS, record.history.items(), strict=False):
        for key, (kind, style) in LOSSES.items():
            points = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
            if points:
                label = f"{direction}, {kind}"
                axes.plot(*zip(*points, strict=True), style, marker="o", markersize=4, color=colour, label=label)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.lines:
        axes.legend(frameon=False)
    return titled(axes, f"Loss per epoch: {record.name}")


def plot_learning_curve(curve: LearningCurve, labels: int, axes: Axes | None = None) -> Axes:
    """Accuracy against labels: as measured, and as expected beyond the ``labels`` there are."""
    axes = make_axes(axes)
    reach = np.geomspace(curve.sizes[0], 4 * labels, 100)
    scales, exponents = curve.resampled.T
    low, high = np.percentile(np.minimum(scales * reach[:, None] ** -exponents, 1), INTERVAL, axis=1)
    axes.fill_between(reach, 100 * (1 - high), 100 * (1 - low), alpha=0.18, linewidth=0, label="90 % interval")
    axes.plot(reach, [100 * (1 - curve.error(n)) for n in reach], label="power law")
    axes.plot(curve.sizes, 100 * (1 - curve.errors), "o", color=ORANGE, label="measured")
    axes.axvline(labels, linestyle=":", color=GREY, label="labels so far")
    ticks = [*(n for n in curve.sizes.tolist()[::2] if n < 0.7 * labels), labels, 2 * labels, 4 * labels]
    axes.set(xscale="log", xlabel="labels", ylabel="accuracy (%)")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return titled(axes, "What more labels are worth")


def plot_lr_find(
    rates: Sequence[float],
    losses: Sequence[float],
    suggestions: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """The loss at each rate that was tried, and the rates that are suggested, by the name of what suggests them."""
    axes = make_axes(axes)
    finite = np.isfinite(losses)
    known = np.asarray(losses)[finite]
    axes.plot(np.asarray(rates)[finite], known, color=GREY, linewidth=1.5)
    for number, (name, rate) in enumerate((suggestions or {}).items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        height = float(np.interp(np.log(rate), np.log(np.asarray(rates)[finite]), known))
        axes.axvline(rate, color=colour, linestyle=":", linewidth=1)
        axes.plot([rate], [height], marker, color=colour, markersize=7, label=f"{name}: {rate:.2g}")
    if len(known):  # the loss explodes at the end: what comes before is what matters
        room = 0.1 * max(known[0] - known.min(), 1e-3)
        axes.set_ylim(known.min() - room, max(known[0], np.median(known)) + 5 * room)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training log loss")
    if suggestions:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return titled(axes, "Loss as the rate grows")


def plot_trials(trials: Sequence[Mapping[str, Any]], axes: Axes | None = None) -> Axes:
    """The log loss of each trial of a search, and the lowest so far; one that was given up has a cross at the top."""
    axes = make_axes(axes)
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
    axes.set(xlabel="trial", ylabel="out-of-fold log loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return titled(axes, "What the search tried")


def plot_reliability(bins: Sequence[Mapping[str, float]], axes: Axes | None = None) -> Axes:
    """Accuracy by confidence (``Scores.reliability``), with 95 % intervals, beside what it should be."""
    axes = make_axes(axes)
    confidence = [100 * one["confidence"] for one in bins]
    accuracy = [100 * one["right"] for one in bins]
    ends = [wilson_interval(round(one["right"] * one["rows"]), int(one["rows"])) for one in bins]
    most = max(one["rows"] for one in bins)
    axes.plot([0, 100], [0, 100], linestyle=":", color=GREY, label="accuracy equals confidence")
    axes.vlines(confidence, [100 * low for low, _ in ends], [100 * high for _, high in ends], color=BLUE, alpha=0.4)
    axes.plot(confidence, accuracy, color=BLUE, linewidth=1, alpha=0.5)
    sizes = [15 + 85 * one["rows"] / most for one in bins]
    axes.scatter(confidence, accuracy, sizes, color=BLUE, zorder=3, label="measured (larger: more rows)")
    axes.set(xlabel="confidence (%)", ylabel="accuracy (%)")
    axes.set(xlim=(min([50, *confidence]) - 3, 103), ylim=(min([40, *accuracy]) - 3, 105))
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    return titled(axes, "Can its confidence be trusted?")


def plot_coverage(certainty: Certainty, axes: Axes | None = None) -> Axes:
    """Accuracy, with its 95 % interval, against the share of texts that are answered, the most confident ones first."""
    axes = make_axes(axes)
    total = certainty.rows[-1]
    kept = [pair for pair in zip(certainty.rows, certainty.right, strict=True) if pair[0] >= FEWEST_ANSWERED * total]
    answered = [100 * rows / total for rows, _ in kept]
    accuracy = [100 * right / rows for rows, right in kept]
    low, high = zip(*(wilson_interval(right, rows) for rows, right in kept), strict=True)
    axes.fill_between(answered, 100 * np.array(low), 100 * np.array(high), color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(answered, accuracy, color=BLUE)
    axes.set(xlim=(0, 101), ylim=(max(0.0, min(90.0, *accuracy) - 10), 101))
    axes.set(xlabel="texts answered (%), the most confident first", ylabel="accuracy among those (%)")
    return titled(axes, "What is left unsure, and what that buys")


def plot_lengths(words: Sequence[int], axes: Axes | None = None) -> Axes:
    """How many texts have how many words; the longest hundredth stands at the right end."""
    axes = make_axes(axes)
    most = max(2.0, float(np.percentile(words, 99)))
    axes.hist(np.minimum(words, most), bins=min(BARS, int(most)), range=(0, most), color=BLUE, rwidth=0.94)
    axes.set(xlim=(0, most), xlabel="words", ylabel="texts")
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return titled(axes, "Lengths of the texts")


def plot_map(places: Floats, classes: Sequence[str], wrong: Bools | None = None, axes: Axes | None = None) -> Axes:
    """Texts at (n, 2) places, coloured and shaped by class; a ring is round each that was predicted wrongly.

    All classes but the commonest few share one colour.
    """
    axes = make_axes(axes, size=(6, 5.4))
    common = [name for name, _ in Counter(classes).most_common()]
    shown = common if len(common) <= MOST_GROUPS else common[: MOST_GROUPS - 1]
    names = np.array([name if name in shown else "all other classes" for name in classes], object)
    for number, name in enumerate(dict.fromkeys([*shown, *names])):
        chosen = places[names == name]
        colour = GREY if name not in shown else COLOURS[number]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=16, color=colour, marker=MARKERS[number], label=shortened(name))
    if wrong is not None and wrong.any():
        ringed = places[wrong]
        axes.scatter(ringed[:, 0], ringed[:, 1], s=60, facecolor="none", edgecolor=INK, label="predicted wrongly")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
    return titled(axes, "Map of the texts")


def plot_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], axes: Axes | None = None) -> Axes:
    """How often each true class (row) was predicted as each class (column); colours by share of the row."""
    counts = np.asarray(confusion)
    side = min(12.0, max(3.6, 1.6 + 0.55 * len(classes)))
    axes = make_axes(axes, size=(side + 0.6, side))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MOST_COUNTED:
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black" if counts[row, column] else "#aaaaaa"
            size = 9 if len(classes) <= 12 else 6
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=size)
    names = [shortened(name, 18) for name in classes]
    long = max(map(len, names)) * len(names) > 40
    numbers = range(len(classes))
    axes.set_xticks(numbers, names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(numbers, names)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="true")
    return titled(axes, "What is taken for what")


def plot_words(explanation: "Explanation", most: int = 10, axes: Axes | None = None) -> Axes:
    """The words that speak for a label, and those that speak against it, by what they add to its log odds."""
    found = explanation.phrases(most)[::-1]
    axes = make_axes(axes, size=(6, 1.4 + 0.28 * max(len(found), 3)))
    values: Floats = np.array([added for _, added in found])
    names = [shortened(phrase, 40) for phrase, _ in found]
    axes.barh(range(len(found)), values, color=np.where(values > 0, BLUE, ORANGE).tolist(), height=0.7)
    axes.set_yticks(range(len(found)), names)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(visible=False, axis="y")
    label = shortened(repr(explanation.label), 40)
    axes.set(xlabel=f"added to the log odds of {label}")
    return titled(axes, f"Why {label}?")
