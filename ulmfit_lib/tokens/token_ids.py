"""The tokens of some texts as numbers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints


class TokenIds(NamedTuple):
    """Tokens of texts, one text after the other."""

    types: list[str]  # the distinct tokens, in order of first appearance
    ids: npt.NDArray[np.int32]  # (n_tokens,) places in `types`
    lengths: Ints  # (n_texts,) tokens in each text


def by_first_place(ids: npt.NDArray[np.int32], n_types: int) -> tuple[Ints, npt.NDArray[np.int32]]:
    """The distinct numbers among ``ids``, in the order in which they come first, and each id's place among them."""
    if len(ids) < n_types:  # a short text must not look at all types that are known
        distinct, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(first)
        places = np.zeros(len(distinct), np.int32)
        places[order] = np.arange(len(distinct))
        return distinct[order].astype(np.int64), places[inverse]
    first = np.full(n_types, len(ids))
    first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)  # of several values for one place, the last stays
    used = np.flatnonzero(first < len(ids))
    used = used[np.argsort(first[used])]
    local = np.zeros(n_types, np.int32)
    local[used] = np.arange(len(used))
    return used, local[ids]
