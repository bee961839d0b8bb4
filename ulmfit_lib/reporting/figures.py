"""A report's charts, each from what the library measured."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from ulmfit_lib.artifact.record import Stage
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.learning_curve import INTERVAL
from ulmfit_lib.evaluation.metrics import wilson_interval
from ulmfit_lib.pipeline.label_budget import LabelBudget
from ulmfit_lib.reporting.charts import Axis, Line, histogram, line_chart

BARS = 24
STAGES = {
    "pretrain": "Base: reading at large",
    "teach": "Base: being taught what texts mean",
    "fine-tune": "Language model: reading your texts",
    "classify": "Classifier: learning your labels",
}
LEAST_ANSWERED = 0.05  # share of the rows; of fewer, the share that is right jumps about


def percent(value: float) -> str:
    """A share as a tick of an axis.

    >>> percent(0.5)
    '50\xa0%'
    """
    return f"{100 * value:.0f}\xa0%"


def share_axis(low: float, label: str) -> Axis:
    """From a round share below ``low`` to 1."""
    start = min(max(0.0, np.floor(10 * low) / 10), 0.8)
    step = 0.1 if start >= 0.5 else 0.2 if start >= 0.2 else 0.25
    ticks = [round(1 - step * i, 2) for i in range(round((1 - start) / step) + 1)]
    return Axis(start, 1.0, label, sorted(tick for tick in ticks if tick >= start - 1e-9), percent)


def reliability_chart(bins: Sequence[Mapping[str, float]]) -> Markup:
    """Share that is right by confidence, beside what it should be."""
    points = [(one["confidence"], one["right"]) for one in bins]
    x = share_axis(min(x for x, _ in points), "confidence")
    y = share_axis(min(y for _, y in points), "share that is right")
    most = max(one["rows"] for one in bins)
    sizes = [3 + 6 * float(np.sqrt(one["rows"] / most)) for one in bins]
    ideal = [(max(x.low, y.low), max(x.low, y.low)), (1.0, 1.0)]
    return line_chart(
        "Share of right answers by confidence",
        [Line("as right as it is sure", ideal, "c3 dashed"), Line("measured, larger: more texts", points, "c1", sizes)],
        x,
        y,
    )


def coverage_chart(certainty: Certainty) -> Markup:
    """Share that is right among the answered texts, by how many are answered."""
    rows, total = certainty.rows, certainty.rows[-1]
    kept = [(n, right) for n, right in zip(rows, certainty.right, strict=True) if n >= LEAST_ANSWERED * total]
    spans = [(n / total, *wilson_interval(right, n)) for n, right in kept]
    points = [(n / total, right / n) for n, right in kept]
    y = share_axis(min(low for _, low, _ in spans), "share that is right")
    x = Axis(0, 1, "share of the texts that is answered, the surest first", (0, 0.25, 0.5, 0.75, 1), percent)
    return line_chart("Share of right answers by share answered", [Line("", points)], x, y, band=spans)


def budget_chart(budget: LabelBudget) -> Markup:
    """What labels have been worth, and what more should be."""
    curve, labels = budget.curve, budget.labels
    reach = np.geomspace(curve.sizes[0], 4 * labels, 60)
    scales, exponents = curve.resampled.T
    low, high = np.percentile(np.minimum(scales * reach[:, None] ** -exponents, 1), INTERVAL, axis=1)
    band = [(float(n), float(1 - b), float(1 - a)) for n, a, b in zip(reach, low, high, strict=True)]
    law = [(float(n), 1 - curve.error(int(n))) for n in reach]
    found = [(float(n), float(1 - error)) for n, error in zip(curve.sizes, curve.errors, strict=True)]
    ticks = [float(curve.sizes[0]), float(labels), 4.0 * labels]
    x = Axis(ticks[0], ticks[-1], "labels", ticks, "{:,.0f}".format, log=True)
    y = share_axis(min([y for _, y in found] + [one for _, one, _ in band]), "share that is right")
    lines = [Line("expected, with its 90 % interval", law), Line("measured", found, "c2", [4] * len(found), False)]
    return line_chart("Share of right answers by number of labels", lines, x, y, band=band, marks=[labels])


def history_charts(stages: Sequence[Stage]) -> list[tuple[str, Markup]]:
    """Losses by epoch of each stage that took several, with what the stage was."""
    found = []
    for stage in stages:
        lines = []
        for number, (way, rows) in enumerate(stage.history.items()):
            rows = [row for row in rows if "train_loss" in row and "valid_loss" in row]
            for key, name, style in (("train_loss", "training", " dashed"), ("valid_loss", "validation", "")):
                points = [(row["epoch"], row[key]) for row in rows]
                lines.append(Line(f"{way}, {name}", points, f"c{number + 1}{style}", [2.5] * len(points)))
        epochs = sorted({x for line in lines for x, _ in line.points})
        if len(epochs) < 2:
            continue
        every = -(-len(epochs) // 8)
        x = Axis(epochs[0], epochs[-1], "epoch", epochs[::every], "{:.0f}".format)
        y = Axis.over([y for line in lines for _, y in line.points], "loss (nats)")
        name = STAGES.get(stage.name, stage.name)
        found.append((name, line_chart(f"{name}: loss by epoch", lines, x, y)))
    return found


def length_chart(words: Sequence[int]) -> Markup:
    """How many texts have how many words; the longest hundredth counts as less long."""
    most = max(2.0, float(np.percentile(words, 99)))
    counts, _ = np.histogram(np.minimum(words, most), bins=min(BARS, int(most)), range=(0, most))
    ticks = [0.0, *(tick for tick in Axis.over([0, most], "").ticks if 0 < tick <= most)]
    x = Axis(0, most, "words", ticks, "{:,.0f}".format)
    return histogram("Lengths of the texts", counts.tolist(), x, "texts")
