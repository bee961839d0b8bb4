"""The verdict in a sentence, and the numbers behind it as tables: by part, and by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.report import ENSEMBLE, Report
from ulmfit_lib.evaluation.mcnemar import SIGNIFICANT
from ulmfit_lib.evaluation.metrics import Z95, RatingScores, TagScores, confusion_matrix, f1_scores
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.pipeline.report import NAMES
from ulmfit_lib.progress import counted
from ulmfit_lib.reporting.scored import Scored

BASELINE = NAMES["baseline"]
PARTS = {ENSEMBLE: "What is delivered", **NAMES}
ALONE = {"ulmfit": "ULMFiT alone", "baseline": f"{BASELINE} alone", "topics": "Topics of unlabelled texts alone"}
GOOD, DOUBTFUL, POOR = "good", "doubtful", "poor"
CHIPS = {GOOD: "Better than the baseline", DOUBTFUL: "Not clearly better than the baseline", POOR: "No better"}
RESAMPLES = 500
FEWEST = 30  # texts, below which any score is mostly chance


@dataclass(frozen=True)
class Measure:
    """A score of one part as a bar.

    Attributes:
        name: of the part.
        value: of the score, as a share of the bar's whole length.
        low: of its 95 % interval, likewise; None where it is not known.
        high: likewise.
        shown: the score.
        interval: the interval; "" where it is not known.
        first: it is what is delivered.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    shown: str
    interval: str
    first: bool = False


@dataclass(frozen=True)
class ClassRow:
    """How well one class is told.

    Attributes:
        name: of the class.
        rows: that have it.
        precision: share of the rows given this label that have it; None where it is not known.
        recall: share of the rows with this label that are given it; likewise.
        f1: their harmonic mean.
    """

    name: str
    rows: int | None
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of the page.

    Attributes:
        sentence: the verdict.
        grade: ``good``, ``doubtful`` or ``poor``.
        tiles: name, number and remark of what counts most.
        unit: of the measures.
        measures: of what is delivered, of its parts, and of what needs no learning.
        few: so few texts were scored that the grade tells nothing.
    """

    sentence: str
    grade: str
    tiles: list[tuple[str, str, str]]
    unit: str
    measures: list[Measure]
    few: bool = False

    @property
    def chip(self) -> str:
        """The grade in words."""
        return "Too few texts to tell" if self.few else CHIPS[self.grade]


def find_verdict(scored: Scored, kind: LabelKind) -> Verdict:
    """From the scores, by what the kind of label reports."""
    if tags := scored.report.tags:
        found, n = _of_tags(scored, tags), tags[ENSEMBLE].n
    elif ratings := scored.report.ratings:
        found, n = _of_ratings(scored, kind, ratings), ratings[ENSEMBLE].n
    else:
        found, n = _of_classes(scored.report), scored.report.ensemble.n
    if n >= FEWEST:
        return found
    said = f"It was scored on {counted(n, 'text')}, which is too few to say what it is worth."
    return replace(found, sentence=said, grade=DOUBTFUL, few=True)


def _of_classes(report: Report) -> Verdict:
    best, verdict, majority = report.ensemble, report.verdict, report.majority
    low, high = best.low, best.high
    sentence = f"It is right for {100 * best.accuracy:.0f} of 100 texts that it has not learnt from"
    grade = GOOD
    if verdict:
        beside = f"{BASELINE} ({100 * report.scores['baseline'].accuracy:.0f})"
        if verdict.p_value >= SIGNIFICANT:
            grade, sentence = DOUBTFUL, f"{sentence}, and not clearly better than {beside}"
        elif verdict.ahead > verdict.behind:
            sentence = f"{sentence}, clearly more than {beside}"
        else:
            grade, sentence = POOR, f"{sentence}, fewer than {beside} alone"
    if low <= majority:
        grade = POOR
        sentence += f"; always giving the commonest label is right for {100 * majority:.0f}, which chance may explain"
    else:
        sentence += f"; always giving the commonest label is right for {100 * majority:.0f}"
    right = {part: 100 * one.accuracy for part, one in report.scores.items()}
    spans = {part: (100 * one.low, 100 * one.high) for part, one in report.scores.items()}
    measures = [_of_part(part, value, spans[part], f"{value:.1f}\xa0%", 100, 1) for part, value in right.items()]
    measures.append(Measure("Always the commonest label", majority, None, None, f"{100 * majority:.1f}\xa0%", ""))
    tiles = [
        ("Right", f"{100 * best.accuracy:.1f}\xa0%", f"95\xa0% interval {100 * low:.1f} to {100 * high:.1f}"),
        ("Macro F1", f"{best.macro_f1:.3f}", "mean over classes"),
        ("Confidence is off by", f"{100 * best.calibration_error:.1f} points", "on average"),
        ("Scored on", f"{best.n:,}", "texts not learnt from"),
    ]
    return Verdict(f"{sentence}.", grade, tiles, "Share of right answers", measures)


def _of_part(
    part: str, value: float, span: Sequence[float] | None, shown: str, whole: float = 1.0, digits: int = 2
) -> Measure:
    """A score whose bar would be full at ``whole``."""
    low, high = (span[0] / whole, span[1] / whole) if span else (None, None)
    interval = f"{span[0]:.{digits}f} to {span[1]:.{digits}f}" if span else ""
    return Measure(_name(part), value / whole, low, high, shown, interval, part == ENSEMBLE)


def _name(part: str) -> str:
    return ALONE.get(part, PARTS[part])


def _of_tags(scored: Scored, tags: Mapping[str, TagScores]) -> Verdict:
    best, base = tags[ENSEMBLE], tags.get("baseline")
    ends = {part: _f1_interval(scored, part) for part in tags}
    sentence = (
        f"Its labels reach a micro F1 score of {best.micro_f1:.2f}, and for {100 * best.exact:.0f} of 100 texts "
        "that it has not learnt from all labels are right"
    )
    grade, own = GOOD, ends[ENSEMBLE]
    if base:
        ahead = best.micro_f1 > base.micro_f1
        clear = ahead and (own is None or own[0] > base.micro_f1)
        grade = GOOD if clear else DOUBTFUL if ahead else POOR
        sentence += f"; {BASELINE} alone reaches {base.micro_f1:.2f}"
    measures = [_of_part(part, tags[part].micro_f1, span, f"{tags[part].micro_f1:.3f}") for part, span in ends.items()]
    tiles = [
        ("Micro F1", f"{best.micro_f1:.3f}", f"95\xa0% interval {own[0]:.2f} to {own[1]:.2f}" if own else ""),
        ("Macro F1", f"{best.macro_f1:.3f}", "mean over labels"),
        ("All labels right", f"{100 * best.exact:.1f}\xa0%", "of the texts"),
        ("Scored on", f"{best.n:,}", "texts not learnt from"),
    ]
    return Verdict(f"{sentence}.", grade, tiles, "Micro F1 score", measures)


def _f1_interval(scored: Scored, part: str) -> tuple[float, float] | None:
    """Of the micro F1 score, by drawing the texts again."""
    said = scored.probabilities.get(part)
    if said is None or scored.targets is None:
        return None
    guessed, truth = said >= 0.5, scored.targets.astype(bool)
    hits, extra, missed = (guessed & truth).sum(1), (guessed & ~truth).sum(1), (~guessed & truth).sum(1)
    n = len(said)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    f1 = 2 * (draws @ hits) / np.maximum(2 * (draws @ hits) + draws @ (extra + missed), 1)
    low, high = np.percentile(f1, (2.5, 97.5))
    return float(low), float(high)


def _of_ratings(scored: Scored, kind: LabelKind, ratings: Mapping[str, RatingScores]) -> Verdict:
    always = scored.report.median_off_by or 0.0
    best, base = ratings[ENSEMBLE], ratings.get("baseline")
    off = best.mean_absolute_error
    ends = {part: _error_interval(scored, kind, part) for part in ratings}
    sentence = (
        f"Its ratings are off by {off:.2f} on average, on texts that it has not learnt from, where always giving the "
        f"median would be off by {always:.2f}"
    )
    grade, own = GOOD, ends[ENSEMBLE]
    if base:
        sentence += f" and {BASELINE} alone by {base.mean_absolute_error:.2f}"
        grade = GOOD if (own[1] if own else off) < base.mean_absolute_error else DOUBTFUL
    if off >= min(always, base.mean_absolute_error if base else always):
        grade = POOR
    errors = {part: ratings[part].mean_absolute_error for part in ends}
    whole = 1.15 * max([always, *errors.values(), *(span[1] for span in ends.values() if span)]) or 1.0
    measures = [_of_part(part, error, ends[part], f"{error:.3f}", whole) for part, error in errors.items()]
    measures.append(Measure("Always the median", always / whole, None, None, f"{always:.3f}", ""))
    tiles = [
        ("Off by", f"{off:.2f}", f"on average; 95\xa0% interval {own[0]:.2f} to {own[1]:.2f}" if own else "on average"),
        ("Rank correlation", f"{best.spearman:.2f}", "with the true ratings"),
        ("The median is off by", f"{always:.2f}", "on average"),
        ("Scored on", f"{best.n:,}", "texts not learnt from"),
    ]
    return Verdict(f"{sentence}.", grade, tiles, "Mean distance from the true rating (less is better)", measures)


def _error_interval(scored: Scored, kind: LabelKind, part: str) -> tuple[float, float] | None:
    said = scored.probabilities.get(part)
    if said is None or scored.table is None:
        return None
    errors = np.abs(kind.expected(said) - np.array(scored.table.numbers, np.float64))
    spread = Z95 * errors.std() / np.sqrt(len(errors))
    return max(0.0, float(errors.mean() - spread)), float(errors.mean() + spread)


def class_rows(scored: Scored, classes: Sequence[str]) -> list[ClassRow]:
    """Precision, recall and F1 of each class, as far as they are known."""
    report = scored.report
    if not report.tags:
        confusion = np.array(report.ensemble.confusion)
        each = [(confusion[i, i], confusion[i].sum(), confusion[:, i].sum()) for i in range(len(confusion))]
        return _rows(report.ensemble.classes, each, f1_scores(confusion))
    f1 = report.tags[ENSEMBLE].f1
    if scored.targets is None:
        return [ClassRow(name, None, None, None, value) for name, value in f1.items()]
    guessed = (scored.probabilities[ENSEMBLE] >= 0.5).astype(np.int64)
    tables = [confusion_matrix(*pair, 2) for pair in zip(scored.targets.T, guessed.T, strict=True)]
    each = [(one[1, 1], one[1].sum(), one[:, 1].sum()) for one in tables]
    return _rows(classes, each, np.array([f1_scores(one)[1] for one in tables]))


def _rows(classes: Sequence[str], each: Sequence[tuple[Any, Any, Any]], f1: Floats) -> list[ClassRow]:
    return [
        ClassRow(name, int(there), hits / found if found else None, hits / there if there else None, float(one))
        for name, (hits, there, found), one in zip(classes, each, f1.tolist(), strict=True)
    ]


def worst_confusion(scored: Scored) -> str:
    """Which class is taken for which other most often, a sentence; "" where none is."""
    if scored.report.tags:
        return ""
    confusion, classes = np.array(scored.report.ensemble.confusion), scored.report.ensemble.classes
    wrong = confusion - np.diag(np.diag(confusion))
    if not wrong.sum():
        return "No text was taken for one of another class."
    true, guessed = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return (
        f"The commonest mistake: {counted(int(wrong.max()), 'text')} of “{classes[true]}” "
        f"{'was' if wrong.max() == 1 else 'were'} taken for “{classes[guessed]}”."
    )
