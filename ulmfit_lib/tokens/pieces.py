"""Texts cut at spaces, by Arrow where it is installed, and what is remembered of the pieces."""

from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Bools

HAS_ARROW = find_spec("pyarrow") is not None  # it is large, and predicting alone can do without
ARROW_FROM = 100_000  # characters; below, importing it takes longer than all the rest
# How a piece meets its neighbours:
BLANK, BLANK_FIRST, BLANK_LAST, SPACE_FIRST, UNCLEAR = 1, 2, 4, 8, 16
NO_WORD = -1
START_OF_TEXT = 1  # the number of the mark that starts each text
REACH = 4  # pieces on either side that what crosses a space may depend on: "no no no." does on the third


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


class PieceTable:
    """What is known of each piece: its tokens, its outer words, and how it meets its neighbours."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.tokens = array("i")  # of all pieces, one after the other
        self.starts, self.lengths = array("i"), array("i")
        self.first_words, self.last_words = array("i"), array("i")
        self.flags = array("B")
        self.words: dict[str, int] = {}

    def add(self, piece: str, tokens: Sequence[int], words: Sequence[str], flags: int = 0) -> None:
        """Remember a piece, its tokens, and the words in it that repetition looks at."""
        self.numbers[piece] = len(self.starts)
        self.starts.append(len(self.tokens))
        self.lengths.append(len(tokens))
        self.tokens.extend(tokens)
        number = self.words.setdefault
        first = number(words[0], len(self.words)) if words else NO_WORD
        last = first if len(words) == 1 else number(words[-1], len(self.words)) if words else NO_WORD - 1
        self.first_words.append(first)
        self.last_words.append(last)
        self.flags.append(flags)

    def blanks_meet(self, numbers: npt.NDArray[np.int32], owners: npt.NDArray[np.int32]) -> Bools:
        """Pieces that depend on their surroundings, mostly because their outer blanks make up one with those there."""
        flags = np.frombuffer(self.flags, np.uint8)[numbers]
        left, right = flags, np.append(flags[1:], 0)
        ends_text = np.append(owners[1:] != owners[:-1], True)
        meet = ((left & BLANK_LAST) > 0) & (((right & (BLANK | BLANK_FIRST)) > 0) | ends_text)
        meet |= ((left & BLANK) > 0) & ((right & (BLANK_FIRST | SPACE_FIRST)) > 0)
        meet |= (numbers == START_OF_TEXT) & ((right & BLANK_FIRST) > 0)
        return meet | ((left & UNCLEAR) > 0)

    def words_meet(self, numbers: npt.NDArray[np.int32]) -> Bools:
        """Pieces that end in the word that the next one starts with: perhaps it is there for the third time."""
        solid = np.flatnonzero((np.frombuffer(self.flags, np.uint8)[numbers] & BLANK) == 0)
        first = np.frombuffer(self.first_words, np.int32)[numbers[solid[1:]]]
        last = np.frombuffer(self.last_words, np.int32)[numbers[solid[:-1]]]
        meet = np.zeros(len(numbers), bool)
        meet[solid[:-1][first == last]] = True
        return meet

    def may_be_cut(
        self, crossing: Bools, numbers: npt.NDArray[np.int32], whole: Bools, owners: npt.NDArray[np.int32]
    ) -> Bools:
        """Behind which pieces (the last one is left out) a text's tokens do not depend on what follows."""
        near = np.convolve(crossing, np.ones(2 * REACH + 2, np.int8))[REACH:][: len(crossing)] > 0
        plain = (np.frombuffer(self.flags, np.uint8)[numbers] == 0) & ~near & ~whole
        return (plain[:-1] & plain[1:]) | (owners[1:] != owners[:-1])
