"""Weights as whole numbers of a byte, whose products are exact on every CPU."""

from typing import Any

import numpy as np
import numpy.typing as npt

STEPS = 127  # of a byte on either side of zero
ZERO = 128  # the byte that stands for 0 where bytes have no sign
PAIR = 128  # of two weights' steps: CPUs without VNNI add two products within 16 bits, and 255 * 128 still fits
ROWS = 256  # that are rounded at a time
Matrix = npt.NDArray[np.float32]


def row_bytes(matrix: Matrix) -> tuple[npt.NDArray[np.int8], Matrix]:
    """(rows, n) weights as whole numbers, and what each row was divided by, (rows,).

    Of four neighbours, which one instruction multiplies, no two may have so many steps that their products overflow.
    """
    size = np.abs(np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % 4))))
    pairs, larger = size[:, ::2] + size[:, 1::2], np.maximum(size[:, ::2], size[:, 1::2])
    two = np.maximum(pairs.max(1), (larger[:, ::2] + larger[:, 1::2]).max(1))  # the largest sum of two among four
    scale = np.maximum(larger.max(1) / STEPS, two / PAIR).clip(1e-12)
    return rounded(matrix, scale[:, None], above=0, kind=np.int8), scale


def rounded(matrix: Matrix, scale: Matrix, *, above: int, kind: type[Any]) -> npt.NDArray[Any]:
    """The nearest whole numbers to ``matrix / scale``, plus ``above``; a few rows at a time, within the cache."""
    numbers, scale = np.empty(matrix.shape, kind), np.broadcast_to(scale, matrix.shape)
    for start in range(0, len(matrix), ROWS):
        some = slice(start, start + ROWS)
        numbers[some] = np.rint(matrix[some] / scale[some] + np.float32(above))
    return numbers
