"""How teachers' vectors are distilled into a language model, which goes on predicting words meanwhile."""

import hashlib
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.arrays import Ints
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.models.pooling import pool
from ulmfit_lib.models.tensors import State
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.distillation_recipe import DistillationRecipe
from ulmfit_lib.training.learner import Objective, Row
from ulmfit_lib.training.losses import SampledSoftmax
from ulmfit_lib.training.phases import train_phases, train_within_memory
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.schedules import Phase, find_schedule
from ulmfit_lib.training.streams import DistillationBatches
from ulmfit_lib.training.teachers import Vectors

FEWEST_TEXTS = 8  # a batch of fewer has too few pairs to compare
OPINION_SHARE = 0.8  # the last number of a target, of length 1, where an opinion could not be stronger


def with_opinions(vectors: Vectors, opinions: npt.NDArray[np.float32]) -> Vectors:
    """(n, width) targets with (n,) opinions, from -1 to 1, as one more number; of length 1 as before."""
    last = OPINION_SHARE * opinions[:, None]
    return np.concatenate([vectors * np.sqrt(1 - last**2), last], axis=1).astype(np.float16)


class Reading(NamedTuple):
    """What the network makes of a batch of texts."""

    vectors: Tensor  # (n_tokens, embedding), one per token that has a next one
    following: Tensor  # (n_tokens,) ids of those
    distilled: Tensor  # (batch, distilled), of length 1


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
        return torch.stack([loss * getattr(recipe, name) for name, loss in found.items()]).sum()


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
    """Train ``net``, whose encoder has a projection, in place, and return training and validation loss of each epoch.

    It reads all texts, then all of them in another writing, as ids in reading order, with their targets; each epoch is
    measured on valid texts as they are, of which there may be none.
    """

    def attempt(texts: int, run: Run) -> list[Row]:
        smaller = replace(recipe, batch_size=texts)
        torch.manual_seed(run.seed)
        lrs = [smaller.lr, smaller.lr * smaller.projection_share]
        phase = Phase("all groups", 0, smaller.epochs, lrs, find_schedule(smaller.schedule))
        batches = (
            DistillationBatches(*train, recipe=smaller, pad_id=pad_id, seed=run.seed),
            DistillationBatches(*valid, recipe=smaller, pad_id=pad_id, shuffle=False),
        )
        return train_phases(
            DistillationNet(net),
            [phase],
            lambda _: batches,
            objective=Objective(DistillationLoss(net, train[0].counts(len(net.bias)), smaller)),
            settings=smaller,
            run=run.of(
                net,
                asdict(smaller),
                lambda: hashlib.sha256(train[0].fingerprint().encode() + train[1].tobytes()).hexdigest(),
            ),
            description=description,
        )

    return train_within_memory(net, attempt, run, max_size=recipe.batch_size, min_size=FEWEST_TEXTS, unit="texts")
