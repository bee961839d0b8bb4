"""Words outside a vocabulary, which are read as the known word that is spelled most like them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

SHORTEST = 4  # letters of a word whose spelling tells something
SHORTEST_KNOWN = 3  # letters of the word that it is read as
SHARE_OF_ENDS = 2 / 3  # of a word's letters that a known word at its beginning or end needs
LETTERS = 40  # the commonest of a vocabulary, one of which may be missing or wrong
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
        self.nearest = lru_cache(REMEMBERED)(self._nearest)

    def _nearest(self, word: str) -> int | None:
        """The id of the known word that a word is read as; None where none is like it.

        Letters that are repeated for emphasis come first, then one letter that is wrong, missing, too much or
        exchanged with the next (Damerau 1964), and then a known word at the beginning or the end.
        """
        if len(word) < SHORTEST or not word.isalpha():
            return None
        for repeated, kept in ((r"(.)\1{2,}", r"\1\1"), (r"(.)\1+", r"\1")):
            shorter = re.sub(repeated, kept, word)
            if shorter != word and shorter in self._ids:
                return self._ids[shorter]
        known = [self._ids[other] for other in self._one_letter_off(word) if other in self._ids]
        if known:
            return min(known)
        for length in range(len(word) - 1, int(SHARE_OF_ENDS * len(word)), -1):
            for part in (word[:length], word[-length:]):
                if len(part) >= SHORTEST and part in self._ids:
                    return self._ids[part]
        return None

    def _one_letter_off(self, word: str) -> Iterator[str]:
        for place in range(len(word) + 1):
            before, after = word[:place], word[place:]
            if after and len(word) > SHORTEST_KNOWN:
                yield before + after[1:]
            if len(after) > 1:
                yield before + after[1] + after[0] + after[2:]
            if len(word) > SHORTEST:  # so many short words differ by a letter that this says nothing
                for letter in self._letters:
                    yield before + letter + after
                    if after:
                        yield before + letter + after[1:]
