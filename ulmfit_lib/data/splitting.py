"""What is learnt from, and what is held out to measure on."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.data.stored_texts import Selection, as_texts
from ulmfit_lib.errors import DataError

MOST_HELD_OUT = 250  # texts to measure a language model on


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


def grouped_folds(groups: Ints, strata: Ints, *, count: int, seed: int) -> list[tuple[Any, Any]]:
    """Train and test places of ``count`` folds, each of ``strata`` in its proportion; a group is never parted."""
    from sklearn.model_selection import StratifiedGroupKFold

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # not every fold holds one of its rows
        return list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(groups, strata, groups))


def hold_out(texts: Sequence[str], valid_texts: Sequence[str] | None, seed: int) -> tuple[Sequence[str], Sequence[str]]:
    """Texts to read and texts to measure on; without ``valid_texts``, a random tenth, ``MOST_HELD_OUT`` at most."""
    texts = as_texts(texts)
    if len(texts) < 2:
        raise DataError(f"a language model needs at least 2 texts to read, and got {len(texts)}")
    if valid_texts is not None:
        return texts, as_texts(valid_texts, called="valid_texts")
    count = min(MOST_HELD_OUT, max(1, round(len(texts) / 10)))
    chosen = np.sort(np.random.default_rng(seed).choice(len(texts), count, replace=False))
    return Selection(texts, np.setdiff1d(np.arange(len(texts)), chosen)), Selection(texts, chosen)
