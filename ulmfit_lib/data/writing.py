"""Predictions -> a file, with the columns that came in, some rows at a time."""

import csv
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ulmfit_lib.arrays import Floats
from ulmfit_lib.data.frames import DELIMITED
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.files import new_file
from ulmfit_lib.labels.kind import LabelKind

if TYPE_CHECKING:
    import pyarrow as pa


def with_predictions(
    frame: pd.DataFrame,
    texts: Sequence[str],
    probabilities: Floats,
    *,
    classes: Sequence[str],
    kind: LabelKind,
    least: float = 0.0,
) -> pd.DataFrame:
    """A table's columns and its predictions; rows without a text get an empty label.

    Args:
        frame: the columns that were read.
        texts: the same rows' texts, blank ones as "".
        probabilities: (n_rows, n_classes).
        classes: names of their columns.
        kind: what a label is.
        least: confidence below which a row is labelled "unsure".
    """
    real = np.array([bool(text) for text in texts], bool)
    columns: dict[str, npt.NDArray[np.object_] | npt.NDArray[np.float64]] = {
        "prediction": np.where(real, np.array(kind.decode(probabilities, classes, least), object), ""),
        "confidence": np.where(real, kind.confidence(probabilities).round(6), np.nan),
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
    import pyarrow.parquet as pq

    writer = None

    def write_frame(frame: pd.DataFrame) -> None:
        nonlocal writer
        table = to_arrow(frame, writer.schema if writer else None, out)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write_frame
    finally:
        if writer:
            writer.close()


def to_arrow(frame: pd.DataFrame, schema: "pa.Schema | None", name: Path) -> "pa.Table":
    """A frame as Arrow, and so Parquet, holds it.

    Args:
        frame: the rows.
        schema: the kind of each column; None: what the values are.
        name: of the file, for messages.

    Raises:
        DataError: a column has values of another kind, or of several.
    """
    import pyarrow as pa

    try:
        for field in schema or ():
            # Arrow would cut fractions off
            whole = pa.types.is_integer(field.type) and frame[field.name].dtype == object
            if whole and any(isinstance(value, float) and value % 1 > 0 for value in frame[field.name]):
                raise pa.ArrowInvalid("", f"failed for column {field.name} with type float")
        return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OverflowError) as error:
        found = re.search(r"failed for column (.*) with type", str(error.args[-1]))
        column = f"column {found[1]!r}" if found else "a column"
        raise DataError(
            f"{name}: {column} has several kinds of values, or one that Parquet cannot hold: make them one kind, or "
            "write .csv or .jsonl without an engine"
        ) from error
