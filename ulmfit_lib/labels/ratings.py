"""Labels that are numbers, sorted into classes: a text's rating is the classes' mean by probability."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.metrics import RatingScores, score_ratings
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import LIKELIEST, DecisionRule
from ulmfit_lib.labels.kind import LabelledRows
from ulmfit_lib.progress import counted

MAX_CLASSES = 10
DECIMAL_COMMA = re.compile(r"-?\d+,(?:\d{1,2}|\d{4,})")  # as most of Europe writes it
MINUS = "\u2212"  # as people write it
MIN_ROWS_PER_CLASS = 5  # of each class, where there are more different numbers than that


@dataclass(frozen=True)
class Ratings(Classes):
    """A number a text, such as one to five stars.

    Attributes:
        values: the number that each class stands for; empty before training.
        exact: each class is one number, and one of these is said of a text; else it is the classes' mean.

    Examples:
        >>> probabilities = np.array([[0.25, 0.75]])
        >>> Ratings((1.0, 5.0)).decode(probabilities, ["1", "5"])
        ['4']
        >>> Ratings((1.0, 5.0), exact=True).decode(probabilities, ["1", "5"])
        ['5']
    """

    values: tuple[float, ...] = ()
    exact: bool = False

    one_class_per_text = False

    def read(
        self, labels: Sequence[str | None], numbers: Sequence[float | None], *, rows: Sequence[int], source: str
    ) -> tuple[Sequence[str | None], Sequence[float | None]]:
        """Labels as numbers, and the class of each: the number itself, or the range of numbers that it lies in.

        Raises:
            DataError: a label that is no number.
        """
        if numbers:
            return labels, numbers
        found = [None if label is None else read_rating(label) for label in labels]
        for row, label, number in zip(rows, labels, found, strict=True):
            if number is None and label is not None:
                raise DataError(
                    f"{source}: row {row} has the label {label!r}, and a rating is a number: write it alone, "
                    "with a point before decimals, such as 4.5"
                )
        names = iter(rating_classes([number for number in found if number is not None]))
        return [None if number is None else next(names) for number in found], found

    def learnt_from(self, rows: LabelledRows) -> "Ratings":
        """Each class stands for the mean of its rows' numbers."""
        numbers, targets = np.array(rows.numbers, np.float64), rows.class_numbers()
        by_class = [numbers[targets == number] for number in range(len(rows.classes))]
        exact = all(np.ptp(some) == 0 for some in by_class)
        return Ratings(tuple(float(some.mean()) for some in by_class), exact)

    def likeness(self, targets: Ints) -> Floats:
        """1 where the numbers are the same, falling to 0 at their whole range."""
        values = np.array(self.values)
        apart = np.abs(np.subtract.outer(values[targets], values[targets]))
        return np.asarray(1 - apart / max(float(np.ptp(values)), 1e-9), np.float64)

    def expected(self, probabilities: Floats) -> Floats:
        """(n, n_classes) probabilities -> (n,) ratings: the classes' mean by probability."""
        return np.asarray(probabilities @ np.array(self.values), np.float64)

    def nearest_cuts(self) -> Floats:
        """(n_classes - 1,) halfway between the numbers, in order."""
        ordered = np.sort(self.values)
        return np.asarray((ordered[1:] + ordered[:-1]) / 2)

    def decide(self, probabilities: Floats, rule: DecisionRule = LIKELIEST) -> Ints:
        """(n,) the class in whose range between cut points the expected rating lies; of ranges, the likeliest."""
        if not self.exact:
            return super().decide(probabilities, rule)
        cuts = np.array(rule.cuts) if rule.cuts else self.nearest_cuts()
        places = np.searchsorted(cuts, self.expected(probabilities), side="right")
        return np.asarray(np.argsort(self.values)[places], np.int64)

    def said(self, probabilities: Floats, rule: DecisionRule = LIKELIEST, *, decided: Ints | None = None) -> Floats:
        """(n,) the numbers of the classes that are decided, where these are exact, else the expected ratings."""
        if not self.exact:
            return self.expected(probabilities)
        return np.array(self.values)[self.decide(probabilities, rule) if decided is None else decided]

    def decode(
        self,
        probabilities: Floats,
        classes: Sequence[str],
        threshold: float | Floats = 0.0,
        rule: DecisionRule = LIKELIEST,
    ) -> list[str]:
        """The rating of each row."""
        return [f"{rating:.{6 if self.exact else 4}g}" for rating in self.said(probabilities, rule)]

    def truth(self, rows: LabelledRows, classes: Sequence[str]) -> tuple[Any, list[str]]:
        """(n,) the true ratings."""
        return np.array(rows.numbers, np.float64), list(classes)

    def score(
        self, probabilities: Floats, truth: Any, classes: Sequence[str], *, decided: Ints | None = None
    ) -> RatingScores:
        """Mean absolute error of what is said, and rank correlation of the expected ratings."""
        return score_ratings(self.said(probabilities, decided=decided), truth, self.expected(probabilities))

    def report_entries(
        self, scores: Mapping[str, Any], truth: Any, *, learnt: LabelledRows, part_names: Mapping[str, str]
    ) -> dict[str, Any]:
        """Each part's error, beside that of always answering the median."""
        median = float(np.median(np.array(learnt.numbers, np.float64)))
        always = float(np.abs(truth - median).mean())
        off = {name: f"{s.mean_absolute_error:.3g}" for name, s in scores.items()}
        alone = ", ".join(f"{part_names[part]} alone {one}" for part, one in off.items() if part in part_names)
        sentence = (
            f"On {counted(len(truth), 'held-out row')}, ratings are off by {off['ensemble']} on average"
            f"{f' ({alone})' if 'baseline' in scores else ''}, "
            f"always answering with the median, {median:g}, would be off by {always:.3g}; "
            f"their rank correlation with the true ones is {scores['ensemble'].spearman:.2f}."
        )
        if scores["ensemble"].mean_absolute_error >= always:
            sentence += " The classifier is no better than the median."
        return {"ratings": scores, "median_off_by": always, "sentence": sentence}

    def config(self) -> dict[str, Any]:
        """What the classes stand for."""
        return {**super().config(), "values": self.values, **({"exact": True} if self.exact else {})}


def read_rating(label: str) -> float | None:
    """A label as a number; None where it is none, or may be one of thousands or of decimals, such as ``1,234``.

    >>> read_rating("4.5"), read_rating("4,5"), read_rating("\u22121"), read_rating("good")
    (4.5, 4.5, -1.0, None)
    """
    written = label.replace(MINUS, "-")
    try:
        number = float(written.replace(",", ".") if DECIMAL_COMMA.fullmatch(written) else written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def rating_classes(numbers: Sequence[float]) -> list[str]:
    """The class of each number: itself, or, where there are many different ones, the range of numbers it lies in.

    >>> rating_classes([1, 5, 5, 1])
    ['1', '5', '5', '1']
    """
    known = np.array(numbers, np.float64)
    if not len(known):
        return []
    distinct, counts = np.unique(known, return_counts=True)
    edges = distinct[1:]
    if len(distinct) > MAX_CLASSES or counts.min() < 2:
        edges = _even_edges(known)
    places = np.searchsorted(edges, known, side="right")
    names = {int(place): _name(known[places == place]) for place in np.unique(places)}
    return [names[place] for place in places.tolist()]


def _even_edges(numbers: Floats) -> Floats:
    """Between ranges of about as many rows each, as many ranges as still have two rows each."""
    for count in range(min(MAX_CLASSES, len(numbers) // MIN_ROWS_PER_CLASS), 1, -1):
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, count + 1)[1:-1], method="higher"))
        sizes = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
        if sizes[sizes > 0].min() > 1:
            return edges
    return np.zeros(0)


def _name(numbers: Floats) -> str:
    low, high = float(numbers.min()), float(numbers.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
