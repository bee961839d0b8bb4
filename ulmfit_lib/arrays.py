"""Names for the kinds of arrays that all folders pass to each other."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Features = dict[str, npt.NDArray[np.float32]]  # by direction: (n_texts, width), one pooled vector a text


def side_by_side(features: Features) -> npt.NDArray[np.float32]:
    """The vectors of all directions, one beside the other, of length 1."""
    vectors = np.concatenate(list(features.values()), axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
