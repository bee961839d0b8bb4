"""The tokens of some texts as numbers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class TokenIds(NamedTuple):
    """Tokens of texts, one text after the other.

    Attributes:
        types: the distinct tokens, in order of first appearance.
        ids: (n_tokens,) places in ``types``.
        lengths: (n_texts,) tokens in each text.
    """

    types: list[str]
    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]
