"""How much each member of an ensemble counts."""

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
GRANTED = 10.0  # nats that each part is thought to tell beside what it shows to tell
STEPS = {1: 1, 2: 20, 3: 10}  # of a share, from 0 to 1, by the number of parts
SURENESS = np.geomspace(0.1, 10, 25)
CORRECTIONS = np.linspace(-2, 1, 31)  # times the log shares of the classes
CORRECTION_PRIOR = 4.0  # nats, times the squared correction, that it must gain
LEAST_GAIN = 1.0  # nats of all rows together, below which there is no correction
LEAST_SPREAD = 0.1  # of log odds: what is unsure of everything is not made to say something


@dataclass(frozen=True)
class Blend:
    """How much ULMFiT, the baseline and topics count: probabilities are multiplied, each to the power of its weight.

    A weight of 0 leaves a part out; all at once also sharpen or soften the result, which calibrates it.

    Attributes:
        ulmfit: the weight of ULMFiT.
        baseline: of TF-IDF + logistic regression.
        topics: of topics of texts without a label.
        offsets: what is added to the log probability of each class, (n_classes,); empty: nothing. Regressions on few
            rows hold on to the share of each class too much, and would hardly ever answer with a rare one.
    """

    ulmfit: float = 1.0
    baseline: float = 0.0
    topics: float = 0.0
    offsets: tuple[float, ...] = ()

    @classmethod
    def fit(cls, parts: dict[str, Floats], targets: Ints, *, exclusive: bool = True) -> "Blend":
        """Weights for probabilities of rows that no part has learnt from.

        Each part's log odds are brought to the same spread first: with few labels TF-IDF is right more often than it is
        sure. Then come the share of each part and how sure the whole may be, by least log loss; of one part alone the
        latter (temperature scaling, Guo et al. 2017). Few rows say little about shares, so that these stay near the
        usual ones, times what each part alone tells, unless many rows object. At last the classes' log shares are
        added, times one number.

        Args:
            parts: (n, n_classes) probabilities by name: ``ulmfit``, ``baseline``, ``topics``.
            targets: (n,) class numbers.
            exclusive: whether the columns are classes, whose shares can be corrected for.
        """
        steps = STEPS[len(parts)]
        odds = {name: _log_odds(part) for name, part in parts.items()}
        usual = _usual_shares(odds, targets)
        spreads = {name: _spread(part) for name, part in odds.items()}
        grid = (taken for taken in itertools.product(range(steps + 1), repeat=len(parts)) if sum(taken) == steps)
        best, least = (dict.fromkeys(parts, 0.0), 1.0), np.inf
        for taken in grid:
            shares = {name: step / steps for name, step in zip(parts, taken, strict=True)}
            mixed = _mixed(odds, {name: share / spreads[name] for name, share in shares.items()})
            prior = SHARE_PRIOR * sum((share - usual[name]) ** 2 for name, share in shares.items()) / 2
            for sureness in SURENESS:
                loss = _guarded_loss(sureness * mixed, targets) + prior
                if loss < least:
                    best, least = (shares, float(sureness)), loss
        shares, sureness = best
        weights = {name: sureness * share / spreads[name] for name, share in shares.items()}
        offsets = _offsets(_mixed(odds, weights), targets) if exclusive else ()
        return cls.weighing({name: round(one, 4) for name, one in weights.items()}, offsets)

    @classmethod
    def even(cls, parts: dict[str, Floats]) -> "Blend":
        """All brought to the same spread and counted the same."""
        return cls.weighing({name: 1 / len(parts) / _spread(_log_odds(part)) for name, part in parts.items()})

    @classmethod
    def weighing(cls, weights: dict[str, float], offsets: tuple[float, ...] = ()) -> "Blend":
        """By the names of the parts; one that is not named does not count."""
        return cls(weights.get("ulmfit", 0.0), weights.get("baseline", 0.0), weights.get("topics", 0.0), offsets)

    def apply(self, parts: dict[str, Floats]) -> Floats:
        """(n, n_classes) blended probabilities."""
        if list(parts) == ["ulmfit"] and self.ulmfit == 1 and not self.offsets:
            return parts["ulmfit"]
        mixed = _mixed({name: _log_odds(part) for name, part in parts.items()}, self.weights)
        return softmax(mixed + np.array(self.offsets) if self.offsets else mixed)

    @property
    def weights(self) -> dict[str, float]:
        """By part."""
        return {name: getattr(self, name) for name in USUAL_SHARES[3]}


def _mixed(odds: dict[str, Floats], weights: dict[str, float]) -> Floats:
    return np.asarray(sum(weights[name] * part for name, part in odds.items()), np.float64)


def _guarded_loss(scores: Floats, targets: Ints) -> float:
    """Nats of all rows, and of the guessed ones."""
    nats = -np.log(np.clip(softmax(scores), 1e-12, 1))
    return float(nats[np.arange(len(targets)), targets].sum() + GUESSES * nats.mean())


def _usual_shares(odds: dict[str, Floats], targets: Ints) -> dict[str, float]:
    """Shares that are right for most kinds of texts, times how much each part tells here, in nats.

    What few rows cannot show is granted to each part alike, or else chance would leave out what is best.
    """
    usual, n_classes = USUAL_SHARES[len(odds)], next(iter(odds.values())).shape[1]
    shares = (np.bincount(targets, minlength=n_classes) + 1) / (len(targets) + n_classes)
    untold = float(-np.log(shares)[targets].sum())
    told = {
        name: GRANTED + max(0.0, untold - min(_guarded_loss(sureness * one, targets) for sureness in SURENESS))
        for name, one in odds.items()
    }
    total = sum(usual[name] * told[name] for name in odds)
    return {name: usual[name] * told[name] / total for name in odds}


def _offsets(scores: Floats, targets: Ints) -> tuple[float, ...]:
    """The classes' log shares times the number with the least log loss; empty where that is 0."""
    shares = np.log((np.bincount(targets, minlength=scores.shape[1]) + 1) / (len(targets) + scores.shape[1]))
    losses = [_guarded_loss(scores + c * shares, targets) + CORRECTION_PRIOR * c**2 for c in CORRECTIONS]
    if min(losses) > _guarded_loss(scores, targets) - LEAST_GAIN:
        return ()
    chosen = float(CORRECTIONS[int(np.argmin(losses))])
    return tuple(np.round(chosen * (shares - shares.mean()), 4).tolist())


def _log_odds(probabilities: Floats) -> Floats:
    logs = np.log(np.clip(probabilities, 1e-6, 1))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True), np.float64)


def _spread(odds: Floats) -> float:
    return max(float(odds.std()), LEAST_SPREAD)
