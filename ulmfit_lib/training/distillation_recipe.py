"""The hyperparameters of distillation: of word vectors, of the blocks that read them in context, of the encoder."""

from dataclasses import dataclass, field

from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.dropouts import Dropouts


@dataclass(frozen=True)
class ContextRecipe:
    """Hyperparameters of the blocks that read words in context."""

    blocks: int = 2  # how many
    width: int = 0  # what they widen the word vectors to; 0: these stay as wide as they are
    epochs: int = 5  # how often each text is read
    lr: float = 1e-3  # AdamW's maximal rate of the blocks
    vectors_lr: float = 7e-3  # of the word vectors, which are brought to a root mean square of 1 first
    importance_lr: float = 4e-3  # of the words' weights
    projection_lr: float = 2e-5  # of the matrix
    weight_decay: float = 0.01  # of the blocks
    batch_size: int = 128  # texts per step
    clip: float = 1.0  # the largest norm of the blocks' gradient


@dataclass(frozen=True)
class WordVectorRecipe:
    """Hyperparameters of word vectors."""

    width: int = 288  # of the vectors; a matrix makes them as wide as the targets
    epochs: int = 3  # how often each text is read
    # AdamW's maximal rate of the vectors; all rates rise over the first steps and fall to zero linearly.
    lr: float = 8e-4
    # Of the words' weights, which are logarithms and thus much larger than a vector's numbers.
    importance_lr: float = 1.5e-2
    projection_lr: float = 5e-3  # of the matrix
    batch_size: int = 256  # texts per step
    dropout: float = 0.1  # share of the tokens that are left out of a text in training
    # Weight of the mean squared error of the similarities of a batch's texts with each other, beside the distance to
    # the target, 1 - cosine.
    similarities: float = 10.0
    # How blocks learn to read the words in context; None: there are none. They need some hundred thousand texts.
    context: ContextRecipe | None = None
    # Go on from the base's word vectors, if it has some, instead of starting from single words; for few texts.
    from_base: bool = False

    def __post_init__(self) -> None:
        """Refuse blocks that would be narrower than the word vectors."""
        if self.context and 0 < self.context.width < self.width:
            raise OptionError(
                f"--context-width {self.context.width}: the word vectors are {self.width} wide, and blocks can only "
                "widen them"
            )


@dataclass(frozen=True)
class DistillationRecipe:
    """Hyperparameters of distillation.

    Word vectors learn first; then the encoder and the projection, for ``epochs``.

    Attributes:
        width: of the teachers' joint vectors; at most their widths together.
        emphasis: how much more their strong components count in the loss (``training.joint_targets``); 0: not more.
        word_vectors: how word vectors learn; None for none.
        vocab_size: tokens in the vocabulary; 0 keeps the base's. The texts' common new words take the places of those
            that the texts use least.
        min_count: a new word needs this many occurrences.
        epochs: how often the encoder reads each text; 0 leaves it as it is.
        lr: the encoder's maximal rate.
        projection_share: the projection's, as a share of ``lr``.
        schedule: ``slanted-triangular`` or ``one-cycle``.
        batch_size: texts per step.
        max_tokens: of a text, what follows is not read.
        varied: share of the texts that are read in another writing (``training.writings``), with the same target.
        cosine: weight of the distance between a text's vector and its target, 1 - cosine.
        similarities: weight of the mean squared error of the similarities of a batch's texts with each other.
        contrast: weight of telling, among the targets of a batch, which is a text's: cross entropy of the softmax of
            similarities, those of the targets among each other being the truth (0: left out).
        temperature: of ``contrast``.
        words: weight of the language model's loss, in nats per token.
        every: the language model's loss is taken of every so-manieth token, from a random one on: it is dear, and its
            weight is small.
        samples: words in its sampled softmax; 0 uses the whole vocabulary.
        betas: AdamW's momenta.
        weight_decay: AdamW's.
        clip: the largest gradient norm; 0 clips nothing.
        dropouts: by place.
        base_share: how much of the weights at the start is averaged into those at the end (Wortsman et al. 2022), which
            gives back most of what the language model has forgotten and costs the vectors little.
    """

    width: int = 512
    emphasis: float = 0.5
    word_vectors: WordVectorRecipe | None = field(default_factory=WordVectorRecipe)
    vocab_size: int = 0
    min_count: int = 3
    epochs: int = 1
    lr: float = 1e-3
    projection_share: float = 0.03
    schedule: str = "one-cycle"
    batch_size: int = 64
    max_tokens: int = 128
    varied: float = 0.3
    cosine: float = 1.0
    similarities: float = 10.0
    contrast: float = 0.0
    temperature: float = 0.05
    words: float = 0.3
    every: int = 3
    samples: int = 2048
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float = 1.0
    dropouts: Dropouts = field(default_factory=Dropouts)
    base_share: float = 0.2
