"""Logistic regression, solved exactly, its C chosen by cross-validation."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.labels.kind import LabelKind

MAX_SEARCHED_ROWS = 5000  # that the choice of C looks at
FEW_NUMBERS = 3_000_000  # in a matrix for which several threads would wait for each other most of the time


def solve(
    features: Any, targets: npt.NDArray[Any], *, c: float, class_weights: str | None = None
) -> tuple[Floats, Floats]:
    """Logistic regression's coefficients, (n_classes, width), and intercepts, (n_classes,); two classes have one row.

    ``features``, (n, width), may be sparse; ``targets`` are (n,) classes, or (n, n_tags) of 0 and 1, for a regression a
    tag.
    """
    return solve_path(features, targets, [c], class_weights=class_weights)[0]


def solve_path(
    features: Any, targets: npt.NDArray[Any], c_values: Sequence[float], *, class_weights: str | None = None
) -> list[tuple[Floats, Floats]]:
    """``solve`` for one C after the other, from small to large, each starting from the one before.

    A solution is a sum of the rows; where there are fewer rows than columns, it is sought among these sums, which is
    as exact and takes a tenth of the time.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if np.prod(features.shape) < FEW_NUMBERS else None):
        if issparse(features) or len(features) >= features.shape[1]:
            return _solutions(features, targets, c_values, class_weights)
        basis, triangle = np.linalg.qr(np.asarray(features, np.float64).T)
        found = _solutions(np.ascontiguousarray(triangle.T), targets, c_values, class_weights)
        return [(weights @ basis.T, biases) for weights, biases in found]


def _solutions(
    features: Any, targets: npt.NDArray[Any], c_values: Sequence[float], class_weights: str | None
) -> list[tuple[Floats, Floats]]:
    from sklearn.linear_model import LogisticRegression

    columns = np.atleast_2d(targets.T)
    models = [LogisticRegression(max_iter=2000, class_weight=class_weights, warm_start=True) for _ in columns]
    found = []
    for c in c_values:
        parts = []
        for column, model in zip(columns, models, strict=True):
            if (column == column[0]).all():  # nothing to tell apart: a tag that all texts have, or none
                odds = (column.sum() + 0.5) / (len(column) - column.sum() + 0.5)
                parts.append((np.zeros((1, features.shape[1])), np.log([odds])))
            else:
                model.set_params(C=c).fit(features, column)
                parts.append((model.coef_.copy(), model.intercept_.copy()))
        found.append((np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])))
    return found


def cross_validated_loss(
    features: npt.NDArray[Any],
    targets: Ints,
    c_values: Sequence[float],
    *,
    kind: LabelKind,
    class_weights: str | None,
    seed: int,
) -> dict[float, float]:
    """Mean log loss of a held-out decision, by C; {} where two folds cannot be made."""
    rows = np.random.default_rng(seed).permutation(len(targets))[:MAX_SEARCHED_ROWS]
    features, targets = features[rows], kind.without_gaps(targets[rows])  # a rare class may have no row among these
    losses: dict[float, list[Floats]] = {}
    for train, test in folds(targets, kind=kind, most=3, seed=seed):
        truth = kind.decided(targets[test])
        path = solve_path(features[train], targets[train], c_values, class_weights=class_weights)
        for c, (weights, biases) in zip(c_values, path, strict=True):
            decisions = kind.decisions(kind.link(features[test] @ weights.T + biases))
            losses.setdefault(c, []).append(row_losses(decisions, truth))
    return {c: float(np.concatenate(some).mean()) for c, some in losses.items()}


def row_losses(decisions: Floats, truth: Ints) -> Floats:
    """(n,) log losses of (n, n_choices) probabilities, given the (n,) numbers of the right choices."""
    return np.asarray(-np.log(np.clip(decisions[np.arange(len(truth)), truth], 1e-12, 1)))


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
