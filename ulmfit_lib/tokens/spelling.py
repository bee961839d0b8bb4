"""Words outside a vocabulary, which are read as the known word that is spelled most like them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

SHORTEST = 4  # letters of a word whose spelling tells something, and of a known beginning
SHARE_OF_BEGINNING = 2 / 3  # of a word's letters
LETTERS = 26  # the commonest of a vocabulary, one of which may be missing or wrong
REMEMBERED = 50_000  # words


class Spelling:
    """What looks up the word of a vocabulary, token -> id with the commonest tokens first, that another is read as.

    >>> Spelling({"good": 9, "handset": 10, "terrible": 11, "table": 12}).nearest("terible")
    11
    """

    def __init__(self, index: Mapping[str, int]) -> None:
        self._ids = {token: number for token, number in index.items() if token.isalpha() and not token.startswith("xx")}
        letters = Counter("".join(self._ids))
        self._letters = [letter for letter, _ in letters.most_common(LETTERS)]
        self._longest = max(map(len, self._ids), default=0) / SHARE_OF_BEGINNING
        self._remembered = lru_cache(REMEMBERED)(self._look_up)

    def nearest(self, word: str) -> int | None:
        """The id of the known word that a word is read as; None where none is like it."""
        if SHORTEST <= len(word) <= self._longest and word.isalpha() and not word.startswith("xx"):
            return self._remembered(word)
        return None

    def _look_up(self, word: str) -> int | None:
        """The commonest word with one letter wrong, missing, too much or exchanged with the next (Damerau 1964).

        Else the longest known beginning. A known end is none: "untested" is not "tested".
        """
        known = [self._ids[other] for other in self._one_letter_off(word) if other in self._ids]
        if known:
            return min(known)
        for length in range(len(word) - 1, int(SHARE_OF_BEGINNING * len(word)), -1):
            if length >= SHORTEST and word[:length] in self._ids:
                return self._ids[word[:length]]
        return None

    def _one_letter_off(self, word: str) -> Iterator[str]:
        for place in range(len(word) + 1):
            before, after = word[:place], word[place:]
            if after:
                yield before + after[1:]
            if len(after) > 1:
                yield before + after[1] + after[0] + after[2:]
            if len(word) > SHORTEST:  # so many short words differ by a letter that this says nothing
                for letter in self._letters:
                    yield before + letter + after
                    if after:
                        yield before + letter + after[1:]
