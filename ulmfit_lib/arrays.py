"""Names for the kinds of arrays that all folders pass to each other."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Features = dict[str, npt.NDArray[np.float32]]  # by direction: (n_texts, width), one pooled vector a text
