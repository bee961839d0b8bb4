"""Logistic regression, solved exactly, its strength chosen by cross-validation."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.data.splitting import class_counts
from ulmfit_lib.data.tags import as_decisions

CHOOSING_ROWS = 5000  # rows that the choice of a strength looks at
Floats = npt.NDArray[np.float64]


def solve(
    features: Any, targets: npt.NDArray[Any], *, strength: float, class_weights: str | None = None
) -> tuple[Floats, Floats]:
    """Logistic regression's coefficients, (n_classes, width), and intercepts, (n_classes,); two classes have one row.

    Args:
        features: (n, width), dense or sparse.
        targets: (n,) classes; or (n, n_tags) of 0 and 1, for a regression per tag.
        strength: scikit-learn's C.
        class_weights: ``balanced`` or None.
    """
    from sklearn.linear_model import LogisticRegression

    columns = targets.T if targets.ndim == 2 else [targets]
    parts = []
    for column in columns:
        if targets.ndim == 2 and column.min() == column.max():  # nothing to tell apart
            odds = (column.sum() + 0.5) / (len(column) - column.sum() + 0.5)
            parts.append((np.zeros((1, features.shape[1])), np.log([odds])))
        else:
            model = LogisticRegression(C=strength, max_iter=2000, class_weight=class_weights).fit(features, column)
            parts.append((model.coef_, model.intercept_))
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])


def link(scores: Floats, *, tags: bool) -> Floats:
    """(n, n_classes) scores, one column for two classes, -> probabilities; of ``tags`` each for itself."""
    if tags:
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -700, 700))), np.float64)
    return softmax(np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores)


def softmax(scores: Floats) -> Floats:
    """Rows of scores -> rows of probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def cross_validated_loss(
    features: npt.NDArray[Any], targets: npt.NDArray[np.int64], strengths: Sequence[float], *,
    class_weights: str | None, seed: int,
) -> dict[float, float]:
    """Nats a decision, by strength, on rows that were not learnt from; {} where two folds cannot be made."""
    rows = np.random.default_rng(seed).permutation(len(targets))[:CHOOSING_ROWS]
    features, targets = features[rows], targets[rows]
    tags = targets.ndim == 2
    if not tags:
        targets = np.unique(targets, return_inverse=True)[1]  # a rare class may have no row among these
    splits = folds(targets, most=3, seed=seed)

    def loss(strength: float) -> float:
        nats = []
        for train, test in splits:
            weights, biases = solve(features[train], targets[train], strength=strength, class_weights=class_weights)
            probabilities, truth = link(features[test] @ weights.T + biases, tags=tags), targets[test]
            if tags:
                probabilities, truth = as_decisions(probabilities), truth.reshape(-1)
            nats.append(-np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-12, 1)))
        return float(np.concatenate(nats).mean())

    return {strength: loss(strength) for strength in strengths} if splits else {}


def folds(targets: npt.NDArray[np.int64], *, most: int = 5, seed: int = 0) -> list[tuple[Any, Any]]:
    """Stratified train and test places, ``most`` folds or what the commonest class allows; [] where two cannot be made.

    Every class is among those to learn from, so that its only row is never tested on. Where a text has several labels,
    (n, n_tags), the rows are parted at random.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    tags, counts = targets.ndim == 2, class_counts(targets)
    only = targets[:, counts == 1].any(1) if tags else counts[targets] == 1
    rows = np.flatnonzero(~only)
    count = min(most, len(rows) if tags else int(counts.max()))
    if count < 2:
        return []
    splitter = (KFold if tags else StratifiedKFold)(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # its rows lie in different folds
        tests = [rows[test] for _, test in splitter.split(rows, targets[rows])]
    splits = [(np.setdiff1d(np.arange(len(targets)), test), test) for test in tests]
    return [split for split in splits if class_counts(targets[split[0]], len(counts))[counts > 0].all()]
