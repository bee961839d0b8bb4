"""Ids -> batches: a contiguous stream for language models, length-sorted texts for classifiers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ulmfit_lib.data.corpus import Documents

BLOCK = 32  # windows read at a time


class LanguageModelStream:
    """Texts in a new order each epoch, laid end to end in ``batch_size`` rows and cut into windows.

    Iterating yields ``(inputs, targets)``, both (batch, window) int64, the targets one token ahead. The texts' order
    depends on ``seed`` and ``epoch`` alone, and ``start`` skips batches, so that a resumed run sees what an undisturbed
    one would; ``position`` counts the batches of this epoch so far.
    """

    def __init__(
        self, documents: Documents, *, batch_size: int, window: int, seed: int = 0, shuffle: bool = True
    ) -> None:
        self.documents, self.window, self.seed, self.shuffle = documents, window, seed, shuffle
        self.batch_size = max(1, min(batch_size, documents.n_tokens // window))  # a short corpus: fewer rows
        self.epoch = self.start = self.position = 0
        self.device = torch.device("cpu")
        self._row_length = documents.n_tokens // self.batch_size

    def to(self, device: torch.device) -> "LanguageModelStream":
        """Yield batches on ``device``."""
        self.device = device
        return self

    def __len__(self) -> int:
        return max(0, -(-(self._row_length - 1) // self.window))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = np.arange(len(self.documents))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(len(order))
        starts = np.concatenate([[0], np.cumsum(self.documents.lengths[order])])
        first, self.start = self.start, 0
        self.epoch += 1
        block = torch.empty(0)
        for batch in range(first, len(self)):
            self.position = batch + 1
            place = (batch - first) % BLOCK
            if place == 0:
                left = batch * self.window
                rows = self._read_rows(order, starts, left, min(left + BLOCK * self.window + 1, self._row_length))
                block = torch.from_numpy(rows).to(self.device)
            piece = block[:, place * self.window : (place + 1) * self.window + 1]
            yield piece[:, :-1], piece[:, 1:]

    def _read_rows(
        self, order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], left: int, right: int
    ) -> npt.NDArray[np.int64]:
        """Tokens ``left`` to ``right`` of every row, (batch, right - left)."""
        rows = np.empty((self.batch_size, right - left), np.int64)
        for number, row in enumerate(rows):
            position, filled = number * self._row_length + left, 0
            text = int(np.searchsorted(starts, position, side="right")) - 1
            while filled < len(row):
                begin = position + filled - int(starts[text])
                end = min(int(starts[text + 1] - starts[text]), begin + len(row) - filled)
                row[filled : filled + end - begin] = self.documents.read(order[text], begin, end)
                filled += end - begin
                text += 1
        return rows


@dataclass(frozen=True)
class TextBatch:
    """Some texts of like length.

    Attributes:
        ids: (batch, longest) int64, the longest text first, padded on the right.
        lengths: (batch,) tokens in each text.
        indices: (batch,) each text's place in the collection.
    """

    ids: Tensor
    lengths: Tensor
    indices: npt.NDArray[np.int64]


def text_batches(documents: Documents, *, pad_id: int) -> Iterator[TextBatch]:
    """All texts, those of like length together, the longest first, so that memory peaks at once."""
    for places in group_by_length(documents.lengths):
        yield pad_texts(documents, places, pad_id)


def group_by_length(
    lengths: npt.NDArray[np.int64],
    *,
    max_texts: int = 128,
    max_tokens: int = 40_000,
    shuffle: np.random.Generator | None = None,
) -> list[npt.NDArray[np.int64]]:
    """The places of texts of like length, group by group, bounded in texts and in padded tokens.

    Without ``shuffle`` the longest come first. With it, lengths are jittered and the groups come in random order, for
    training; none then holds a single text if there are several, since batch normalisation cannot learn from one.
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
        groups = _without_singles(groups)
        shuffle.shuffle(groups)
    return [np.array(group, np.int64) for group in groups]


def pad_texts(documents: Documents, places: npt.NDArray[np.int64], pad_id: int) -> TextBatch:
    """The texts at ``places`` as one batch."""
    ends = documents.offsets[places + 1]
    places = places[np.argsort(documents.offsets[places] - ends, kind="stable")]
    texts = [documents[i] for i in places]
    lengths = [max(1, len(text)) for text in texts]
    ids = np.full((len(texts), max(lengths)), pad_id, np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return TextBatch(torch.from_numpy(ids), torch.tensor(lengths), places)


def _without_singles(groups: list[list[int]]) -> list[list[int]]:
    merged: list[list[int]] = []
    for group in groups:
        if merged and (len(group) == 1 or len(merged[-1]) == 1):
            merged[-1] = merged[-1] + group
        else:
            merged.append(group)
    return merged
