"""What each member of a classifier says of rows that it was not fitted to, and how the members are weighed by that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.splitting import grouped_folds
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.serving.classifier import blend_parts
from ulmfit_lib.training.heads import HeadConfig
from ulmfit_lib.training.regression import row_losses

FOLDS = 5
MIN_ROWS_TO_WEIGH = 20  # what fewer say of the members' weights is chance
STANDARD_ERRORS = 1.0  # by which something must be worse before it is given up
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


@dataclass(frozen=True, eq=False)
class OutOfFoldPredictions:
    """Probabilities of rows, each from members that were fitted to other rows.

    Attributes:
        kind: of label.
        places: (n,) the rows' places in their table.
        targets: (n,) or (n, n_tags), as ``LabelKind.targets``.
        fold: (n,) the number of the fold in which each was held out.
        ulmfit: (n, n_classes) probabilities by the configuration of the head; by None of a fine-tuned encoder.
        linear: (n, n_classes) probabilities of ``baseline`` and ``topics``, where there are such members.
    """

    kind: LabelKind
    places: Ints
    targets: Ints
    fold: Ints
    ulmfit: dict[HeadConfig | None, Floats]
    linear: dict[str, Floats]

    def among(self, rows: Ints) -> "OutOfFoldPredictions":
        """Of some of the rows."""
        return OutOfFoldPredictions(
            self.kind,
            self.places[rows],
            self.targets[rows],
            self.fold[rows],
            {config: p[rows] for config, p in self.ulmfit.items()},
            {name: p[rows] for name, p in self.linear.items()},
        )

    def of_folds(self, numbers: Sequence[int] | Ints) -> "OutOfFoldPredictions":
        """Of the rows that were held out in some of the folds."""
        return self.among(np.flatnonzero(np.isin(self.fold, numbers)))

    def row_losses(self, probabilities: Floats) -> Floats:
        """(n_decisions,) log losses."""
        return row_losses(self.kind.decisions(probabilities), self.kind.decided(self.targets))

    def accuracy(self, probabilities: Floats) -> float:
        """Share of the decisions that are right."""
        return float((self.kind.decisions(probabilities).argmax(1) == self.kind.decided(self.targets)).mean())

    def best_head(self) -> HeadConfig | None:
        """The configuration with the least log loss."""
        return min(self.ulmfit, key=lambda config: float(self.row_losses(self.ulmfit[config]).mean()))

    def members(self, head: HeadConfig | None) -> dict[str, Floats]:
        """Each member's probabilities, those of ``ulmfit`` with this head."""
        return {"ulmfit": self.ulmfit[head], **self.linear}

    def blend(self, head: HeadConfig | None) -> Blend:
        """The members' weights with the least log loss; of few rows, ULMFiT alone."""
        if len(self.places) < MIN_ROWS_TO_WEIGH:
            return Blend()
        decisions = {name: self.kind.decisions(member) for name, member in self.members(head).items()}
        return Blend.fit(decisions, self.kind.decided(self.targets), exclusive=self.kind.exclusive)

    def ulmfit_losses(self) -> Floats:
        """(n_decisions,) log losses of ULMFiT alone, with its best head, calibrated."""
        alone = replace(self, linear={})
        head = alone.best_head()
        return self.row_losses(blend_parts(alone.members(head), alone.blend(head), self.kind))

    def ensemble(self) -> dict[str, Floats]:
        """Probabilities of the ``ensemble`` and of its members, in the order of the rows.

        The head and the weights by which a row is scored are chosen on the other folds (nested), so that no part of
        the answer has seen its label.
        """
        found: dict[str, Floats] = {}
        for number in np.unique(self.fold):
            rows = np.flatnonzero(self.fold == number)
            others = self.among(np.flatnonzero(self.fold != number))
            chosen_on = others if len(others.places) else self
            head = chosen_on.best_head()
            members = self.among(rows).members(head)
            said = {ENSEMBLE: blend_parts(members, chosen_on.blend(head), self.kind), **members}
            for name, p in said.items():
                found.setdefault(name, np.zeros((len(self.places), p.shape[1])))[rows] = p
        return found


def concatenate(folds: Sequence[OutOfFoldPredictions]) -> OutOfFoldPredictions:
    """Those of several folds as one."""
    first = folds[0]
    return OutOfFoldPredictions(
        first.kind,
        np.concatenate([one.places for one in folds]),
        np.concatenate([one.targets for one in folds]),
        np.concatenate([one.fold for one in folds]),
        {config: np.concatenate([one.ulmfit[config] for one in folds]) for config in first.ulmfit},
        {name: np.concatenate([one.linear[name] for one in folds]) for name in first.linear},
    )


def clearly_worse(losses: Floats, others: Floats) -> bool:
    """Whether the first are higher than the others, (n,) each of the same decisions, by more than chance may do."""
    worse = losses - others
    return bool(worse.mean() > STANDARD_ERRORS * worse.std() / np.sqrt(len(worse)))
