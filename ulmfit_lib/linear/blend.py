"""How much each part of what is delivered counts."""

import itertools
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.labels.links import softmax

# Of each part, by the number of parts; found with 100 to 500 labels of training rows of six kinds of texts.
USUAL_SHARES = {
    1: {"ulmfit": 1.0},
    2: {"ulmfit": 0.8, "baseline": 0.2},
    3: {"ulmfit": 0.6, "baseline": 0.1, "topics": 0.3},
}
SHARE_PRIOR = 20.0  # nats, times the squared distance, that shares must gain over the usual ones
GUESSES = 2  # rows of any class, in thought: else few rows that are all right would make it sure without bounds
STEPS = 20  # of a share, from 0 to 1


@dataclass(frozen=True)
class Blend:
    """How much ULMFiT, the baseline and topics count: probabilities are multiplied, each to the power of its weight.

    A weight of 0 leaves a part out; all at once also sharpen or soften the result, which calibrates it.
    """

    ulmfit: float = 1.0
    baseline: float = 0.0
    topics: float = 0.0

    @classmethod
    def fit(cls, parts: dict[str, Floats], targets: Ints) -> "Blend":
        """Weights for probabilities of rows that no part has learnt from.

        Each part's log odds are brought to the same spread first: with few labels TF-IDF is right more often than it is
        sure. Then come the share of each part and how sure the whole may be, by least log loss; of one part alone the
        latter (temperature scaling, Guo et al. 2017). Few rows say little about shares, so that these stay near the
        usual ones unless many rows object.

        Args:
            parts: (n, n_classes) probabilities by name: ``ulmfit``, ``baseline``, ``topics``.
            targets: (n,) class numbers.
        """
        usual = USUAL_SHARES[len(parts)]
        odds = {name: _log_odds(part) for name, part in parts.items()}
        spreads = {name: _spread(part) for name, part in odds.items()}
        grid = (steps for steps in itertools.product(range(STEPS + 1), repeat=len(parts)) if sum(steps) == STEPS)
        best, least = cls(), np.inf
        for steps in grid:
            shares = {name: step / STEPS for name, step in zip(parts, steps, strict=True)}
            mixed = sum(share / spreads[name] * odds[name] for name, share in shares.items())
            prior = SHARE_PRIOR * sum((share - usual[name]) ** 2 for name, share in shares.items()) / 2
            for sureness in np.geomspace(0.1, 10, 25):
                nats = -np.log(np.clip(softmax(np.asarray(sureness * mixed)), 1e-12, 1))
                loss = float(nats[np.arange(len(targets)), targets].sum() + GUESSES * nats.mean() + prior)
                if loss < least:
                    least = loss
                    weights = {name: sureness * share / spreads[name] for name, share in shares.items()}
                    best = cls(**{name: round(float(one), 4) for name, one in weights.items()})
        return best

    @classmethod
    def even(cls, parts: dict[str, Floats]) -> "Blend":
        """All brought to the same spread and counted the same."""
        return cls(**{name: 1 / len(parts) / _spread(_log_odds(part)) for name, part in parts.items()})

    def apply(self, parts: dict[str, Floats]) -> Floats:
        """(n, n_classes) blended probabilities."""
        if list(parts) == ["ulmfit"] and self.ulmfit == 1:
            return parts["ulmfit"]
        return softmax(np.asarray(sum(getattr(self, name) * _log_odds(part) for name, part in parts.items())))


def _log_odds(probabilities: Floats) -> Floats:
    logs = np.log(np.clip(probabilities, 1e-6, 1))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True), np.float64)


def _spread(odds: Floats) -> float:
    return max(float(odds.std()), 1e-6)
