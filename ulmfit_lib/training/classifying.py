"""How a classifier is trained: the head on a frozen encoder first, then more groups of the encoder, one at a time."""

import hashlib
from dataclasses import asdict, dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.arrays import Ints
from ulmfit_lib.artifact.architecture import POOLINGS, WORDS
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.head import ClassifierNet
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.contrast import ContrastRecipe
from ulmfit_lib.training.learner import Objective, Row
from ulmfit_lib.training.phases import train_phases, train_within_memory
from ulmfit_lib.training.processes import my_share, share_model
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.schedules import Phase, discriminative_lrs, find_schedule, gradual_unfreezing
from ulmfit_lib.training.seeding import seeded
from ulmfit_lib.training.streams import ClassifierBatches

LINEAR_PROBE = "linear-probe"  # the head alone learns the labels
CONTRAST = "contrast"  # and, before it, what words in context add to a text
FINE_TUNE = "fine-tune"  # the encoder, too
MIN_TOKENS = 500  # per step, when memory is short
STEPS_PER_EPOCH = 20  # few texts come in smaller batches, so that an epoch is still this many steps
MIN_TEXTS = 8  # in a batch
MIN_EPOCHS = 4


def find_strategy(name: str, *, also: str | None = None) -> str:
    """One of the three strategies, or ``also``; an OptionError for any other name."""
    known = [FINE_TUNE, CONTRAST, LINEAR_PROBE, *([also] if also else [])]
    if name not in known:
        raise OptionError(f"strategy {name!r}; known are {', '.join(known)}")
    return name


@dataclass(frozen=True)
class ClassifierPhase:
    """One step of gradual unfreezing."""

    groups: int  # how many train, from the top; the head is one of them
    epochs: int = 1  # how long
    share: float = 1.0  # of the recipe's rate
    cut_frac: float = 0.1  # share of the steps in which the slanted triangle rises
    ratio: float = 32  # its highest rate over its lowest


@dataclass(frozen=True)
class ClassifierRecipe:
    """Hyperparameters of the classifier.

    Attributes:
        pooling: ``layers``, ``concat`` or ``all`` (``models.pooling``), where the encoder learns.
        frozen_pooling: where it stays frozen; also ``words``.
        head_hidden: width of the fine-tuned head's hidden layer; 0 for a linear one. On a frozen encoder it is linear.
        head_dropout: before each linear layer of the head.
        head_epochs: epochs of a head with a hidden layer on the frozen encoder; a linear one is solved exactly.
        phase_epochs: epochs of each phase of gradual unfreezing, in which one more group joins.
        phases: of unfreezing, instead.
        epochs: epochs with all groups, at the end.
        max_steps: of those epochs together: with many texts there are fewer, four at least; 0 sets no limit.
        last_share: the rate of those, as a share of ``lr``.
        schedule: of each phase: ``slanted-triangular`` or ``one-cycle``.
        cut_frac: share of the steps in which the slanted triangle rises.
        ratio: its highest rate over its lowest.
        lr: the highest group's maximal rate.
        decay: each lower group's rate is the next one's divided by this (ULMFiT 3.2).
        batch_size: texts per step, at most; of all processes together where several train.
        batch_tokens: tokens per step, padding included, at most.
        betas: AdamW's momenta.
        weight_decay: AdamW's.
        clip: the largest gradient norm.
        dropouts: of the encoder, by place.
        label_smoothing: share of a label's probability that is spread over all classes.
        class_weights: ``balanced`` weighs each class by its rarity; None counts each row once.
        contrast: how words in context learn, with the strategy ``contrast``.
    """

    pooling: str = "layers"
    frozen_pooling: str = WORDS
    head_hidden: int = 0
    head_dropout: float = 0.1
    head_epochs: int = 30
    phase_epochs: int = 1
    phases: tuple[ClassifierPhase, ...] = ()
    epochs: int = 2
    max_steps: int = 0
    last_share: float = 1.0
    schedule: str = "slanted-triangular"
    cut_frac: float = 0.1
    ratio: float = 32
    lr: float = 2e-3
    decay: float = 2.6
    batch_size: int = 32
    batch_tokens: int = 16_000
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    dropouts: Dropouts = field(default_factory=lambda: Dropouts(input=0.3, weight=0.2, embedding=0.05, hidden=0.2))
    label_smoothing: float = 0.0
    class_weights: str | None = None
    contrast: ContrastRecipe = ContrastRecipe()  # noqa: RUF009

    def pooling_for(self, strategy: str, lm: LanguageModel) -> str:
        """By whether the encoder learns (``fine-tune``) or stays frozen (the other strategies).

        A language model whose words in context do not tell all that it knows has ``layers`` instead of ``words``.
        Beside ``layers`` and ``all`` stands the distilled vector, where it has one.
        """
        pooling = self.pooling if find_strategy(strategy) == FINE_TUNE else self.frozen_pooling
        if strategy == CONTRAST or (pooling == WORDS and strategy != FINE_TUNE and lm.reads_words_alone):
            return WORDS
        if pooling == WORDS:
            pooling = "layers"
        with_distilled = f"distilled+{pooling}"
        return with_distilled if lm.architecture.distilled and with_distilled in POOLINGS else pooling

    def after_contrast(self) -> "ClassifierRecipe":
        """The same for the head that learns after words in context have learned."""
        return replace(self, frozen_pooling=WORDS)

    def with_epochs(self, epochs: int) -> "ClassifierRecipe":
        """The same with so many epochs, however many texts there are."""
        return replace(self, epochs=epochs, max_steps=0)

    def for_texts(self, count: int) -> "ClassifierRecipe":
        """The same for so many texts: few make smaller batches, many fewer epochs."""
        size = min(self.batch_size, max(MIN_TEXTS, count // STEPS_PER_EPOCH))
        epochs = self.epochs
        if self.max_steps:
            epochs = min(epochs, max(MIN_EPOCHS, self.max_steps * size // count))
        return replace(self, batch_size=size, epochs=epochs, contrast=self.contrast.for_texts(count))


@dataclass(frozen=True, eq=False)
class LabelledDocuments:
    """What fine-tuning learns from."""

    documents: Documents  # token ids, in the order in which they are read
    targets: Ints  # their labels, as `LabelKind.targets`
    kind: LabelKind  # of label
    pad_id: int  # the token that fills up shorter documents

    def batches(self, recipe: ClassifierRecipe, *, batch_tokens: int, seed: int) -> ClassifierBatches:
        """This process's share of each batch, in a random order."""
        return ClassifierBatches(
            self.documents,
            self.targets,
            batch_size=recipe.batch_size,
            batch_tokens=batch_tokens,
            pad_id=self.pad_id,
            seed=seed,
            share=my_share(),
        )

    def sha256(self) -> str:
        """A hash of documents and labels."""
        return hashlib.sha256(self.documents.fingerprint().encode() + self.targets.tobytes()).hexdigest()

    def nothing(self) -> "LabelledDocuments":
        """The same without a document."""
        return replace(self, documents=self.documents.select([]), targets=self.targets[:0])


def fine_tune(
    net: ClassifierNet,
    train: LabelledDocuments,
    recipe: ClassifierRecipe,
    run: Run,
    *,
    valid: LabelledDocuments | None = None,
    description: str = "classifier",
) -> list[Row]:
    """Gradual unfreezing of ``net``, in place; its head has learnt already on the frozen encoder.

    One more group joins in each of the recipe's phases, from the top layer down, every phase with its own schedule and
    discriminative rates; then all groups train together. A run that was stopped continues from its checkpoints. A row
    is returned for each epoch: training and validation loss in nats, and the accuracy.
    """
    share_model(net)
    kind, held_out = train.kind, valid or train.nothing()
    balanced = recipe.class_weights == "balanced"
    balance = torch.from_numpy(kind.balance(train.targets)).float().to(run.device) if balanced else None
    phases = classifier_phases(recipe, len(net.layer_groups()))

    objective = Objective(
        lambda logits, truth: cross_entropy(logits, truth, kind, balance, recipe.label_smoothing),
        lambda truth: float(truth.numel() if balance is None or not kind.exclusive else balance[truth].sum()),
        lambda logits, truth: accuracy(logits, truth, kind),
    )

    def attempt(tokens: int, run: Run) -> list[Row]:
        with seeded(my_share().seed(run.seed)):
            return train_phases(
                net,
                phases,
                lambda number: (
                    train.batches(recipe, batch_tokens=tokens, seed=run.seed + number),
                    held_out.batches(recipe, batch_tokens=tokens, seed=0),
                ),
                objective=objective,
                settings=recipe,
                run=run.of(net, {**asdict(recipe), "batch_tokens": tokens}, train.sha256),
                description=description,
            )

    return train_within_memory(net, attempt, run, max_size=recipe.batch_tokens, min_size=MIN_TOKENS, unit="tokens")


def classifier_phases(recipe: ClassifierRecipe, n_groups: int) -> list[Phase]:
    """What ``unfreezing`` says, with rates and schedules."""
    return [
        Phase(
            f"{phase.groups} of {n_groups} groups",
            n_groups - phase.groups,
            phase.epochs,
            discriminative_lrs(recipe.lr * phase.share, n_groups, decay=recipe.decay),
            find_schedule(recipe.schedule, cut_frac=phase.cut_frac, ratio=phase.ratio),
        )
        for phase in unfreezing(recipe, n_groups)
    ]


def unfreezing(recipe: ClassifierRecipe, n_groups: int) -> list[ClassifierPhase]:
    """What trains when, after the head has learnt on the frozen encoder (ULMFiT, section 3.3)."""
    last = ClassifierPhase(n_groups, recipe.epochs, recipe.last_share, recipe.cut_frac, recipe.ratio)
    if recipe.phases:
        return [*(replace(phase, groups=min(phase.groups, n_groups)) for phase in recipe.phases), last]
    firsts = gradual_unfreezing(n_groups)[1:]
    shape = {"cut_frac": recipe.cut_frac, "ratio": recipe.ratio}
    return [*(ClassifierPhase(n_groups - first, recipe.phase_epochs, **shape) for first in firsts), last]


def cross_entropy(logits: Tensor, truth: Tensor, kind: LabelKind, balance: Tensor | None, smoothing: float) -> Tensor:
    """Mean log loss of (batch,) class numbers, or of all decisions of (batch, n_tags) of 0 and 1.

    ``balance`` is (n_classes,) as ``kind.balance`` gives it, and None counts all the same; ``smoothing`` the share of a
    label's probability that is spread over all choices.
    """
    if kind.exclusive:
        return F.cross_entropy(logits, truth, weight=balance, label_smoothing=smoothing)
    smooth = truth.float() * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=balance)


def accuracy(logits: Tensor, truth: Tensor, kind: LabelKind) -> Tensor:
    """Share of the decisions that are right; the arguments are those of ``cross_entropy``."""
    decided = logits.argmax(1) if kind.exclusive else logits > 0
    return (decided == truth).float().mean()
