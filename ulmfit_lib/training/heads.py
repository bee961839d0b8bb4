"""Heads that learn on a frozen encoder, which has read each text once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.arrays import Features, Floats, Ints
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.head import Head
from ulmfit_lib.training.classifying import ClassifierRecipe, cross_entropy
from ulmfit_lib.training.regression import cross_validated_loss, solve, solve_path
from ulmfit_lib.training.schedules import slanted_triangular

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # logistic regression's C, chosen by log loss on rows not learnt from
SEARCHED_ROWS = 5000  # that a search among head choices learns from, at most


class HeadChoice(NamedTuple):
    """How a linear head is regularised.

    Attributes:
        weighting: which of ``_weightings``.
        strength: logistic regression's C.
    """

    weighting: int = 0
    strength: float = STRENGTHS[len(STRENGTHS) // 2]


def fit_head(
    features: npt.NDArray[np.float32],
    targets: Ints,
    recipe: ClassifierRecipe,
    *,
    kind: LabelKind,
    seed: int,
    distilled: int = 0,
    choice: HeadChoice | None = None,
) -> Head:
    """A linear head for pooled vectors of a frozen encoder, encoded once.

    It is the exact solution of logistic regression. Without ``choice``, its strength is chosen by cross-validated log
    loss, or is the middle one where two folds cannot be made. Where the first ``distilled`` numbers are a distilled
    vector, so is the choice between that alone, standardised or as it is, both, weighing the same, and the others.
    """
    head = Head(features.shape[1], len(kind.count_rows(targets)), dropout=recipe.head_dropout)
    head.standardize(torch.from_numpy(features))
    standard = _standardized(features, head)
    weightings = _weightings(head.scale.numpy(), distilled)
    if choice is None:
        losses: dict[HeadChoice, float] = {}
        for number, factors in enumerate(weightings):
            found = cross_validated_loss(
                (standard * factors)[:, factors > 0],
                targets,
                STRENGTHS,
                kind=kind,
                seed=seed,
                class_weights=recipe.class_weights,
            )
            losses |= {HeadChoice(number, strength): loss for strength, loss in found.items()}
        choice = min(losses, key=losses.__getitem__, default=HeadChoice())
    factors = weightings[choice.weighting]
    used = factors > 0
    weight, bias = solve(
        (standard * factors)[:, used], targets, strength=choice.strength, class_weights=recipe.class_weights
    )
    _give(head, weight, bias, factors)
    return head.eval()


def predict_by_choice(
    train: Features, targets: Ints, test: Features, recipe: ClassifierRecipe, *, kind: LabelKind, distilled: int = 0
) -> dict[HeadChoice, Floats]:
    """Probabilities for pooled texts, (n_texts, n_classes), from heads that learnt other texts' classes, by choice.

    A head per direction; their probabilities are averaged. Of very many texts a part is learnt from.
    """
    rows = np.random.default_rng(0).permutation(len(targets))[:SEARCHED_ROWS] if len(targets) > SEARCHED_ROWS else ...
    if rows is not ... and len(kind.count_rows(targets[rows])) < len(kind.count_rows(targets)):
        rows = ...
    found: dict[HeadChoice, list[Floats]] = {}
    for way, features in train.items():
        head = Head(features.shape[1], 1)
        head.standardize(torch.from_numpy(features[rows]))
        learnt, asked = _standardized(features[rows], head), _standardized(test[way], head)
        for number, factors in enumerate(_weightings(head.scale.numpy(), distilled)):
            used = factors > 0
            path = solve_path((learnt * factors)[:, used], targets[rows], STRENGTHS, class_weights=recipe.class_weights)
            for strength, (weights, biases) in zip(STRENGTHS, path, strict=True):
                scores = (asked * factors)[:, used] @ weights.T + biases
                found.setdefault(HeadChoice(number, strength), []).append(kind.link(scores))
    return {choice: np.asarray(np.mean(each, axis=0), np.float64) for choice, each in found.items()}


def _standardized(features: npt.NDArray[np.float32], head: Head) -> npt.NDArray[np.float32]:
    return np.asarray((features - head.mean.numpy()) / head.scale.numpy(), np.float32)


def _give(head: Head, solved: Floats, intercepts: Floats, factors: npt.NDArray[np.float32]) -> None:
    """Hand a head the solution for standardised numbers times ``factors``, without those that are times 0."""
    used = factors > 0
    weight, bias = torch.zeros(len(solved), len(used)), torch.from_numpy(intercepts).float()
    weight[:, used] = torch.from_numpy(solved * factors[used]).float()
    if len(weight) < len(head.output.bias):  # two classes: scikit-learn gives one score, for the second
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    with torch.no_grad():
        head.output.weight.copy_(weight)
        head.output.bias.copy_(bias)


def _weightings(scale: Any, distilled: int) -> list[npt.NDArray[np.float32]]:
    """What standardised numbers, of (width,) ``scale``, are multiplied by before the strength bears on them.

    The numbers of a distilled vector are of one measure: those that tell texts apart more may count more.
    """
    width = len(scale)
    if not 0 < distilled < width:
        return [np.ones(width, np.float32)]
    of_teacher = np.arange(width) < distilled
    as_they_are = np.where(of_teacher, scale / np.sqrt(np.mean(scale[:distilled] ** 2)), 0)
    both = as_they_are * np.sqrt((width - distilled) / distilled) + ~of_teacher
    return [factors.astype(np.float32) for factors in (as_they_are, of_teacher, both, ~of_teacher)]


def fit_hidden_head(
    features: npt.NDArray[np.float32], targets: Ints, recipe: ClassifierRecipe, *, kind: LabelKind, seed: int
) -> Head:
    """A head with a hidden layer, for fine-tuning to go on from; it sees all numbers alike."""
    torch.manual_seed(seed)
    n_classes = len(kind.count_rows(targets))
    head = Head(features.shape[1], n_classes, hidden=recipe.head_hidden, dropout=recipe.head_dropout)
    inputs, truth = torch.from_numpy(features), torch.from_numpy(targets)
    head.standardize(inputs)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1.0, betas=recipe.betas, weight_decay=recipe.weight_decay)
    size = max(2, min(recipe.batch_size, len(inputs)))
    steps: Sequence[int] = range(max(1, len(inputs) // size) * recipe.head_epochs)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: recipe.lr * slanted_triangular(step / len(steps))
    )
    head.train()
    for _ in steps:
        rows = torch.randperm(len(inputs))[:size]
        optimizer.zero_grad()
        cross_entropy(head(inputs[rows]), truth[rows], kind, None, recipe.label_smoothing).backward()
        optimizer.step()
        scheduler.step()
    optimizer.zero_grad()  # else the last gradient would join the first of fine-tuning
    return head.eval()
