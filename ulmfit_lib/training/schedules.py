"""Learning rates and unfreezing as pure functions of progress and position (ULMFiT, sections 3.2 and 3.3)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

Schedule = Callable[[float], float]


@dataclass(frozen=True)
class Phase:
    """One call of fastai's ``fit``."""

    name: str  # what the progress bar says
    first_group: int  # the lowest parameter group that trains; those below stay as they are
    epochs: int  # how long; 0 leaves the phase out
    lrs: Sequence[float]  # the maximal rate of each group, lowest group first
    schedule: Schedule  # progress in [0, 1] -> share of the maximal rate


def slanted_triangular(progress: float, *, cut_frac: float = 0.1, ratio: float = 32) -> float:
    """The share of the maximal rate at ``progress`` in [0, 1] (ULMFiT, equation 3).

    Rises linearly from 1/ratio to 1 in the first ``cut_frac``, then falls linearly back to 1/ratio. Progress outside
    [0, 1] counts as the nearer end, so a run that goes one step too far never gets a negative rate.

    Examples:
        >>> [round(slanted_triangular(p, cut_frac=0.5, ratio=4), 3) for p in (0, 0.25, 0.5, 1)]
        [0.25, 0.625, 1.0, 0.25]
    """
    progress = min(max(progress, 0.0), 1.0)
    rising = progress < cut_frac
    height = progress / cut_frac if rising else (1 - progress) / (1 - cut_frac) if cut_frac < 1 else 1.0
    return (1 + height * (ratio - 1)) / ratio


def one_cycle(progress: float, *, warmup: float = 0.25, start: float = 0.04, end: float = 1e-5) -> float:
    """The share of the maximal rate at ``progress`` in [0, 1]: a cosine from ``start`` to 1, then one to ``end``.

    Examples:
        >>> [round(one_cycle(p), 3) for p in (0, 0.25, 1)]
        [0.04, 1.0, 0.0]
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


def find_schedule(name: str, *, cut_frac: float = 0.1, ratio: float = 32) -> Schedule:
    """``slanted-triangular``, of this cut and ratio, or ``one-cycle``."""
    if name == "slanted-triangular":
        return partial(slanted_triangular, cut_frac=cut_frac, ratio=ratio)
    return {"one-cycle": one_cycle}[name]


def discriminative_lrs(lr: float, n_groups: int, *, decay: float = 2.6) -> list[float]:
    """One rate per parameter group, lowest group first; each is the one above it divided by ``decay`` (section 3.2).

    Examples:
        >>> discriminative_lrs(0.01, 3, decay=2)
        [0.0025, 0.005, 0.01]
    """
    return [lr / decay**depth for depth in reversed(range(n_groups))]


def gradual_unfreezing(n_groups: int) -> list[int]:
    """The lowest group that trains in each phase: the last group alone first, one more each phase (section 3.3).

    Examples:
        >>> gradual_unfreezing(4)
        [3, 2, 1, 0]
    """
    return list(reversed(range(n_groups)))
