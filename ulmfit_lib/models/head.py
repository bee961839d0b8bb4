"""What turns a pooled text into class scores, and the network that learns labels: an encoder under it."""

import torch
from torch import Tensor, nn

from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.models.awd_lstm import Encoder
from ulmfit_lib.models.pooling import pool
from ulmfit_lib.models.tensors import State


class Head(nn.Module):
    """Pooled vectors, (n, width) -> class scores; ``dropout`` comes before each linear layer.

    The hidden layer (ULMFiT: 50, with batch norm, ReLU and dropout) is ``hidden`` wide; 0 for a linear head.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, n_classes: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden:
            layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(hidden or width, n_classes)

    def standardize(self, features: Tensor) -> None:
        """Remember mean and spread of (n, width) pooled vectors, so that every number weighs about the same."""
        spread = features.std(0).nan_to_num(1.0)
        self.mean.copy_(features.mean(0))
        self.scale.copy_(spread.clamp_min(0.1 * float(spread.mean()) + 1e-6))  # nearly constant ones must not explode

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> (batch, n_classes) logits."""
        logits: Tensor = self.output(self.layers((pooled - self.mean) / self.scale))
        return logits


def head_arrays(head: Head) -> Tensors:
    """A copy of a head's tensors, as the arrays that a classifier holds."""
    found = {name: tensor for name, tensor in head.state_dict().items() if not name.endswith("num_batches_tracked")}
    return {name: tensor.detach().cpu().clone().numpy() for name, tensor in found.items()}


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
