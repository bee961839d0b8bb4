"""How the error falls as labels are added, and how far that can be trusted; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints

RESAMPLES = 1000
INTERVAL = (5, 95)  # percentiles
TYPICAL, SPREAD = 0.2, 0.05  # of text classifiers' exponents: a few noisy points, steep at first, tell little of theirs


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """A power law of the error, ``scale * labels ** -exponent`` (Cortes et al. 1993), with resampled ones beside it."""

    sizes: Ints  # (n_sizes,) numbers of labels that were trained on
    errors: Floats  # (n_sizes,) error rate on held-out rows, over all draws
    scale: float  # of the law
    exponent: float  # of the law; never negative, since labels do not hurt on average
    resampled: Floats  # (RESAMPLES, 2) scale and exponent of laws fitted to resampled draws and rows

    @classmethod
    def fit(cls, sizes: Sequence[int], wrong: Sequence[Bools], *, seed: int = 0) -> "LearningCurve":
        """From what was wrong: per draw of rows, (n_sizes, n_held_out).

        The law is a line through the logarithms, its slope drawn toward a typical one as far as the points are noisy.
        For the resampled ones draws are drawn again, and within each its held-out rows, the same for every size: that
        keeps what the sizes have in common; and the typical slope varies, too.
        """
        logs = np.log(np.asarray(sizes))
        generator = np.random.default_rng(seed)
        laws = []
        for _ in range(RESAMPLES):
            draws = [wrong[i] for i in generator.integers(0, len(wrong), len(wrong))]
            rows = [one[:, generator.integers(0, one.shape[1], one.shape[1])] for one in draws]
            laws.append(_law(logs, rows, generator.normal(TYPICAL, SPREAD)))
        errors = np.concatenate(wrong, axis=1).mean(axis=1)
        return cls(np.asarray(sizes, np.int64), errors, *_law(logs, wrong, TYPICAL), np.array(laws))

    def error(self, labels: int) -> float:
        """The error rate to expect with so many labels."""
        return float(min(1.0, self.scale * labels**-self.exponent))

    def gain(self, labels: int, more: int) -> tuple[float, float, float]:
        """What ``more`` labels beside ``labels`` take off the error: the estimate and its 90 % interval."""
        scales, exponents = self.resampled.T
        gains = scales * (float(labels) ** -exponents - float(labels + more) ** -exponents)
        low, high = np.percentile(gains, INTERVAL)
        return self.error(labels) - self.error(labels + more), float(low), float(high)


def _law(logs: Floats, wrong: Sequence[Bools], typical: float) -> tuple[float, float]:
    together = np.concatenate(wrong, axis=1)
    errors = (together.sum(axis=1) + 0.5) / (together.shape[1] + 1)  # none wrong is still not never
    fall, apart = -np.log(errors), logs - logs.mean()
    noise = float(np.mean((1 - errors) / errors)) / together.shape[1]  # variance of a logarithm
    weight = noise / SPREAD**2
    exponent = max(0.0, float((apart @ (fall - fall.mean()) + weight * typical) / (apart @ apart + weight)))
    return float(np.exp(exponent * logs.mean() - fall.mean())), exponent
