"""What an AWD-LSTM is made of: its sizes, the names and shapes of its tensors."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

PAD_ID = 1  # fastai's place for xxpad; every vocabulary here keeps it
State = list[tuple[Tensor, Tensor]]  # per layer: hidden and cell, each (1, batch, width)
Weights = dict[str, Tensor]
LAYER_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of each LSTM layer, in PyTorch's order


@dataclass(frozen=True)
class Architecture:
    """Sizes of an AWD-LSTM (Merity et al. 2018); the full ULMFiT size is 400 / 1152 / 3."""

    embedding: int = 256
    hidden: int = 512
    layers: int = 3

    @property
    def widths(self) -> list[int]:
        """Output width of each layer; the last one equals the embedding, so that the decoder can share it."""
        return [self.hidden] * (self.layers - 1) + [self.embedding]

    def weight_shapes(self, vocab_size: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of a language model."""
        shapes: dict[str, tuple[int, ...]] = {
            "encoder.weight": (vocab_size, self.embedding),
            "decoder.bias": (vocab_size,),
        }
        for layer, (n_in, n_out) in enumerate(zip([self.embedding, *self.widths], self.widths, strict=False)):
            shapes[f"rnns.{layer}.weight_ih"] = (4 * n_out, n_in)
            shapes[f"rnns.{layer}.weight_hh"] = (4 * n_out, n_out)
            shapes[f"rnns.{layer}.bias_ih"] = shapes[f"rnns.{layer}.bias_hh"] = (4 * n_out,)
        return shapes

    def config(self) -> dict[str, Any]:
        """As ``config.json`` holds it."""
        return {"name": "awd-lstm", **asdict(self)}


@dataclass(frozen=True)
class Dropouts:
    """Dropout probabilities of an AWD-LSTM, by place."""

    output: float = 0.0
    input: float = 0.0
    weight: float = 0.0
    embedding: float = 0.0
    hidden: float = 0.0

    def scaled(self, factor: float) -> "Dropouts":
        """All probabilities times ``factor``."""
        return Dropouts(**{place: p * factor for place, p in asdict(self).items()})
