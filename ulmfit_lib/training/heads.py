"""Heads that learn on a frozen encoder, which has read each text once."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from ulmfit_lib.arrays import Features, Floats, Ints, Vectors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.head import Head
from ulmfit_lib.training.classifying import ClassifierRecipe, cross_entropy
from ulmfit_lib.training.regression import cross_validated_loss, solve_path
from ulmfit_lib.training.schedules import slanted_triangular
from ulmfit_lib.training.seeding import seeded

C_VALUES = (1e-3, 1e-2, 1e-1, 1.0)
DEFAULT_C = 1e-2  # where two folds cannot be made
NAMED = "named"  # the pooling of heads that know what the classes are called
# How likely a head is the best before any row has spoken; found with 8 to 16 rows of a class and 100 at random.
PRIOR_OF_POOLING = {NAMED: 1.0, "together": 0.3, "distilled": 0.2, "layers": 0.1}
PRIOR_OF_C = {1e-3: 1.0, 1e-2: 1.0, 1e-1: 0.2}
LEAST_PRIOR = 1e-3  # of any other
NAMES_COUNT = 3  # texts that a class's name counts as
MAX_SEARCHED_ROWS = 5000  # that a search among head configurations learns from


class HeadConfig(NamedTuple):
    """How a linear head on a frozen encoder is fitted."""

    # The part of the pooled vector that it sees, one of `head_inputs`: `layers`, the `distilled` vector, or `together`
    # both, as far as they are there; or `named`: `distilled` with what the classes are called as further texts.
    pooling: str
    C: float = DEFAULT_C  # inverse strength of the L2 penalty, as in scikit-learn
    # All classes count the same, however many rows they have: how often each occurs is left to the blend, which tells
    # it from how far classes lie apart. A penalty on few rows mixes the two up.
    balanced: bool = False

    @property
    def prior(self) -> float:
        """How likely it is the best one before any row has spoken, up to a factor that all share."""
        return PRIOR_OF_POOLING.get(self.pooling, LEAST_PRIOR) * PRIOR_OF_C.get(self.C, LEAST_PRIOR)


@dataclass(frozen=True, eq=False)
class HeadInputs:
    """What a linear head sees of pooled vectors: standardised numbers, some with more weight or without any."""

    mean: Vectors  # (width,) of the pooled vectors
    scale: Vectors  # (width,) their spread
    # (width,) what the standardised numbers are multiplied by before the penalty applies; 0 hides one.
    weights: Vectors

    def __call__(self, pooled: Vectors) -> Vectors:
        """(n, width) pooled vectors -> (n, n_visible)."""
        standardized = np.asarray((pooled - self.mean) / self.scale, np.float32)
        return (standardized * self.weights)[:, self.weights > 0]

    def add(self, head: Head, coefficients: Floats, intercepts: Floats) -> None:
        """Add the solution for these inputs to a head, which standardises by itself."""
        visible = self.weights > 0
        weight, bias = torch.zeros(len(coefficients), len(visible)), torch.from_numpy(intercepts).float()
        weight[:, visible] = torch.from_numpy(coefficients * self.weights[visible]).float()
        if len(weight) < len(head.output.bias):  # two classes: scikit-learn gives one score, for the second
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        with torch.no_grad():
            head.output.weight.add_(weight)
            head.output.bias.add_(bias)


@dataclass(frozen=True, eq=False)
class HeadMix:
    """Several heads, whose scores add up to those of one."""

    weights: Mapping[HeadConfig, float]  # of their scores
    # By direction, (n_classes, distilled) vectors of what the classes are called; empty: none is `named`.
    names: Features = field(default_factory=dict)


def head_inputs(head: Head, distilled: int) -> dict[str, HeadInputs]:
    """By the name of a pooling, what a head that has been standardised on the pooled vectors can see.

    The first ``distilled`` numbers, if any, share one unit: those that vary more from text to text may count more.
    """
    mean, scale = head.mean.numpy(), head.scale.numpy()
    width = len(scale)
    if not distilled:
        return {"layers": HeadInputs(mean, scale, np.ones(width, np.float32))}
    is_distilled = np.arange(width) < distilled
    as_it_is = np.where(is_distilled, scale / np.sqrt(np.mean(scale[:distilled] ** 2)), 0)
    weights = {"distilled": as_it_is}
    if distilled < width:
        weights["together"] = as_it_is * np.sqrt((width - distilled) / distilled) + ~is_distilled
        weights["layers"] = ~is_distilled
    return {name: HeadInputs(mean, scale, each.astype(np.float32)) for name, each in weights.items()}


def fit_head(
    features: Vectors,
    targets: Ints,
    recipe: ClassifierRecipe,
    *,
    kind: LabelKind,
    seed: int,
    distilled: int = 0,
    mix: Mapping[HeadConfig, float] | None = None,
    names: Vectors | None = None,
) -> Head:
    """A linear head for pooled vectors of a frozen encoder: the exact solution of logistic regression.

    Several that see different numbers, or hold on to zero more or less, add up to one, as all are linear: a ``mix`` of
    weights of configurations, by default the one with the least cross-validated log loss.

    Args:
        features: (n, width) pooled vectors, of whose numbers the first ``distilled`` are a distilled vector.
        targets: their labels, as ``LabelKind.targets``.
        recipe: ``class_weights`` and ``head_dropout`` count here.
        names: (n_classes, distilled) vectors of what the classes are called, for the configurations with
            ``named``.
    """
    head = Head(features.shape[1], len(kind.count_rows(targets)), dropout=recipe.head_dropout)
    head.standardize(torch.from_numpy(features))
    inputs = head_inputs(head, distilled)
    if mix is None:
        losses = {
            HeadConfig(pooling, c): loss
            for pooling, visible in inputs.items()
            for c, loss in cross_validated_loss(
                visible(features), targets, C_VALUES, kind=kind, class_weights=recipe.class_weights, seed=seed
            ).items()
        }
        mix = {min(losses, key=losses.__getitem__, default=HeadConfig(next(iter(inputs)))): 1.0}
    with torch.no_grad():
        head.output.weight.zero_()
        head.output.bias.zero_()
    if names is not None:
        inputs[NAMED] = inputs["distilled"]
    if unknown := sorted({config.pooling for config in mix} - inputs.keys()):
        raise OptionError(f"a head cannot see {unknown[0]!r} of this encoder: it has {', '.join(sorted(inputs))}")
    for (pooling, balanced), some in itertools.groupby(
        sorted(mix, key=lambda config: (config.pooling, config.balanced, config.C)),
        lambda config: (config.pooling, config.balanced),
    ):
        configs, visible = list(some), inputs[pooling]
        learnt, truth = visible(features), targets
        if pooling == NAMED and names is not None:
            learnt, truth = _with_names(learnt, truth, names)
        class_weights = "balanced" if balanced else recipe.class_weights
        path = solve_path(learnt, truth, [config.C for config in configs], class_weights=class_weights)
        for config, (coefficients, intercepts) in zip(configs, path, strict=True):
            visible.add(head, mix[config] * coefficients, mix[config] * intercepts)
    return head.eval()


def _with_names(learnt: Vectors, targets: Ints, names: Vectors) -> tuple[Vectors, Ints]:
    """The rows and, after them, what the classes are called: a few texts of each class, as far apart as texts are."""
    apart = names - names.mean(0)
    longest = np.linalg.norm(learnt, axis=1).mean() / max(float(np.linalg.norm(apart, axis=1).mean()), 1e-9)
    rows = np.repeat(apart * longest, NAMES_COUNT, axis=0).astype(np.float32)
    return np.concatenate([learnt, rows]), np.concatenate([targets, np.repeat(np.arange(len(names)), NAMES_COUNT)])


def predict_by_config(
    train: Features,
    targets: Ints,
    test: Features,
    recipe: ClassifierRecipe,
    *,
    kind: LabelKind,
    distilled: int = 0,
    names: Features | None = None,
) -> dict[HeadConfig, Floats]:
    """(n_texts, n_classes) probabilities of the ``test`` texts by heads of each configuration, fitted to ``train``.

    There is a head for each direction; their probabilities are averaged. Of very many texts a part is learnt from.

    Args:
        train: by direction, (n, width) pooled vectors, of whose numbers the first ``distilled`` are a distilled
            vector.
        targets: their labels, as ``LabelKind.targets``.
        test: by direction, (n_texts, width) pooled vectors.
        recipe: its ``class_weights`` count where the heads are not balanced, as those of tags.
        names: by direction, (n_classes, distilled) vectors of what the classes are called; without, none is
            ``named``.
    """
    rows = _searched_rows(targets, kind)
    balanced = kind.exclusive  # of tags, there is nothing in a blend that says how often each occurs
    class_weights = "balanced" if balanced else recipe.class_weights
    found: dict[HeadConfig, list[Floats]] = {}
    for way, pooled in train.items():
        head = Head(pooled.shape[1], 1)
        head.standardize(torch.from_numpy(pooled[rows]))
        inputs = head_inputs(head, distilled)
        if names:
            inputs[NAMED] = inputs["distilled"]
        for pooling, visible in inputs.items():
            learnt, asked, truth = visible(pooled[rows]), visible(test[way]), targets[rows]
            if pooling == NAMED and names:
                learnt, truth = _with_names(learnt, truth, names[way])
            path = solve_path(learnt, truth, C_VALUES, class_weights=class_weights)
            for c, (coefficients, intercepts) in zip(C_VALUES, path, strict=True):
                probabilities = kind.link(asked @ coefficients.T + intercepts)
                found.setdefault(HeadConfig(pooling, c, balanced), []).append(probabilities)
    return {config: np.asarray(np.mean(each, axis=0), np.float64) for config, each in found.items()}


def _searched_rows(targets: Ints, kind: LabelKind) -> Ints:
    """All rows, or a random part of very many that holds every class."""
    if len(targets) > MAX_SEARCHED_ROWS:
        rows = np.random.default_rng(0).permutation(len(targets))[:MAX_SEARCHED_ROWS]
        if len(kind.count_rows(targets[rows])) == len(kind.count_rows(targets)):
            return rows
    return np.arange(len(targets))


def fit_hidden_head(features: Vectors, targets: Ints, recipe: ClassifierRecipe, *, kind: LabelKind, seed: int) -> Head:
    """A head with a hidden layer, for fine-tuning to start from; it sees all numbers alike."""
    with seeded(seed):
        n_classes = len(kind.count_rows(targets))
        head = Head(features.shape[1], n_classes, hidden=recipe.head_hidden, dropout=recipe.head_dropout)
        inputs, truth = torch.from_numpy(features), torch.from_numpy(targets)
        head.standardize(inputs)
        optimizer = torch.optim.AdamW(head.parameters(), lr=1.0, betas=recipe.betas, weight_decay=recipe.weight_decay)
        size = max(2, min(recipe.batch_size, len(inputs)))
        n_steps = max(1, len(inputs) // size) * recipe.head_epochs
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: recipe.lr * slanted_triangular(step / n_steps)
        )
        head.train()
        for _ in range(n_steps):
            rows = torch.randperm(len(inputs))[:size]
            optimizer.zero_grad()
            cross_entropy(head(inputs[rows]), truth[rows], kind, None, recipe.label_smoothing).backward()
            optimizer.step()
            scheduler.step()
        optimizer.zero_grad()  # else the last gradient would join the first of fine-tuning
        return head.eval()
