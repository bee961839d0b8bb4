"""The sizes of an AWD-LSTM, and the names and shapes of its tensors."""

from dataclasses import asdict, dataclass
from typing import Any

PAD_ID = 1  # fastai's place for xxpad; every vocabulary here keeps it
LAYER_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of each LSTM layer, in PyTorch's order
POOLINGS = ("concat", "layers", "all", "taught", "taught+layers", "taught+all")


@dataclass(frozen=True)
class Architecture:
    """Sizes of an AWD-LSTM (Merity et al. 2018); the full ULMFiT size is 400 / 1152 / 3.

    Attributes:
        embedding: width of the token vectors, and of the last layer.
        hidden: width of the other layers.
        layers: how many LSTM layers.
        taught: width of the vectors that a teacher has taught it to make of texts (``stages.teach``); 0: none.
    """

    embedding: int = 256
    hidden: int = 512
    layers: int = 3
    taught: int = 0

    @property
    def widths(self) -> list[int]:
        """Output width of each layer; the last one equals the embedding, so that the decoder can share it.

        >>> Architecture(400, 1152, 3).widths
        [1152, 1152, 400]
        """
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
        if self.taught:
            shapes["map.weight"], shapes["map.bias"] = (self.taught, self.pooled_width("all")), (self.taught,)
        return shapes

    def encoder_shapes(self, vocab_size: int) -> dict[str, tuple[int, ...]]:
        """The same without the decoder's bias, which a classifier does not need."""
        return {name: shape for name, shape in self.weight_shapes(vocab_size).items() if name != "decoder.bias"}

    def pooled_width(self, pooling: str) -> int:
        """Numbers a text that pooling the outputs makes (``models.pooling.pool``).

        >>> Architecture(400, 1152, 3).pooled_width("concat")
        1200
        """
        means, extremes = self.embedding + sum(self.widths), 2 * self.embedding
        widths = {"concat": self.embedding + extremes, "layers": means, "all": means + extremes, "taught": self.taught}
        return sum(widths[part] for part in pooling.split("+"))

    def taught_width(self, pooling: str) -> int:
        """How many of the numbers that a pooling makes, the first of them, are a taught vector."""
        return self.taught if is_taught(pooling) else 0

    def config(self) -> dict[str, Any]:
        """As ``config.json`` holds it."""
        sizes = {name: size for name, size in asdict(self).items() if name != "taught" or size}
        return {"name": "awd-lstm", **sizes}


def is_taught(pooling: str) -> bool:
    """Whether a pooling needs an encoder that a teacher has taught."""
    return pooling.startswith("taught")


def head_shapes(width: int, n_classes: int, *, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a classifier's head (``models.head.Head``); ``hidden`` 0 for a linear one."""
    shapes: dict[str, tuple[int, ...]] = {"mean": (width,), "scale": (width,)}
    if hidden:
        shapes |= {"layers.1.weight": (hidden, width), "layers.1.bias": (hidden,)}
        shapes |= {f"layers.2.{name}": (hidden,) for name in ("weight", "bias", "running_mean", "running_var")}
    return {**shapes, "output.weight": (n_classes, hidden or width), "output.bias": (n_classes,)}
