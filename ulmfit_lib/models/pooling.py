"""Texts of any length -> one vector each: the encoder's outputs, pooled over time."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.artifact.architecture import DISTILLED, is_distilled
from ulmfit_lib.models.tensors import State, Weights
from ulmfit_lib.models.word_vectors import WordVectors

BPTT_WINDOW = 70  # tokens read at a time; the gradient stops there, the state goes on (BPTT for text classification)
MOST_GRADIENT = 1400  # tokens at the end of a text that gradients reach
Reader = Callable[[Tensor, State | None], tuple[list[Tensor], State]]  # an encoder


class Projection(NamedTuple):
    """What makes a distilled vector: pooled outputs times a matrix, plus the weighted mean of word vectors."""

    weight: Tensor | None  # (distilled, width of all that is pooled); None where no LSTM reads
    bias: Tensor | None  # (distilled,)
    words: WordVectors | None  # None where there are no word vectors

    def __call__(self, pooled: Tensor, words: Tensor | None) -> Tensor:
        """(batch, all that is pooled) and (batch, words) -> (batch, distilled), of length 1."""
        assert self.weight is not None  # whoever has read with an LSTM has it
        vectors = F.linear(pooled, self.weight, self.bias)
        if self.words is not None and words is not None:
            vectors = vectors + F.linear(words, self.words.projection)
        return F.normalize(vectors, dim=1)


def find_projection(weights: Weights, device: str | torch.device = "cpu") -> Projection | None:
    """The projection among an encoder's tensors, in float32; None where nothing was distilled."""
    if not any(name.startswith(DISTILLED) for name in weights):
        return None
    moved = {name: weights[name].to(device, torch.float32) for name in weights if name.startswith(DISTILLED)}
    words = WordVectors.of(moved) if "words.weight" in moved else None
    return Projection(moved.get("map.weight"), moved.get("map.bias"), words)


def pool(
    encoder: Reader,
    pooling: str,
    ids: Tensor,
    lengths: Tensor,
    projection: Projection | None = None,
    *,
    means: Tensor | None = None,
    window: int = BPTT_WINDOW,
) -> Tensor:
    """Read whole texts, the longest first and padded on the right, and pool the outputs over all of their tokens.

    A text's vector does not depend on what shares its batch: padding is masked, and a text that has ended is read no
    further.

    Args:
        encoder: what reads them.
        pooling: ``concat`` is the paper's (ULMFiT 3.3): mean, maximum and last output of the top layer;
            ``layers`` is the mean of the embeddings and of every layer, which tells a frozen encoder's head
            more when labels are few; ``all`` is both. ``distilled`` is ``all`` after the projection, plus the
            weighted mean of word vectors, of length 1; ``distilled+layers`` and ``distilled+all`` have both
            side by side. (``words`` is that mean alone; ``frozen.read_directions`` makes it.)
        ids: (batch, time).
        lengths: (batch,) tokens in each text.
        projection: what makes the distilled vector.
        means: (batch, ``Architecture.mean_width``) of the word vectors, where they are known.
        window: tokens read at a time; where one ends, texts that have ended leave the batch.

    Returns:
        (batch, ``Architecture.pooled_width(pooling)``).
    """
    if not is_distilled(pooling):
        return torch.cat(_pool_outputs(encoder, pooling, ids, lengths, window), dim=1)
    if projection is None:
        raise ValueError(f"pooling {pooling!r} needs a projection, and nothing was distilled into this encoder")
    parts = _pool_outputs(encoder, "all", ids, lengths, window)
    if means is None and projection.words is not None:
        on_device = lengths.to(ids.device)
        real = torch.arange(ids.shape[1], device=ids.device) < on_device[:, None]  # (batch, time)
        means = projection.words(ids[real], on_device.cumsum(0) - on_device)
    distilled = projection(torch.cat(parts, dim=1), means)
    beside: dict[str, list[Tensor]] = {"distilled": [], "distilled+layers": parts[:1], "distilled+all": parts}
    return torch.cat([distilled, *beside[pooling]], dim=1)


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
