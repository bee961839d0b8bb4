"""What training reads: a stream of tokens for language models, batches of texts for classifiers."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.batches import group_by_length, pad_texts
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.processes import Share

BLOCK = 32  # windows read at a time
ALL = Share()


class LanguageModelStream:
    """Texts in a new order each epoch, laid end to end in ``batch_size`` rows and cut into windows.

    Iterating yields ``(inputs, targets)``, both (batch, window) int64, the targets one token ahead. The texts' order
    depends on ``seed`` and ``epoch`` alone, and ``start`` skips batches, so that a resumed run sees what an undisturbed
    one would; ``position`` counts the batches of this epoch so far. A process with a ``share`` of the rows reads the
    same ones from window to window, so that its state carries on; one without any reads nothing.
    """

    def __init__(
        self,
        documents: Documents,
        *,
        batch_size: int,
        window: int,
        seed: int = 0,
        shuffle: bool = True,
        share: Share = ALL,
    ) -> None:
        self.documents, self.window, self.seed, self.shuffle = documents, window, seed, shuffle
        self.batch_size = max(1, min(batch_size, documents.n_tokens // window))  # a short corpus: fewer rows
        self.epoch = self.start = self.position = 0
        self.device = torch.device("cpu")
        self._row_length = documents.n_tokens // self.batch_size
        self._rows = range(self.batch_size)[share.rows]

    def to(self, device: torch.device) -> "LanguageModelStream":
        """Yield batches on ``device``."""
        self.device = device
        return self

    def __len__(self) -> int:
        return max(0, -(-(self._row_length - 1) // self.window)) if self._rows else 0

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

    def _read_rows(self, order: Ints, starts: Ints, left: int, right: int) -> Ints:
        """Tokens ``left`` to ``right`` of every row, (rows, right - left)."""
        rows = np.empty((len(self._rows), right - left), np.int64)
        for number, row in zip(self._rows, rows, strict=True):
            position, filled = number * self._row_length + left, 0
            text = int(np.searchsorted(starts, position, side="right")) - 1
            while filled < len(row):
                begin = position + filled - int(starts[text])
                end = min(int(starts[text + 1] - starts[text]), begin + len(row) - filled)
                row[filled : filled + end - begin] = self.documents.read(order[text], begin, end)
                filled += end - begin
                text += 1
        return rows


class ClassifierBatches:
    """Length-sorted batches of texts with their targets, in a new order each epoch.

    Iterating yields ``(ids, lengths, targets)``: (batch, time), (batch,), (batch,), all int64. The order depends on
    ``seed`` and ``epoch`` alone, ``start`` skips batches, ``position`` counts those of this epoch so far: a resumed run
    sees what an undisturbed one would. A process with a ``share`` gets its rows of every batch, and no row twice.
    """

    def __init__(
        self,
        documents: Documents,
        targets: Ints,
        *,
        batch_size: int,
        batch_tokens: int,
        pad_id: int,
        seed: int,
        share: Share = ALL,
    ) -> None:
        self.documents, self.targets, self.pad_id, self.seed = documents, targets, pad_id, seed
        self.most_texts, self.most_tokens, self.share = batch_size, batch_tokens, share
        self.epoch = self.start = self.position = 0
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> "ClassifierBatches":
        """Yield batches on ``device``."""
        self.device = device
        return self

    def _groups(self) -> list[Ints]:
        return group_by_length(
            self.documents.lengths,
            max_texts=self.most_texts,
            max_tokens=self.most_tokens,
            fewest=max(2, self.share.of),
            shuffle=np.random.default_rng([self.seed, self.epoch]),
        )

    def __len__(self) -> int:
        return len(self._groups())

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        groups = self._groups()
        first, self.start = self.start, 0
        self.epoch += 1
        for self.position, places in enumerate(groups[first:], start=first + 1):
            if not len(places[self.share.rows]):
                continue
            batch = pad_texts(self.documents, places[self.share.rows], self.pad_id)
            arrays = batch.ids, batch.lengths, self.targets[batch.indices]
            yield tuple(torch.from_numpy(one).to(self.device) for one in arrays)
