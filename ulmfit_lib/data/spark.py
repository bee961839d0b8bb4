"""An exported classifier on Spark: each executor reads it once, and every row keeps its columns."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ulmfit_lib.data.reading import texts_of
from ulmfit_lib.data.writing import with_predictions
from ulmfit_lib.errors import DataError
from ulmfit_lib.serving.predictor import Predictor

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def predict_on_spark(rows: "DataFrame", model: str | Path, *, text: str | Sequence[str]) -> "DataFrame":
    """Add the prediction, its confidence and each class's probability to every row of a Spark frame.

    Spark gives no order, so let a column of ``rows`` say which row is which. A task scores with as many threads as
    ``spark.task.cpus`` reserves for it.

    Args:
        rows: the texts, with any other columns.
        model: folder of an exported classifier, at a path that every executor can read.
        text: column that holds the texts, or several to be joined; where it is empty, the prediction is "".

    Raises:
        DataError: no such column.
        ArtifactError: the folder holds no model that can be read.
    """
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    columns = [text] if isinstance(text, str) else list(text)
    if missing := [column for column in columns if column not in rows.columns]:
        raise DataError(f"no column {missing[0]!r}; the Spark frame has {', '.join(map(repr, rows.columns))}")
    threads, folder = int(rows.sparkSession.conf.get("spark.task.cpus", "1")), str(Path(model).resolve())
    numbers = ["confidence", *(f"probability of {name}" for name in Predictor.load(folder, threads=1).classes)]
    kept = rows.drop("prediction", *numbers).schema.fields  # what is predicted takes the place of such columns
    added = [StructField("prediction", StringType()), *(StructField(name, DoubleType()) for name in numbers)]
    schema = StructType([*kept, *added])

    def score(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        predictor = _predictor(folder, threads)
        for frame in frames:
            texts = texts_of(frame, columns, rows=range(1, len(frame) + 1), source="a batch of the Spark frame")
            said = with_predictions(
                frame, texts, predictor.predict_proba(texts), classes=predictor.classes, kind=predictor.kind
            )
            yield said[schema.names]

    return rows.mapInPandas(score, schema)


@lru_cache(maxsize=1)
def _predictor(folder: str, threads: int) -> Predictor:
    """Once a Python worker, which Spark keeps from task to task."""
    return Predictor.load(folder, threads=threads)
