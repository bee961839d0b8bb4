"""The network that learns labels: an encoder, its outputs pooled, and a head."""

import torch
from torch import Tensor, nn

from ulmfit_lib.models.awd_lstm import Encoder
from ulmfit_lib.models.head import Head
from ulmfit_lib.models.pooling import pool
from ulmfit_lib.models.tensors import State


class ClassifierNet(nn.Module):
    """An encoder that learns, its outputs pooled, under a head."""

    state: State | None = None  # for checkpoints, which know language models too; texts here start from nothing

    def __init__(self, encoder: Encoder, pooling: str, head: Head) -> None:
        super().__init__()
        self.encoder, self.pooling, self.head, self.mixed_precision = encoder, pooling, head, False

    def reset(self) -> None:
        """Nothing is carried from batch to batch."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) ids and (batch,) lengths -> (batch, n_classes) logits."""
        mixed = torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision)
        with mixed, self.encoder.one_draw():
            pooled = pool(self.encoder, self.pooling, ids, lengths, self.encoder.projection)
        logits: Tensor = self.head(pooled)
        return logits

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The embedding, each LSTM layer, the head: lowest first."""
        return [*self.encoder.layer_groups(), [*self.head.parameters()]]
