"""Predictions -> a file, with the columns that came in, some rows at a time."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ulmfit_lib.data.frames import DELIMITED
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.files import new_file


def with_predictions(
    frame: pd.DataFrame, table: TextTable, classes: Sequence[str], probabilities: npt.NDArray[np.float64],
    labels: Sequence[str], confidence: npt.NDArray[np.float64],
) -> pd.DataFrame:  # fmt: skip
    """A table's columns and its predictions; rows without a text get an empty label.

    Args:
        frame: the columns that were read.
        table: the same rows' texts, blank ones as "".
        classes: names of the columns of ``probabilities``.
        probabilities: (n_rows, n_classes).
        labels: what is said of each row.
        confidence: (n_rows,) in that.
    """
    real = np.array([bool(text) for text in table.texts])
    columns: dict[str, npt.NDArray[np.object_] | npt.NDArray[np.float64]] = {
        "prediction": np.where(real, np.array(labels, object), ""),
        "confidence": np.where(real, confidence.round(6), np.nan),
    }
    for column, name in enumerate(classes):
        columns[f"probability of {name}"] = np.where(real, probabilities[:, column].round(6), np.nan)
    return frame.assign(**columns)


@contextmanager
def table_writer(out: Path | None) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Something that takes one frame after the other; the file appears whole at the end, or not at all.

    Args:
        out: ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``; None writes CSV to stdout.

    Raises:
        OptionError: another kind of file.
        ArtifactError: ``out`` cannot be written.
        DataError: Parquet needs one kind of value a column, and the frames have several.
    """
    if out is None:
        yield _delimited(sys.stdout.write, ",")
        return
    if out.suffix not in (*DELIMITED, ".jsonl", ".parquet"):
        raise OptionError(f"--out {out}: its name must end in .csv, .tsv, .jsonl or .parquet")
    with new_file(out) as temporary:
        if out.suffix == ".parquet":
            with _parquet(temporary, out) as write:
                yield write
            return
        with temporary.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            if out.suffix == ".jsonl":
                yield lambda frame: frame.to_json(file, orient="records", lines=True, force_ascii=False)
            else:
                yield _delimited(file.write, DELIMITED[out.suffix])


def _delimited(write: Callable[[str], object], delimiter: str) -> Callable[[pd.DataFrame], None]:
    header = True

    def write_frame(frame: pd.DataFrame) -> None:
        nonlocal header
        content = frame.to_csv(index=False, sep=delimiter, header=header)
        if "\r" in content:  # which pandas leaves bare, and readers take for the end of a line
            content = frame.to_csv(index=False, sep=delimiter, header=header, quoting=csv.QUOTE_NONNUMERIC)
        write(content)
        header = False

    return write_frame


@contextmanager
def _parquet(path: Path, out: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None

    def write_frame(frame: pd.DataFrame) -> None:
        nonlocal writer
        try:
            table = pa.Table.from_pandas(frame, schema=writer.schema if writer else None, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"{out}: a column has several kinds of values, which Parquet cannot hold; write .csv or .jsonl instead"
            ) from error
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write_frame
    finally:
        if writer:
            writer.close()
