"""What a language model says of the next words: how likely those of a text are, and which ones follow."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ulmfit_lib.arrays import Floats
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.progress import track
from ulmfit_lib.tokens.documents import Documents, text_batches

SCORED_TOGETHER = 128  # tokens read at a time


def perplexity_of(nats: float) -> float:
    """exp(nats), bounded so that it stays a number."""
    return math.exp(min(nats, 700.0))


@torch.inference_mode()
def text_losses(net: LanguageModelNet, documents: Documents, pad_id: int, *, description: str) -> Floats:
    """Each text's loss by the full softmax, (n_texts,) nats; each text is read from its own start."""
    device = net.bias.device
    total = np.zeros(len(documents))
    batches = list(text_batches(documents, pad_id=pad_id))
    for batch in track(batches, total=len(batches), description=description, unit="batch"):
        ids, lengths = (torch.from_numpy(one).to(device) for one in (batch.ids, batch.lengths))
        net.reset()
        for left in range(0, ids.shape[1] - 1, SCORED_TOGETHER):
            targets = ids[:, left + 1 : left + SCORED_TOGETHER + 1]
            vectors = net(ids[:, left : left + SCORED_TOGETHER])[:, : targets.shape[1]]
            real = torch.arange(left + 1, left + 1 + targets.shape[1], device=device) < lengths[:, None]
            losses = vectors.new_zeros(targets.shape, dtype=torch.float64)  # (batch, window)
            losses[real] = net.cross_entropies(vectors[real], targets[real]).double()
            total[batch.indices] += losses.sum(1).cpu().numpy()
    return total


def mean_losses(nets: Mapping[str, LanguageModelNet], documents: Documents, pad_id: int) -> Floats:
    """The mean of what ``text_losses`` gives for each direction's network, (n_texts,)."""
    each = [
        text_losses(net, documents.in_direction(way), pad_id, description=f"scoring {way}") for way, net in nets.items()
    ]
    return np.asarray(np.mean(each, axis=0))


def write_on(
    net: LanguageModelNet,
    ids: Sequence[int],
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
    never: Sequence[int],
    stop: int,
) -> Iterator[int]:
    """The tokens that follow ``ids``, until ``stop`` is drawn; those of ``never`` are not drawn.

    How they are drawn, ``LanguageModel.generate`` says.
    """
    generator, read = torch.Generator(), list(ids)
    generator.manual_seed(seed) if seed is not None else generator.seed()

    def draw(logits: Tensor) -> int:
        if temperature == 0:
            return int(logits.argmax())
        probabilities, tokens = (logits / temperature).softmax(0).sort(descending=True)
        keep = probabilities.cumsum(0) - probabilities < top_p  # the first token past the share still counts
        if top_k:
            keep[top_k:] = False
        return int(tokens[torch.multinomial(probabilities * keep, 1, generator=generator)])

    while True:
        with torch.inference_mode():
            logits = net.logits(net(torch.tensor([read]))[:, -1])[0]
            logits[list(never)] = -math.inf
            token = draw(logits)
        if token == stop:
            return
        yield token
        read = [token]
