"""Texts that say the same: copies, and near copies that would make a held-out row easier than a new one."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.progress import bar

WORDS = re.compile(r"\w+").findall
SHINGLE = 3  # words in a row
ALIKE = 0.7  # of the shingles of both texts, the share in both (Jaccard) from which on one is a near copy
FEWEST_SHINGLES = 8  # a shorter text is only a copy if all its words are the same
RARE = 20  # a shingle of more texts than this is a turn of phrase: it brings no two texts together
CHUNK = 2000


def near_copies(texts: Sequence[str], chosen: Sequence[int]) -> Ints:
    """Which texts belong together: a number per text, (n_texts,), the same for texts that are alike.

    Case, marks and spaces do not count. Near copies are looked for between the texts at the ``chosen`` places, which
    might be held out, and all; a chain of them is one group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    found = [*_same_words(texts), *_alike(texts, np.asarray(chosen, np.int64))]
    left, right = np.array(found, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(texts), len(texts)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _same_words(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    first: dict[int, int] = {}
    for place, text in enumerate(texts):
        other = first.setdefault(hash(" ".join(WORDS(text.lower())) or text), place)
        if other != place:
            yield other, place


def _alike(texts: Sequence[str], chosen: Ints) -> Iterator[tuple[int, int]]:
    if not len(chosen):
        return
    own = _shingled(texts[i] for i in chosen.tolist())
    sizes = np.asarray(own.sum(axis=1)).ravel()
    rare = np.asarray(own.sum(axis=0)).ravel() <= RARE
    signs = own[:, rare]
    needed = np.asarray(signs.sum(axis=1)).ravel()
    source = iter(texts)
    with bar(total=len(texts), description="looking for copies", unit="text") as progress:
        for start in range(0, len(texts), CHUNK):
            others = _shingled(islice(source, CHUNK))
            other_sizes = np.asarray(others.sum(axis=1)).ravel()
            shared = (signs @ others[:, rare].T).tocoo()
            likely = (2 * shared.data >= needed[shared.row]) & (chosen[shared.row] != start + shared.col)
            rows, columns = shared.row[likely], shared.col[likely]
            both = np.asarray(own[rows].multiply(others[columns]).sum(axis=1)).ravel()
            union = sizes[rows] + other_sizes[columns] - both
            enough = np.minimum(sizes[rows], other_sizes[columns]) >= FEWEST_SHINGLES
            near = enough & (both >= ALIKE * union)
            yield from zip(chosen[rows[near]].tolist(), (start + columns[near]).tolist(), strict=True)
            progress.update(others.shape[0])


def _shingled(texts: Any) -> Any:
    """(n_texts, shingles) of 0 and 1, sparse."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hasher = HashingVectorizer(
        analyzer=_shingles, n_features=1 << 22, binary=True, norm=None, alternate_sign=False, dtype=np.float32
    )
    return hasher.transform(texts)


def _shingles(text: str) -> list[str]:
    words = WORDS(text.lower())
    return [" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)]
