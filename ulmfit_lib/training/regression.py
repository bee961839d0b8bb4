"""Logistic regression, solved exactly, its strength chosen by cross-validation."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.labels.kind import LabelKind

CHOOSING_ROWS = 5000  # rows that the choice of a strength looks at


def solve(
    features: Any, targets: npt.NDArray[Any], *, strength: float, class_weights: str | None = None
) -> tuple[Floats, Floats]:
    """Logistic regression's coefficients, (n_classes, width), and intercepts, (n_classes,); two classes have one row.

    Args:
        features: (n, width), dense or sparse.
        targets: (n,) classes; or (n, n_tags) of 0 and 1, for a regression a tag.
        strength: scikit-learn's C.
        class_weights: ``balanced`` or None.
    """
    from sklearn.linear_model import LogisticRegression

    parts = []
    for column in np.atleast_2d(targets.T):
        if (column == column[0]).all():  # nothing to tell apart: a tag that all texts have, or none
            odds = (column.sum() + 0.5) / (len(column) - column.sum() + 0.5)
            parts.append((np.zeros((1, features.shape[1])), np.log([odds])))
        else:
            model = LogisticRegression(C=strength, max_iter=2000, class_weight=class_weights).fit(features, column)
            parts.append((model.coef_, model.intercept_))
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])


def cross_validated_loss(
    features: npt.NDArray[Any], targets: Ints, strengths: Sequence[float], *, kind: LabelKind,
    class_weights: str | None, seed: int,
) -> dict[float, float]:  # fmt: skip
    """Nats a decision, by strength, on rows that were not learnt from; {} where two folds cannot be made."""
    rows = np.random.default_rng(seed).permutation(len(targets))[:CHOOSING_ROWS]
    features, targets = features[rows], kind.without_gaps(targets[rows])  # a rare class may have no row among these
    splits = folds(targets, kind=kind, most=3, seed=seed)

    def loss(strength: float) -> float:
        nats = []
        for train, test in splits:
            weights, biases = solve(features[train], targets[train], strength=strength, class_weights=class_weights)
            decisions = kind.decisions(kind.link(features[test] @ weights.T + biases))
            truth = kind.decided(targets[test])
            nats.append(-np.log(np.clip(decisions[np.arange(len(truth)), truth], 1e-12, 1)))
        return float(np.concatenate(nats).mean())

    return {strength: loss(strength) for strength in strengths} if splits else {}


def folds(targets: Ints, *, kind: LabelKind, most: int = 5, seed: int = 0) -> list[tuple[Any, Any]]:
    """Stratified train and test places, ``most`` folds or what the commonest class allows; [] where two cannot be made.

    Every class is among those to learn from, so that its only row is never tested on. Rows of tags are parted at
    random.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    counts = kind.count_rows(targets)
    rows = np.flatnonzero(~kind.rows_with(targets, counts == 1))
    count = min(most, int(counts.max()) if kind.exclusive else len(rows))
    if count < 2:
        return []
    splitter = (StratifiedKFold if kind.exclusive else KFold)(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # its rows lie in different folds
        tests = [rows[test] for _, test in splitter.split(rows, targets[rows])]
    splits = [(np.setdiff1d(np.arange(len(targets)), test), test) for test in tests]
    return [split for split in splits if kind.count_rows(targets[split[0]], len(counts))[counts > 0].all()]
