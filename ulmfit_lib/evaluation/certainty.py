"""When to trust a prediction: accuracy by confidence on held-out rows, and sets that hold the right class."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.metrics import wilson_interval

POINTS = 200  # confidences remembered
SURE = 1.28  # standard deviations: the precision asked for will hold nine times in ten
UNSURE = "unsure"
Precision = float | Mapping[str, float]  # to reach by all answers together, or by those with some labels


@dataclass(frozen=True)
class Certainty:
    """How many predictions for held-out rows were correct, by their confidence."""

    confidence: list[float]  # from high to low
    rows: list[int]  # how many predictions were at least that confident
    right: list[int]  # how many of those were correct

    def __post_init__(self) -> None:
        fit_together = len(self.confidence) == len(self.rows) == len(self.right)
        if not fit_together or not self.rows or min(*self.confidence, *self.right) < 0 or self.rows[0] < 1:
            raise ValueError("confidence, rows and right must be lists of one length, and no number may be negative")

    @classmethod
    def measure(cls, confidence: Floats, correct: Bools) -> "Certainty":
        """From each row's confidence, (n,), and whether its prediction was correct, (n,)."""
        order = np.argsort(-confidence, kind="stable")
        ordered, right = confidence[order], np.cumsum(correct[order])
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # equal confidences stay together
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, POINTS).astype(int))]
        floor = np.floor(ordered[ends] * 1e6) / 1e6
        return cls(floor.tolist(), (ends + 1).tolist(), right[ends].tolist())

    @classmethod
    def least_confidence(cls, confidence: Floats, correct: Bools, min_precision: float) -> float:
        """From which on predictions are that precise (``measure``, ``threshold``); infinite where none are for sure."""
        check_precision(min_precision)
        if not len(confidence):
            return np.inf
        with suppress(OptionError):
            return cls.measure(confidence, correct).threshold(min_precision)[0]
        return np.inf

    def threshold(self, min_precision: float) -> tuple[float, float]:
        """The least confidence from which on at least ``min_precision`` were correct, and the share of rows below it.

        Chance is allowed for: the lower end of the share's 80 % interval counts.

        Raises:
            OptionError: not in (0, 1), or no confidence gives that.
        """
        check_precision(min_precision)
        lows = [wilson_interval(right, n, z=SURE)[0] for right, n in zip(self.right, self.rows, strict=True)]
        enough = [place for place, low in enumerate(lows) if low >= min_precision]
        if not enough:
            raise OptionError(
                f"precision {min_precision}: no confidence gives it for sure on the {self.rows[-1]:,} rows that were "
                f"measured; ask for {np.floor(1000 * max(lows)) / 1000:.3f} at most, or label more rows"
            )
        last = enough[-1]
        return self.confidence[last], 1 - self.rows[last] / self.rows[-1]


def check_precision(min_precision: float) -> None:
    """Raise OptionError for one that is not in (0, 1)."""
    if not 0 < min_precision < 1:
        raise OptionError(f"precision {min_precision}: it must lie between 0 and 1")


@dataclass(frozen=True)
class PredictionSets:
    """From which probability on a class belongs to a text's set (conformal prediction, Vovk et al. 2005)."""

    thresholds: tuple[float, ...]  # (n_classes,) the least probability, by class

    @classmethod
    def measure(
        cls, probabilities: Floats, targets: Ints, coverage: float, *, by_class: bool = False
    ) -> "PredictionSets":
        """Thresholds at which the right class of so large a share of new texts, the ``coverage``, will be in the set.

        From (n, n_classes) probabilities of rows that were not learnt from and the (n,) numbers of their classes:
        cross-conformal scores (Vovk 2015). Each class may have a threshold of its own, by its own rows (Mondrian). An
        OptionError names a coverage that is not in (0, 1).

        >>> PredictionSets.measure(np.tile([0.9, 0.1], (19, 1)), np.zeros(19, int), 0.9).thresholds
        (0.9, 0.9)
        """
        if not 0 < coverage < 1:
            raise OptionError(f"sets of {coverage}: the share must lie between 0 and 1, such as 0.9")
        own = probabilities[np.arange(len(targets)), targets]
        n_classes = probabilities.shape[1]
        groups = [own[targets == one] for one in range(n_classes)] if by_class else [own] * n_classes
        return cls(tuple(_threshold(group, coverage) for group in groups))

    def contain(self, probabilities: Floats) -> Bools:
        """(n, n_classes) whether each class belongs to each text's set; all may be false."""
        return np.asarray(probabilities >= np.array(self.thresholds))


def _threshold(own: Floats, coverage: float) -> float:
    """The probability of the right class that enough rows reach; 0 where there are too few rows to tell."""
    left_out = int(np.floor((len(own) + 1) * (1 - coverage) + 1e-9))
    return float(np.sort(own)[left_out - 1]) if left_out else 0.0
