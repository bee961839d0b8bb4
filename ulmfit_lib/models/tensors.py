"""A network's tensors by name, and as the arrays that an artifact holds."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ulmfit_lib.artifact.tensors import Tensors

Weights = dict[str, Tensor]
State = list[tuple[Tensor, Tensor]]  # per layer: hidden and cell, each (1, batch, width)


def to_arrays(weights: Mapping[str, Tensor]) -> Tensors:
    """Tensors by name -> arrays that share their memory."""
    return {name: tensor.numpy() for name, tensor in weights.items()}


def as_arrays(weights: Mapping[str, Mapping[str, Tensor]]) -> Tensors:
    """Tensors by group and name -> float32 arrays by ``group.name``, which share their memory."""
    return {f"{group}.{name}": tensor.numpy() for group, some in weights.items() for name, tensor in some.items()}


def as_tensors(arrays: Tensors) -> Weights:
    """Arrays by name -> tensors that share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
