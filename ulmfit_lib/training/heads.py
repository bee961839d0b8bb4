"""Heads that learn on a frozen encoder, which has read each text once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.arrays import Ints
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.head import Head
from ulmfit_lib.training.classifying import ClassifierRecipe, cross_entropy
from ulmfit_lib.training.regression import cross_validated_loss, solve
from ulmfit_lib.training.schedules import slanted_triangular

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # logistic regression's C, chosen by cross-validated log loss


def fit_head(
    features: npt.NDArray[np.float32], targets: Ints, recipe: ClassifierRecipe, *, kind: LabelKind, seed: int,
    taught: int = 0,
) -> Head:  # fmt: skip
    """A linear head for pooled vectors of a frozen encoder, encoded once.

    It is the exact solution of logistic regression, its strength chosen by cross-validated log loss, or the middle one
    where two folds cannot be made. Where the first ``taught`` numbers are a taught vector, so is the choice between
    that alone, both, weighing the same, and the others alone.
    """
    head = Head(features.shape[1], len(kind.count_rows(targets)), dropout=recipe.head_dropout)
    inputs = torch.from_numpy(features)
    head.standardize(inputs)
    standard = ((inputs - head.mean) / head.scale).numpy()
    options: dict[str, Any] = {"class_weights": recipe.class_weights}
    losses: dict[tuple[int, float], float] = {}
    choices = _weightings(features.shape[1], taught)
    for number, factors in enumerate(choices):
        weighed = (standard * factors)[:, factors > 0]
        found = cross_validated_loss(weighed, targets, STRENGTHS, kind=kind, seed=seed, **options)
        losses |= {(number, strength): loss for strength, loss in found.items()}
    number, strength = min(losses, key=losses.__getitem__, default=(0, STRENGTHS[len(STRENGTHS) // 2]))
    used = choices[number] > 0
    solved, bias = (
        torch.from_numpy(part).float()
        for part in solve((standard * choices[number])[:, used], targets, strength=strength, **options)
    )
    weight = torch.zeros(len(solved), len(used))
    weight[:, used] = solved * torch.from_numpy(choices[number][used])
    if len(weight) < len(head.output.bias):  # two classes: scikit-learn gives one score, for the second
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    with torch.no_grad():
        head.output.weight.copy_(weight)
        head.output.bias.copy_(bias)
    return head.eval()


def _weightings(width: int, taught: int) -> list[npt.NDArray[np.float32]]:
    """What standardised numbers are multiplied by before the strength bears on them, (width,) each."""
    if not 0 < taught < width:
        return [np.ones(width, np.float32)]
    of_teacher = np.arange(width) < taught
    both = np.where(of_teacher, ((width - taught) / taught) ** 0.5, 1)
    return [factors.astype(np.float32) for factors in (of_teacher, both, ~of_teacher)]


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
