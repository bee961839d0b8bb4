"""Labels of which each text has exactly one: classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.evaluation.certainty import UNSURE
from ulmfit_lib.evaluation.metrics import RatingScores, Scores, score
from ulmfit_lib.labels.kind import LabelKind, LabelledRows
from ulmfit_lib.labels.links import softmax
from ulmfit_lib.progress import note

MAX_NAMES_SHOWN = 20


@dataclass(frozen=True)
class Classes(LabelKind):
    """One class a text, such as ``positive``.

    Examples:
        >>> Classes().decode(np.array([[0.2, 0.8], [0.6, 0.4]]), ["negative", "positive"])
        ['positive', 'negative']
    """

    exclusive, one_class_per_text = True, True

    def targets(self, places: Sequence[Sequence[int]], n_classes: int) -> Ints:
        """(n,) class numbers."""
        return np.array([place for (place,) in places], np.int64)

    def count_rows(self, targets: Ints, n_classes: int = 0) -> Ints:
        """Rows of each class, (n_classes,)."""
        return np.bincount(targets, minlength=n_classes)

    def rows_with(self, targets: Ints, chosen: np.ndarray) -> np.ndarray:
        """(n,) whether a row's class is ``chosen``, (n_classes,)."""
        return np.asarray(chosen[targets])

    def without_gaps(self, targets: Ints) -> Ints:
        """The same classes, numbered from 0 without gaps."""
        return np.asarray(np.unique(targets, return_inverse=True)[1], np.int64)

    def balance(self, targets: Ints) -> Floats:
        """(n_classes,) the mean number of rows of a class over each class's own."""
        counts = np.maximum(self.count_rows(targets), 1)
        return np.asarray(len(targets) / (len(counts) * counts))

    def majority_share(self, learnt: Ints, targets: Ints) -> float:
        """How often the commonest class of ``learnt`` is right for ``targets``."""
        return float((targets == np.bincount(learnt).argmax()).mean())

    def link(self, scores: Floats) -> Floats:
        """Scores, one column for two classes -> (n, n_classes) probabilities."""
        return softmax(np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores)

    def score_columns(self, n_classes: int) -> int:
        """One for two classes, else one a class."""
        return 1 if n_classes == 2 else n_classes

    def decisions(self, probabilities: Floats) -> Floats:
        """Each row is one decision between the classes."""
        return probabilities

    def decided(self, targets: Ints) -> Ints:
        """The class numbers themselves."""
        return targets

    def from_decisions(self, decisions: Floats, n_classes: int) -> Floats:
        """The same."""
        return decisions

    def choices(self, classes: Sequence[str]) -> list[str]:
        """The classes."""
        return list(classes)

    def decode(self, probabilities: Floats, classes: Sequence[str], threshold: float = 0.0) -> list[str]:
        """The likeliest class of each row."""
        return [classes[row.argmax()] if row.max() >= threshold else UNSURE for row in probabilities]

    def truth(self, rows: LabelledRows, classes: Sequence[str]) -> tuple[Any, list[str]]:
        """Class numbers; a class that was never learnt comes last, so that its rows count as wrong."""
        known = with_unknown(rows, classes)
        return rows.class_numbers(known), known

    def score(self, probabilities: Floats, truth: Any, classes: Sequence[str]) -> Scores | RatingScores:
        """Accuracy, macro F1, log loss and calibration."""
        return score(padded(probabilities, len(classes)), truth, list(classes))


def with_unknown(rows: LabelledRows, classes: Sequence[str]) -> list[str]:
    """``classes``, and after them those that only the rows have; they are mentioned to the user.

    Where the rows have other classes altogether, they are left out: ``class_numbers`` then says what is wrong.
    """
    new = sorted(set(rows.classes) - set(classes))
    if not new or len(new) == len(rows.classes):
        return list(classes)
    shown = ", ".join(map(repr, new[:MAX_NAMES_SHOWN]))
    note(f"{rows.source}: the classifier has not learnt {shown}: rows with such a label count as wrong")
    return [*classes, *new]


def padded(probabilities: Floats, n_classes: int) -> Floats:
    """(n, at most n_classes) -> (n, n_classes): classes that the classifier does not know have probability 0."""
    return np.pad(probabilities, ((0, 0), (0, n_classes - probabilities.shape[1])))
