"""An encoder that only reads, its matrix products those of bytes: several times as fast as float32.

Weights are rounded to 8 bits with a scale per row, as in shipped models; to 7 bits where the CPU would overflow. What
an LSTM puts out lies between -1 and 1 and is rounded to 8 bits with one scale for all, so that the products are sums of
whole numbers, without any rounding, and a text's vector is the same alone and among others.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.artifact.architecture import LAYER_WEIGHTS, Architecture
from ulmfit_lib.models.cpu_products import FULL, Int8Matrix, Steps, int8_steps
from ulmfit_lib.models.pooling import find_projection
from ulmfit_lib.models.tensors import State, Weights

VECTOR = 32  # PyTorch rounds sigmoids differently in what is left of a tensor beyond whole vectors, so nothing is left


class Int8Encoder:
    """What ``awd_lstm.Encoder`` gives in evaluation, but for rounding; on the CPU."""

    device = torch.device("cpu")
    window = 16  # so that sums stay in the cache, and few rows of padding are read

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.architecture = architecture
        self.projection = find_projection(weights, self.device)
        steps, self._layers = int8_steps() or FULL, []
        if self.projection is not None and self.projection.words is not None:
            self.projection.words.use_bytes(steps)
        if not architecture.layers:  # words are read in context alone
            return
        self._embedding = weights["encoder.weight"].float()
        self._largest = self._embedding.abs().amax(0).clamp_min(1e-12)  # by number: some are much larger than others
        for layer in range(architecture.layers):
            weight_in, *others = (weights[f"rnns.{layer}.{name}"].float() for name in LAYER_WEIGHTS)
            self._layers.append(Int8Layer(weight_in if layer else weight_in * self._largest, *others, steps=steps))

    def __call__(self, ids: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Read tokens: ids (batch, time) and the state before them -> as ``awd_lstm.Encoder.forward``."""
        output = F.embedding(ids.t(), self._embedding)  # (time, batch, width), as all outputs are here
        outputs, new_state = [output.transpose(0, 1)], []
        output = output / self._largest
        for number, layer in enumerate(self._layers):
            if state is None:
                hidden = cell = output.new_zeros(len(ids), layer.width)
            else:
                hidden, cell = (part[0] for part in state[number])
            output, cell = layer(output, hidden, cell)
            outputs.append(output.transpose(0, 1))
            new_state.append((output[None, -1], cell[None]))
        return outputs, new_state


class Int8Layer:
    """An LSTM layer; ``torch.nn.LSTM`` has the formulas.

    As tanh(x) = 2 sigmoid(2x) - 1, all is done with sigmoids, on twice the cell and half the output.
    """

    def __init__(self, weight_in: Tensor, weight: Tensor, bias_in: Tensor, bias: Tensor, *, steps: Steps) -> None:
        self.width = weight.shape[1]
        factors = torch.ones(4, self.width)
        factors[2] = 2  # the new cell's gate is a tanh
        rows, scale = (0, -len(weight) % VECTOR), factors.flatten()
        bias = F.pad((bias_in + bias) * scale, rows)
        self._from_input = Int8Matrix(F.pad(weight_in * scale[:, None], (0, 0, *rows)), bias, steps=steps)
        self._from_before = Int8Matrix(F.pad(weight * 2 * scale[:, None], (0, 0, *rows)), steps=steps, largest=0.5)

    def __call__(self, read: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs between -1 and 1, (time, batch, n_in), and the (batch, width) state -> outputs, and the last cell."""
        steps, batch, _ = read.shape
        sums = self._from_input(read.flatten(0, 1)).unflatten(0, (steps, batch))
        outputs, twice, half = hidden.new_empty(steps, batch, self.width), cell * 2, hidden / 2
        gates = torch.empty_like(sums[0])
        into, forget, new, out = gates[:, : 4 * self.width].unflatten(1, (4, self.width)).unbind(1)
        for from_input, output in zip(sums.unbind(), outputs.unbind(), strict=True):
            torch.add(from_input, self._from_before(half), out=gates).sigmoid_()
            twice.mul_(forget).addcmul_(into, new, value=4).sub_(into, alpha=2)
            torch.sigmoid(twice, out=new)
            half = torch.mul(new, out, out=output).sub_(out, alpha=0.5)
        return outputs.mul_(2), twice.div_(2)
