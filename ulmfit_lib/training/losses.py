"""The language model's loss: exact when it is measured, sampled when it is trained."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.models.awd_lstm import LanguageModelNet

CHUNK = 512  # vectors scored at a time on a CPU, so that they stay in its cache; a GPU takes all at once


class SampledSoftmax:
    """Cross entropy over the target and some words drawn once per batch; over all words outside training.

    Words are drawn without replacement by frequency, their (vocabulary,) ``counts`` in the training texts, and each
    logit is lowered by the log of its word's chance of being drawn (Jean et al. 2015, section 3), so that the loss
    estimates the full one: the commonest words are nearly always present and count in full, a rare word stands for
    many. With 0 ``samples``, or more than half the vocabulary, all words count.
    """

    def __init__(self, net: LanguageModelNet, counts: Ints, *, samples: int = 2048) -> None:
        self.net = net
        frequencies = (counts + 0.5) / (counts + 0.5).sum()
        self.frequencies = torch.tensor(frequencies, dtype=torch.float32)
        self.samples = samples if 0 < samples <= len(counts) // 2 else 0
        if self.samples:
            self.log_chance = torch.tensor(_log_inclusion(frequencies, self.samples), dtype=torch.float32)

    def __call__(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """(batch, time, embedding) vectors and (batch, time) targets -> mean nats per token."""
        vectors, targets = vectors.flatten(0, 1), targets.flatten()
        if not (self.samples and self.net.training):
            return self.net.cross_entropies(vectors, targets).mean()
        device = targets.device
        log_chance = self.log_chance.to(device)
        drawn = torch.multinomial(self.frequencies, self.samples).to(device)
        embedding, bias = self.net.encoder.encoder.weight, self.net.bias
        column = torch.full((len(bias),), -1, device=device)
        column[drawn] = torch.arange(self.samples, device=device)
        others = _LogSumExp.apply(
            vectors,
            F.embedding(drawn, embedding),
            (bias - log_chance)[drawn],
            column[targets],
            self.net.mixed_precision,
        )  # the target itself is left out of the words drawn: it counts once, below
        own = (vectors.float() * F.embedding(targets, embedding)).sum(1) + (bias - log_chance)[targets]
        return (torch.logaddexp(others, own) - own).mean()


class _LogSumExp(torch.autograd.Function):
    """log(sum(exp(vectors @ rows.T + bias))) per vector, one column of each row left out.

    The scores never exist all at once: they are made, turned into probabilities and stored in half precision a few
    rows at a time, while they are in the cache. Written with autograd alone, this loss takes a third of a step.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, rows: Tensor, bias: Tensor, left_out: Tensor, half: bool) -> Tensor:
        dtype = torch.bfloat16 if half else torch.float32
        vectors, rows = vectors.to(dtype), rows.to(dtype)
        probabilities = vectors.new_empty(len(vectors), len(rows))
        result = torch.empty(len(vectors), device=vectors.device)
        chunk = CHUNK if vectors.device.type == "cpu" else len(vectors)
        for start in range(0, len(vectors), chunk):
            piece = slice(start, start + chunk)
            scores = F.linear(vectors[piece], rows).float().add_(bias)
            hit = (left_out[piece] >= 0).nonzero().squeeze(1)
            scores[hit, left_out[piece][hit]] = -math.inf
            highest = scores.amax(1)
            total = scores.sub_(highest[:, None]).exp_().sum(1)
            probabilities[piece] = scores.div_(total[:, None])
            result[piece] = highest + total.log()
        ctx.save_for_backward(vectors, rows, probabilities)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        vectors, rows, probabilities = ctx.saved_tensors
        weighted = probabilities.mul_(gradients[0][:, None])
        return (weighted @ rows).float(), (weighted.T @ vectors).float(), weighted.float().sum(0), None, None


def _log_inclusion(frequencies: Floats, samples: int) -> Floats:
    """Log of each word's chance to be among ``samples`` distinct draws: 1 - (1 - f)^k, with k such that they sum up."""
    low, high = float(samples), 1e9
    log_miss = np.log1p(-frequencies)
    for _ in range(100):
        draws = math.sqrt(low * high)
        if -np.expm1(draws * log_miss).sum() < samples:
            low = draws
        else:
            high = draws
    return np.log(-np.expm1(high * log_miss))
