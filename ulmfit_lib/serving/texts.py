"""Texts as people hold them in Python -> a list of strings: one door for all that takes texts."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

import numpy as np

from ulmfit_lib.errors import DataError

ONE_COLUMN = "texts are needed, so one column: choose it, as frame['text']"


class Column(NamedTuple):
    """A column of texts."""

    texts: list[str]  # one a row
    name: str | None = None  # what a frame calls it; None without a frame, or where its name is no string


def read_texts(rows: Any, *, called: str = "texts") -> list[str]:
    """The texts of anything that ``read_column`` reads."""
    return read_column(rows, called=called).texts


def read_column(rows: Any, *, called: str = "texts") -> Column:
    """A list, a series, or an array or frame of one column, from numpy, pandas, Arrow or Polars.

    >>> read_column(np.array([["a film"], ["a book"]], dtype=object)).texts
    ['a film', 'a book']

    Raises:
        DataError: a single string, several columns, or something that is no string; it names the row.
    """
    if isinstance(rows, (str, bytes)):
        raise DataError(f"{called}: a single string, where a list of texts is needed: put it in [brackets]")
    shape = getattr(rows, "shape", None)
    names: Any = getattr(rows, "column_names", getattr(rows, "columns", ()))
    if isinstance(rows, (Mapping, Set)) or shape == () or not (len(names) or isinstance(rows, Iterable)):
        raise DataError(f"{called}: of the type {type(rows).__name__}, where a list of texts is needed")
    if shape is not None and shape[1:] not in ((), (1,)):
        raise DataError(f"{called}: an array of the shape {tuple(shape)}; {ONE_COLUMN}")
    name = names[0] if len(names) == 1 else None
    cells = rows if len(names) != 1 else rows[name]
    cells = cells.to_pylist() if hasattr(cells, "to_pylist") else cells  # Arrow's
    texts = [row if type(row) is str else _text(row, number, called) for number, row in enumerate(cells)]
    return Column(texts, name if isinstance(name, str) else None)


def _text(row: Any, number: int, called: str) -> str:
    if isinstance(row, (list, tuple, np.ndarray)):
        if len(row) != 1:
            raise DataError(f"{called}: row {number} (from 0) has {len(row)} columns; {ONE_COLUMN}")
        row = row[0]
    row = row.item() if isinstance(row, np.generic) else row
    if not isinstance(row, str):
        raise DataError(
            f"{called}: row {number} (from 0) is {row!r}, a {type(row).__name__}, and a text is needed; "
            f"leave the row out, or put an empty string there"
        )
    return row
