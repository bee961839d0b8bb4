"""How much each member of an ensemble counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.labels.links import log_odds, softmax

# Of each member, by the number of members; found with 100 to 500 labels of training rows of six kinds of texts.
USUAL_SHARES = {
    1: {"ulmfit": 1.0},
    2: {"ulmfit": 0.8, "baseline": 0.2},
    3: {"ulmfit": 0.6, "baseline": 0.1, "topics": 0.3},
}
WEIGHT_PENALTY = 2.0  # nats, times half the squared distance from the usual weight, of log odds with a spread of 1
SHARES_PENALTY = 1.0  # the same of the classes' log shares, whose usual weight is 0
LEAST_WEIGHT = 0.1  # of a member, times the usual one
LEAST_SPREAD = 1e-3  # of log odds
MAX_STEPS = 50  # of Newton's method
TOLERANCE = 1e-6  # of a step


@dataclass(frozen=True)
class Blend:
    """How much ULMFiT, the baseline and topics count: probabilities are multiplied, each to the power of its weight.

    A weight of 0 leaves a member out; all at once also sharpen or soften the result, which calibrates it.
    """

    ulmfit: float = 1.0  # the weight of ULMFiT
    baseline: float = 0.0  # of TF-IDF + logistic regression
    topics: float = 0.0  # of topics of texts without a label
    # What is added to the log probability of each class, (n_classes,); empty: nothing. Regressions on few rows hold on
    # to the share of each class too much.
    offsets: tuple[float, ...] = ()

    @classmethod
    def fit(cls, members: dict[str, Floats], targets: Ints, *, exclusive: bool = True) -> "Blend":
        """Weights for probabilities of rows that no member has learnt from: one regression on all members' log odds.

        Each member's log odds are brought to the same spread first: with few labels TF-IDF is right more often than it
        is sure. The classes' log shares stand beside them, as regressions on few rows hold on to these too much. The
        weights have the least log loss; of one member that is temperature scaling (Guo et al. 2017). As few rows say
        little, they are drawn towards the usual ones, and no member counts less than a tenth of that: one that few rows
        speak against may still be right, and without any the answer would be the same for every text.

        Members are (n, n_classes) probabilities by name, targets (n,) class numbers; ``exclusive`` columns are classes,
        whose shares can be corrected for.
        """
        weights, offsets, _ = _fit_weights({name: log_odds(p) for name, p in members.items()}, targets, exclusive)
        named = {name: round(weight, 4) for name, weight in weights.items()}
        return cls.weighing(named, tuple(np.round(offsets, 4).tolist()) if exclusive else ())

    @classmethod
    def even(cls, members: dict[str, Floats]) -> "Blend":
        """All brought to the same spread and counted the same."""
        return cls.weighing({name: 1 / len(members) / spread(log_odds(p)) for name, p in members.items()})

    @classmethod
    def weighing(cls, weights: dict[str, float], offsets: tuple[float, ...] = ()) -> "Blend":
        """By the names of the members; one that is not named does not count."""
        return cls(weights.get("ulmfit", 0.0), weights.get("baseline", 0.0), weights.get("topics", 0.0), offsets)

    def apply(self, members: dict[str, Floats]) -> Floats:
        """(n, n_classes) blended probabilities."""
        if list(members) == ["ulmfit"] and self.ulmfit == 1 and not self.offsets:
            return members["ulmfit"]
        mixed = sum(self.weights[name] * log_odds(p) for name, p in members.items())
        return softmax(np.asarray(mixed + np.array(self.offsets) if self.offsets else mixed, np.float64))

    @property
    def weights(self) -> dict[str, float]:
        """By member."""
        return {name: getattr(self, name) for name in USUAL_SHARES[3]}


def calibrated_loss(probabilities: Floats, targets: Ints, *, exclusive: bool = True) -> float:
    """Mean nats of (n, n_classes) probabilities as ``Blend.fit`` would correct them, with what the penalty adds."""
    return _fit_weights({"ulmfit": log_odds(probabilities)}, targets, exclusive)[2] / len(targets)


def log_shares(targets: Ints, n_classes: int) -> Floats:
    """(n_classes,) the logarithm of each class's share of the rows, one more row of each granted."""
    counts = np.bincount(targets, minlength=n_classes) + 1
    return np.asarray(np.log(counts / counts.sum()), np.float64)


def spread(odds: Floats) -> float:
    """The standard deviation of log odds; a small number where they are all the same."""
    return max(float(odds.std()), LEAST_SPREAD)


def _fit_weights(odds: dict[str, Floats], targets: Ints, exclusive: bool) -> tuple[dict[str, float], Floats, float]:
    """Each member's weight, the classes' offsets, and the nats of all rows with the penalty."""
    spreads = {name: spread(one) for name, one in odds.items()}
    usual = [USUAL_SHARES[len(odds)][name] for name in odds]
    if not exclusive:
        features = np.stack([one / spreads[name] for name, one in odds.items()], axis=2)
        found, nats = _regress(features, targets, usual, [WEIGHT_PENALTY] * len(odds))
        return _unscaled(found, spreads), np.zeros(0), nats
    shares = log_shares(targets, next(iter(odds.values())).shape[1])
    shares -= shares.mean()
    columns = [one / spreads[name] for name, one in odds.items()]
    features = np.stack([*columns, np.broadcast_to(shares, columns[0].shape)], axis=2)
    found, nats = _regress(features, targets, [*usual, 0.0], [*[WEIGHT_PENALTY] * len(odds), SHARES_PENALTY])
    return _unscaled(found[:-1], spreads), found[-1] * shares, nats


def _unscaled(found: Floats, spreads: dict[str, float]) -> dict[str, float]:
    return {name: float(weight) / one for weight, (name, one) in zip(found, spreads.items(), strict=True)}


def _regress(
    features: Floats, targets: Ints, usual: Sequence[float], penalties: Sequence[float]
) -> tuple[Floats, float]:
    """Weights, (n_features,), of a regression whose scores are weighted sums of features, and its penalised nats.

    Newton's method: the loss is convex. Features are (n, n_classes, n_features), targets (n,) class numbers. Weights
    are drawn towards the ``usual`` ones by ``penalties``, nats times half the squared distance; one that would fall
    below its least one stays there.
    """
    truth, expected, penalty = np.eye(features.shape[1])[targets], np.array(usual), np.array(penalties)
    weights, free = expected.copy(), np.arange(len(usual))
    least = np.where(expected > 0, LEAST_WEIGHT * expected, -np.inf)
    for _ in range(MAX_STEPS):
        seen = features[:, :, free]
        p = softmax(features @ weights)
        gradient = np.einsum("nk,nkj->j", p - truth, seen) + (penalty * (weights - expected))[free]
        mean = np.einsum("nk,nkj->nj", p, seen)
        curvature = np.einsum("nki,nkj->ij", p[:, :, None] * seen, seen) - mean.T @ mean + np.diag(penalty[free])
        step = np.linalg.solve(curvature, gradient)
        weights[free] -= step
        low = free[weights[free] < least[free]]
        weights[low], free = least[low], np.setdiff1d(free, low)
        if not len(low) and np.abs(step).max(initial=0) < TOLERANCE:
            break
    likelihood = softmax(features @ weights)[np.arange(len(targets)), targets]
    nats = -np.log(np.clip(likelihood, 1e-12, 1)).sum() + penalty @ (weights - expected) ** 2 / 2
    return weights, float(nats)
