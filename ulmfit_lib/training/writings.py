"""Other ways to write a text: small letters, fewer words, slips of the keys."""

import random

LETTERS = "etaoinshrdlucmwygpbvkxqjz"


def write_otherwise(text: str, rng: random.Random) -> str:
    """The same text as a hasty writer might leave it: it means about the same.

    >>> write_otherwise("The Battery was great, but it died.", random.Random(3))
    'the battery was great, but it died'
    """
    words = text.split()
    if not words:
        return text
    if rng.random() < 0.6:
        words = [word.lower() for word in words]
    if len(words) > 8 and rng.random() < 0.4:
        left = len(words) - rng.randint(1, len(words) // 4)
        words = words[:left] if rng.random() < 0.5 else words[-left:]
    if len(words) > 2 and rng.random() < 0.5:
        for _ in range(1 + len(words) // 12):
            place = rng.randrange(len(words))
            words[place] = misspell(words[place], rng)
    if rng.random() < 0.4:
        words[-1] = words[-1].rstrip(".!?") or words[-1]
    return " ".join(words)


def misspell(word: str, rng: random.Random) -> str:
    """One letter changes places with the next, is left out, doubled, or another; short words stay."""
    if len(word) < 4 or not word.isalpha():
        return word
    place = rng.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    slips = (after[0] + letter + after[1:], after, letter + letter + after, rng.choice(LETTERS) + after)
    return before + rng.choice(slips)
