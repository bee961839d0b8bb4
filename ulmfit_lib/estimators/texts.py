"""What scikit-learn hands over as ``X`` -> a list of texts, and the name of their column."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ulmfit_lib.errors import DataError

ONE_COLUMN = "texts are needed, so one column: choose it, as X['text']"


class Column(NamedTuple):
    """A column of texts.

    Attributes:
        texts: one a row.
        name: what a frame calls it; None without a frame, or where its name is no string.
    """

    texts: list[str]
    name: str | None = None


def read_column(X: Any, *, called: str = "X") -> Column:
    """A list, a series, or an array or frame of one column, from numpy, pandas, Arrow or Polars.

    >>> read_column(np.array([["a film"], ["a book"]], dtype=object)).texts
    ['a film', 'a book']

    Args:
        X: the texts.
        called: what an error calls it.

    Raises:
        DataError: a single string, several columns, or something that is no string; it names the row.
    """
    X = X.to_pandas() if hasattr(X, "to_pandas") else X
    shape = getattr(X, "shape", None)
    if isinstance(X, (str, bytes)):
        raise DataError(f"{called} is a single string; a list of texts is needed: put it in [brackets]")
    if isinstance(X, (Mapping, Set)) or not isinstance(X, Iterable) or shape == ():
        raise DataError(f"{called} is of the type {type(X).__name__}, and a list of texts is needed")
    if shape is not None and shape[1:] not in ((), (1,)):
        raise DataError(f"{called} has the shape {tuple(shape)}; {ONE_COLUMN}")
    name = None
    if isinstance(X, pd.DataFrame):
        name, X = X.columns[0], X.iloc[:, 0]
    texts = [_text(row, number, called) for number, row in enumerate(X)]
    return Column(texts, name if isinstance(name, str) else None)


def _text(row: Any, number: int, called: str) -> str:
    if isinstance(row, (list, tuple, np.ndarray)):
        if len(row) != 1:
            raise DataError(f"{called}: row {number} (from 0) has {len(row)} columns; {ONE_COLUMN}")
        row = row[0]
    if isinstance(row, np.generic):
        row = row.item()
    if not isinstance(row, str):
        raise DataError(
            f"{called}: row {number} (from 0) is {row!r}, a {type(row).__name__}, and a text is needed; "
            f"leave the row out, or put an empty string there"
        )
    return row


def remember_column(estimator: Any, column: Column) -> None:
    """Set scikit-learn's ``n_features_in_``, and ``feature_names_in_``, (1,), where the column has a name."""
    estimator.n_features_in_ = 1
    if column.name is None:
        vars(estimator).pop("feature_names_in_", None)
    else:
        estimator.feature_names_in_ = np.array([column.name], dtype=object)


def check_column(estimator: Any, column: Column) -> None:
    """Whether a frame's column is the one that was fitted.

    Raises:
        DataError: it has another name.
    """
    known = getattr(estimator, "feature_names_in_", [None])[0]
    if None not in (known, column.name) and column.name != known:
        raise DataError(f"X has the column {column.name!r}, and the estimator was fitted to the column {known!r}")
