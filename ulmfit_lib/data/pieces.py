"""What is remembered of the pieces that texts are made of."""

from array import array
from collections.abc import Sequence

# How a piece meets its neighbours:
BLANK, BLANK_FIRST, BLANK_LAST, SPACE_FIRST, UNCLEAR = 1, 2, 4, 8, 16
NO_WORD = -1


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
