"""Every labelled row scored once, by classifiers and language models that have not read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.data.splitting import grouped_folds
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.progress import note

FEWEST_TEXTS = 20  # without a label, for the language model to read them before the folds


@dataclass(frozen=True)
class OutOfFold:
    """What was said of each labelled row by those that had not read it.

    Attributes:
        rows: the rows' numbers in their file.
        targets: (n,) their class numbers.
        probabilities: (n, n_classes) for what would be ``delivered`` and for each of its parts.
    """

    rows: list[int]
    targets: Ints
    probabilities: dict[str, Floats]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: rows, class numbers and what would have been delivered."""
        shown = self.probabilities["delivered"].round(4).tolist()
        return {"rows": list(self.rows), "targets": self.targets.tolist(), "probabilities": shown}


def cross_validate(
    data: TextTable,
    *,
    folds: int,
    prepare: Callable[[TextTable, Sequence[str]], PartsFitter],
    frozen: bool,
    seed: int,
) -> OutOfFold:
    """Hold out one fold of the labelled rows after the other; texts that are alike share a fold.

    With ``features`` one language model serves all folds: it has read the texts without a label, and no labelled one.
    With ``fine-tune`` each fold has a language model of its own, which reads all texts but the fold's.

    Args:
        data: texts, some or all with labels.
        folds: how many.
        prepare: labelled rows to know, and texts for a language model to read (none: the base as it is) -> a fitter.
        frozen: no encoder learns the labels.
        seed: of the folds.

    Raises:
        OptionError: fewer than two folds.
        DataError: a label with fewer rows than folds.
    """
    table = data.labelled()
    targets, classes = table.class_numbers(), table.classes
    if folds < 2:
        raise OptionError(f"--folds {folds}: at least 2 are needed")
    counts = table.kind.count_rows(targets)
    if (rarest := int(counts.min())) < folds:
        label = classes[int(counts.argmin())]
        raise DataError(f"{data.source}: the label {label!r} has {rarest} rows, too few for {folds} folds")
    strata = np.unique([label or "" for label in table.strata], return_inverse=True)[1]
    labelled = np.array([label is not None for label in data.labels])
    own = data.groups[labelled]
    free = np.flatnonzero(np.isin(data.groups, own, invert=True)).tolist()  # like no text with a label
    fitter = None
    if frozen:
        fitter = prepare(table, data.select(free).texts if len(free) >= FEWEST_TEXTS else [])
    found: dict[str, Floats] = {}
    for fold, (train, test) in enumerate(grouped_folds(own, strata, count=folds, seed=seed), start=1):
        note(f"fold {fold} of {folds}")
        learnt, rest = table.select(train), table.select(test)
        if table.kind.count_rows(targets[train], len(classes)).min() < 2:
            raise DataError(
                f"{data.source}: too many texts of one label are copies of each other for {folds} folds; take fewer"
            )
        one = fitter
        if one is None:
            kept = np.isin(data.groups, own[test], invert=True)
            one = prepare(learnt, data.select(np.flatnonzero(kept).tolist()).texts)
        trial = one.fit(learnt, one.weigh(one.out_of_fold(learnt)))
        features = one.known(rest) if frozen else None
        for name, p in trial.probabilities(rest.texts, features=features, device=str(one.device)).items():
            found.setdefault(name, np.zeros((len(table), p.shape[1])))[test] = p
    return OutOfFold(list(table.rows), targets, found)
