"""Which rows are learnt from and which are scored, which texts a language model may read, and what the scores say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.report import Report, report_on
from ulmfit_lib.pipeline.search import Found
from ulmfit_lib.pipeline.unseen import FOLDS, Split, scoring_folds
from ulmfit_lib.progress import counted

MOST_SCORED = 2000  # labelled rows up to which all of them are scored, each by what has not learnt its label
HELD_OUT = 0.2  # of more


@dataclass(frozen=True, eq=False)
class Task:
    """What ``fit`` makes of a table.

    Attributes:
        data: the table.
        learnt: the labelled rows that everything is chosen by.
        test: labelled rows that are held out; empty where every row is scored in folds.
        splits: of ``learnt``.
        texts: what a language model may read.
        every_text: the same, and the texts of scored folds.
        copies: rows that are copies or near copies of others.
    """

    data: TextTable
    learnt: TextTable
    test: TextTable
    splits: list[Split]
    texts: Sequence[str]
    every_text: Sequence[str]
    copies: int

    @classmethod
    def of(
        cls, data: TextTable, *, test_fraction: float | None, folds: int | None, transductive: bool, seed: int
    ) -> "Task":  # fmt: skip
        """Every labelled row scored in folds, or some held out (``fit``).

        Raises:
            DataError: no row can be held out.
        """
        labelled = data.labelled()
        if folds or (test_fraction is None and len(labelled) <= MOST_SCORED):
            copies = int((np.bincount(data.groups)[data.groups] > 1).sum())
            free = data.select([i for i, label in enumerate(data.labels) if label is None]).texts
            texts = data.texts if transductive else free
            splits = scoring_folds(labelled, count=folds or FOLDS, seed=seed)
            task = cls(data, labelled, data.select([]), splits, texts, data.texts, copies)
        else:
            train, test = data.split(HELD_OUT if test_fraction is None else test_fraction, seed=seed)
            learnt, texts = train.labelled(), data.texts if transductive else train.texts
            splits = scoring_folds(learnt, seed=seed)
            few = splits if len(learnt) <= MOST_SCORED else splits[:1]
            task = cls(data, learnt, test, few, texts, texts, train.copies)
        if not task.splits:
            raise DataError(
                f"{data.source}: no labelled row can be held out to score a classifier on, since no label has two "
                f"different texts; label more rows"
            )
        return task

    def sentence(self, minutes: float) -> str:
        """What will be done, for the user."""
        data = self.data
        skipped = f" ({counted(data.skipped, 'row')} without a text left out)" if data.skipped else ""
        copies = f" ({self.copies} rows are copies or near copies of others)" if self.copies else ""
        scored = f"{len(self.test):,} held out to score" if len(self.test) else f"scored in {len(self.splits)} folds"
        most = f"{minutes:.2g} minute{'' if f'{minutes:.2g}' == '1' else 's'}"
        unlabelled = len(data) - len(self.learnt) - len(self.test)
        return (
            f"{data.source}: {counted(len(self.learnt), 'labelled row')} to learn from, {scored}, {unlabelled:,} "
            f"without a label{skipped}{copies}. This takes at most about {most} (--minutes)."
        )

    def score(self, found: Found) -> tuple[Report, PartsFitter]:
        """The report, and a fitter that knows the texts of all labelled rows."""
        unseen = found.unseen
        if not len(self.test):
            scored = self.learnt.select(unseen.places.tolist())
            report = report_on(found.delivered, scored, self.learnt.classes, learnt=self.learnt, folds=len(self.splits))
            order = np.argsort(unseen.places)
            kept = {
                "rows": [scored.rows[i] for i in order], "targets": unseen.targets[order].tolist(),
                "probabilities": found.delivered["delivered"][order].round(4).tolist(),
            }  # fmt: skip
            return replace(report, folds=len(self.splits), out_of_fold=kept), found.fitter
        trial = found.fit(self.learnt)
        features = trial.features(self.test.texts, device=found.fitter.device)
        kind, delivered = unseen.kind, found.delivered["delivered"]
        report = report_on(
            trial.probabilities(self.test.texts, features=features), self.test, trial.classes, learnt=self.learnt,
            also_unseen=(kind.decisions(delivered), kind.decided(unseen.targets)),
        )  # fmt: skip
        known = features if found.fitter.strategy == "features" else None
        return report, found.fitter.knowing(self.test, known)
