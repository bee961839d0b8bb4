"""Names for the kinds of arrays that all folders pass to each other."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]  # of texts or words, one a row
Features = dict[str, Vectors]  # by direction: (n_texts, width), one pooled vector a text


def products(matrix: Vectors, vectors: Vectors) -> Vectors:
    """(n_out, n_in) by (..., n_in) -> (..., n_out), a product of two vectors for each number.

    So a vector's numbers do not depend on the vectors beside it; and the call stays in its thread. NumPy's product of a
    matrix and a vector takes all cores, and where these are busy it waits for them many times as long as it computes.
    """
    return np.asarray(np.matmul(matrix[:, None, :], vectors[..., None, :, None])[..., 0, 0])


def projected(matrix: Vectors, vectors: Vectors) -> Vectors:
    """The ``products``, each of length 1, whatever stands beside it."""
    return of_length_1(products(matrix, vectors))


def of_length_1(vectors: Vectors) -> Vectors:
    """(n, width) vectors, each divided by its length, alike however many there are."""
    lengths = np.array([np.linalg.norm(vector) for vector in vectors], np.float32)
    return np.asarray(vectors / lengths.clip(1e-12)[:, None], np.float32)


def side_by_side(features: Features) -> Vectors:
    """The vectors of all directions, one beside the other, of length 1."""
    vectors = np.concatenate(list(features.values()), axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
