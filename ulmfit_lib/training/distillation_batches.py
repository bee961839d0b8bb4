"""Batches of texts with the vectors that they should have."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.batches import group_by_length, pad_texts
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.distillation_recipe import DistillationRecipe
from ulmfit_lib.training.teachers import Vectors


class DistillationBatches:
    """Texts of like length with their targets; a text in one of its writings, drawn anew each epoch.

    Iterating yields ``(ids, lengths, targets)``: (batch, time) and (batch,), int64, and (batch, distilled). The order
    depends on ``seed`` and ``epoch`` alone, ``start`` skips batches, ``position`` counts those of this epoch so far.

    Args:
        documents: all texts as they are, then all of them in another writing.
        targets: (n_texts, distilled) what their vectors should be.
        recipe: of the batches.
        pad_id: what fills them up.
        seed: of the order and the writings.
        shuffle: whether there is an order and another writing at all.
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
        self.documents, self.targets, self.recipe, self.pad_id = documents, targets, recipe, pad_id
        self.seed, self.shuffle = seed, shuffle
        self.epoch = self.start = self.position = 0
        self.device = torch.device("cpu")
        self._grouped: tuple[int, list[Ints]] = (-1, [])

    def to(self, device: torch.device) -> "DistillationBatches":
        """Yield batches on ``device``."""
        self.device = device
        return self

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

    def __len__(self) -> int:
        return len(self._groups())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        groups = self._groups()
        first, self.start = self.start, 0
        self.epoch += 1
        for self.position, places in enumerate(groups[first:], start=first + 1):
            batch = pad_texts(self.documents, places, self.pad_id)
            most = self.recipe.max_tokens
            arrays = (
                batch.ids[:, :most],
                batch.lengths.clip(max=most),
                self.targets[batch.indices % len(self.targets)],
            )
            ids, lengths, targets = (torch.from_numpy(one).to(self.device) for one in arrays)
            yield ids, lengths, targets
