"""Random texts with a natural distribution of words: for measurements where only amount and variety count."""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

GOOD, BAD = "splendid", "dreadful"  # what tells the two classes of ``reviews`` apart


class WordSource:
    """Words of random letters; the n-th commonest is drawn with a chance of about 1/n (Zipf's law)."""

    def __init__(self, seed: int = 0, *, n_words: int = 50_000) -> None:
        self.draw = np.random.default_rng(seed)
        letters = list("abcdefghijklmnoprstuvw")
        self.words = np.array(["".join(self.draw.choice(letters, self.draw.integers(1, 10))) for _ in range(n_words)])
        chances = 1 / np.arange(1, n_words + 1)
        self._cumulative = np.cumsum(chances / chances.sum())

    def take(self, count: int) -> list[str]:
        """``count`` words."""
        places: npt.NDArray[np.int64] = np.searchsorted(self._cumulative, self.draw.random(count))
        return self.words[places.clip(max=len(self.words) - 1)].tolist()


def reviews(*, mean_words: int = 230, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Endless sentences with capitals, commas and full stops; a word here and there gives their label away."""
    source = WordSource(seed)
    draw = source.draw
    for number in itertools.count():
        words = source.take(int(draw.gamma(2, mean_words / 2)) + 3)
        label, clue = (("positive", GOOD), ("negative", BAD))[number % 2]
        for place in draw.integers(0, len(words), max(1, len(words) // 20)):
            words[place] = clue
        for place in range(0, len(words), 12):
            words[place] = words[place].capitalize()
        marks = ["," if place % 6 == 5 else "." if place % 12 == 11 else "" for place in range(len(words))]
        yield " ".join(word + mark for word, mark in zip(words, marks, strict=True)), label
