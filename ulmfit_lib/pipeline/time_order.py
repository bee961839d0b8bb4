"""What a classifier is worth on texts that came later than those it has learnt from."""

from collections.abc import Sequence

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, TimeReport
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.metrics import Z95
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.pipeline.candidates import EvaluatedCandidate, evaluate
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.progress import note
from ulmfit_lib.training.classifying import FINE_TUNE, LINEAR_PROBE
from ulmfit_lib.training.run import Run

LATER = 0.2  # of the rows, as many as a fold holds
FEWEST = 10  # rows that are scored
PERIODS = 4  # at most, that the rows of a test file are parted into
FEWEST_IN_PERIOD = 20


def check_times(table: TextTable) -> None:
    """Name, in a DataError, a labelled row that has no time."""
    for row, label, time in zip(table.rows, table.labels, table.times, strict=True):
        if label is not None and time is None:
            raise DataError(f"{table.source}: row {row} has a label and no time; give it one, or leave the row out")


def time_report(best: EvaluatedCandidate, experiment: Experiment, run: Run) -> TimeReport | None:
    """The best candidate, learnt from the earlier rows and scored on the last fifth, beside its cross-validation.

    Earlier rows that are near copies of later ones are left out. A candidate whose encoder is fine-tuned is measured
    by its linear probe, which takes seconds. None, and a note, where the earlier rows cannot be learnt from.
    """
    table = experiment.train
    if best.candidate.strategy == FINE_TUNE:
        best = evaluate(best.candidate.changed(strategy=LINEAR_PROBE), table, experiment.splits, run)
    values = np.array([time.value if time else np.nan for time in table.times])
    since = np.sort(values)[round((1 - LATER) * len(values))]
    if (values >= since).mean() > 2 * LATER:  # many rows of one time
        since = min(values[values > since], default=np.inf)
    places = best.predictions.places
    scored = np.flatnonzero(values[places] >= since)
    later = places[scored]
    past = np.flatnonzero((values < since) & ~np.isin(table.groups, table.groups[later]))
    learnt, test = table.select(past.tolist()), table.select(later.tolist())
    splits = stratified_folds(learnt, seed=run.seed) if len(set(learnt.labels)) > 1 else []
    if len(later) < FEWEST or not splits:
        note(
            f"{table.source}: what is lost in the order of time was not measured, since {len(later)} rows are later "
            f"than others, {FEWEST} are needed, and the others must have labels to learn from"
        )
        return None
    classifier = evaluate(best.candidate, learnt, splits, run).fit(learnt, run)
    said = best.candidate.predict(classifier, test.texts, run)[ENSEMBLE]
    alone = _losses(test, classifier.kind, classifier.classes, said, classifier.decide(said))
    held_out = best.answers
    said, decided = held_out.probabilities[ENSEMBLE][scored], held_out.decided[scored]
    shuffled = _losses(test, best.predictions.kind, table.classes, said, decided)
    lost, error = alone - shuffled, Z95 * (alone - shuffled).std() / np.sqrt(len(test))
    ratings = bool(table.numbers)
    return TimeReport(
        since=next(time.shown for time in table.times if time and time.value == since),
        rows=len(test),
        learnt=len(learnt),
        measure="mean absolute error" if ratings else "accuracy",
        past=float(alone.mean() if ratings else 1 - alone.mean()),
        shuffled=float(shuffled.mean() if ratings else 1 - shuffled.mean()),
        lost=float(lost.mean()),
        low=float(lost.mean() - error),
        high=float(lost.mean() + error),
    )


def periods(table: TextTable) -> list[tuple[str, TextTable]]:
    """The labelled rows in parts, from the earliest to the latest, with the times that each spans."""
    check_times(table)
    table = table.labelled()
    values = [time.value for time in table.times if time]
    order = np.argsort(values, kind="stable")
    count = int(np.clip(len(order) // FEWEST_IN_PERIOD, 1, PERIODS))
    found = []
    for part in np.array_split(order, count):
        first, last = (table.times[place] for place in (part[0], part[-1]))
        assert first and last  # check_times
        found.append((f"{first.shown} to {last.shown}", table.select(part.tolist())))
    return found


def _losses(table: TextTable, kind: LabelKind, classes: Sequence[str], said: Floats, decided: Ints) -> Floats:
    """(n,) how far off each rating is; of other labels, 1 where the label that is said is wrong, else 0."""
    if table.numbers:
        return np.abs(kind.said(said, decided=decided) - np.array(table.numbers, np.float64))
    certain = np.eye(len(classes))[decided] if kind.exclusive else decided.astype(np.float64)
    labels = zip(kind.decode(certain, classes), table.labels, strict=True)
    return np.array([one != label for one, label in labels], np.float64)
