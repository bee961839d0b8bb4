"""The rows that a report is about, and what is known of them: from a test file, or from the model's own record."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.pipeline.deciding import Goal
from ulmfit_lib.pipeline.report import report_on
from ulmfit_lib.progress import counted


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores, and the rows behind them as far as they are known."""

    report: Report  # the scores
    how: str  # the rows were scored, a sentence
    folds: int = 0  # of cross-validation; 0 without it
    table: TextTable | None = None  # the rows that were scored, each with a label; None where the texts are not known
    targets: Ints | None = None  # their labels, as `LabelKind.targets`
    # (n_rows, n_classes) of the `ensemble` and, of a test file, of its members.
    probabilities: dict[str, Floats] = field(default_factory=dict)
    decided: Ints | None = None  # the ensemble's answers, as `LabelKind.targets`; None where the rows are not known
    notes: Sequence[str] = ()  # what is missing and why, a sentence each


def find_scores(classifier: TextClassifier, data: TextTable | None, *, device: str = "cpu") -> Scored:
    """What a classifier is worth: on the labelled rows of a file, or by its own record where these made it.

    ``data`` is a test file, the file that the classifier was made from, or neither; its labels are of the classifier's
    kind. An OptionError says if there are neither labelled rows nor a record, a DataError if no row has a label that it
    knows.
    """
    report = classifier.training.report
    labelled = None if data is None else data.labelled()
    if labelled is None or not len(labelled):
        if report is None:
            raise OptionError(
                "this classifier has no whole record of scores, which only `fit` makes: name a file of labelled "
                "texts that it was not trained on, too"
            )
        return _recorded(report, None, classifier)
    if classifier.training.last.data_sha256 == labelled.sha256():
        if report is None:
            raise OptionError(
                f"{labelled.source}: the classifier has learnt from these rows, so that a score on them would mean "
                "nothing, and it has no record of others, which only `fit` makes: name a test file"
            )
        return _recorded(report, labelled, classifier)
    return _on_test_file(classifier, labelled, device=device)


def _recorded(report: Report, labelled: TextTable | None, classifier: TextClassifier) -> Scored:
    """By what ``fit`` wrote down; ``labelled`` are the rows that it learnt from, where they are known."""
    kept = report.out_of_fold
    if report.folds:
        how = f"Cross-validated in {report.folds} folds: no classifier was trained on the rows that it predicts."
    else:
        how = f"{counted(report.held_out_rows, 'decision')} on rows that were held out until the scores were taken."
    found = Scored(report, how, report.folds)
    if labelled is None:
        note = "A model's folder holds no texts. To see texts here, name a test file, or the file it was trained on."
        return replace(found, notes=[note])
    if not kept:
        note = (
            "The model's folder does not keep the prediction for each row, so single texts cannot be shown here. To "
            "see them, name a test file."
        )
        return replace(found, notes=[note])
    place_of = {row: place for place, row in enumerate(labelled.rows)}
    places: list[int | None] = list(range(len(labelled)))
    if len(kept.rows) < len(labelled):  # only some were scored
        places = [place_of.get(row) for row in kept.rows]
    known = [place for place in places if place is not None]
    if len(known) < len(kept.rows):
        note = (
            f"{Path(labelled.source).name} numbers its rows otherwise than the file that the model was trained on, so "
            "texts and predictions cannot be matched. Give that file itself to see them."
        )
        return replace(found, notes=[note])
    probabilities = {ENSEMBLE: np.array(kept.probabilities, np.float64)}
    decided, targets = classifier.decide(probabilities[ENSEMBLE]), np.array(kept.targets)
    return replace(found, table=labelled.select(known), targets=targets, probabilities=probabilities, decided=decided)


def _on_test_file(classifier: TextClassifier, labelled: TextTable, *, device: str) -> Scored:
    """By rows of which the caller says that the classifier was not trained on them."""
    classes, kind, notes = classifier.classes, classifier.kind, []
    if labelled.numbers:  # ratings: the class whose number is nearest
        values = kind.expected(np.eye(len(classes)))
        nearest = [int(np.abs(values - (number or 0.0)).argmin()) for number in labelled.numbers]
        labelled = replace(labelled, labels=[classes[place] for place in nearest])
    known = [i for i, label in enumerate(labelled.targets()) if set(kind.names(label)) <= set(classes)]
    if not known:
        raise DataError(f"{labelled.source}: no row has a label that the classifier knows ({', '.join(classes[:10])})")
    if len(known) < len(labelled):
        notes.append(
            f"{counted(len(labelled) - len(known), 'row')} of {Path(labelled.source).name} with a label that the "
            "classifier has not learnt are left out of this report."
        )
    table = labelled.select(known)
    probabilities = classifier.to(device).probabilities(table.texts)
    decided = classifier.decide(probabilities[ENSEMBLE])
    report = report_on(
        probabilities,
        table,
        classes,
        learnt=_with_every_class(table, classifier),
        decided=decided,
        goal=Goal(classifier.rule.goal),
    )
    how = f"{counted(len(table), 'row')} of {Path(table.source).name}, on which the classifier was not trained."
    return Scored(report, how, 0, table, table.class_numbers(classes), probabilities, decided, notes)


def _with_every_class(table: TextTable, classifier: TextClassifier) -> TextTable:
    """The table, and where labels are ratings one more row of each class that it lacks, which gives that its number."""
    lacking = sorted(set(classifier.classes) - set(table.classes)) if table.numbers else []
    if not lacking:
        return table
    numbers = classifier.kind.expected(np.eye(len(classifier.classes))).tolist()
    values = dict(zip(classifier.classes, numbers, strict=True))
    return replace(
        table,
        texts=[*table.texts, *("" for _ in lacking)],
        labels=[*table.labels, *lacking],
        numbers=[*table.numbers, *(values[one] for one in lacking)],
        rows=[*table.rows, *(0 for _ in lacking)],
    )
