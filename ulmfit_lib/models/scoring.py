"""What a language model's predictions are worth, and how its next token is drawn."""

import math

import torch
from torch import Tensor


def perplexity_of(nats: float) -> float:
    """exp(nats), bounded so that it stays a number."""
    return math.exp(min(nats, 700.0))


def draw_token(logits: Tensor, temperature: float, top_k: int, top_p: float, generator: torch.Generator) -> int:
    """A token by its (vocabulary,) logits; ``LanguageModel.generate`` says what the numbers mean."""
    if temperature == 0:
        return int(logits.argmax())
    probabilities, tokens = (logits / temperature).softmax(0).sort(descending=True)
    keep = probabilities.cumsum(0) - probabilities < top_p  # the first token past the share still counts
    if top_k:
        keep[top_k:] = False
    return int(tokens[torch.multinomial(probabilities * keep, 1, generator=generator)])
