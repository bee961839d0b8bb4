"""Heads that learn on a frozen encoder, which has read each text once."""

from collections.abc import Sequence

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
    features: npt.NDArray[np.float32], targets: Ints, recipe: ClassifierRecipe, *, kind: LabelKind, seed: int
) -> Head:
    """A linear head for pooled vectors of a frozen encoder, encoded once.

    It is the exact solution of logistic regression, its strength chosen by cross-validated log loss, or the middle one
    where two folds cannot be made.
    """
    head = Head(features.shape[1], len(kind.count_rows(targets)), dropout=recipe.head_dropout)
    inputs = torch.from_numpy(features)
    head.standardize(inputs)
    standard = ((inputs - head.mean) / head.scale).numpy()
    losses = cross_validated_loss(
        standard, targets, STRENGTHS, kind=kind, class_weights=recipe.class_weights, seed=seed
    )
    strength = min(losses, key=losses.__getitem__, default=STRENGTHS[len(STRENGTHS) // 2])
    found = solve(standard, targets, strength=strength, class_weights=recipe.class_weights)
    weight, bias = (torch.from_numpy(part).float() for part in found)
    if len(weight) < len(head.output.bias):  # two classes: scikit-learn gives one score, for the second
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    with torch.no_grad():
        head.output.weight.copy_(weight)
        head.output.bias.copy_(bias)
    return head.eval()


def fit_hidden_head(
    features: npt.NDArray[np.float32], targets: Ints, recipe: ClassifierRecipe, *, kind: LabelKind, seed: int
) -> Head:
    """A head with a hidden layer, for fine-tuning to go on from."""
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
