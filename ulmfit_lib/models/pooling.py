"""Texts of any length -> one vector each: the encoder's outputs, pooled over time."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.artifact.architecture import is_taught
from ulmfit_lib.models.tensors import State, Weights

BPTT_WINDOW = 70  # tokens read at a time; the gradient stops there, the state goes on (BPTT for text classification)
MOST_GRADIENT = 1400  # tokens at the end of a text that gradients reach
Reader = Callable[[Tensor, State | None], tuple[list[Tensor], State]]  # an encoder
Map = Callable[[Tensor], Tensor]  # (batch, all that is pooled) -> (batch, a taught vector)


def find_map(weights: Weights, device: str | torch.device = "cpu") -> Map | None:
    """The map of a taught encoder's tensors, in float32; None where no teacher has taught it."""
    if "map.weight" not in weights:
        return None
    weight, bias = (weights[f"map.{name}"].to(device, torch.float32) for name in ("weight", "bias"))
    return lambda pooled: F.linear(pooled, weight, bias)


def pool(
    encoder: Reader,
    pooling: str,
    ids: Tensor,
    lengths: Tensor,
    taught_map: Map | None = None,
    *,
    window: int = BPTT_WINDOW,
) -> Tensor:
    """Read whole texts and pool the outputs over all of their tokens.

    A text's vector does not depend on what shares its batch: padding is masked, and a text that has ended is read no
    further.

    Args:
        encoder: what reads them.
        pooling: ``concat`` is the paper's (ULMFiT 3.3): mean, maximum and last output of the top layer; ``layers`` is
            the mean of the embeddings and of every layer, which tells a frozen encoder's head more when labels are few;
            ``all`` is both. ``taught`` is ``all`` after the map that a teacher has taught, of length 1;
            ``taught+layers`` and ``taught+all`` have both side by side.
        ids: (batch, time), the longest text first, padded on the right.
        lengths: (batch,) tokens in each text.
        taught_map: what makes the taught vector of ``all``.
        window: tokens read at a time; where one ends, texts that have ended leave the batch.

    Returns:
        (batch, ``Architecture.pooled_width(pooling)``).
    """
    if not is_taught(pooling):
        return torch.cat(_pool_outputs(encoder, pooling, ids, lengths, window), dim=1)
    if taught_map is None:
        raise ValueError(f"pooling {pooling!r} needs a map, and no teacher has taught this encoder one")
    parts = _pool_outputs(encoder, "all", ids, lengths, window)
    taught = F.normalize(taught_map(torch.cat(parts, dim=1)), dim=1)
    beside: dict[str, list[Tensor]] = {"taught": [], "taught+layers": parts[:1], "taught+all": parts}
    return torch.cat([taught, *beside[pooling]], dim=1)


def _pool_outputs(encoder: Reader, pooling: str, ids: Tensor, lengths: Tensor, window: int) -> list[Tensor]:
    """Mean and, except of ``layers``, maximum and last output; (batch, width) each."""
    state: State | None = None
    total = maximum = last = torch.zeros((), device=ids.device)
    ends, lengths = lengths.cpu(), lengths.to(ids.device)
    for left in range(0, ids.shape[1], window):
        n_left = int((ends > left).sum())
        read = ids[:n_left, left : left + window]
        if state is not None:
            state = [(hidden[:, :n_left], cell[:, :n_left]) for hidden, cell in state]
        with torch.set_grad_enabled(torch.is_grad_enabled() and ids.shape[1] - left <= MOST_GRADIENT):
            outputs, state = encoder(read, state)
        state = [(hidden.detach(), cell.detach()) for hidden, cell in state]
        top = outputs[-1].float()
        averaged = [top] if pooling == "concat" else [output.float() for output in outputs]
        time = torch.arange(left, left + read.shape[1], device=ids.device)
        real = (time < lengths[:n_left, None])[:, :, None]  # (texts left, tokens, 1)
        ended = (0, 0, 0, len(ids) - n_left)  # rows to fill up
        sums = [output.masked_fill(~real, 0).sum(1) for output in averaged]
        total = total + F.pad(torch.cat(sums, dim=1), ended)
        if pooling != "layers":
            highest = F.pad(top.masked_fill(~real, -torch.inf).amax(1), ended, value=-torch.inf)
            maximum = torch.maximum(maximum, highest) if left else highest
            last = last + F.pad((top * (time == lengths[:n_left, None] - 1)[:, :, None]).sum(1), ended)
    mean = total / lengths[:, None]
    return [mean] if pooling == "layers" else [mean, maximum, last]
