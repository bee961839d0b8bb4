"""Which rows are learnt from and which are scored, which texts a language model may read, and what the scores say."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, Report, StoredPredictions
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import with_known_texts
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.report import report_on
from ulmfit_lib.pipeline.search import Found
from ulmfit_lib.pipeline.unseen import FOLDS, Split, scoring_folds
from ulmfit_lib.progress import counted

MOST_SCORED = 2000  # labelled rows up to which all of them are scored, each by what has not learnt its label
HELD_OUT = 0.2  # of more
MOST_KEPT = 10_000  # held-out rows of which the model's folder keeps what was said
TRANSDUCTIVE = " The language model had read these rows' texts, without their labels (transductive)."


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
    ) -> "Task":
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
            scored, delivered = self.learnt.select(unseen.places.tolist()), found.delivered[ENSEMBLE]
            report = report_on(found.delivered, scored, self.learnt.classes, learnt=self.learnt, folds=len(self.splits))
            kept = _kept(scored, unseen.targets, delivered, np.argsort(unseen.places))
            return replace(report, folds=len(self.splits), out_of_fold=kept), found.fitter
        said, fitter = self.predict_test(found)
        return self.report_test(found, said), fitter

    def predict_test(self, found: Found) -> tuple[dict[str, Floats], PartsFitter]:
        """What is delivered and its parts say of the held-out rows, and a fitter that knows those rows, too."""
        trial = found.fit(self.learnt).to(found.fitter.device)
        features = trial.features(self.test.texts)
        known = features if found.fitter.strategy == "features" else None
        return trial.probabilities(self.test.texts, features=features), found.fitter.knowing(self.test, known)

    def report_test(self, found: Found, said: dict[str, Floats]) -> Report:
        """The report on what ``predict_test`` gives."""
        unseen, delivered = found.unseen, found.delivered[ENSEMBLE]
        report = report_on(
            said,
            self.test,
            self.learnt.classes,
            learnt=self.learnt,
            also_unseen=(unseen.kind.decisions(delivered), unseen.kind.decided(unseen.targets)),
        )
        few = np.arange(0, len(self.test), -(-len(self.test) // MOST_KEPT))
        kept = _kept(self.test, self.test.class_numbers(self.learnt.classes), said[ENSEMBLE], few)
        return replace(report, out_of_fold=kept)

    def deliver(
        self,
        found: Found,
        report: Report,
        fitter: PartsFitter,
        *,
        base: str,
        lm: LanguageModel,
        transductive: bool,
        minutes: float,
        seconds: float,
    ) -> TextClassifier:
        """The classifier, fitted to all labelled rows, with its report and what it keeps of the texts.

        Args:
            found: what is delivered.
            report: on it.
            fitter: knows all labelled rows.
            base: which language model reads the texts, and why.
            lm: that one, as it was before it read any of them.
            transductive: the language model has read the texts of the held-out rows.
            minutes: the time that there was.
            seconds: that were spent.
        """
        final = replace(found, fitter=fitter).fit(self.data.labelled())
        report = replace(
            report,
            base=base,
            copies=self.copies,
            blend=asdict(final.blend),
            transductive=transductive,
            sentence=report.sentence + (TRANSDUCTIVE if transductive else ""),
            base_has_read=tuple(stage.source for stage in lm.training.stages),
            labelled_rows=len(self.learnt),
            tried=found.told,
            minutes=minutes,
        )
        stages = final.training.stages
        stages = (*stages[:-1], replace(stages[-1], all_seconds=round(seconds)))
        final = replace(final, training=replace(final.training, report=report, stages=stages))
        return with_known_texts(final, self.data.texts, lm=lm, seed=fitter.seed, device=str(fitter.device))


def _kept(scored: TextTable, targets: Ints, delivered: Floats, places: Ints) -> StoredPredictions:
    """What the model's folder keeps of some of the rows that were scored."""
    rows = [scored.rows[i] for i in places]
    return StoredPredictions(rows, targets[places].tolist(), delivered[places].round(4).tolist())
