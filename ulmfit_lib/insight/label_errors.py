"""Labels that may be wrong: what classifiers that have not seen a row say of it, beside its label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.splitting import grouped_folds
from ulmfit_lib.data.table import TextTable, check_labels
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.progress import note, track
from ulmfit_lib.stages.fit_classifier import CLASSIFY

FOLDS = 5
MIN_ROWS = 20
UNSEEN = 1e-6  # probability of a class that no training row of the fold has


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


def check_label_errors(
    data: TextTable, *, base: str | Path | LanguageModel = AUTO, seed: int = 42, device: str = "auto"
) -> list[SuspectedLabel]:
    """All labelled rows whose label is not the likeliest one, the most doubtful first.

    Five times, a fifth of the rows is held out, and ULMFiT's heads on a frozen encoder and TF-IDF learn the others.

    Args:
        data: texts with labels.
        base: the language model that reads them.
        seed: of the folds.
        device: ``auto``, ``cpu`` or ``cuda``.

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
    return suspect(table, out_of_fold(table, base=base, seed=seed, device=device))


def out_of_fold(table: TextTable, *, base: str | Path | LanguageModel, seed: int, device: str) -> Floats:
    """(n_rows, n_classes) probabilities of rows that all have a label, each from parts that have not learnt it."""
    if len(table) < MIN_ROWS:
        raise DataError(f"{table.source}: {len(table)} labelled rows; to doubt one of them, {MIN_ROWS} are needed")
    lm, why = load_base(base, table.texts, seed=seed)
    note(why)
    fitter = PartsFitter.read(
        table, lm=lm, recipe=CLASSIFY, strategy="features", with_baseline=True, seed=seed, device=find_device(device)
    )
    return out_of_fold_by(fitter, table, seed=seed)


def out_of_fold_by(fitter: PartsFitter, table: TextTable, *, seed: int) -> Floats:
    """The same from parts that know the table's texts; how they are weighed, all rows together say."""
    targets, n_classes = table.class_numbers(), len(table.classes)
    said: dict[str, Floats] = {}
    folds = grouped_folds(table.groups, targets, count=FOLDS, seed=seed)
    for train, test in track(folds, total=len(folds), description="checking labels", unit="fold"):
        learnt = np.unique(targets[train])
        if len(learnt) < 2:
            continue
        for name, part in fitter.predict_parts(table.select(train.tolist()), table.select(test.tolist())).items():
            rows = said.setdefault(name, np.full((len(table), n_classes), 1 / n_classes))
            rows[test] = UNSEEN
            rows[np.ix_(test, learnt)] = part
    return Blend.fit(said, targets).apply(said) if said else np.full((len(table), n_classes), 1 / n_classes)


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
