"""A whole corpus as ids on disk, cached by the hash of what it was made from."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ulmfit_lib.data.stored_ids import StoredIds
from ulmfit_lib.data.token_ids import TokenIds
from ulmfit_lib.data.tokenizing import Tokenizer
from ulmfit_lib.data.vocabulary import Vocabulary
from ulmfit_lib.data.workers import worker_count, worker_pool
from ulmfit_lib.errors import UlmfitError
from ulmfit_lib.files import cache_folder, new_folder
from ulmfit_lib.progress import bar

CHUNK = 1024  # texts that one worker tokenises at a time
PIECE = 1 << 20  # tokens looked at together where a whole corpus is passed over
PARALLEL_FROM = 4_000_000  # characters; below, starting workers costs more than it saves


@dataclass(frozen=True)
class Documents:
    """Texts as ids of a model's vocabulary, translated as they are read, so that a corpus can stay on disk.

    Attributes:
        stored: (n_tokens,) integers, usually a corpus's ids in their file.
        offsets: (n_texts + 1,); text i is ``stored[offsets[i]:offsets[i + 1]]``.
        table: (n_types,) the vocabulary's id for each stored one; None where these are the vocabulary's already.
        reverse: each text is read from its end, for a backward model.
    """

    stored: npt.NDArray[np.integer] | StoredIds
    offsets: npt.NDArray[np.int64]
    table: npt.NDArray[np.integer] | None = None
    reverse: bool = False

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
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens in each text, (n_texts,)."""
        return np.diff(self.offsets)

    def counts(self, size: int) -> npt.NDArray[np.int64]:
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

    def _translate(self, stored: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        return stored if self.table is None else self.table[stored]


@dataclass(frozen=True)
class Corpus:
    """Tokenised texts before any model's vocabulary: ids into the corpus's own list of distinct tokens.

    Attributes:
        types: the distinct tokens in order of first appearance.
        counts: (n_types,) how often each occurs.
        ids: (n_tokens,) places in ``types``.
        offsets: (n_texts + 1,) where each text starts.
    """

    types: list[str]
    counts: npt.NDArray[np.int64]
    ids: npt.NDArray[np.integer] | StoredIds
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def numericalize(self, vocabulary: Vocabulary) -> Documents:
        """The same texts as ids of ``vocabulary``."""
        return Documents(self.ids, self.offsets, np.array(vocabulary.encode(self.types), np.int32))


def tokenize_corpus(texts: Sequence[str], tokenizer: Tokenizer, *, cache: Path | None = None) -> Corpus:
    """Tokenise texts, or find that the same texts were tokenised before.

    Args:
        texts: the texts.
        tokenizer: what splits them.
        cache: where results are kept by content hash; default ``files.cache_folder()``.
    """
    folder = (cache or cache_folder()) / "corpora" / _content_hash(texts, tokenizer)
    if not (folder / "offsets.npy").is_file():
        try:
            with new_folder(folder) as temporary:
                _write_corpus(texts, tokenizer, temporary)
        except UlmfitError:
            if not (folder / "offsets.npy").is_file():  # else another process was faster, with the same content
                raise
    return Corpus(
        types=json.loads((folder / "types.json").read_text(encoding="utf-8")),
        counts=np.load(folder / "counts.npy"),
        ids=StoredIds(folder / "ids.bin"),
        offsets=np.load(folder / "offsets.npy"),
    )


def encode_texts(texts: Sequence[str], tokenizer: Tokenizer, vocabulary: Vocabulary) -> Documents:
    """Texts -> ids in memory, without touching the cache: for prediction."""
    types, ids, lengths = tokenizer.index(texts)
    table = np.array(vocabulary.encode(types), np.int32)
    return Documents(table[ids], np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def _content_hash(texts: Sequence[str], tokenizer: Tokenizer) -> str:
    digest = hashlib.sha256(tokenizer.fingerprint().encode())
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


def _write_corpus(texts: Sequence[str], tokenizer: Tokenizer, folder: Path) -> None:
    index: dict[str, int] = {}
    counts = np.zeros(1024, np.int64)
    lengths: list[npt.NDArray[np.int64]] = []
    with (folder / "ids.bin").open("wb") as file:
        for types, local_ids, chunk_lengths in _tokenize_chunks(texts, tokenizer):
            table = np.fromiter((index.setdefault(token, len(index)) for token in types), np.int32, len(types))
            ids = table[local_ids]
            while len(counts) < len(index):
                counts = np.concatenate([counts, np.zeros_like(counts)])
            counts[: len(index)] += np.bincount(ids, minlength=len(index))
            lengths.append(chunk_lengths)
            file.write(ids.tobytes())
    (folder / "types.json").write_text(json.dumps(list(index)), encoding="utf-8")
    np.save(folder / "counts.npy", counts[: len(index)])
    np.save(folder / "offsets.npy", np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths])))


_worker_tokenizer: Tokenizer


def _tokenize_chunk(texts: list[str]) -> TokenIds:
    return _worker_tokenizer.index(texts)


def _tokenize_chunks(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[TokenIds]:
    """Chunks in order; in worker processes where there is enough to do and the platform forks."""
    global _worker_tokenizer
    _worker_tokenizer = tokenizer
    source = iter(texts)
    chunks = iter(lambda: list(islice(source, CHUNK)), [])
    characters = sum(map(len, texts))
    with bar(total=len(texts), description="tokenising", unit="text") as progress:
        if worker_count() > 1 and characters > PARALLEL_FROM:
            with worker_pool() as pool:
                for chunk in pool.imap(_tokenize_chunk, chunks):
                    yield chunk
                    progress.update(len(chunk.lengths))
        else:
            for chunk in map(_tokenize_chunk, chunks):
                yield chunk
                progress.update(len(chunk.lengths))
