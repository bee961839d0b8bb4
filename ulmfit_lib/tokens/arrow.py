"""Strings to Arrow and whole numbers back; its own functions load pandas, where that is installed, to look for it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_strings(texts: Sequence[str]) -> pa.Array:
    """Texts as Arrow holds them.

    Raises:
        UnicodeEncodeError: half a surrogate pair alone.
    """
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def numbers_of(array: pa.Array) -> npt.NDArray[np.integer]:
    """(n,) whole numbers, none of them missing, without a copy."""
    numbers = np.frombuffer(array.buffers()[1], np.dtype(str(array.type)))
    return numbers[array.offset : array.offset + len(array)]
