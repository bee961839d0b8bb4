"""An encoder that only reads, its matrix products those of bytes: where a CPU has them, twice as fast as bfloat16.

Weights are rounded to 8 bits with a scale per row, as in shipped models. What an LSTM puts out lies between -1 and 1
and is rounded to 8 bits with one scale for all, so that the products are sums of whole numbers, without any rounding,
and a text's vector is the same alone and among others.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.artifact.architecture import LAYER_WEIGHTS, Architecture
from ulmfit_lib.models.tensors import State, Weights

STEPS = 127  # of a byte on either side of zero
ZERO = 128  # the byte that stands for zero


@cache
def has_int8_products() -> bool:
    """Whether oneDNN multiplies bytes here, in hardware and without overflow: by trying."""
    if not any(getattr(torch.cpu, name, bool)() for name in ("_is_vnni_supported", "_is_cpu_support_vnni")):
        return False
    try:
        found = Int8Matrix(torch.ones(64, 256))(torch.full((3, 256), 255, dtype=torch.uint8))
    except (AttributeError, RuntimeError):  # another version of PyTorch
        return False
    return bool(torch.allclose(found, torch.full((3, 64), 256.0)))


class Int8Encoder:
    """What ``awd_lstm.Encoder`` gives in evaluation, but for rounding; on the CPU.

    Args:
        architecture: its sizes.
        weights: its tensors by name.
    """

    device = torch.device("cpu")

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.architecture = architecture
        self._embedding = weights["encoder.weight"].float()
        largest = self._embedding.abs().amax(0).clamp_min(1e-12)  # by number, as some are much larger than others
        self._bytes = torch.empty_like(self._embedding, dtype=torch.uint8).copy_(to_bytes(self._embedding / largest))
        self._layers = []
        for layer in range(architecture.layers):
            weight_in, *others = (weights[f"rnns.{layer}.{name}"].float() for name in LAYER_WEIGHTS)
            self._layers.append(Int8Layer(weight_in if layer else weight_in * largest, *others))

    def __call__(self, ids: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Read tokens: ids (batch, time) and the state before them -> as ``awd_lstm.Encoder.forward``."""
        outputs, new_state = [F.embedding(ids, self._embedding)], []
        read = F.embedding(ids.t(), self._bytes)
        for number, layer in enumerate(self._layers):
            if state is None:
                hidden = cell = outputs[0].new_zeros(len(ids), layer.width)
            else:
                hidden, cell = (part[0] for part in state[number])
            output, read, cell = layer(read, hidden, cell)
            outputs.append(output)
            new_state.append((output[None, :, -1], cell[None]))
        return outputs, new_state


class Int8Layer:
    """An LSTM layer; ``torch.nn.LSTM`` has the formulas."""

    def __init__(self, weight_in: Tensor, weight: Tensor, bias_in: Tensor, bias: Tensor) -> None:
        self.width = weight.shape[1]
        doubled = torch.ones(4, self.width)
        doubled[2] = 2  # tanh(x) = 2 sigmoid(2x) - 1, so that all gates are sigmoids
        factors = doubled.flatten()
        self._from_input = Int8Matrix(weight_in * factors[:, None], (bias_in + bias) * factors)
        self._from_before = Int8Matrix(weight * factors[:, None])

    def __call__(self, read: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs as bytes, (time, batch, n_in), and the state before, (batch, width) each.

        Returns:
            The outputs, (batch, time, width), the same as bytes, (time, batch, width), and the last cell.
        """
        steps, batch, _ = read.shape
        sums = self._from_input(read.flatten(0, 1)).view(steps, batch, 4 * self.width)
        outputs = hidden.new_empty(batch, steps, self.width)
        written = read.new_empty(steps, batch, self.width)
        before, cell = torch.empty_like(written[0]).copy_(to_bytes(hidden)), cell.clone()
        for step, output in enumerate(outputs.unbind(1)):
            gates = sums[step].add_(self._from_before(before)).sigmoid_().view(batch, 4, self.width)
            into, forget, new, out = gates.unbind(1)
            cell.mul_(forget).addcmul_(into, new.mul_(2).sub_(1))
            torch.mul(cell, 2, out=output).sigmoid_().mul_(2).sub_(1).mul_(out)
            before = written[step].copy_(to_bytes(output))
        return outputs, written, cell


class Int8Matrix:
    """A matrix of 8 bits, and a bias, that vectors of bytes are multiplied by."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._scale = weight.abs().amax(1).clamp_min(1e-12) / STEPS
        rounded = (weight / self._scale[:, None]).round().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._zeros, self._bias = torch.zeros(len(weight), dtype=torch.int64), bias

    def __call__(self, read: Tensor) -> Tensor:
        """(rows, n_in) bytes -> (rows, n_out) float32."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            read, 1 / STEPS, ZERO, self._packed, self._scale, self._zeros, self._bias, 1.0, 0, torch.float32, "none",
            [], "",
        )  # fmt: skip
        return product


def to_bytes(values: Tensor) -> Tensor:
    """Numbers between -1 and 1 as numbers of which the whole part is their byte."""
    return values.mul(STEPS).add_(ZERO + 0.5)
