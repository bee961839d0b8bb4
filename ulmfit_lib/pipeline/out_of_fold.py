"""What each member of a classifier says of rows that it was not fitted to, and how the members are weighed by that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.splitting import grouped_folds
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.files import new_file
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.links import log_odds, softmax
from ulmfit_lib.linear.blend import Blend, calibrated_loss, spread
from ulmfit_lib.pipeline.deciding import Goal, learn_rule
from ulmfit_lib.serving.classifier import blend_parts
from ulmfit_lib.training.heads import HeadConfig
from ulmfit_lib.training.regression import row_losses

FOLDS = 5
MIN_ROWS_TO_WEIGH = 20  # what fewer say of the weights of heads and members is chance
LEAST_VOTE = 0.02  # of the best head's, below which a head does not count
MIN_ROWS_TO_COMPARE = 30  # what fewer say of two candidates is chance
STANDARD_ERRORS = 1.0  # by which something must be worse before it is given up
OF_WHAT_PAYS = 2.0  # the same of what usually pays: a few rows against it are more often chance
Split = tuple[Ints, Ints]  # places to learn from, and to score


def stratified_folds(table: TextTable, *, count: int = FOLDS, seed: int) -> list[Split]:
    """Train and test places of a table's rows; texts that are alike share a fold, as far as labels allow.

    A class of which no row would be left to learn from is learnt from whole; so a class's only row is never tested on.
    """
    targets, kind = table.class_numbers(), table.kind
    rows_of_class = kind.count_rows(targets, len(table.classes))
    count = min(count, len(np.unique(table.groups)), int(rows_of_class.max()))
    if count < 2:
        return []
    strata = np.unique([label or "" for label in table.strata], return_inverse=True)[1]
    splits = []
    for train, test in grouped_folds(table.groups, strata, count=count, seed=seed):
        missing = kind.count_rows(targets[train], len(rows_of_class)) == 0
        needed = kind.rows_with(targets[test], missing) if len(test) else np.zeros(0, bool)
        train, test = np.sort(np.concatenate([train, test[needed]])), test[~needed]
        if len(test):
            splits.append((train, test))
    return splits


class UlmfitPredictions(NamedTuple):
    """What ULMFiT alone says of texts that it was not fitted to."""

    by_head: dict[HeadConfig | None, Floats]  # (n, n_classes) probabilities; by None of a fine-tuned encoder
    nearness: Floats | None = None  # (n, 2) of `linear.scope`, where the encoder has learnt what belongs together


@dataclass(frozen=True, eq=False)
class OutOfFoldPredictions:
    """Probabilities of rows, each from members that were fitted to other rows."""

    kind: LabelKind  # of label
    places: Ints  # (n,) the rows' places in their table
    targets: Ints  # (n,) or (n, n_tags), as `LabelKind.targets`
    fold: Ints  # (n,) the number of the fold in which each was held out
    ulmfit: dict[HeadConfig | None, Floats]  # as `UlmfitPredictions`
    linear: dict[str, Floats]  # (n, n_classes) probabilities of `baseline` and `topics`, where there are such members
    nearness: Floats | None = None  # as `UlmfitPredictions`

    def among(self, rows: Ints) -> "OutOfFoldPredictions":
        """Of some of the rows."""
        return OutOfFoldPredictions(
            self.kind,
            self.places[rows],
            self.targets[rows],
            self.fold[rows],
            {config: p[rows] for config, p in self.ulmfit.items()},
            {name: p[rows] for name, p in self.linear.items()},
            None if self.nearness is None else self.nearness[rows],
        )

    def of_folds(self, numbers: Sequence[int] | Ints) -> "OutOfFoldPredictions":
        """Of the rows that were held out in some of the folds."""
        return self.among(np.flatnonzero(np.isin(self.fold, numbers)))

    def row_losses(self, probabilities: Floats) -> Floats:
        """(n_decisions,) log losses."""
        return row_losses(self.kind.decisions(probabilities), self.kind.decided(self.targets))

    def accuracy(self, decided: Ints) -> float:
        """Share of the decisions that are right."""
        return float((decided == self.targets).mean())

    def head_weights(self) -> dict[HeadConfig | None, float]:
        """How much the scores of each head count in ULMFiT's: its prior times its likelihood (Bayesian averaging).

        The likelihood is that of all decisions, once the head is calibrated; of very few rows the prior speaks alone.
        All have the same spread first. A single head is the best one on few rows by chance, and one that holds on to
        zero hard has an intercept that depends on how many rows of each class it has learnt from.
        """
        if len(self.ulmfit) == 1:
            return dict.fromkeys(self.ulmfit, 1.0)
        decisions = {config: self.kind.decisions(p) for config, p in self.ulmfit.items()}
        votes = np.array([config.prior if config else 1.0 for config in decisions])
        if len(self.places) >= MIN_ROWS_TO_WEIGH:
            decided, exclusive = self.kind.decided(self.targets), self.kind.exclusive
            losses = np.array([calibrated_loss(p, decided, exclusive=exclusive) for p in decisions.values()])
            votes *= np.exp(-len(decided) * (losses - losses.min()))
        votes[votes < LEAST_VOTE * votes.max()] = 0
        return {
            config: float(vote / votes.sum() / spread(log_odds(p)))
            for (config, p), vote in zip(decisions.items(), votes, strict=True)
            if vote
        }

    def members(self, heads: Mapping[HeadConfig | None, float]) -> dict[str, Floats]:
        """Each member's probabilities, those of ``ulmfit`` with these heads."""
        (first, weight), *others = heads.items()
        if not others and weight == 1:
            return {"ulmfit": self.ulmfit[first], **self.linear}
        mixed = sum(weight * log_odds(self.kind.decisions(self.ulmfit[head])) for head, weight in heads.items())
        n_classes = self.ulmfit[first].shape[1]
        return {"ulmfit": self.kind.from_decisions(softmax(np.asarray(mixed)), n_classes), **self.linear}

    def blend(self, members: Mapping[str, Floats]) -> Blend:
        """The members' weights with the least log loss; of few rows, ULMFiT alone, calibrated."""
        if len(self.places) < MIN_ROWS_TO_WEIGH:
            members = {"ulmfit": members["ulmfit"]}
        decisions = {name: self.kind.decisions(member) for name, member in members.items()}
        return Blend.fit(decisions, self.kind.decided(self.targets), exclusive=self.kind.exclusive)

    def choose(self, goal: Goal) -> "Choice":
        """How the members' answers become one, by all rows."""
        heads = self.head_weights()
        members = self.members(heads)
        blend = self.blend(members)
        return Choice(heads, blend, learn_rule(blend_parts(members, blend, self.kind), self.targets, self.kind, goal))

    def ulmfit_losses(self) -> Floats:
        """(n_decisions,) log losses of ULMFiT alone, calibrated."""
        alone = replace(self, linear={})
        members = alone.members(alone.head_weights())
        return self.row_losses(blend_parts(members, alone.blend(members), self.kind))

    def held_out(self, goal: Goal) -> "HeldOutAnswers":
        """What the ``ensemble`` and its members say of each row.

        The heads, the weights and the rule by which a row is answered are chosen on the other folds (nested), so that
        no part of the answer has seen its label.
        """
        found: dict[str, Floats] = {}
        decided = np.zeros_like(self.targets)
        for number in np.unique(self.fold):
            rows = np.flatnonzero(self.fold == number)
            others = self.among(np.flatnonzero(self.fold != number))
            choice = (others if len(others.places) else self).choose(goal)
            members = self.among(rows).members(choice.heads)
            said = {ENSEMBLE: blend_parts(members, choice.blend, self.kind), **members}
            decided[rows] = self.kind.decide(said[ENSEMBLE], choice.rule)
            for name, p in said.items():
                found.setdefault(name, np.zeros((len(self.places), p.shape[1])))[rows] = p
        return HeldOutAnswers(found, decided)


@dataclass(frozen=True)
class Choice:
    """How the members' answers become one."""

    heads: Mapping[HeadConfig | None, float]  # weights of the scores of ULMFiT's heads
    blend: Blend  # weights of the members
    rule: DecisionRule  # which label is said, given the probabilities


@dataclass(frozen=True, eq=False)
class HeldOutAnswers:
    """What is said of rows, with every choice made on others."""

    probabilities: dict[str, Floats]  # (n, n_classes) of the `ensemble` and of each member
    decided: Ints  # the ensemble's answers, as `LabelKind.targets`


def concatenate(folds: Sequence[OutOfFoldPredictions]) -> OutOfFoldPredictions:
    """Those of several folds as one."""
    first, near = folds[0], [one.nearness for one in folds if one.nearness is not None]
    return OutOfFoldPredictions(
        first.kind,
        np.concatenate([one.places for one in folds]),
        np.concatenate([one.targets for one in folds]),
        np.concatenate([one.fold for one in folds]),
        {config: np.concatenate([one.ulmfit[config] for one in folds]) for config in first.ulmfit},
        {name: np.concatenate([one.linear[name] for one in folds]) for name in first.linear},
        None if not near else np.concatenate(near),
    )


def clearly_worse(losses: Floats, others: Floats, *, errors: float = STANDARD_ERRORS) -> bool:
    """Whether the first are higher than the others by more than chance may do, which is so many standard errors.

    Both are (n,) losses of the same decisions.
    """
    worse = losses - others
    return bool(worse.mean() > errors * worse.std() / np.sqrt(len(worse)))


def worse_so_far(
    folds: Sequence[OutOfFoldPredictions], others: OutOfFoldPredictions, *, errors: float = STANDARD_ERRORS
) -> bool:
    """Whether ULMFiT is clearly worse in the first folds than that of ``others`` in the same ones."""
    same = others.of_folds(range(len(folds)))
    return clearly_worse(concatenate(folds).ulmfit_losses(), same.ulmfit_losses(), errors=errors)


def write_predictions(path: Path, predictions: OutOfFoldPredictions) -> None:
    """All of it but the kind of label, without a pickle."""
    arrays: dict[str, Any] = {"places": predictions.places, "targets": predictions.targets, "fold": predictions.fold}
    for head, p in predictions.ulmfit.items():
        name = " ".join(map(str, head)) if head else ""
        arrays[f"ulmfit/{name}"] = p
    for name, p in predictions.linear.items():
        arrays[f"linear/{name}"] = p
    if predictions.nearness is not None:
        arrays["nearness"] = predictions.nearness
    with new_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_predictions(path: Path, kind: LabelKind) -> OutOfFoldPredictions:
    """What ``write_predictions`` wrote."""
    ulmfit: dict[HeadConfig | None, Any] = {}
    linear: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for member, _, name in (one.partition("/") for one in arrays):
            if member == "ulmfit":
                pooling, *c = name.split(" ")
                head = HeadConfig(pooling, float(c[0]), c[1:] == ["True"]) if c else None
                ulmfit[head] = arrays[f"{member}/{name}"]
            elif member == "linear":
                linear[name] = arrays[f"{member}/{name}"]
        near = arrays.get("nearness")
        return OutOfFoldPredictions(kind, arrays["places"], arrays["targets"], arrays["fold"], ulmfit, linear, near)
