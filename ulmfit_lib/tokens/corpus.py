"""A whole corpus as ids on disk, cached by the hash of what it was made from."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.files import cache_folder, content_hash, new_folder, only_process
from ulmfit_lib.progress import bar
from ulmfit_lib.tokens.documents import Documents, StoredIds
from ulmfit_lib.tokens.token_ids import TokenIds
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.workers import in_order

CHUNK = 1024  # texts that one worker tokenises at a time
PARALLEL_FROM = 4_000_000  # characters; below, starting workers costs more than it saves


@dataclass(frozen=True)
class Corpus:
    """Tokenised texts before any model's vocabulary: ids into the corpus's own list of distinct tokens."""

    types: list[str]  # the distinct tokens in order of first appearance
    counts: Ints  # (n_types,) how often each occurs
    ids: npt.NDArray[np.integer] | StoredIds  # (n_tokens,) places in `types`
    offsets: Ints  # (n_texts + 1,) where each text starts

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def numericalize(self, vocabulary: Vocabulary, *, mend: bool = False) -> Documents:
        """The same texts as ids of ``vocabulary``, by its ``encode``."""
        return Documents(self.ids, self.offsets, np.array(vocabulary.encode(self.types, mend=mend), np.int32))


def tokenize_corpus(texts: Sequence[str], tokenizer: Tokenizer, *, cache: Path | None = None) -> Corpus:
    """Tokenise texts, or find, by content hash, that the same texts were tokenised before."""
    folder = (cache or cache_folder()) / "corpora" / content_hash(texts, tokenizer.fingerprint())
    done = folder / "offsets.npy"
    if not done.is_file():
        with only_process(folder, wait=True):  # of processes that train together, one tokenises
            if not done.is_file():
                with new_folder(folder) as temporary:
                    _write_corpus(texts, tokenizer, temporary)
    return Corpus(
        types=json.loads((folder / "types.json").read_text(encoding="utf-8")),
        counts=np.load(folder / "counts.npy"),
        ids=StoredIds(folder / "ids.bin"),
        offsets=np.load(folder / "offsets.npy"),
    )


def _write_corpus(texts: Sequence[str], tokenizer: Tokenizer, folder: Path) -> None:
    index: dict[str, int] = {}
    counts = np.zeros(1024, np.int64)
    lengths: list[Ints] = []
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


def _tokenize_chunks(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[TokenIds]:
    """Chunks in order; in worker processes where there is enough to do."""
    source = iter(texts)
    chunks = iter(lambda: list(islice(source, CHUNK)), [])
    together = in_order if sum(map(len, texts)) > PARALLEL_FROM else map
    with bar(total=len(texts), description="tokenising", unit="text") as progress:
        for chunk in together(tokenizer.index, chunks):
            yield chunk
            progress.update(len(chunk.lengths))
