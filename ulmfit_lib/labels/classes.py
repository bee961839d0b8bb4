"""Labels of which each text has exactly one: classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.evaluation.certainty import UNSURE
from ulmfit_lib.evaluation.metrics import RatingScores, Scores, score
from ulmfit_lib.labels.decision import LIKELIEST, DecisionRule
from ulmfit_lib.labels.kind import LabelKind, padded
from ulmfit_lib.labels.links import log_odds, softmax


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

    def likeness(self, targets: Ints) -> Floats:
        """1 where the class is the same, else 0."""
        return np.asarray(targets[:, None] == targets, np.float64)

    def without_gaps(self, targets: Ints) -> Ints:
        """The same classes, numbered from 0 without gaps."""
        return np.asarray(np.unique(targets, return_inverse=True)[1], np.int64)

    def balance(self, targets: Ints) -> Floats:
        """(n_classes,) the mean number of rows of a class over each class's own."""
        counts = np.maximum(self.count_rows(targets), 1)
        return np.asarray(len(targets) / (len(counts) * counts))

    def majority_share(self, train_targets: Ints, targets: Ints) -> float:
        """Accuracy of always answering with the commonest class of ``train_targets``."""
        return float((targets == np.bincount(train_targets).argmax()).mean())

    def link(self, scores: Floats) -> Floats:
        """Scores, one column for two classes -> (n, n_classes) probabilities."""
        return softmax(np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores)

    def score_columns(self, n_classes: int) -> int:
        """One for two classes, else one a class."""
        return 1 if n_classes == 2 else n_classes

    def log_odds(self, probabilities: Floats) -> Floats:
        """The logarithm of each probability, less the row's mean."""
        return log_odds(probabilities)

    def decide(self, probabilities: Floats, rule: DecisionRule = LIKELIEST) -> Ints:
        """(n,) the class whose log probability, its offset added, is the highest."""
        scores = self.log_odds(probabilities) + np.array(rule.offsets) if rule.offsets else probabilities
        return np.asarray(scores.argmax(1), np.int64)

    def decode(
        self,
        probabilities: Floats,
        classes: Sequence[str],
        threshold: float | Floats = 0.0,
        rule: DecisionRule = LIKELIEST,
    ) -> list[str]:
        """The class that is decided for each row."""
        decided = self.decide(probabilities, rule)
        sure = probabilities[np.arange(len(decided)), decided] >= np.broadcast_to(threshold, len(classes))[decided]
        return [classes[number] if known else UNSURE for number, known in zip(decided, sure, strict=True)]

    def score(
        self, probabilities: Floats, truth: Any, classes: Sequence[str], *, decided: Ints | None = None
    ) -> Scores | RatingScores:
        """Accuracy, macro F1, log loss and calibration."""
        return score(padded(probabilities, len(classes)), truth, list(classes), predicted=decided)
