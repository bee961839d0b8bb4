"""An exported classifier on Spark: each executor reads it once, and every row keeps its columns."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ulmfit_lib.engines.scoring import Scorer, added_columns
from ulmfit_lib.engines.sources import arrow_table
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.predictions import AddedColumns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def predict_on_spark(rows: "DataFrame", model: str | Path, *, text: str | Sequence[str]) -> "DataFrame":
    """Add the prediction, its confidence and each class's probability to every row of a Spark frame.

    Spark gives no order, so let a column of ``rows`` say which row is which. A task scores with as many threads as
    ``spark.task.cpus`` reserves for it.

    Args:
        rows: the texts, with any other columns, which are kept.
        model: folder of an exported classifier, at a path that every executor can read.
        text: column that holds the texts, or several to be joined; where it is empty, the prediction is "".

    Raises:
        DataError: no such column.
        ArtifactError: the folder holds no model that can be read.
    """
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    columns = (text,) if isinstance(text, str) else tuple(text)
    names = added_columns(model, rows.columns, columns, "Spark frame")
    threads, folder = int(rows.sparkSession.conf.get("spark.task.cpus", "1")), str(Path(model).resolve())
    types = {"string": StringType, "double": DoubleType}
    schema = StructType(
        [*rows.schema.fields, *(StructField(name, types[kind]()) for name, kind in names.kinds.items())]
    )

    def score(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        scorer = _scorer(folder, columns, names, threads)
        for batch in batches:
            yield from scorer(pa.Table.from_batches([batch])).to_batches()

    return rows.mapInArrow(score, schema)


def read_on_spark(
    spark: "SparkSession", data: str | Path, *, text: str | Sequence[str], file: FileFormat | None = None
) -> "DataFrame":
    """A file that Spark has no reader for, such as a workbook or an export of a labelling tool, as a frame.

    It is read by this process, whole; Spark's own readers divide what they read. ``data`` may be a folder of text files
    or of ``datasets``, and ``text`` several columns.

    Raises:
        DataError: it cannot be read, or a column holds values of several kinds.
    """
    return spark.createDataFrame(arrow_table(data, text=text, file=file))


@lru_cache(maxsize=1)
def _scorer(model: str, text: Sequence[str], names: AddedColumns, threads: int) -> Scorer:
    """Once a Python worker, which Spark keeps from task to task."""
    return Scorer(model, text, names, threads, source="a batch of the Spark frame")
