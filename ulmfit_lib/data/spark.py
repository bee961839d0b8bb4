"""An exported classifier on Spark: each executor reads it once, and every row keeps its columns."""

from collections.abc import Iterator
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


def predict_on_spark(rows: "DataFrame", model: str | Path, *, text: str) -> "DataFrame":
    """Add the prediction, its confidence and each class's probability to every row of a Spark frame.

    Spark gives no order, so let a column of ``rows`` say which row is which. A task scores with as many threads as
    ``spark.task.cpus`` reserves for it.

    Args:
        rows: the texts, with any other columns.
        model: folder of an exported classifier, at a path that every executor can read.
        text: column that holds the texts; where it is empty, the prediction is "".

    Raises:
        DataError: no such column.
        ArtifactError: the folder holds no model that can be read.
    """
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    if text not in rows.columns:
        raise DataError(f"no column {text!r}; the Spark frame has {', '.join(map(repr, rows.columns))}")
    threads, folder = int(rows.sparkSession.conf.get("spark.task.cpus", "1")), str(model)
    numbers = ["confidence", *(f"probability of {name}" for name in Predictor.load(folder, threads=1).classes)]
    added = [StructField("prediction", StringType()), *(StructField(name, DoubleType()) for name in numbers)]

    def score(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        predictor = _predictor(folder, threads)
        for frame in frames:
            texts = texts_of(frame, [text], rows=range(1, len(frame) + 1), source="the Spark frame")
            probabilities = predictor.predict_proba(texts)
            yield with_predictions(frame, texts, probabilities, classes=predictor.classes, kind=predictor.kind)

    return rows.mapInPandas(score, StructType([*rows.schema.fields, *added]))


@lru_cache(maxsize=1)
def _predictor(folder: str, threads: int) -> Predictor:
    """Once a Python worker, which Spark keeps from task to task."""
    return Predictor.load(folder, threads=threads)
