"""Scores -> probabilities."""

import numpy as np

from ulmfit_lib.arrays import Floats


def softmax(scores: Floats) -> Floats:
    """Rows of scores -> rows of probabilities, (n, n_classes) both.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def log_odds(probabilities: Floats) -> Floats:
    """Each probability's logarithm less the row's mean: ``softmax`` undone, (n, n_classes) both.

    >>> log_odds(np.array([[0.5, 0.5]])).tolist()
    [[0.0, 0.0]]
    """
    logs = np.log(np.clip(probabilities, 1e-6, 1))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True), np.float64)


def sigmoid(scores: Floats) -> Floats:
    """Each score -> a probability of its own.

    >>> sigmoid(np.array([0.0])).tolist()
    [0.5]
    """
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -700, 700))), np.float64)
