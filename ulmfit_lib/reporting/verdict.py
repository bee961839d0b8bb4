"""The verdict in a sentence, and the numbers behind it as tables: by member of the ensemble, and by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.artifact.report import ENSEMBLE, Report
from ulmfit_lib.evaluation.metrics import SIGNIFICANT, Z95, RatingScores, TagScores
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.pipeline.report import NAMES
from ulmfit_lib.progress import counted
from ulmfit_lib.reporting.scored import Scored

BASELINE = NAMES["baseline"]
MEMBERS = {
    ENSEMBLE: "The whole classifier",
    "ulmfit": "ULMFiT alone",
    "baseline": f"{BASELINE} alone",
    "topics": "Topics of unlabelled texts alone",
}
GOOD, DOUBTFUL, POOR = "good", "doubtful", "poor"
CHIPS = {GOOD: "Better than the baseline", DOUBTFUL: "Not clearly better than the baseline", POOR: "No better"}
RESAMPLES = 500
FEWEST = 30  # texts, below which any score is mostly chance
Interval = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """A score of the classifier, of one of its members, or of a constant prediction."""

    name: str  # of what is scored
    score: float  # in the verdict's unit
    interval: Interval | None = None  # its 95 % interval; None where it is not known
    first: bool = False  # it is the whole classifier


@dataclass(frozen=True)
class ClassRow:
    """How well one class is predicted."""

    name: str  # of the class
    rows: int | None  # that have it
    precision: float | None  # share of the rows given this label that have it; None where it is not known
    recall: float | None  # share of the rows with this label that are given it; likewise
    f1: float  # their harmonic mean


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of the page."""

    sentence: str  # the verdict
    grade: str  # `good`, `doubtful` or `poor`
    tiles: list[tuple[str, str, str]]  # name, number and remark of what counts most
    unit: str  # of the measures
    measures: list[Measure]  # of the classifier, of its members, and of a constant prediction
    whole: float = 1.0  # the score at which a measure's bar is full
    digits: int = 3  # of a score, behind the point
    few: bool = False  # so few texts were scored that the grade tells nothing
    remarks: tuple[str, ...] = ()  # what else must be known of it, sentences

    @property
    def chip(self) -> str:
        """The grade in words."""
        return "Too few texts to tell" if self.few else CHIPS[self.grade]


def find_verdict(scored: Scored, kind: LabelKind) -> Verdict:
    """From the scores, by what the kind of label reports."""
    if tags := scored.report.tags:
        found = _of_tags(scored, tags)
        n = tags[ENSEMBLE].n
    elif ratings := scored.report.ratings:
        found = _of_ratings(scored, kind, ratings)
        n = ratings[ENSEMBLE].n
    else:
        found = _of_classes(scored.report)
        n = scored.report.ensemble.n
    if scored.report.time:
        found = replace(found, remarks=(*found.remarks, scored.report.time.sentence))
    if n >= FEWEST:
        return found
    sentence = f"It was scored on {counted(n, 'text')}, which is too few to say what it is worth."
    return replace(found, sentence=sentence, grade=DOUBTFUL, few=True, remarks=())


def _measures(scores: dict[str, float], intervals: Mapping[str, Interval | None]) -> list[Measure]:
    return [Measure(MEMBERS[name], score, intervals[name], name == ENSEMBLE) for name, score in scores.items()]


def _scored_on(n: int) -> tuple[str, str, str]:
    return "Scored on", f"{n:,}", "held-out texts"


def _of_classes(report: Report) -> Verdict:
    best, test, majority = report.ensemble, report.verdict, 100 * report.majority
    accuracy = {name: 100 * one.accuracy for name, one in report.scores.items()}
    intervals = {name: (100 * one.low, 100 * one.high) for name, one in report.scores.items()}
    low, high = intervals[ENSEMBLE]
    grade = GOOD
    sentence = f"Its accuracy on held-out texts is {accuracy[ENSEMBLE]:.1f}\xa0%"
    if test:
        beside = f"{BASELINE} ({accuracy['baseline']:.1f}\xa0%)"
        if test.p_value >= SIGNIFICANT:
            grade = DOUBTFUL
            sentence += f", not clearly better than {beside}"
        elif test.ahead > test.behind:
            sentence += f", clearly better than {beside}"
        else:
            grade = POOR
            sentence += f", worse than {beside} alone"
    sentence += f"; always predicting the commonest label reaches {majority:.1f}\xa0%"
    if low <= majority:
        grade = POOR
        sentence += ", and the difference may be chance"
    goal, remarks = report.goal, list[str]()
    if goal and goal.baseline is not None and goal.low is not None:
        clear = goal.low > 0
        remarks.append(
            f"By {goal.measure}, which its labels are chosen for, it is {'' if clear else 'not '}clearly better than "
            f"{BASELINE} ({goal.value:.2f} and {goal.baseline:.2f})."
        )
        grade = GOOD if clear else DOUBTFUL if grade == GOOD else grade
    if best.always is not None:
        grade = POOR
        remarks.append(f"It always answers with “{best.always}”.")
    rarest = best.rarest
    tiles = [
        ("Accuracy", f"{accuracy[ENSEMBLE]:.1f}\xa0%", f"95\xa0% interval {low:.1f} to {high:.1f}"),
        ("Macro F1", f"{best.macro_f1:.3f}", "mean over classes"),
        ("Rarest class found", f"{100 * best.recalls[rarest]:.0f}\xa0%", f"of texts of “{best.classes[rarest]}”"),
        ("Calibration error", f"{100 * best.calibration_error:.1f} points", "confidence against accuracy"),
        _scored_on(best.n),
    ]
    measures = [*_measures(accuracy, intervals), Measure("Always the commonest label", majority)]
    return Verdict(f"{sentence}.", grade, tiles, "Accuracy in %", measures, whole=100, digits=1, remarks=tuple(remarks))


def _of_tags(scored: Scored, tags: Mapping[str, TagScores]) -> Verdict:
    best = tags[ENSEMBLE]
    scores = {name: one.micro_f1 for name, one in tags.items()}
    intervals = {name: _f1_interval(scored, name) for name in scores}
    own, base = intervals[ENSEMBLE], scores.get("baseline")
    grade = GOOD
    sentence = (
        f"Its micro F1 score on held-out texts is {best.micro_f1:.2f}, and {100 * best.exact:.0f}\xa0% of them "
        "get exactly their labels"
    )
    if base is not None:
        ahead = best.micro_f1 > base
        clear = ahead and (own is None or own[0] > base)
        grade = GOOD if clear else DOUBTFUL if ahead else POOR
        sentence += f"; {BASELINE} alone reaches {base:.2f}"
    tiles = [
        ("Micro F1", f"{best.micro_f1:.3f}", f"95\xa0% interval {own[0]:.2f} to {own[1]:.2f}" if own else ""),
        ("Macro F1", f"{best.macro_f1:.3f}", "mean over labels"),
        ("All labels correct", f"{100 * best.exact:.1f}\xa0%", "of the texts"),
        _scored_on(best.n),
    ]
    return Verdict(f"{sentence}.", grade, tiles, "Micro F1 score", _measures(scores, intervals))


def _of_ratings(scored: Scored, kind: LabelKind, ratings: Mapping[str, RatingScores]) -> Verdict:
    always = scored.report.median_off_by or 0.0
    best = ratings[ENSEMBLE]
    errors = {name: one.mean_absolute_error for name, one in ratings.items()}
    intervals = {name: _error_interval(scored, kind, name) for name in errors}
    off, own, base = errors[ENSEMBLE], intervals[ENSEMBLE], errors.get("baseline")
    grade = GOOD
    sentence = (
        f"On held-out texts its ratings are off by {off:.2f} on average; always predicting the median is off by "
        f"{always:.2f}"
    )
    if base is not None:
        sentence += f", and {BASELINE} alone by {base:.2f}"
        grade = GOOD if (own[1] if own else off) < base else DOUBTFUL
    if off >= min(always, always if base is None else base):
        grade = POOR
    tiles = [
        ("Mean absolute error", f"{off:.2f}", f"95\xa0% interval {own[0]:.2f} to {own[1]:.2f}" if own else ""),
        ("Rank correlation", f"{best.spearman:.2f}", "with the true ratings (Spearman)"),
        ("The median is off by", f"{always:.2f}", "on average"),
        _scored_on(best.n),
    ]
    measures = [*_measures(errors, intervals), Measure("Always the median", always)]
    whole = 1.15 * max([always, *errors.values(), *(one[1] for one in intervals.values() if one)]) or 1.0
    return Verdict(f"{sentence}.", grade, tiles, "Mean absolute error (less is better)", measures, whole)


def _f1_interval(scored: Scored, name: str) -> Interval | None:
    """Of the micro F1 score, by the bootstrap over texts (Efron 1979)."""
    probabilities = scored.probabilities.get(name)
    if probabilities is None or scored.targets is None:
        return None
    predicted = probabilities >= 0.5 if name != ENSEMBLE or scored.decided is None else scored.decided.astype(bool)
    truth = scored.targets.astype(bool)
    hits = (predicted & truth).sum(1)
    wrong = (predicted != truth).sum(1)
    n = len(truth)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    low, high = np.percentile(2 * (draws @ hits) / np.maximum(2 * (draws @ hits) + draws @ wrong, 1), (2.5, 97.5))
    return float(low), float(high)


def _error_interval(scored: Scored, kind: LabelKind, name: str) -> Interval | None:
    """Of the mean absolute error, by the normal approximation."""
    probabilities = scored.probabilities.get(name)
    if probabilities is None or scored.table is None:
        return None
    said = kind.said(probabilities, decided=scored.decided if name == ENSEMBLE else None)
    errors = np.abs(said - np.array(scored.table.numbers, np.float64))
    spread = Z95 * errors.std() / np.sqrt(len(errors))
    return max(0.0, float(errors.mean() - spread)), float(errors.mean() + spread)


def class_rows(scored: Scored, classes: Sequence[str]) -> list[ClassRow]:
    """Precision, recall and F1 of each class, as far as they are known."""
    if not scored.report.tags:
        confusion = np.array(scored.report.ensemble.confusion)
        hits, there, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        names: Sequence[str] = scored.report.ensemble.classes
    elif scored.targets is None or scored.decided is None:
        f1 = scored.report.tags[ENSEMBLE].f1
        return [ClassRow(name, None, None, None, value) for name, value in f1.items()]
    else:
        truth, given = scored.targets.astype(bool), scored.decided.astype(bool)
        hits, there, predicted = (truth & given).sum(0), truth.sum(0), given.sum(0)
        names = classes
    return [
        ClassRow(name, int(n), hit / given if given else None, hit / n if n else None, 2 * hit / max(n + given, 1))
        for name, hit, n, given in zip(names, hits, there, predicted, strict=True)
    ]


def worst_confusion(scored: Scored) -> str:
    """The commonest confusion of two classes, a sentence; "" where labels are tags."""
    if scored.report.tags:
        return ""
    confusion, classes = np.array(scored.report.ensemble.confusion), scored.report.ensemble.classes
    wrong = confusion - np.diag(np.diag(confusion))
    if not wrong.sum():
        return "No text was predicted to be of another class."
    true, guessed = np.unravel_index(int(wrong.argmax()), wrong.shape)
    times = counted(int(wrong.max()), "text")
    return f"The commonest mistake: {times} of “{classes[true]}” predicted as “{classes[guessed]}”."
