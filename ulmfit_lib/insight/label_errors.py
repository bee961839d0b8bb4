"""Labels that may be wrong: what classifiers that have not seen a row say of it, beside its label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable, check_labels
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.candidates import Candidate, cross_validate
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.progress import note
from ulmfit_lib.training.run import Run, takes_run

MIN_ROWS = 20


@dataclass(frozen=True)
class SuspectedLabel:
    """A labelled row, and what those say that have not learnt from it.

    Attributes:
        row: in its file, from 1.
        text: the text.
        label: what the file says.
        expected: the label that the classifiers find likeliest.
        probability: of ``label``, in [0, 1]: the lower, the more doubtful.
    """

    row: int
    text: str
    label: str
    expected: str
    probability: float


@takes_run()
def check_label_errors(
    data: TextTable, *, base: str | Path | LanguageModel = AUTO, run: Run | None = None
) -> list[SuspectedLabel]:
    """All labelled rows whose label is not the likeliest one, the most doubtful first.

    Five times, a fifth of the rows is held out, and ULMFiT's heads on a frozen encoder and TF-IDF learn the others.

    Args:
        data: texts with labels.
        base: the language model that reads them.
        run: seed of the folds, and device.

    Raises:
        DataError: labels that cannot be learnt from, or too few.
        OptionError: labels that are ratings or tags.

    Examples:
        >>> doubtful = check_label_errors(reviews, base=lm)
        >>> doubtful[0].label, doubtful[0].expected
        ('positive', 'negative')
    """
    table = data.labelled()
    check_labels(table)
    if not table.kind.one_class_per_text:
        raise OptionError("check-labels needs one class a text; it cannot check ratings or several labels")
    return suspect(table, out_of_fold(table, base=base, run=run or Run()))


def out_of_fold(table: TextTable, *, base: str | Path | LanguageModel, run: Run) -> Floats:
    """(n_rows, n_classes) probabilities of rows that all have a label, each cross-validated."""
    if len(table) < MIN_ROWS:
        raise DataError(f"{table.source}: {len(table)} labelled rows; to doubt one of them, {MIN_ROWS} are needed")
    lm, why = load_base(base, table.texts, seed=run.seed)
    note(why)
    return out_of_fold_by(Candidate(lm), table, run)


def out_of_fold_by(candidate: Candidate, table: TextTable, run: Run) -> Floats:
    """The same by a candidate. A row that cannot be held out, as the only one of its class, keeps its label."""
    trusted = np.eye(len(table.classes))[table.class_numbers()]
    splits = stratified_folds(table, seed=run.seed)
    if splits:
        predictions = cross_validate(candidate, table, splits, run)
        trusted[predictions.places] = predictions.ensemble()[ENSEMBLE]
    return trusted


def doubtful_first(probabilities: Floats, targets: Ints) -> Ints:
    """Rows by the probability of their own label, the lowest first."""
    return np.argsort(probabilities[np.arange(len(targets)), targets], kind="stable")


def suspect(table: TextTable, probabilities: Floats) -> list[SuspectedLabel]:
    """The rows of a table of labelled rows whose label is not the likeliest one, the most doubtful first."""
    targets, classes, likeliest = table.class_numbers(), table.classes, probabilities.argmax(1)
    return [
        SuspectedLabel(
            table.rows[i],
            table.texts[i],
            classes[targets[i]],
            classes[likeliest[i]],
            float(probabilities[i, targets[i]]),
        )
        for i in doubtful_first(probabilities, targets).tolist()
        if likeliest[i] != targets[i]
    ]
