"""The sizes of an AWD-LSTM and of the words in context beside it, and the names and shapes of their tensors."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ulmfit_lib.errors import ArtifactError, OptionError

PAD_ID = 1  # fastai's place for xxpad; every vocabulary here keeps it
LAYER_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of each LSTM layer, in PyTorch's order
WORDS = "words"  # the pooling that reads words in context alone, and no LSTM
POOLINGS = ("concat", "layers", "all", WORDS, "distilled", "distilled+layers", "distilled+all")
OLD_POOLINGS = {"taught": "distilled", "taught+layers": "distilled+layers", "taught+all": "distilled+all"}
BY_WORD = ("encoder.weight", "decoder.bias", "words.weight", "words.importance")  # a row for each token of a vocabulary
MOST_WIDTH = 2**16 - 1
MOST_LAYERS = 64
OPTIONAL = ("distilled", "words", "context", "context_width", "spelling")  # what may be 0, and is then left out
DISTILLED = ("map.", "words.", "near.")  # what the names of the tensors behind a distilled vector start with
OF_WORDS = ("words.", "near.")  # of these, what the pooling ``words`` needs
IN_TABLE = ("words.weight", "words.importance", "words.projection")  # of these, what no context graph holds
CONTEXT_KERNEL, CONTEXT_WIDER = 5, 4  # words that a block over word vectors sees at once; how much wider it is inside


@dataclass(frozen=True)
class Architecture:
    """Sizes of an AWD-LSTM (Merity et al. 2018); the full ULMFiT size is 400 / 1152 / 3.

    Without layers, it is what a classifier keeps that reads words in context alone.

    Attributes:
        embedding: width of the token vectors, and of the last layer.
        hidden: width of the other layers.
        layers: how many LSTM layers; 0 where a classifier reads words in context alone.
        distilled: width of the vectors of whole texts, distilled from sentence transformers (``stages.distill``); 0:
            there are none.
        words: width of the word vectors whose weighted mean is a part of the distilled vector; 0: there are none.
        context: blocks in which word vectors see the words around them (``models.word_vectors``); 0: there are none.
        context_width: what the blocks widen word vectors to; 0: they stay as wide as they are.
        spelling: by the pooling ``words``, a word outside the vocabulary is read as the known one that is spelled most
            like it (``tokens.spelling``); else as any unknown word.
    """

    embedding: int = 256
    hidden: int = 512
    layers: int = 3
    distilled: int = 0
    words: int = 0
    context: int = 0
    context_width: int = 0
    spelling: bool = False

    def mends(self, pooling: str) -> bool:
        """Whether what a pooling reads has its spelling mended."""
        return self.spelling and pooling == WORDS

    @property
    def mean_width(self) -> int:
        """Of the weighted mean of a text's word vectors."""
        return self.context_width or self.words

    @property
    def widths(self) -> list[int]:
        """Output width of each layer; the last one equals the embedding, so that the decoder can share it.

        >>> Architecture(400, 1152, 3).widths
        [1152, 1152, 400]
        """
        return [*[self.hidden] * (self.layers - 1), self.embedding] if self.layers else []

    def of_words_alone(self) -> "Architecture":
        """The same without LSTM layers, for the pooling ``words``."""
        return replace(self, layers=0)

    def weight_shapes(self, vocab_size: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of a language model, or of a classifier's words in context."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.layers:
            shapes = {"encoder.weight": (vocab_size, self.embedding), "decoder.bias": (vocab_size,)}
        for layer, (n_in, n_out) in enumerate(zip([self.embedding, *self.widths], self.widths, strict=False)):
            shapes[f"rnns.{layer}.weight_ih"] = (4 * n_out, n_in)
            shapes[f"rnns.{layer}.weight_hh"] = (4 * n_out, n_out)
            shapes[f"rnns.{layer}.bias_ih"] = shapes[f"rnns.{layer}.bias_hh"] = (4 * n_out,)
        if self.distilled and self.layers:
            shapes["map.weight"] = (self.distilled, self.pooled_width("all"))
            shapes["map.bias"] = (self.distilled,)
        if self.words:
            shapes["words.weight"] = (vocab_size, self.words)
            shapes["words.importance"] = (vocab_size,)
            shapes["words.projection"] = (self.distilled, self.mean_width)
        width = self.mean_width
        if self.context:
            shapes["words.score"] = (width,)
        if self.context_width:
            shapes["words.widen"] = (width, self.words)
        for block in range(self.context):
            inside, name = CONTEXT_WIDER * width, f"words.context.{block}"
            shapes |= {f"near.{block}": (width, CONTEXT_KERNEL)}
            shapes |= {f"{name}.norm.weight": (width,), f"{name}.norm.bias": (width,)}
            shapes |= {f"{name}.of_words.weight": (inside, width), f"{name}.of_text.weight": (inside, width)}
            shapes |= {f"{name}.of_text.bias": (inside,)}
            shapes |= {f"{name}.narrow.weight": (width, inside), f"{name}.narrow.bias": (width,)}
        return shapes

    def pooled_width(self, pooling: str) -> int:
        """Numbers a text that pooling the outputs makes (``models.pooling.pool``).

        >>> Architecture(400, 1152, 3).pooled_width("concat")
        1200
        """
        means, extremes = self.embedding + sum(self.widths), 2 * self.embedding
        widths = {
            "concat": self.embedding + extremes,
            "layers": means,
            "all": means + extremes,
            WORDS: self.distilled,
            "distilled": self.distilled,
        }
        return sum(widths[part] for part in pooling.split("+"))

    def check_pooling(self, pooling: str) -> None:
        """Say, in an OptionError, why a language model has no such pooling."""
        if pooling not in POOLINGS:
            raise OptionError(f"pooling {pooling!r}; known are {', '.join(POOLINGS)}")
        if is_distilled(pooling) and not self.distilled:
            raise OptionError(f"pooling {pooling!r}: nothing was distilled into this language model; take layers")
        if pooling == WORDS and not self.words:
            raise OptionError(f"pooling {pooling!r}: this language model has no word vectors; take distilled")

    def distilled_width(self, pooling: str) -> int:
        """How many of the numbers that a pooling makes, the first of them, are a distilled vector."""
        return self.distilled if is_distilled(pooling) else 0

    def config(self) -> dict[str, Any]:
        """As ``config.json`` holds it."""
        sizes = {name: size for name, size in asdict(self).items() if size or name not in OPTIONAL}
        return {"name": "awd-lstm", **sizes}

    @classmethod
    def from_config(cls, found: Any, place: str) -> "Architecture":
        """From what ``config.json`` holds; before version 5 of the format, ``distilled`` was called ``taught``.

        >>> Architecture.from_config({"name": "awd-lstm", "embedding": 4, "hidden": 6, "layers": 2}, "config.json")
        Architecture(embedding=4, hidden=6, layers=2, distilled=0, words=0, context=0, context_width=0, spelling=False)

        Raises:
            ArtifactError: of another network, or a size out of range; ``place`` is named.
        """
        if not isinstance(found, dict) or found.get("name") != "awd-lstm":
            raise ArtifactError(f"{place}: architecture {found!r} is not an awd-lstm")
        sizes: dict[str, Any] = {name: found.get(name) for name in ("embedding", "hidden", "layers")}
        sizes |= {"distilled": found.get("distilled", found.get("taught", 0))}
        sizes |= {name: found.get(name, 0) for name in ("words", "context", "context_width")}
        for name, size in sizes.items():
            least = 0 if name in (*OPTIONAL, "layers") else 1
            most = MOST_LAYERS if name in ("layers", "context") else MOST_WIDTH
            if type(size) is not int or not least <= size <= most:
                raise ArtifactError(f"{place}: the architecture's {name} is {size!r}, which is out of range")
        spelling = found.get("spelling", False)
        if type(spelling) is not bool:
            raise ArtifactError(f"{place}: the architecture's spelling is {spelling!r}, and not true or false")
        if spelling and not sizes["context"]:
            raise ArtifactError(f"{place}: only words in context are read by their spelling")
        if not (sizes["layers"] or sizes["context"]):
            raise ArtifactError(f"{place}: an encoder without layers needs words in context")
        if sizes["words"] and not sizes["distilled"]:
            raise ArtifactError(f"{place}: word vectors need a distilled vector to be a part of")
        if sizes["context"] and not sizes["words"]:
            raise ArtifactError(f"{place}: context needs word vectors")
        if sizes["context_width"] and not sizes["context"]:
            raise ArtifactError(f"{place}: only blocks of context widen word vectors")
        return cls(**sizes, spelling=spelling)


def is_distilled(pooling: str) -> bool:
    """Whether a pooling needs an encoder with a distilled vector."""
    return pooling == WORDS or pooling.startswith("distilled")


def head_shapes(width: int, n_classes: int, *, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a classifier's head (``models.head.Head``); ``hidden`` 0 for a linear one."""
    shapes: dict[str, tuple[int, ...]] = {"mean": (width,), "scale": (width,)}
    if hidden:
        shapes |= {"layers.1.weight": (hidden, width), "layers.1.bias": (hidden,)}
        shapes |= {f"layers.2.{name}": (hidden,) for name in ("weight", "bias", "running_mean", "running_var")}
    return {**shapes, "output.weight": (n_classes, hidden or width), "output.bias": (n_classes,)}
