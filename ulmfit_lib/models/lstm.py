"""An LSTM layer that learns in bfloat16 on a CPU: in half PyTorch's time where batches are small."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.models.cpu_products import packed_bfloat16, packs_bfloat16


class LSTM(nn.LSTM):
    """PyTorch's one-layer LSTM, ``batch_first``; under CPU autocast and with gradients it goes its own way."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, batch_first=True)

    def forward(  # type: ignore[override]
        self, inputs: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(batch, time, n_in) and the state, two times (1, batch, n_out) -> (batch, time, n_out) and the new state."""
        if not (torch.is_grad_enabled() and inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
            return super().forward(inputs, state)
        with torch.autocast("cpu", enabled=False):
            outputs, hidden, cell = _Layer.apply(
                inputs, state[0][0], state[1][0], self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0
            )
        return outputs, (hidden[None], cell[None])


class _Layer(torch.autograd.Function):
    """The recurrence one step at a time, all that does not depend on it in one matrix product for all steps.

    No gradient passes through the states at both ends: texts are read in windows, and it stops there.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight_in: Tensor,
        weight: Tensor,
        bias_in: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        (batch, steps, _), width = inputs.shape, hidden.shape[1]
        half = torch.bfloat16
        x = inputs.transpose(0, 1).to(half).contiguous()
        weight_in, weight = weight_in.to(half), weight.to(half)
        sums = torch.addmm((bias_in + bias).to(half), x.flatten(0, 1), weight_in.t()).view(steps, batch, 4 * width)
        cells = inputs.new_empty(steps + 1, batch, width, dtype=torch.float32)
        hiddens = inputs.new_empty(steps + 1, batch, width, dtype=half)
        gates = inputs.new_empty(steps, batch, 4, width, dtype=half)  # into, forget, new, out
        cells[0], hiddens[0] = cell, hidden
        times_weight = _product_with(weight, batch)
        for step in range(steps):
            found = times_weight(hiddens[step]).float().add_(sums[step]).view(batch, 4, width)
            _tanh_(found[:, 2])
            found[:, :2].sigmoid_()
            found[:, 3].sigmoid_()
            gates[step] = found
            torch.mul(found[:, 1], cells[step], out=cells[step + 1])
            cells[step + 1].addcmul_(found[:, 0], found[:, 2])
            hiddens[step + 1] = _tanh_(cells[step + 1].clone()).mul_(found[:, 3])
        ctx.save_for_backward(x, weight_in, weight, cells, hiddens, gates)
        hidden, cell = hiddens[-1], cells[-1]
        ctx.mark_non_differentiable(hidden, cell)
        return hiddens[1:].transpose(0, 1), hidden, cell

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_in, weight, cells, hiddens, gates = ctx.saved_tensors
        steps, batch, _, width = gates.shape
        sums = torch.empty_like(gates)
        times_weight = _product_with(weight.t(), batch)
        from_next = cells.new_zeros(batch, width)  # through the next step's sums
        from_cell = cells.new_zeros(batch, width)
        for step in range(steps - 1, -1, -1):
            into, forget, new, out = gates[step].float().unbind(1)
            tanh = _tanh_(cells[step + 1].clone())
            towards = from_next.add_(gradients[0][:, step])
            from_cell.addcmul_(towards * out, 1 - tanh * tanh)
            found = sums[step]
            found[:, 0] = from_cell * new * (into - into * into)
            found[:, 1] = from_cell * cells[step] * (forget - forget * forget)
            found[:, 2] = from_cell * into * (1 - new * new)
            found[:, 3] = towards * tanh * (out - out * out)
            from_next = times_weight(found.flatten(1)).float()
            from_cell.mul_(forget)
        flat = sums.view(steps * batch, 4 * width)
        to_inputs = (flat @ weight_in).view(steps, batch, -1).transpose(0, 1) if ctx.needs_input_grad[0] else None
        to_weight_in = (flat.t() @ x.flatten(0, 1)).float()
        to_weight = (flat.t() @ hiddens[:-1].flatten(0, 1)).float()
        to_bias = (flat.new_ones(1, len(flat)) @ flat)[0].float()  # ten times as fast as a sum
        return to_inputs, None, None, to_weight_in, to_weight, to_bias, to_bias


def _product_with(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """What multiplies (rows, n_in) by a (n_out, n_in) matrix, again and again."""
    return packed_bfloat16(weight, rows) if packs_bfloat16() else lambda inputs: F.linear(inputs, weight)


def _tanh_(values: Tensor) -> Tensor:
    """In place, and in a quarter of the time of ``torch.tanh_``."""
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)
