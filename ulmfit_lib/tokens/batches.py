"""Texts of like length -> padded batches of ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.documents import Documents


@dataclass(frozen=True)
class TextBatch:
    """Some texts of like length."""

    ids: Ints  # (batch, longest) int64, the longest text first, padded on the right
    lengths: Ints  # (batch,) tokens in each text
    indices: Ints  # (batch,) each text's place in the collection


def text_batches(documents: Documents, *, pad_id: int) -> Iterator[TextBatch]:
    """All texts, those of like length together, the longest first, so that memory peaks at once."""
    for places in group_by_length(documents.lengths):
        yield pad_texts(documents, places, pad_id)


def group_by_length(
    lengths: Ints,
    *,
    max_texts: int = 128,
    max_tokens: int = 40_000,
    fewest: int = 2,
    shuffle: np.random.Generator | None = None,
) -> list[Ints]:
    """The places of texts of like length, group by group, bounded in texts and in padded tokens.

    Without ``shuffle`` the longest come first. With it, lengths are jittered and the groups come in random order, for
    training; none then holds fewer than ``fewest`` texts if there are so many, since batch normalisation cannot learn
    from one.
    """
    lengths = np.maximum(lengths, 1)
    keys = -lengths.astype(np.float64)
    if shuffle is not None:
        keys *= shuffle.uniform(0.85, 1.15, len(keys))
    groups: list[list[int]] = []
    longest = 0
    for i in np.argsort(keys, kind="stable").tolist():
        longest = max(longest, int(lengths[i]))
        if not groups or len(groups[-1]) == max_texts or longest * (len(groups[-1]) + 1) > max_tokens:
            groups.append([])
            longest = int(lengths[i])
        groups[-1].append(i)
    if shuffle is not None:
        groups = _merged(groups, fewest)
        shuffle.shuffle(groups)
    return [np.array(group, np.int64) for group in groups]


def pad_texts(documents: Documents, places: Ints, pad_id: int) -> TextBatch:
    """The texts at ``places`` as one batch."""
    ends = documents.offsets[places + 1]
    places = places[np.argsort(documents.offsets[places] - ends, kind="stable")]
    texts = [documents[i] for i in places]
    lengths = [max(1, len(text)) for text in texts]
    ids = np.full((len(texts), max(lengths)), pad_id, np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return TextBatch(ids, np.array(lengths, np.int64), places)


def _merged(groups: list[list[int]], fewest: int) -> list[list[int]]:
    merged: list[list[int]] = []
    for group in groups:
        if merged and min(len(group), len(merged[-1])) < fewest:
            merged[-1] = merged[-1] + group
        else:
            merged.append(group)
    return merged
