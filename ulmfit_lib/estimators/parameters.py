"""Parameters as scikit-learn's users give them."""

from numbers import Integral
from typing import Any

from sklearn.utils import check_random_state

from ulmfit_lib.errors import OptionError


def as_seed(random_state: Any) -> int:
    """scikit-learn's ``random_state`` as a seed: a whole number is one, a ``RandomState`` draws one, None draws any.

    Raises:
        ValueError: it is none of these, or negative.
    """
    generator = check_random_state(random_state)
    return int(random_state) if isinstance(random_state, Integral) else int(generator.randint(2**31))


def check_epochs(lm_epochs: Any, *, least: int) -> None:
    """Whether a language model can read the texts so often.

    Raises:
        OptionError: it is no whole number, or less than ``least``.
    """
    if not isinstance(lm_epochs, Integral) or int(lm_epochs) < least:
        raise OptionError(f"lm_epochs={lm_epochs!r}: a whole number is needed, {least} or more")
