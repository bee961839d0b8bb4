"""Rows for training and rows for testing, each label in its proportion."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def stratified_split(labels: Sequence[Any], fraction: float, seed: int) -> list[int]:
    """Places of the rows to hold out: about ``fraction`` of each label, at least one, while two are left to learn from.

    A label with fewer than three rows is never held out.
    """
    generator = np.random.default_rng(seed)
    held_out: list[int] = []
    for label in sorted(set(labels)):
        places = [i for i, other in enumerate(labels) if other == label]
        count = max(0, min(max(1, round(len(places) * fraction)), len(places) - 2))
        held_out += generator.permutation(places)[:count].tolist()
    return sorted(held_out)


def grouped_folds(
    groups: npt.NDArray[np.int64], strata: npt.NDArray[np.int64], *, count: int, seed: int
) -> list[tuple[Any, Any]]:
    """Train and test places of ``count`` folds, each of ``strata`` in its proportion; a group is never parted."""
    from sklearn.model_selection import StratifiedGroupKFold

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # not every fold holds one of its rows
        return list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(groups, strata, groups))


def class_counts(targets: npt.NDArray[np.int64], n_classes: int = 0) -> npt.NDArray[np.int64]:
    """Rows of each class: of (n,) class numbers, or of (n, n_tags) of 0 and 1."""
    return targets.sum(0) if targets.ndim == 2 else np.bincount(targets, minlength=n_classes)
