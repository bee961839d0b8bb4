"""What turns a pooled text into class scores."""

import torch
from torch import Tensor, nn

from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.models.tensors import Weights


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
    return {name: tensor.detach().cpu().clone().numpy() for name, tensor in head_tensors(head).items()}


def head_tensors(head: Head) -> Weights:
    """A head's tensors by name, where they are and as they are."""
    return {name: tensor for name, tensor in head.state_dict().items() if not name.endswith("num_batches_tracked")}
