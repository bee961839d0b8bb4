"""Texts cut at spaces, by Arrow where it is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HAS_ARROW = find_spec("pyarrow") is not None  # it is large, and predicting alone can do without
ARROW_FROM = 100_000  # characters; below, importing it takes longer than all the rest


class Cut(NamedTuple):
    """What texts are made of."""

    distinct: list[str]  # the different pieces, in order of first appearance
    places: npt.NDArray[np.integer]  # (n_pieces,) of each piece in `distinct`
    counts: npt.NDArray[np.integer]  # (n_texts,) pieces in each text


def cut_at_spaces(texts: Sequence[str]) -> Cut:
    """Every text cut at every space; a UnicodeEncodeError for half a surrogate pair alone.

    >>> cut_at_spaces(["to be", "be"]).distinct
    ['to', 'be']
    """
    encoded = [text.encode() for text in texts]
    return _by_arrow(encoded) if HAS_ARROW and sum(map(len, encoded)) >= ARROW_FROM else _by_python(texts)


def _by_python(texts: Sequence[str]) -> Cut:
    numbers: dict[str, int] = {}
    parts = [text.split(" ") for text in texts]
    places = [numbers.setdefault(piece, len(numbers)) for pieces in parts for piece in pieces]
    return Cut(list(numbers), np.array(places, np.int32), np.array([len(pieces) for pieces in parts], np.int64))


def _by_arrow(encoded: Sequence[bytes]) -> Cut:
    """Several times as fast; without functions of Arrow's that load pandas, if it is there, to look for it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    strings = pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
    lists = pc.split_pattern(strings, " ")
    pieces = lists.values.dictionary_encode()
    return Cut(pieces.dictionary.to_pylist(), _numbers(pieces.indices), np.diff(_numbers(lists.offsets)))


def _numbers(array: Any) -> npt.NDArray[np.integer]:
    numbers = np.frombuffer(array.buffers()[1], np.dtype(str(array.type)))
    return numbers[array.offset : array.offset + len(array)]
