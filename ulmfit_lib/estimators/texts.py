"""What scikit-learn hands over as ``X`` -> a list of texts."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ulmfit_lib.errors import DataError


def as_texts(X: Any) -> list[str]:
    """A list, a series, or an array or frame of one column, as a list of strings.

    >>> as_texts(np.array([["a film"], ["a book"]], dtype=object))
    ['a film', 'a book']

    Raises:
        DataError: a single string, several columns, or something that is no string; it names the row.
    """
    if isinstance(X, (str, bytes)):
        raise DataError("X is a single string; a list of texts is needed: put it in [brackets]")
    shape = getattr(X, "shape", None)
    if shape is None and isinstance(X, Iterable):
        X = list(X)
    if shape is None and X and all(isinstance(row, (list, tuple, np.ndarray)) for row in X):
        X, shape = np.array(X, object), (len(X), len(X[0]))
    if shape is not None and len(shape) != 1:
        if len(shape) != 2 or shape[1] != 1:
            raise DataError(f"X has the shape {tuple(shape)}; texts are needed, so one column: choose it, as X['text']")
        X = X.iloc[:, 0] if isinstance(X, pd.DataFrame) else X[:, 0]
    found = [text.item() if isinstance(text, np.generic) else text for text in X]
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise DataError(
                f"X: row {number} (from 0) is {text!r}, a {type(text).__name__}, and a text is needed; "
                f"leave the row out, or put an empty string there"
            )
    return found


def remember_column(estimator: Any, X: Any) -> None:
    """Set scikit-learn's ``n_features_in_``, and ``feature_names_in_``, (1,), where ``X`` is a frame."""
    estimator.n_features_in_ = 1
    if isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in X.columns):
        estimator.feature_names_in_ = np.asarray(X.columns, dtype=object)
    else:
        vars(estimator).pop("feature_names_in_", None)


def check_column(estimator: Any, X: Any) -> None:
    """Whether a frame's column is the one that was fitted.

    Raises:
        DataError: it has another name.
    """
    known = getattr(estimator, "feature_names_in_", None)
    if known is not None and isinstance(X, pd.DataFrame) and list(X.columns) != list(known):
        found = ", ".join(map(repr, X.columns))
        raise DataError(f"X has the column {found}, and the estimator was fitted to the column {known[0]!r}")
