"""Random texts with a natural distribution of words: for measurements where only amount and variety count."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

GOOD, BAD = "splendid", "dreadful"  # what tells the two classes of ``reviews`` apart


class WordSource:
    """Given words or words of random letters; the n-th is drawn with a chance of about 1/n (Zipf's law)."""

    def __init__(self, seed: int = 0, *, n_words: int = 50_000, words: Sequence[str] = ()) -> None:
        self.draw = np.random.default_rng(seed)
        letters = list("abcdefghijklmnoprstuvw")
        made_up = ("".join(self.draw.choice(letters, self.draw.integers(1, 10))) for _ in range(n_words))
        self.words = np.array(words or list(made_up))
        chances = 1 / np.arange(1, len(self.words) + 1)
        self._cumulative = np.cumsum(chances / chances.sum())

    def take(self, count: int) -> list[str]:
        """``count`` words."""
        places: npt.NDArray[np.int64] = np.searchsorted(self._cumulative, self.draw.random(count))
        return self.words[places.clip(max=len(self.words) - 1)].tolist()


def known_words(base: str) -> list[str]:
    """The words of a language model's vocabulary, the commonest first: unknown ones take longer to predict."""
    from ulmfit_lib import LanguageModel  # here, as memory.py measures what is imported
    from ulmfit_lib.tokens.rules import SPECIAL_TOKENS

    tokens = LanguageModel.from_pretrained(base).vocabulary.tokens
    return [token for token in tokens if token.isalpha() and token not in SPECIAL_TOKENS]


def reviews(*, mean_words: int = 230, seed: int = 0, words: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Endless sentences with capitals, commas and full stops; a word here and there gives their label away."""
    source = WordSource(seed, words=words)
    draw = source.draw
    for number in itertools.count():
        text = source.take(int(draw.gamma(2, mean_words / 2)) + 3)
        label, clue = (("positive", GOOD), ("negative", BAD))[number % 2]
        for place in draw.integers(0, len(text), max(1, len(text) // 20)):
            text[place] = clue
        for place in range(0, len(text), 12):
            text[place] = text[place].capitalize()
        marks = ["," if place % 6 == 5 else "." if place % 12 == 11 else "" for place in range(len(text))]
        yield " ".join(word + mark for word, mark in zip(text, marks, strict=True)), label
