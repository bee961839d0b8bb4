"""Files and folders -> texts and labels."""

import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ulmfit_lib.data.frames import read_frames, read_text
from ulmfit_lib.data.stored_texts import collect_texts
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.stored import kind_of
from ulmfit_lib.tokens.rules import FIELD

UNLABELLED_FOLDERS = ("unsup", "unlabelled", "unlabeled")


def read_table(
    path: str | Path,
    *,
    text: str | Sequence[str],
    label: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    keep_blank: bool = False,
    ratings: bool = False,
    label_delimiter: str | None = None,
) -> TextTable:
    """Read texts and labels from a CSV, TSV, JSONL or Parquet file or a folder; ``read_csv`` is another name for this.

    Files may be larger than memory: many texts go to a temporary file in the cache folder.

    Args:
        path: the file, plain or compressed, or a folder with one subfolder of ``.txt`` files per label (``unsup`` and
            ``unlabelled`` hold texts without one; ``text`` and ``label`` do not matter then).
        text: the column of the texts; several are joined, each marked with fastai's field token.
        label: the column of the labels; an empty cell is a text without a label. None reads no labels.
        encoding: of text files.
        delimiter: between columns; default a comma, in ``.tsv`` a tab.
        keep_blank: keep rows without a text, as "": for prediction, where no row may be lost. Otherwise they are left
            out and counted in ``skipped``.
        ratings: labels are numbers, such as one to five stars, and what is asked for is a number, too.
        label_delimiter: a label is several tags, such as "cheap;slow", separated by this; a cell of delimiters alone
            has none.

    Raises:
        DataError: names the file, the row or the column, what was found, and what to do.
    """
    kind, path = kind_of(ratings, label_delimiter), Path(path)
    labels: list[str | None] = []
    names: dict[str, str] = {}
    rows = array("q")
    n_blank = 0

    def texts_of_parts() -> Iterator[str]:
        nonlocal n_blank
        for _, part in read_parts(path, text=text, label=label, encoding=encoding, delimiter=delimiter):
            n_blank += part.texts.count("")
            for one, name, row in zip(part.texts, part.labels, part.rows, strict=True):
                if one or keep_blank:
                    labels.append(name if name is None else names.setdefault(name, name))  # one object for each label
                    rows.append(row)
                    yield one

    texts = collect_texts(texts_of_parts())
    if not len(texts):
        raise DataError(f"{path}: every text is blank")
    places = rows.tolist() if isinstance(texts, list) else rows
    table = TextTable(texts, labels, places, str(path), 0 if keep_blank else n_blank)
    return table.with_kind(kind)


read_csv = read_table


def read_parts(
    path: Path,
    *,
    text: str | Sequence[str],
    label: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> Iterator[tuple[pd.DataFrame, TextTable]]:
    """The same, some thousands of rows at a time, each part with all columns that it was read from.

    No row is left out: a blank text is "".
    """
    columns = [text] if isinstance(text, str) else list(text)
    if not columns:
        raise OptionError("text: at least one column of texts is needed")
    if path.is_dir():
        yield _read_folder(path, encoding, with_labels=label is not None)
        return
    first_row = 1
    for frame in read_frames(path, [*columns, *([label] if label else [])], encoding=encoding, delimiter=delimiter):
        rows = range(first_row, first_row + len(frame))
        labels = _cells(frame, label, rows, path) if label else [None] * len(frame)
        yield frame, _table(texts_of(frame, columns, rows=rows, source=path), labels, first_row, str(path))
        first_row += len(frame)


def texts_of(frame: pd.DataFrame, columns: Sequence[str], *, rows: Sequence[int], source: str | Path) -> list[str]:
    """Each row's text, from one column or from several, joined; "" where it is blank.

    Args:
        frame: the rows.
        columns: that hold the texts.
        rows: their numbers, for messages.
        source: where they came from, for messages.

    Raises:
        DataError: names the row and the column that holds something else.
    """
    texts = _cells(frame, columns[0], rows, source)
    if len(columns) > 1:
        fields = zip(*(_cells(frame, column, rows, source) for column in columns), strict=True)
        texts = [_join_fields(some) for some in fields]
    return [_blank(text) for text in texts]


def _blank(text: str | None) -> str:
    return text if text and not text.isspace() else ""


def _cells(frame: pd.DataFrame, column: str, rows: Sequence[int], source: str | Path) -> list[str | None]:
    return [_cell(value, source, column, row) for row, value in zip(rows, frame[column], strict=True)]


def _read_folder(path: Path, encoding: str, *, with_labels: bool) -> tuple[pd.DataFrame, TextTable]:
    files = sorted(path.glob("*/*.txt")) + sorted(path.glob("*.txt"))
    if not files:
        raise DataError(f"{path}: no .txt files in this folder or one level below, in a subfolder per label")
    texts = [_blank(read_text(file, encoding)) for file in files]
    folders = [file.parent.name if file.parent != path and with_labels else None for file in files]
    labels = [None if name in UNLABELLED_FOLDERS else name for name in folders]
    return pd.DataFrame({"text": texts}), _table(texts, labels, 1, str(path))


def _table(texts: Sequence[str], labels: Sequence[str | None], first_row: int, source: str) -> TextTable:
    return TextTable(
        texts,
        [label.strip() or None if label is not None else None for label in labels],
        range(first_row, first_row + len(texts)),
        source,
    )


def _join_fields(fields: Sequence[str | None]) -> str | None:
    if not any(field and field.strip() for field in fields):
        return None
    return " ".join(f"{FIELD} {number} {field or ''}" for number, field in enumerate(fields, 1))


def _cell(value: Any, path: str | Path, column: str, row: int) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of whole numbers with gaps arrives as floats
    if isinstance(value, list | dict | bytes | np.ndarray):
        found = "list" if isinstance(value, np.ndarray) else type(value).__name__
        raise DataError(f"{path}: row {row}, column {column!r}: found a {found}, not a text")
    return str(value)
