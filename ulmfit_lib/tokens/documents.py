"""Texts as ids of a model's vocabulary, also those of like length in padded batches."""

import hashlib
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary

ITEM = np.dtype(np.int32)
PIECE = 1 << 20  # tokens looked at together where all texts are passed over


class StoredIds:
    """(n,) int32 as they lie in a file. A mapped file would count as memory once all of it has been read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        self._length = path.stat().st_size // ITEM.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, places: slice) -> npt.NDArray[np.int32]:
        start, stop, _ = places.indices(self._length)
        self._file.seek(start * ITEM.itemsize)
        return np.frombuffer(self._file.read(max(0, stop - start) * ITEM.itemsize), ITEM)


@dataclass(frozen=True)
class Documents:
    """Texts as ids of a model's vocabulary, translated as they are read, so that a corpus can stay on disk."""

    stored: npt.NDArray[np.integer] | StoredIds  # (n_tokens,) integers, usually a corpus's ids in their file
    offsets: Ints  # (n_texts + 1,); text i is `stored[offsets[i]:offsets[i + 1]]`
    # (n_types,) the vocabulary's id for each stored one; None where these are the vocabulary's already.
    table: npt.NDArray[np.integer] | None = None
    reverse: bool = False  # each text is read from its end, for a backward model

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> npt.NDArray[np.integer]:
        return self.read(i, 0, int(self.offsets[i + 1] - self.offsets[i]))

    def read(self, i: int, start: int, stop: int) -> npt.NDArray[np.integer]:
        """The tokens of text i from ``start`` up to ``stop``, in reading order."""
        if self.reverse:
            end = int(self.offsets[i + 1])
            return self._translate(self.stored[end - stop : end - start])[::-1]
        left = int(self.offsets[i])
        return self._translate(self.stored[left + start : left + stop])

    @property
    def n_tokens(self) -> int:
        """Tokens in all texts."""
        return len(self.stored)

    @property
    def lengths(self) -> Ints:
        """Tokens in each text, (n_texts,)."""
        return np.diff(self.offsets)

    def counts(self, size: int) -> Ints:
        """How often each id of a vocabulary of ``size`` occurs, (size,)."""
        total = np.zeros(size, np.int64)
        for start in range(0, self.n_tokens, PIECE):
            total += np.bincount(self._translate(self.stored[start : start + PIECE]), minlength=size)
        return total

    def fingerprint(self) -> str:
        """A hash of all that is read, and in which direction."""
        digest = hashlib.sha256(b"backward" if self.reverse else b"forward")
        digest.update(self.offsets.tobytes())
        for start in range(0, self.n_tokens, PIECE):
            digest.update(self._translate(self.stored[start : start + PIECE]).astype(np.int32).tobytes())
        return digest.hexdigest()

    def select(self, indices: npt.ArrayLike) -> "Documents":
        """A copy of the texts at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[chosen])])
        ids = np.concatenate([self[i] for i in chosen]) if len(chosen) else self._translate(self.stored[:0])
        return Documents(ids, offsets)

    def backwards(self) -> "Documents":
        """The same texts, each read from its other end."""
        return replace(self, reverse=not self.reverse)

    def in_direction(self, direction: str) -> "Documents":
        """The same texts, read from their end where ``direction`` is ``backward``."""
        return self.backwards() if direction == "backward" else self

    def _translate(self, stored: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        return stored if self.table is None else self.table[stored]


def encode_texts(
    texts: Sequence[str], tokenizer: Tokenizer, vocabulary: Vocabulary, *, mend: bool = False
) -> Documents:
    """Texts -> ids in memory, without touching the cache: for prediction. To ``mend``, see ``Vocabulary.encode``."""
    types, ids, lengths = tokenizer.index(texts)
    table = np.array(vocabulary.encode(types, mend=mend), np.int32)
    return Documents(table[ids], np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def renumber(parts: Sequence[Documents], vocab_size: int, *, keep: int = 0) -> tuple[Ints, list[Documents]]:
    """The ids that occur in any of the documents, and the documents with each id's place among these instead.

    What learns from few texts then carries no rows for words that they lack. The first ``keep`` ids stay as they are.
    """
    counts = sum(part.counts(vocab_size) for part in parts) + (np.arange(vocab_size) < keep)
    used = np.flatnonzero(counts)
    place = np.zeros(vocab_size, np.int32)
    place[used] = np.arange(len(used))
    tables = [place if part.table is None else place[part.table] for part in parts]
    return used, [replace(part, table=table) for part, table in zip(parts, tables, strict=True)]


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
