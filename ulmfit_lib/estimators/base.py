"""What the estimators of texts have in common."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.serving.texts import Column, read_column


class TextEstimator(BaseEstimator):
    """A scikit-learn estimator whose ``X`` is one column of texts.

    Attributes:
        n_features_in_: 1, the column of texts.
        feature_names_in_: (1,) its name, if ``X`` was a frame.
    """

    def _remember(self, column: Column) -> None:
        """Set what scikit-learn expects to find after ``fit``."""
        self.n_features_in_ = 1
        if column.name is not None:
            self.feature_names_in_ = np.array([column.name], dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _read_again(self, X: Any) -> list[str]:
        """The texts of an ``X`` like that of ``fit``."""
        check_is_fitted(self)
        column = read_column(X, called="X")
        known = getattr(self, "feature_names_in_", [None])[0]
        if None not in (known, column.name) and column.name != known:
            raise DataError(f"X has the column {column.name!r}, and the estimator was fitted to the column {known!r}")
        return column.texts

    def __sklearn_tags__(self) -> Any:
        """What goes in is texts, not a table of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def as_seed(random_state: Any) -> int:
    """scikit-learn's ``random_state`` as a seed: a whole number is one, a ``RandomState`` draws one, None draws any."""
    generator = check_random_state(random_state)
    return int(random_state) if isinstance(random_state, Integral) else int(generator.randint(2**31))


def check_epochs(lm_epochs: Any, *, min_epochs: int) -> None:
    """Raise an OptionError unless it is a whole number of ``min_epochs`` or more."""
    if not isinstance(lm_epochs, Integral) or int(lm_epochs) < min_epochs:
        raise OptionError(f"lm_epochs={lm_epochs!r}: a whole number is needed, {min_epochs} or more")
