"""An encoder that only reads."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.models.architecture import Architecture, State, Weights
from ulmfit_lib.models.devices import fast_bfloat16

LAYER_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class FrozenEncoder:
    """What ``awd_lstm.Encoder`` gives in evaluation, without fastai, gradients or dropout.

    Args:
        architecture: its sizes.
        weights: its tensors by name; float32 on the CPU shares their memory.
        device: where to compute, in bfloat16 if that is faster there.
    """

    def __init__(self, architecture: Architecture, weights: Weights, device: str | torch.device = "cpu") -> None:
        self.architecture, self.device = architecture, torch.device(device)
        self.dtype = torch.bfloat16 if fast_bfloat16(self.device) else torch.float32
        moved = {name: tensor.to(self.device, self.dtype) for name, tensor in weights.items()}
        self._embedding = moved["encoder.weight"]
        self._layers = [[moved[f"rnns.{i}.{name}"] for name in LAYER_WEIGHTS] for i in range(architecture.layers)]

    def __call__(self, ids: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Read tokens: ids (batch, time) and the state before them -> as ``awd_lstm.Encoder.forward``."""
        if len(ids) == 1:  # a matrix product for a single row rounds differently in bfloat16
            twice = [(hidden.repeat(1, 2, 1), cell.repeat(1, 2, 1)) for hidden, cell in state] if state else None
            both, ends = self(ids.repeat(2, 1), twice)
            return [output[:1] for output in both], [(hidden[:, :1], cell[:, :1]) for hidden, cell in ends]
        output = F.embedding(ids, self._embedding)
        outputs, new_state = [output], []
        for i, weights in enumerate(self._layers):
            width = self.architecture.widths[i]
            before = state[i] if state else (output.new_zeros(1, len(ids), width), output.new_zeros(1, len(ids), width))
            output, hidden, cell = torch.lstm(output, before, weights, True, 1, 0.0, False, False, True)
            outputs.append(output)
            new_state.append((hidden, cell))
        return outputs, new_state
