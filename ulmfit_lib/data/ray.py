"""A classifier on Ray: each of a pool of actors reads it once, and every row keeps its columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from ulmfit_lib.data.reading import texts_of
from ulmfit_lib.data.writing import with_predictions
from ulmfit_lib.errors import DataError
from ulmfit_lib.serving.predictor import Predictor

if TYPE_CHECKING:
    from ray.data import Dataset

BATCH = 1024  # rows that an actor holds at a time


def predict_on_ray(
    rows: "Dataset", model: str | Path, *, text: str | Sequence[str], workers: int | None = None, cores: int = 1
) -> "Dataset":
    """Add the prediction, its confidence and each class's probability to every row of a Ray dataset.

    Ray gives no order, so let a column of ``rows`` say which row is which. What an actor that died had at hand is
    scored again by another.

    Args:
        rows: the texts, with any other columns.
        model: folder of an exported classifier, at a path that every machine of the cluster can read.
        text: column that holds the texts, or several to be joined; where it is empty, the prediction is "".
        workers: actors; default as many as find free cores.
        cores: that each actor reserves, and threads that it scores with.

    Raises:
        DataError: no such column.
        ArtifactError: the folder holds no model that can be read.
    """
    from ray.data import ActorPoolStrategy

    columns = [text] if isinstance(text, str) else list(text)
    names = rows.columns() or []
    if missing := [column for column in columns if column not in names]:
        raise DataError(f"no column {missing[0]!r}; the Ray dataset has {', '.join(map(repr, names))}")
    Predictor.load(model, threads=1)  # what is wrong with it is said here
    pool = ActorPoolStrategy(size=workers) if workers else ActorPoolStrategy(min_size=1)
    arguments = {"model": str(Path(model).resolve()), "text": columns, "threads": cores}
    return rows.map_batches(
        Scorer, fn_constructor_kwargs=arguments, batch_size=BATCH, batch_format="pyarrow", compute=pool, num_cpus=cores
    )


class Scorer:
    """What an actor does with rows: ``DATASET.map_batches(Scorer, batch_format="pyarrow", ...)``.

    Args:
        model: folder of an exported classifier.
        text: columns that hold the texts.
        threads: that score side by side.
        least: confidence below which a row is labelled "unsure".
    """

    def __init__(self, model: str, text: Sequence[str], threads: int, least: float = 0.0) -> None:
        self.predictor = Predictor.load(model, threads=threads)
        self.text, self.least = text, least
        pa.set_cpu_count(threads)

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows with their predictions."""
        frame = rows.select(self.text).to_pandas(integer_object_nulls=True, ignore_metadata=True)
        texts = texts_of(frame, self.text, rows=range(1, len(frame) + 1), source="a batch of the Ray dataset")
        probabilities = self.predictor.predict_proba(texts)
        said = with_predictions(
            pd.DataFrame(index=frame.index),
            texts,
            probabilities,
            classes=self.predictor.classes,
            kind=self.predictor.kind,
            least=self.least,
        )
        added = pa.Table.from_pandas(said, schema=added_columns(self.predictor.classes), preserve_index=False)
        kept = rows.select([name for name in rows.column_names if name not in added.column_names])
        for name in added.column_names:
            kept = kept.append_column(name, added[name])
        return kept


def added_columns(classes: Sequence[str]) -> pa.Schema:
    """The columns of predictions."""
    numbers = ["confidence", *(f"probability of {name}" for name in classes)]
    return pa.schema([("prediction", pa.string()), *((name, pa.float64()) for name in numbers)])
