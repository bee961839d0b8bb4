"""What every engine does with the rows that it hands to a worker."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ulmfit_lib.arrays import Floats
from ulmfit_lib.errors import DataError
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.predictions import AddedColumns, RowLabeller
from ulmfit_lib.rows.texts import texts_of
from ulmfit_lib.serving.predictor import Predictor


class Scorer:
    """Adds predictions to Arrow tables; a worker makes one, and so reads the model once.

    Below the ``threshold``, one for all labels or (n_classes,), a row is labelled "unsure"; ``source`` is for messages.
    """

    def __init__(
        self,
        model: str,
        text: Sequence[str],
        names: AddedColumns,
        threads: int,
        threshold: float | Floats = 0.0,
        source: str = "a batch",
    ) -> None:
        self.predictor = Predictor.load(model, threads=threads)
        self.text, self.names, self.threshold, self.source = text, names, threshold, source
        pa.set_cpu_count(threads)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows with their predictions."""
        return self.score(table)[0]

    def score(self, table: pa.Table) -> tuple[pa.Table, RowLabeller]:
        """The rows with their predictions, and how many have which."""
        rows = Rows(self.text, [table[name].to_pylist() for name in self.text])
        texts = texts_of(rows, self.text, self.source)
        labeller = RowLabeller(self.predictor, self.names, self.threshold)
        for name, cells in labeller.columns(texts, *self.predictor.judge(texts)).items():
            table = table.append_column(name, pa.array(cells, self.names.kinds[name]))
        return table, labeller


def added_columns(model: str | Path, columns: Sequence[str], text: Sequence[str], engine: str) -> AddedColumns:
    """Names of what a classifier adds to a data set of an engine; a DataError if this lacks a column of texts."""
    if missing := [name for name in text if name not in columns]:
        raise DataError(f"no column {missing[0]!r}; the {engine} has {', '.join(map(repr, columns))}")
    return AddedColumns.beside(columns, Predictor.load(model, threads=1).classes)
