"""Texts as ids of a model's vocabulary."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.stored_ids import StoredIds
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary

PIECE = 1 << 20  # tokens looked at together where all texts are passed over


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


def encode_texts(texts: Sequence[str], tokenizer: Tokenizer, vocabulary: Vocabulary) -> Documents:
    """Texts -> ids in memory, without touching the cache: for prediction."""
    types, ids, lengths = tokenizer.index(texts)
    table = np.array(vocabulary.encode(types), np.int32)
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
