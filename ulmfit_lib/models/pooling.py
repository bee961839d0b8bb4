"""Texts of any length -> one vector each: the encoder's outputs, pooled over time."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.models.architecture import Architecture, State, Weights

if TYPE_CHECKING:
    from ulmfit_lib.models.awd_lstm import Encoder  # fastai's, which whoever only predicts need not load

WINDOW = 70  # tokens read at a time; the gradient stops there, the state goes on (BPTT for text classification)
MOST_GRADIENT = 1400  # tokens at the end of a text that gradients reach
POOLINGS = ("concat", "layers", "all")
Reader = Callable[[Tensor, State | None], tuple[list[Tensor], State]]  # an encoder


def pooled_width(architecture: Architecture, pooling: str) -> int:
    """Numbers per text that ``pool`` makes."""
    means, extremes = architecture.embedding + sum(architecture.widths), 2 * architecture.embedding
    return {"concat": architecture.embedding + extremes, "layers": means, "all": means + extremes}[pooling]


def pool(encoder: Reader, pooling: str, ids: Tensor, lengths: Tensor, *, window: int = WINDOW) -> Tensor:
    """Read whole texts and pool the outputs over all of their tokens.

    A text's vector does not depend on what shares its batch: padding is masked, and a text that has ended is read no
    further.

    Args:
        encoder: what reads them.
        pooling: ``concat`` is the paper's (ULMFiT 3.3): mean, maximum and last output of the top layer; ``layers`` is
            the mean of the embeddings and of every layer, which tells a frozen encoder's head more when labels are few;
            ``all`` is both.
        ids: (batch, time), the longest text first, padded on the right.
        lengths: (batch,) tokens in each text.
        window: tokens read at a time; where one ends, texts that have ended leave the batch.

    Returns:
        (batch, ``pooled_width``).
    """
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
    return mean if pooling == "layers" else torch.cat([mean, maximum, last], dim=1)


class Head(nn.Module):
    """Pooled vectors -> class scores.

    Args:
        width: numbers per text.
        n_classes: scores per text.
        hidden: width of the hidden layer (ULMFiT: 50, with batch norm, ReLU and dropout); 0 for a linear head.
        dropout: probability, before each linear layer.
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


def build_head(weights: Weights) -> Head:
    """A head, ready to predict, from its tensors."""
    hidden = weights["layers.1.bias"].numel() if "layers.1.bias" in weights else 0
    head = Head(weights["mean"].numel(), len(weights["output.bias"]), hidden=hidden)
    head.load_state_dict(weights, strict=False)  # batch norm's step counter is no weight
    return head.eval()


def head_weights(head: Head) -> Weights:
    """A head's tensors by name, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in head_tensors(head).items()}


def head_tensors(head: Head) -> Weights:
    """The same, where they are and as they are."""
    return {name: tensor for name, tensor in head.state_dict().items() if not name.endswith("num_batches_tracked")}


class ClassifierNet(nn.Module):
    """An encoder that learns, its outputs pooled, under a head."""

    state: State | None = None  # for checkpoints, which know language models too; texts here start from nothing

    def __init__(self, encoder: "Encoder", pooling: str, head: Head) -> None:
        super().__init__()
        self.encoder, self.pooling, self.head, self.mixed_precision = encoder, pooling, head, False

    def reset(self) -> None:
        """Nothing is carried from batch to batch."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) ids and (batch,) lengths -> (batch, n_classes) logits."""
        mixed = torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision)
        with mixed, self.encoder.one_draw():
            pooled = pool(self.encoder, self.pooling, ids, lengths)
        logits: Tensor = self.head(pooled)
        return logits

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The embedding, each LSTM layer, the head: lowest first."""
        return [*self.encoder.layer_groups(), [*self.head.parameters()]]
