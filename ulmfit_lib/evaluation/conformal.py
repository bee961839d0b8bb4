"""Sets of classes that hold the right one as often as was asked for, whatever the probabilities are worth."""

from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints
from ulmfit_lib.errors import OptionError


@dataclass(frozen=True)
class PredictionSets:
    """From which probability on a class belongs to a text's set (conformal prediction, Vovk et al. 2005)."""

    thresholds: tuple[float, ...]  # (n_classes,) the least probability, by class

    @classmethod
    def measure(
        cls, probabilities: Floats, targets: Ints, coverage: float, *, by_class: bool = False
    ) -> "PredictionSets":
        """Thresholds at which the right class of so large a share of new texts will be in the set.

        The rows are cross-conformal scores (Vovk 2015): each was predicted by a classifier that had not learnt from it.

        >>> PredictionSets.measure(np.tile([0.9, 0.1], (19, 1)), np.zeros(19, int), 0.9).thresholds
        (0.9, 0.9)

        Args:
            probabilities: (n, n_classes) of rows that were not learnt from.
            targets: (n,) their classes.
            coverage: in (0, 1); else an OptionError.
            by_class: for the texts of each class alone, with a threshold of its own (Mondrian).
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
