"""The rule by which probabilities become labels, learnt on rows that no member has learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.decision import ACCURACY, BALANCE, COST, GOALS, RECALL, DecisionRule
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.links import sigmoid, softmax
from ulmfit_lib.labels.ratings import Ratings, read_rating
from ulmfit_lib.linear.blend import log_shares
from ulmfit_lib.rows.reader import read_rows

STRENGTHS = np.linspace(0, 1.5, 61)  # how much of the classes' log shares is taken back; 1: all classes count the same
STRETCHES = np.linspace(0.8, 2.4, 17)  # of expected ratings away from their mean, to which they are drawn
SOFTNESS = 0.1  # of a decision, in log odds: two classes this close to each other are both said a little
TRUSTED = 0.5  # how much a row's probabilities count beside its label: single labels are noisy
GIVEN_UP = 0.01  # of the accuracy, at most, for macro F1
RESAMPLES = 50
COST_COLUMNS = ("label", "predicted", "cost")
FEWEST_ROWS = 20  # from which a rule is learnt
FEWEST_OF_CLASS = 5  # rows of each class, from which on a classifier must not say one class only


@dataclass(frozen=True)
class Goal:
    """What decisions should be good at."""

    name: str = BALANCE  # one of `GOALS`
    # Of `cost`: (n_classes, n_classes) what a mistake costs, by true class, then by the class that is said.
    costs: tuple[tuple[float, ...], ...] = ()


def find_goal(name: str, classes: Sequence[str], kind: LabelKind) -> Goal:
    """A goal by its name, ``auto``, ``accuracy``, ``macro-f1`` or ``balanced``; or ``cost:FILE``.

    The file has the columns ``label``, ``predicted`` and ``cost``: what it costs to say ``predicted`` of a text whose
    label is ``label``. A mistake that it does not name costs 1.
    """
    start, _, file = name.partition(":")
    if start != COST or not file:
        if name not in GOALS or name == COST:
            known = ", ".join(one for one in GOALS if one != COST)
            raise OptionError(f"--decide-for {name}: known are {known} and {COST}:FILE")
        return Goal(name)
    if not kind.exclusive:
        raise OptionError(f"--decide-for {name}: costs need one label a text; use macro-f1 or accuracy")
    costs = 1 - np.eye(len(classes))
    for rows in read_rows(Path(file), COST_COLUMNS):
        for number, *cells in zip(rows.numbers, *(rows.column(one) for one in COST_COLUMNS), strict=True):
            true, said, cost = (str(cell).strip() for cell in cells)
            for label in (true, said):
                if label not in classes:
                    raise DataError(f"{file}: row {number} names the label {label!r}; there are {', '.join(classes)}")
            value = read_rating(cost)
            if value is None or value < 0:
                raise DataError(f"{file}: row {number} has the cost {cost!r}; a number of 0 or more is needed")
            costs[classes.index(true), classes.index(said)] = value
    if not (costs.sum(1) > 0).any():
        raise DataError(f"{file}: no mistake costs anything; give at least one a cost of more than 0")
    return Goal(COST, tuple(map(tuple, costs.tolist())))


def learn_rule(probabilities: Floats, targets: Ints, kind: LabelKind, goal: Goal, *, seed: int = 0) -> DecisionRule:
    """The rule for a goal, from (n, n_classes) calibrated probabilities of rows that nothing has learnt from.

    Of each class's log share of the rows a part is taken back (logit adjustment, Menon et al. 2021), or of costs, the
    logarithm of what it costs to miss a class is added: one number is learnt, as few rows say no more. It is the mean
    of those that are best on rows drawn again at random (bagging, Breiman 1996). Half of a row's weight is on its label
    and half on its probabilities, since single labels are noisy.

    Of tags, ``auto`` stands for micro F1, as long as that costs few rows of which all tags were right. Where every row
    has a tag, every text will be given one. Of ratings, it stands for the mean absolute error, and what is learnt is
    how far the points between two numbers lie apart: expected ratings lie too close to their mean.
    """
    n, n_classes = probabilities.shape
    if isinstance(kind, Ratings):
        return _learn_cuts(probabilities, targets, kind, goal, seed)
    if goal.name == ACCURACY or n < FEWEST_ROWS:
        return DecisionRule(goal.name)
    odds, direction = kind.log_odds(probabilities), _direction(targets, kind, goal, n_classes)
    link = softmax if kind.exclusive else sigmoid
    soft = np.stack([link((odds + strength * direction) / SOFTNESS) for strength in STRENGTHS])
    truth = np.eye(n_classes)[targets] if kind.exclusive else targets
    truth = (1 - TRUSTED) * truth + TRUSTED * probabilities
    at_least_one = not kind.exclusive and bool(targets.any(1).all())

    def rule(strength: float) -> DecisionRule:
        offsets = np.round(strength * direction, 4)
        return DecisionRule(goal.name, tuple(offsets.tolist()) if offsets.any() else (), at_least_one)

    right = (soft * truth).sum(2)
    if not kind.exclusive:
        right = np.stack([(kind.decide(probabilities, rule(one)) == targets).all(1) for one in STRENGTHS])
    best = [float(STRENGTHS[_worth(soft, truth, right, draw, kind, goal).argmax()]) for draw in _draws(n, seed)]
    strength = float(np.mean(best))
    if kind.exclusive and kind.count_rows(targets, n_classes).min() >= FEWEST_OF_CLASS:
        strength = _enough_for_two(odds, direction, strength)
    decided = kind.decide(probabilities, rule(strength))
    stable = np.mean([kind.decide(probabilities, rule(other)) == decided for other in best])
    return replace(rule(strength), stable=round(float(stable), 3))


def _draws(n: int, seed: int) -> Ints:
    """(RESAMPLES, n) how often each row counts where rows are drawn again at random."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES)


def _learn_cuts(probabilities: Floats, targets: Ints, kind: Ratings, goal: Goal, seed: int) -> DecisionRule:
    """The points between the numbers of ratings; none where a mean is said, or of few rows.

    They are drawn half of the way to the middle between the numbers.
    """
    n, n_classes = probabilities.shape
    if not kind.exact or n < FEWEST_ROWS:
        return DecisionRule(goal.name)
    if goal.name in (BALANCE, ACCURACY):
        apart = np.abs(np.subtract.outer(kind.values, kind.values))
        costs = apart if goal.name == BALANCE else 1 - np.eye(n_classes)
        goal = Goal(goal.name, tuple(map(tuple, costs.tolist())))
    middle, expected = kind.nearest_cuts(), kind.expected(probabilities)

    def rule(stretch: float) -> DecisionRule:
        cuts = expected.mean() + (middle - expected.mean()) / stretch
        return DecisionRule(goal.name, cuts=tuple(np.round(cuts, 4).tolist()))

    said = np.stack([np.eye(n_classes)[kind.decide(probabilities, rule(one))] for one in STRETCHES])
    truth = np.eye(n_classes)[targets]
    right = (said * truth).sum(2)
    best = [float(STRETCHES[_worth(said, truth, right, draw, kind, goal).argmax()]) for draw in _draws(n, seed)]
    found = rule((1 + float(np.mean(best))) / 2)
    decided = kind.decide(probabilities, found)
    stable = np.mean([kind.decide(probabilities, rule((1 + other) / 2)) == decided for other in best])
    return replace(found, stable=round(float(stable), 3))


def _direction(targets: Ints, kind: LabelKind, goal: Goal, n_classes: int) -> Floats:
    """(n_classes,) offsets at a strength of 1."""
    if goal.costs:
        logs = np.log(np.maximum(np.array(goal.costs).sum(1), 1e-6))
        return np.asarray(logs - logs.mean(), np.float64)
    if not kind.exclusive:
        counts = kind.count_rows(targets, n_classes) + 1.0
        return np.asarray(np.log(np.maximum(len(targets) + 2 - counts, 1) / counts), np.float64)
    shares = log_shares(targets, n_classes)
    return np.asarray(shares.mean() - shares, np.float64)


def _worth(soft: Floats, truth: Floats, right: Floats, rows: Ints, kind: LabelKind, goal: Goal) -> Floats:
    """(n_strengths,) how well each does.

    Args:
        soft: (n_strengths, n, n_classes) how far each class is said.
        truth: (n, n_classes) how far each class is right.
        right: (n_strengths, n) how far all that is said of a row is right.
        rows: (n,) how often each row counts.
    """
    weighed = truth * rows[:, None]
    if goal.costs:
        confusion = np.einsum("nj,snk->sjk", weighed, soft)
        return -np.asarray((confusion * np.array(goal.costs)).sum((1, 2)))
    hits, said, there = np.einsum("nk,snk->sk", weighed, soft), np.einsum("n,snk->sk", rows, soft), weighed.sum(0)
    if goal.name == RECALL:
        return np.asarray((hits / np.maximum(there, 1e-9)).mean(1))
    f1 = (2 * hits / np.maximum(said + there, 1e-9)).mean(1)
    if goal.name == BALANCE:
        if not kind.exclusive:
            f1 = 2 * hits.sum(1) / np.maximum(said.sum(1) + there.sum(), 1e-9)  # micro F1
        accuracy = right @ rows / rows.sum()
        f1[accuracy < accuracy.max() - GIVEN_UP] = 0
    return np.asarray(f1)


def _enough_for_two(odds: Floats, direction: Floats, strength: float) -> float:
    """The strength, or the next one at which not all rows are said to be of one class, if there is any."""
    for stronger in (strength, *STRENGTHS[strength < STRENGTHS]):
        said = (odds + stronger * direction).argmax(1)
        if (said != said[0]).any():
            return float(stronger)
    return strength
