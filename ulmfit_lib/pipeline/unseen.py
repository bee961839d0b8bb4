"""What each part of a classifier says of rows whose labels it has not learnt, and how the parts are weighed by that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.splitting import grouped_folds
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.serving.classifier import blend_parts
from ulmfit_lib.training.heads import HeadChoice
from ulmfit_lib.training.regression import row_losses

FOLDS = 5
FEWEST_TO_WEIGH = 20  # rows; what fewer say of the weights of the parts is chance
Split = tuple[Ints, Ints]  # places to learn from, and to score


def scoring_folds(table: TextTable, *, count: int = FOLDS, seed: int) -> list[Split]:
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
class Unseen:
    """Probabilities of rows, from parts that have not learnt their labels.

    Attributes:
        kind: of label.
        places: (n,) the rows' places in their table.
        targets: (n,) or (n, n_tags), as ``LabelKind.targets``.
        fold: (n,) the number of the fold in which each was scored.
        ulmfit: (n, n_classes) probabilities by how the head was regularised; None where the encoder was fine-tuned.
        others: (n, n_classes) probabilities of ``baseline`` and ``topics``, where there are such parts.
    """

    kind: LabelKind
    places: Ints
    targets: Ints
    fold: Ints
    ulmfit: dict[HeadChoice | None, Floats]
    others: dict[str, Floats]

    def among(self, rows: Ints) -> "Unseen":
        """Of some of the rows."""
        return Unseen(
            self.kind,
            self.places[rows],
            self.targets[rows],
            self.fold[rows],
            {choice: p[rows] for choice, p in self.ulmfit.items()},
            {name: p[rows] for name, p in self.others.items()},
        )

    def row_losses(self, probabilities: Floats) -> Floats:
        """(n_decisions,) nats of the right answers."""
        return row_losses(self.kind.decisions(probabilities), self.kind.decided(self.targets))

    def best_choice(self) -> HeadChoice | None:
        """The head choice with the least log loss."""
        return min(self.ulmfit, key=lambda choice: float(self.row_losses(self.ulmfit[choice]).mean()))

    def parts(self, choice: HeadChoice | None) -> dict[str, Floats]:
        """Every part's probabilities, ULMFiT's by one choice."""
        return {"ulmfit": self.ulmfit[choice], **self.others}

    def weigh(self, choice: HeadChoice | None) -> Blend:
        """How much each part should count; of few rows, ULMFiT alone."""
        if len(self.places) < FEWEST_TO_WEIGH:
            return Blend()
        decisions = {name: self.kind.decisions(part) for name, part in self.parts(choice).items()}
        return Blend.fit(decisions, self.kind.decided(self.targets), exclusive=self.kind.exclusive)

    def ulmfit_losses(self) -> Floats:
        """(n_decisions,) nats of ULMFiT alone, by its best choice, made as sure as it may be."""
        alone = replace(self, others={})
        choice = alone.best_choice()
        return self.row_losses(blend_parts(alone.parts(choice), alone.weigh(choice), self.kind))

    def delivered(self) -> dict[str, Floats]:
        """Probabilities of what is ``delivered`` and of its parts, in the order of the rows.

        The choice of the head and the weights that a row is scored with come from the other folds' rows, so that no
        part of the answer has seen its label.
        """
        found: dict[str, Floats] = {}
        for rows, rest in self._by_fold():
            told = rest if len(rest.places) else self
            choice = told.best_choice()
            parts = self.among(rows).parts(choice)
            said = {ENSEMBLE: blend_parts(parts, told.weigh(choice), self.kind), **parts}
            for name, p in said.items():
                found.setdefault(name, np.zeros((len(self.places), p.shape[1])))[rows] = p
        return found

    def _by_fold(self) -> Iterator[tuple[Ints, "Unseen"]]:
        for number in np.unique(self.fold):
            yield np.flatnonzero(self.fold == number), self.among(np.flatnonzero(self.fold != number))


def joined(parts: Sequence[Unseen]) -> Unseen:
    """Several folds' in one."""
    first = parts[0]
    places, targets, fold = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("places", "targets", "fold")
    )
    return Unseen(
        first.kind,
        places,
        targets,
        fold,
        {choice: np.concatenate([one.ulmfit[choice] for one in parts]) for choice in first.ulmfit},
        {name: np.concatenate([one.others[name] for one in parts]) for name in first.others},
    )
