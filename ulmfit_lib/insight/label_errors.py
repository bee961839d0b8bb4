"""Labels that may be wrong: what classifiers that have not seen a row say of it, beside its label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable, check_learnable
from ulmfit_lib.errors import DataError
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.candidates import Candidate, cross_validate
from ulmfit_lib.pipeline.out_of_fold import HeldOutAnswers, stratified_folds
from ulmfit_lib.progress import note
from ulmfit_lib.training.run import Run

MIN_ROWS = 20


@dataclass(frozen=True)
class SuspectedLabel:
    """A labelled row, and what those say that have not learnt from it."""

    row: int  # in its file, from 1
    text: str
    label: str  # what the file says
    expected: str  # the label that the classifiers give
    probability: float  # of `label`, or of the most doubtful of its tags, in [0, 1]: the lower, the more doubtful


def check_label_errors(
    data: TextTable, *, base: str | Path | LanguageModel = AUTO, run: Run | None = None
) -> list[SuspectedLabel]:
    """All labelled rows of which ``fit`` would say another label, the most doubtful first; ratings by how far off.

    Five times, a fifth of the rows is held out, and ULMFiT's heads on the frozen encoder of a ``base`` and TF-IDF learn
    the others. The folds are by the seed of the ``run``.

    Raises:
        DataError: labels that cannot be learnt from, or too few.

    Examples:
        >>> doubtful = check_label_errors(reviews, base=lm)
        >>> doubtful[0].label, doubtful[0].expected
        ('positive', 'negative')
    """
    check_learnable(data)
    table = data.labelled()
    answers = out_of_fold(table, base=base, run=run or Run())
    return suspect(table, answers.probabilities[ENSEMBLE], answers.decided)


def out_of_fold(table: TextTable, *, base: str | Path | LanguageModel, run: Run) -> HeldOutAnswers:
    """What is said of rows that all have a label, each cross-validated; of the ensemble alone."""
    if len(table) < MIN_ROWS:
        raise DataError(f"{table.source}: {len(table)} labelled rows; to doubt one of them, {MIN_ROWS} are needed")
    lm, why = load_base(base, table.texts, seed=run.seed)
    if not isinstance(base, LanguageModel):
        note(why)
    return out_of_fold_by(Candidate(lm), table, run)


def out_of_fold_by(candidate: Candidate, table: TextTable, run: Run) -> HeldOutAnswers:
    """The same by a candidate. A row that cannot be held out, as the only one of its class, keeps its label."""
    targets = table.class_numbers()
    trusted = np.eye(len(table.classes))[targets] if table.kind.exclusive else targets.astype(np.float64)
    decided, splits = targets.copy(), stratified_folds(table, seed=run.seed)
    if splits:
        predictions = cross_validate(candidate, table, splits, run)
        held_out = predictions.held_out(candidate.goal)
        trusted[predictions.places] = held_out.probabilities[ENSEMBLE]
        decided[predictions.places] = held_out.decided
    return HeldOutAnswers({ENSEMBLE: trusted}, decided)


def own_probabilities(table: TextTable, probabilities: Floats, targets: Ints | None = None) -> Floats:
    """(n_rows, n_decisions) what each row's label, or ``targets``, has: one number of a class, one a tag of tags."""
    kind = table.kind
    decided = kind.decided(table.class_numbers() if targets is None else targets)
    return np.asarray(kind.decisions(probabilities)[np.arange(len(decided)), decided].reshape(len(table), -1))


def suspect(table: TextTable, probabilities: Floats, decided: Ints) -> list[SuspectedLabel]:
    """The rows of a table of labelled rows whose label is not the one that is said, the most doubtful first.

    What is said: (n_rows, n_classes) probabilities, and what is ``decided`` by these, as ``LabelKind.targets``.
    """
    kind, targets = table.kind.learnt_from(table), table.class_numbers()
    doubted = (decided != targets).reshape(len(table), -1).any(1)
    own = own_probabilities(table, probabilities).min(1)
    certain = np.eye(len(table.classes))[decided] if kind.exclusive else decided.astype(np.float64)
    doubt, labels, expected = own, table.targets(), kind.decode(certain, table.classes)
    if table.numbers:
        said = kind.said(probabilities, decided=decided)
        doubt = -np.abs(said - np.array(table.numbers, np.float64))
        expected = [f"{number:.4g}" for number in said]
        labels = [f"{number:g}" for number in table.numbers]
    order = np.argsort(doubt, kind="stable")
    return [
        SuspectedLabel(table.rows[i], table.texts[i], labels[i], expected[i], float(own[i]))
        for i in order.tolist()
        if doubted[i]
    ]
