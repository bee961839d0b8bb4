"""How a language model writes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ulmfit_lib.models.awd_lstm import LanguageModelNet


@dataclass(frozen=True)
class Drawing:
    """How the next token is drawn; ``LanguageModel.generate`` says what the numbers mean."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None

    def generator(self) -> torch.Generator:
        """The same numbers for the same seed."""
        found = torch.Generator()
        found.manual_seed(self.seed) if self.seed is not None else found.seed()
        return found

    def draw(self, logits: Tensor, generator: torch.Generator) -> int:
        """A token by its (vocabulary,) logits."""
        if self.temperature == 0:
            return int(logits.argmax())
        probabilities, tokens = (logits / self.temperature).softmax(0).sort(descending=True)
        keep = probabilities.cumsum(0) - probabilities < self.top_p  # the first token past the share still counts
        if self.top_k:
            keep[self.top_k :] = False
        return int(tokens[torch.multinomial(probabilities * keep, 1, generator=generator)])


def write_on(
    net: LanguageModelNet, ids: Sequence[int], drawing: Drawing, *, never: Sequence[int], stop: int
) -> Iterator[int]:
    """The tokens that follow ``ids``, until ``stop`` is drawn; those of ``never`` are not drawn."""
    generator, read = drawing.generator(), list(ids)
    while True:
        with torch.inference_mode():
            logits = net.logits(net(torch.tensor([read]))[:, -1])[0]
            logits[list(never)] = -math.inf
            token = drawing.draw(logits, generator)
        if token == stop:
            return
        yield token
        read = [token]
