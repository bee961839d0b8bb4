"""How teachers' vectors are distilled into a language model, which goes on predicting words meanwhile."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.arrays import Ints
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.pooling import pool
from ulmfit_lib.models.tensors import State
from ulmfit_lib.tokens.batches import group_by_length, pad_texts
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.learner import Objective, Row
from ulmfit_lib.training.losses import SampledSoftmax
from ulmfit_lib.training.memory import train_within_memory
from ulmfit_lib.training.phases import train_phases
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.schedules import Phase, find_schedule
from ulmfit_lib.training.teachers import Vectors
from ulmfit_lib.training.word_vectors import WordVectorRecipe

FEWEST_TEXTS = 8  # a batch of fewer has too few pairs to compare
OPINION_SHARE = 0.8  # the last number of a target, of length 1, where an opinion could not be stronger


@dataclass(frozen=True)
class DistillationRecipe:
    """Hyperparameters of distillation.

    Word vectors learn first; then the encoder and the projection, for ``epochs``.

    Attributes:
        width: of the teachers' joint vectors; at most their widths together.
        word_vectors: how word vectors learn; None for none.
        vocab_size: tokens in the vocabulary; 0 for as many as the base has. The texts' common new words take the places
            of those that the texts use least.
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


def with_opinions(vectors: Vectors, opinions: npt.NDArray[np.float32]) -> Vectors:
    """(n, width) targets with (n,) opinions, from -1 to 1, as one more number; of length 1 as before."""
    last = OPINION_SHARE * opinions[:, None]
    return np.concatenate([vectors * np.sqrt(1 - last**2), last], axis=1).astype(np.float16)


class Reading(NamedTuple):
    """What the network makes of a batch of texts.

    Attributes:
        vectors: (n_tokens, embedding), one per token that has a next one.
        following: (n_tokens,) ids of those.
        distilled: (batch, distilled), of length 1.
    """

    vectors: Tensor
    following: Tensor
    distilled: Tensor


class DistillationNet(nn.Module):
    """A language model that says of whole texts what they mean, and of each of their tokens what follows."""

    state: State | None = None  # for checkpoints; texts here start from nothing

    def __init__(self, net: LanguageModelNet) -> None:
        super().__init__()
        self.net = net

    @property
    def mixed_precision(self) -> bool:
        """Whether the matrix products are in bfloat16."""
        return self.net.mixed_precision

    @mixed_precision.setter
    def mixed_precision(self, wanted: bool) -> None:
        self.net.mixed_precision = wanted

    def reset(self) -> None:
        """Nothing is carried from batch to batch."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Reading:
        """(batch, time) ids, the longest text first, and (batch,) lengths -> what the losses need."""
        tops: list[Tensor] = []

        def read(window: Tensor, state: State | None) -> tuple[list[Tensor], State]:
            outputs, after = self.net.encoder(window, state)
            tops.append(F.pad(outputs[-1], (0, 0, 0, 0, 0, len(ids) - len(window))))
            return outputs, after

        encoder = self.net.encoder
        with self.net.autocast(), encoder.one_draw():
            distilled = pool(read, "distilled", ids, lengths, encoder.projection)
        real = torch.arange(1, ids.shape[1], device=ids.device) < lengths[:, None]  # (batch, time - 1)
        vectors = torch.cat(tops, dim=1)[:, :-1]
        return Reading(self.net.output_dropout(vectors)[real], ids[:, 1:][real], distilled.float())

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The language model, and the projection; word vectors have learnt already."""
        learning = {name: parameter for name, parameter in self.net.named_weights().items() if parameter.requires_grad}
        projection = [parameter for name, parameter in learning.items() if name.startswith("map.")]
        return [[parameter for name, parameter in learning.items() if not name.startswith("map.")], projection]


class DistillationLoss:
    """The distance to the targets and among them, and the language model's loss, weighed."""

    def __init__(self, net: LanguageModelNet, counts: Ints, recipe: DistillationRecipe) -> None:
        self.recipe = recipe
        self.word_loss = SampledSoftmax(net, counts, samples=recipe.samples)
        self.net = net
        self.parts: dict[str, float] = {}

    def __call__(self, reading: Reading, targets: Tensor) -> Tensor:
        """A reading and the (batch, distilled) targets -> the mean loss."""
        recipe, vectors, targets = self.recipe, reading.distilled, targets.float()
        found = {"cosine": 1 - (vectors * targets).sum(1).mean()}
        theirs = targets @ targets.T
        if recipe.similarities:
            found["similarities"] = F.mse_loss(vectors @ vectors.T, theirs)
        if recipe.contrast:
            wanted = (theirs / recipe.temperature).softmax(1)
            found["contrast"] = F.cross_entropy(vectors @ targets.T / recipe.temperature, wanted)
        if recipe.words:
            some = slice(int(torch.randint(recipe.every, ())), None, recipe.every)
            found["words"] = self.word_loss(reading.vectors[None, some], reading.following[None, some])
        self.parts = {name: float(loss.detach()) for name, loss in found.items()}
        return torch.stack([loss * getattr(recipe, name) for name, loss in found.items()]).sum()


class DistillationBatches:
    """Texts of like length with their targets; a text in one of its writings, drawn anew each epoch.

    Iterating yields ``(ids, lengths, targets)``: (batch, time) and (batch,), int64, and (batch, distilled). The order
    depends on ``seed`` and ``epoch`` alone, ``start`` skips batches, ``position`` counts those of this epoch so far.

    Args:
        documents: all texts as they are, then all of them in another writing.
        targets: (n_texts, distilled) what their vectors should be.
        recipe: of the batches.
        pad_id: what fills them up.
        seed: of the order and the writings.
        shuffle: whether there is an order and another writing at all.
    """

    def __init__(
        self,
        documents: Documents,
        targets: Vectors,
        *,
        recipe: DistillationRecipe,
        pad_id: int,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        self.documents, self.targets, self.recipe, self.pad_id = documents, targets, recipe, pad_id
        self.seed, self.shuffle = seed, shuffle
        self.epoch = self.start = self.position = 0
        self.device = torch.device("cpu")
        self._grouped: tuple[int, list[Ints]] = (-1, [])

    def to(self, device: torch.device) -> "DistillationBatches":
        """Yield batches on ``device``."""
        self.device = device
        return self

    def _groups(self) -> list[Ints]:
        if self._grouped[0] != self.epoch:
            rng, count = np.random.default_rng([self.seed, self.epoch]), len(self.targets)
            places = np.arange(count)
            if self.shuffle:
                places = places + count * (rng.random(count) < self.recipe.varied)
            lengths = self.documents.lengths[places].clip(max=self.recipe.max_tokens)
            groups = group_by_length(lengths, max_texts=self.recipe.batch_size, shuffle=rng if self.shuffle else None)
            self._grouped = self.epoch, [places[group] for group in groups]
        return self._grouped[1]

    def __len__(self) -> int:
        return len(self._groups())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        groups = self._groups()
        first, self.start = self.start, 0
        self.epoch += 1
        for self.position, places in enumerate(groups[first:], start=first + 1):
            batch = pad_texts(self.documents, places, self.pad_id)
            most = self.recipe.max_tokens
            arrays = (
                batch.ids[:, :most],
                batch.lengths.clip(max=most),
                self.targets[batch.indices % len(self.targets)],
            )
            ids, lengths, targets = (torch.from_numpy(one).to(self.device) for one in arrays)
            yield ids, lengths, targets


def train_to_targets(
    net: LanguageModelNet,
    train: tuple[Documents, Vectors],
    valid: tuple[Documents, Vectors],
    recipe: DistillationRecipe,
    *,
    pad_id: int,
    description: str,
    run: Run,
) -> list[Row]:
    """Train ``net``, whose encoder has a projection, in place.

    Args:
        net: the model.
        train: all texts, then all of them in another writing, as ids in reading order; and the targets.
        valid: texts as they are, to measure each epoch on, and theirs; may be empty.
        recipe: hyperparameters.
        pad_id: what fills up batches.
        description: what the progress bar says.
        run: seed of the order, the writings, the dropout and the sampled words; device; checkpoints.

    Returns:
        One row per epoch: training and validation loss.

    Raises:
        TrainingError: the loss explodes, memory is too small, or the checkpoints are of another run.
    """

    def attempt(texts: int, run: Run) -> list[Row]:
        return _train(net, train, valid, replace(recipe, batch_size=texts), pad_id, description, run)

    return train_within_memory(net, attempt, run, max_size=recipe.batch_size, min_size=FEWEST_TEXTS, unit="texts")


def _train(
    net: LanguageModelNet,
    train: tuple[Documents, Vectors],
    valid: tuple[Documents, Vectors],
    recipe: DistillationRecipe,
    pad_id: int,
    description: str,
    run: Run,
) -> list[Row]:
    torch.manual_seed(run.seed)
    lrs = [recipe.lr, recipe.lr * recipe.projection_share]
    phase = Phase("all groups", 0, recipe.epochs, lrs, find_schedule(recipe.schedule))
    batches = (
        DistillationBatches(*train, recipe=recipe, pad_id=pad_id, seed=run.seed),
        DistillationBatches(*valid, recipe=recipe, pad_id=pad_id, shuffle=False),
    )
    return train_phases(
        DistillationNet(net),
        [phase],
        lambda _: batches,
        objective=Objective(DistillationLoss(net, train[0].counts(len(net.bias)), recipe)),
        settings=recipe,
        run=run.of(
            net,
            asdict(recipe),
            lambda: hashlib.sha256(train[0].fingerprint().encode() + train[1].tobytes()).hexdigest(),
        ),
        description=description,
    )
