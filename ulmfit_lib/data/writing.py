"""Predictions -> a file, with the columns that came in."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ulmfit_lib.data.reading import read_frame
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import write_file


def write_table(
    table: TextTable,
    classes: Sequence[str],
    probabilities: npt.NDArray[np.float64],
    *,
    source: Path,
    out: Path | None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> None:
    """Write a table's rows with their predictions, in order; rows without a text get an empty label.

    Args:
        table: what was predicted, blank rows kept.
        classes: names of the columns of ``probabilities``.
        probabilities: (n_rows, n_classes).
        source: the file that the table was read from; its columns are written again.
        out: ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``; None writes CSV to stdout.
        encoding: of the source.
        delimiter: of the source.

    Raises:
        OptionError: another kind of file.
        ArtifactError: ``out`` cannot be written.
    """
    if source.is_dir():
        frame = pd.DataFrame({"text": table.texts})
    else:
        frame = read_frame(source, [], encoding=encoding, delimiter=delimiter)
    real = np.array([bool(text) for text in table.texts])
    frame["prediction"] = np.where(real, np.array(classes, dtype=object)[probabilities.argmax(1)], "")
    frame["confidence"] = np.where(real, probabilities.max(1).round(6), np.nan)
    for column, name in enumerate(classes):
        frame[f"probability of {name}"] = np.where(real, probabilities[:, column].round(6), np.nan)
    if out is None:
        sys.stdout.write(frame.to_csv(index=False))
    else:
        write_file(out, _encode(frame, out))


def _encode(frame: pd.DataFrame, out: Path) -> bytes:
    if out.suffix == ".parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    if out.suffix == ".jsonl":
        return frame.to_json(orient="records", lines=True, force_ascii=False).encode("utf-8")
    if out.suffix in (".csv", ".tsv"):
        return frame.to_csv(index=False, sep="\t" if out.suffix == ".tsv" else ",").encode("utf-8")
    raise OptionError(f"--out {out}: its name must end in .csv, .tsv, .jsonl or .parquet")
