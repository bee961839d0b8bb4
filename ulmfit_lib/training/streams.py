"""What training reads: a stream of tokens for language models, batches of texts for the rest."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.documents import Documents, group_by_length, pad_texts
from ulmfit_lib.training.distillation_recipe import DistillationRecipe
from ulmfit_lib.training.processes import Share
from ulmfit_lib.training.teachers import Vectors

BLOCK = 32  # windows read at a time
ALL = Share()


class Batches:
    """What is read epoch by epoch, in an order that depends on ``seed`` and ``epoch`` alone.

    ``start`` skips batches, and ``position`` counts those of this epoch so far, so that a resumed run sees what an
    undisturbed one would.
    """

    def __init__(self, documents: Documents, *, seed: int) -> None:
        self.documents, self.seed = documents, seed
        self.epoch = self.start = self.position = 0
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> "Batches":
        """Yield batches on ``device``."""
        self.device = device
        return self


class TextBatches(Batches):
    """Batches of texts of like length."""

    @abstractmethod
    def _groups(self) -> list[Ints]:
        """Which texts are read together in this epoch."""

    @abstractmethod
    def _arrays(self, places: Ints) -> tuple[npt.NDArray[Any], ...]:
        """A batch of the texts at these places; nothing where this process reads none of them."""

    def __len__(self) -> int:
        return len(self._groups())

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        groups = self._groups()
        first, self.start = self.start, 0
        self.epoch += 1
        for self.position, places in enumerate(groups[first:], start=first + 1):
            if arrays := self._arrays(places):
                yield tuple(torch.from_numpy(one).to(self.device) for one in arrays)


class LanguageModelStream(Batches):
    """Texts in a new order each epoch, laid end to end in ``batch_size`` rows and cut into windows.

    Iterating yields ``(inputs, targets)``, both (batch, window) int64, the targets one token ahead. A process with a
    ``share`` of the rows reads the same ones from window to window, so that its state carries on; one without any reads
    nothing.
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
        super().__init__(documents, seed=seed)
        self.window, self.shuffle = window, shuffle
        self.batch_size = max(1, min(batch_size, documents.n_tokens // window))  # a short corpus: fewer rows
        self._row_length = documents.n_tokens // self.batch_size
        self._rows = range(self.batch_size)[share.rows]

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


class ClassifierBatches(TextBatches):
    """Length-sorted batches of texts with their targets, in a new order each epoch.

    Iterating yields ``(ids, lengths, targets)``: (batch, time), (batch,), (batch,), all int64. A process with a
    ``share`` gets its rows of every batch, and no row twice.
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
        super().__init__(documents, seed=seed)
        self.targets, self.pad_id, self.share = targets, pad_id, share
        self.most_texts, self.most_tokens = batch_size, batch_tokens

    def _groups(self) -> list[Ints]:
        return group_by_length(
            self.documents.lengths,
            max_texts=self.most_texts,
            max_tokens=self.most_tokens,
            fewest=max(2, self.share.of),
            shuffle=np.random.default_rng([self.seed, self.epoch]),
        )

    def _arrays(self, places: Ints) -> tuple[npt.NDArray[Any], ...]:
        own = places[self.share.rows]
        if not len(own):
            return ()
        batch = pad_texts(self.documents, own, self.pad_id)
        return batch.ids, batch.lengths, self.targets[batch.indices]


class DistillationBatches(TextBatches):
    """Texts of like length with their targets; a text in one of its writings, drawn anew each epoch.

    Iterating yields ``(ids, lengths, targets)``: (batch, time) and (batch,), int64, and (batch, distilled). The
    documents are all texts as they are, then all of them in another writing; without ``shuffle`` they are read in
    order, as they are.
    """

    def __init__(
        self,
        documents: Documents,
        targets: Vectors,
        *,
        recipe: DistillationRecipe,
        pad_id: int,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        super().__init__(documents, seed=seed)
        self.targets, self.recipe, self.pad_id, self.shuffle = targets, recipe, pad_id, shuffle
        self._grouped: tuple[int, list[Ints]] = (-1, [])

    def _groups(self) -> list[Ints]:
        if self._grouped[0] != self.epoch:
            rng, count = np.random.default_rng([self.seed, self.epoch]), len(self.targets)
            places = np.arange(count)
            if self.shuffle:
                places = places + count * (rng.random(count) < self.recipe.varied)
            lengths = self.documents.lengths[places].clip(max=self.recipe.max_tokens)
            groups = group_by_length(lengths, max_texts=self.recipe.batch_size, shuffle=rng if self.shuffle else None)
            self._grouped = self.epoch, [places[group] for group in groups]
        return self._grouped[1]

    def _arrays(self, places: Ints) -> tuple[npt.NDArray[Any], ...]:
        batch, most = pad_texts(self.documents, places, self.pad_id), self.recipe.max_tokens
        return batch.ids[:, :most], batch.lengths.clip(max=most), self.targets[batch.indices % len(self.targets)]
