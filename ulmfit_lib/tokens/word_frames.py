"""English pieces like ``"(well-made),"`` without spaCy: what it does to one word in such a frame, it does to all.

Within these frames spaCy looks at a word's letters only to find a special case. So it splits each frame once, with a
stand-in for the words.
"""

import re
from collections.abc import Callable

from ulmfit_lib.tokens.rules import SAME_CHARACTER, fix_html
from ulmfit_lib.tokens.splitting import Splitter

# No dot before a letter: there spaCy looks for addresses, and at which letters they are.
MARKS = r"""[A-Za-z"'(),:;!?-]*"""
FRAMED = re.compile(rf"{MARKS}(?:\.(?![A-Za-z]){MARKS})*").fullmatch
WORDS = re.compile(r"(?<![a-z'])([a-z]{2,})")  # what follows an apostrophe counts as part of the frame: 's
STAND_IN = "ŵŵ"  # lower-case letters, as the words are, but none that a framed piece can hold
SLOT = -1


class WordFrames:
    """Tokens, by their ``number``, of the English pieces that need no spaCy of their own."""

    def __init__(self, split: Splitter, number: Callable[[str], int]) -> None:
        self._split, self._number = split, number
        self._special = {word for case in split.rules.special_cases for word in re.findall("[a-z]+", case.lower())}
        self._frames: dict[str, list[int]] = {}

    def tokens(self, piece: str) -> list[int] | None:
        """The numbers of a piece's lower-case tokens after fastai's rules; None: it needs spaCy."""
        if not FRAMED(piece) or SAME_CHARACTER.search(piece) or (";" in piece and fix_html(piece) != piece):
            return None
        parts = WORDS.split(piece.lower())
        words = parts[1::2]
        if not self._special.isdisjoint(words):
            return None
        frame = STAND_IN.join(parts[::2])
        template = self._frames.get(frame)
        if template is None:
            template = self._frames[frame] = self._learn(frame, len(words))
        following = iter(words)
        return [self._number(next(following)) if one == SLOT else one for one in template] or None

    def _learn(self, frame: str, n_words: int) -> list[int]:
        """A frame's tokens with a slot for each word; none at all where a word would not be a token by itself."""
        tokens = self._split(frame)
        if tokens.count(STAND_IN) != n_words:
            return []
        return [SLOT if token == STAND_IN else self._number(token) for token in tokens]
