"""A classifier is saved in bytes where that costs next to nothing, which is measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Bools, Floats
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.metrics import McNemar
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.progress import counted
from ulmfit_lib.serving.packing import rounded

MEASURED_ROWS = 500
FEWEST_ROWS = 10  # where time is short
BEGINNING = 500  # characters of each that are read where time is short
MOST_NATS = 0.01  # of log loss, that bytes may cost: the rows are those of training, on which any change costs some


def save_smallest(classifier: TextClassifier, path: Path, data: TextTable, *, overwrite: bool = False) -> str:
    """Save as ``int8`` if that costs next to nothing on labelled rows at hand, else as ``float32``.

    Next to nothing is at most 0.01 nats of log loss, and no more wrong decisions than chance explains
    (``is_clearly_worse``). What it costs is kept in the record, and so in the card. Where ``fit`` had less than a
    minute, only the beginnings of the rows are read. Returns a sentence for the user.

    Raises:
        ArtifactError: the place is taken or cannot be written.
    """
    table = data.labelled()
    share = classifier.training.report.share_of_time if classifier.training.report else 1.0
    most = max(FEWEST_ROWS, round(share * MEASURED_ROWS))
    table = table.select(table.random_rows(most, seed=0, share=share).tolist())
    texts = [text[:BEGINNING] for text in table.texts] if share < 1 else table.texts
    rows = f"{'the beginnings of ' if share < 1 else ''}{counted(len(table), 'row')}"
    (right, nats), (rounded_right, rounded_nats) = (
        _scores(one.predict_proba(texts), table, classifier) for one in (classifier, rounded(classifier, "int8"))
    )
    points, more = 100 * float(right.mean() - rounded_right.mean()), rounded_nats - nats
    precision = "float32" if more > MOST_NATS or is_clearly_worse(rounded_right, right) else "int8"
    cost: dict[str, Any] = {"points": round(points, 3), "log_loss": round(more, 5), "rows": len(table)}
    training = replace(classifier.training, precision={"saved_as": precision, "int8_costs": cost})
    replace(classifier, training=training).save(path, precision=precision, overwrite=overwrite)
    if precision == "float32":
        return (
            f"saved in {path} as float32: on {rows} bytes would cost {max(points, 0):.1f} points of "
            f"accuracy and {max(more, 0):.4f} of log loss"
        )
    return f"saved in {path} as int8, which changes next to nothing on {rows}"


def is_clearly_worse(right: Bools, before: Bools) -> bool:
    """Whether more decisions became wrong than became right, by over one standard error: the root of how many changed.

    Both say of (n_decisions,) which are right.
    """
    found = McNemar.of(before, right)
    return found.ahead - found.behind > (found.ahead + found.behind) ** 0.5


def _scores(said: Floats, table: TextTable, classifier: TextClassifier) -> tuple[Bools, float]:
    """Which decisions are right, (n_decisions,), and their log loss."""
    kind = classifier.kind
    targets = table.with_kind(kind).class_numbers(classifier.classes)
    decisions, truth = kind.decisions(said), kind.decided(targets)
    chances = decisions[np.arange(len(truth)), truth]
    return (classifier.decide(said) == targets).ravel(), float(-np.log(np.clip(chances, 1e-12, 1)).mean())
