"""Which rows are learnt from and which are scored, which texts a language model may read, and what the scores say."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, Report, StoredPredictions
from ulmfit_lib.data.label_checks import mention_odd_labels
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.decision import BALANCE
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import with_known_texts
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.candidates import EvaluatedCandidate
from ulmfit_lib.pipeline.out_of_fold import FOLDS, HeldOutAnswers, Split, stratified_folds
from ulmfit_lib.pipeline.report import certainty_of, report_on
from ulmfit_lib.pipeline.scoping import about_scope, find_scope
from ulmfit_lib.progress import counted
from ulmfit_lib.training.run import Run

MAX_CROSS_VALIDATED = 2000  # labelled rows up to which all of them are scored out of fold
HELD_OUT = 0.2  # of more
MAX_KEPT = 10_000  # held-out rows of which the model's folder keeps the predictions


@dataclass(frozen=True)
class Scoring:
    """On which rows a classifier is scored; by default by cross-validation, or of many rows on a fifth of them.

    Attributes:
        test_fraction: hold out this share of the labelled rows.
        folds: score all labelled rows in so many folds, however many rows there are.
        transductive: the language model may read the scored rows' texts, too (never their labels), and the report says
            so: right where the texts to be labelled are all there already.
        decide_for: what decisions should be good at, and are compared with the baseline's by (``find_goal``).

    Raises:
        OptionError: fewer than two folds, or both folds and a test fraction.
    """

    test_fraction: float | None = None
    folds: int | None = None
    transductive: bool = False
    decide_for: str = BALANCE

    def __post_init__(self) -> None:
        if self.folds is not None and self.folds < 2:
            raise OptionError(f"--folds {self.folds}: at least 2 are needed")
        if self.folds and self.test_fraction:
            raise OptionError("--folds scores all labelled rows, and --test-fraction only a part: give one of them")


@dataclass(frozen=True, eq=False)
class Experiment:
    """A table, divided: candidates are compared on the one part, and the best is scored on the other."""

    data: TextTable  # the whole table
    train: TextTable  # the labelled rows that candidates are cross-validated on
    test: TextTable  # labelled rows that are held out from that; empty where the cross-validation is the score
    splits: list[Split]  # of `train`
    texts: Sequence[str]  # what a language model may read
    all_texts: Sequence[str]  # the same, and the texts of rows that are scored by cross-validation
    copies: int  # rows that are copies or near copies of others

    @classmethod
    def of(cls, data: TextTable, scoring: Scoring = Scoring(), *, seed: int) -> "Experiment":
        """A table that can be learnt from (``check_learnable``), divided as ``scoring`` says."""
        mention_odd_labels(data)
        labelled = data.labelled()
        fraction = scoring.test_fraction
        if scoring.folds or (fraction is None and len(labelled) <= MAX_CROSS_VALIDATED):
            train, test = labelled, data.select([])
            splits = stratified_folds(train, count=scoring.folds or FOLDS, seed=seed)
            unlabelled = data.select([i for i, label in enumerate(data.labels) if label is None])
            texts = data.texts if scoring.transductive else unlabelled.texts
            all_texts = data.texts
            copies = int((np.bincount(data.groups)[data.groups] > 1).sum())
        else:
            rest, test = data.split(HELD_OUT if fraction is None else fraction, seed=seed)
            train = rest.labelled()
            splits = stratified_folds(train, seed=seed)
            if len(train) > MAX_CROSS_VALIDATED:
                splits = splits[:1]
            texts = all_texts = data.texts if scoring.transductive else rest.texts
            copies = rest.copies
        if not splits:
            raise DataError(
                f"{data.source}: no labelled row can be held out to score a classifier on, since no label has two "
                f"different texts; label more rows"
            )
        return cls(data, train, test, splits, texts, all_texts, copies)

    def sample(self, max_rows: int, *, seed: int, share: float = 1.0) -> tuple[TextTable, list[Split]]:
        """A random part of ``train`` (``random_rows``), and the splits of its rows that score some.

        These learn from all classes.
        """
        rows = self.train.random_rows(max_rows, seed=seed, share=share)
        table = self.train.select(rows.tolist())
        place = np.full(len(self.train), -1)
        place[rows] = np.arange(len(rows))
        kind, classes = table.kind, self.train.classes
        targets = table.class_numbers(classes)
        splits = []
        for split in self.splits:
            train, test = (place[part][place[part] >= 0] for part in split)
            if len(test) and kind.count_rows(targets[train], len(classes)).all():
                splits.append((train, test))
        return table, splits

    def sentence(self, minutes: float) -> str:
        """What will be done, for the user."""
        data = self.data
        skipped = f" ({counted(data.skipped, 'row')} without a text left out)" if data.skipped else ""
        copies = f" ({self.copies} rows are copies or near copies of others)" if self.copies else ""
        scored = f"{len(self.test):,} held out to score" if len(self.test) else f"scored in {len(self.splits)} folds"
        most = f"{minutes:.2g} minute{'' if f'{minutes:.2g}' == '1' else 's'}"
        unlabelled = len(data) - len(self.train) - len(self.test)
        return (
            f"{data.source}: {counted(len(self.train), 'labelled row')} to learn from, {scored}, {unlabelled:,} "
            f"without a label{skipped}{copies}. This takes at most about {most} (--minutes)."
        )

    def predict_test(self, best: EvaluatedCandidate, run: Run) -> HeldOutAnswers | None:
        """What the candidate, fitted to ``train``, says of the held-out rows; None where none are held out."""
        if not len(self.test):
            return None
        classifier = best.fit(self.train, run)
        probabilities = best.candidate.predict(classifier, self.test.texts, run)
        return HeldOutAnswers(probabilities, classifier.decide(probabilities[ENSEMBLE]))

    def report(self, best: EvaluatedCandidate, tested: HeldOutAnswers | None) -> Report:
        """The scores on the held-out rows, given ``predict_test``; or those of the cross-validation."""
        predictions, classes = best.predictions, self.train.classes
        if not tested:
            scored, ensemble = self.train.select(predictions.places.tolist()), best.ensemble[ENSEMBLE]
            report = report_on(
                best.ensemble,
                scored,
                classes,
                learnt=self.train,
                decided=best.answers.decided,
                folds=len(self.splits),
                goal=best.candidate.goal,
            )
            kept = _kept(scored, predictions.targets, ensemble, np.argsort(predictions.places))
            return replace(report, folds=len(self.splits), out_of_fold=kept)
        kind = predictions.kind
        decisions = certainty_of(kind, best.ensemble[ENSEMBLE], best.answers.decided, predictions.targets)
        report = report_on(
            tested.probabilities,
            self.test,
            classes,
            learnt=self.train,
            decided=tested.decided,
            calibration=decisions,
            goal=best.candidate.goal,
        )
        few = np.arange(0, len(self.test), -(-len(self.test) // MAX_KEPT))
        kept = _kept(self.test, self.test.class_numbers(classes), tested.probabilities[ENSEMBLE], few)
        return replace(report, out_of_fold=kept)

    def refit(
        self,
        best: EvaluatedCandidate,
        report: Report,
        base: LanguageModel,
        run: Run,
        *,
        seconds: float,
        known: Sequence[str],
    ) -> TextClassifier:
        """The classifier, fitted to all labelled rows, with its report and what it keeps of the texts.

        The ``base`` is what it started from, before that had read any of the texts; of the texts in ``known`` it keeps
        numbers, to compare new ones with.
        """
        classifier = best.fit(self.data.labelled(), run)
        scope = find_scope(best, self.data, classifier, run)
        classifier = replace(classifier, scope=scope)
        report = replace(
            report,
            sentence=report.sentence + about_scope(classifier.scope),
            base_has_read=tuple(stage.source for stage in base.training.stages),
            copies=self.copies,
            blend=asdict(classifier.blend),
            labelled_rows=len(self.train),
        )
        *earlier, last = classifier.training.stages
        stages = (*earlier, replace(last, all_seconds=round(seconds)))
        classifier = replace(classifier, training=replace(classifier.training, report=report, stages=stages))
        return with_known_texts(
            classifier,
            known,
            lm=base,
            reader=best.candidate.reader(classifier, run),
            seed=run.seed,
            device=str(run.device),
            share=report.share_of_time,
        )


def _kept(scored: TextTable, targets: Ints, probabilities: Floats, places: Ints) -> StoredPredictions:
    """What the model's folder keeps of some of the rows that were scored."""
    rows = [scored.rows[i] for i in places]
    return StoredPredictions(rows, targets[places].tolist(), probabilities[places].round(4).tolist())
