"""Finds the ratings that reviewers write into their reviews, such as "8/10", "three out of five" or "Grade: B-"."""

import re
from collections.abc import Iterator

NUMBERS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}
GRADES = {
    "A+": 1.0,
    "A": 0.95,
    "A-": 0.9,
    "B+": 0.8,
    "B": 0.72,
    "B-": 0.65,
    "C+": 0.55,
    "C": 0.45,
    "C-": 0.4,
    "D+": 0.3,
    "D": 0.2,
    "D-": 0.15,
    "F": 0.0,
}
NUMBER = rf"\d{{1,2}}(?:[.,]\d)?|{'|'.join(NUMBERS)}"
OUT_OF = re.compile(
    rf"(?<![\d./\w])(?P<given>{NUMBER})\s*(?:and a half\s*)?(?:\*|stars?|points?)?\s*(?:/|out of)\s*"
    rf"(?P<most>10|ten|5|five|4|four|100)\b(?![\d/]|\.\d)(?!\s*(?:people|the|them|those|actors|movies|films?|times|years))",
    re.IGNORECASE,
)
STARS = re.compile(r"(?<![*\w])(?P<given>\*{1,4})\s*(?P<half>1/2|½)?\s*(?:/|out of)\s*(?P<most>\*{4,5}|[45])", re.I)
GRADE = re.compile(r"\b(?:[Gg]rade|[Rr]ating|[Ss]core)\s*[:=-]\s*(?P<given>[A-D][+-]?|F)(?![\w'+-])")
ALONE = re.compile(
    r"\b(?:my (?:rating|vote|score|grade)|i (?:rate|rated|give|gave) (?:it|this(?: \w+)?)|rating|score)"
    rf"(?:\s|is|was|of|an?|[:=-])+(?P<given>{NUMBER})\b"
    r"(?!\s*(?:star|/|out|of|minute|year|hour|time|%|\.\d|\d|th))",
    re.IGNORECASE,
)
AGREE = 0.25  # how far the ratings in one review may lie apart


def without_rating(text: str) -> tuple[float, str] | None:
    """The rating that a text gives, from 0 to 1, and the text without it; None where it gives none, or several.

    >>> without_rating("A fine film. 8/10")
    (0.8, 'A fine film.')
    >>> without_rating("The first was a 9/10, this one is 2/10.") is None
    True
    """
    found = list(_ratings(text))
    values = [value for *_, value in found]
    if not found or max(values) - min(values) > AGREE:
        return None
    pieces, left = [], 0
    for start, end, _ in sorted(found):
        pieces.append(text[left:start])
        left = max(left, end)
    return sum(values) / len(values), " ".join("".join([*pieces, text[left:]]).split())


def _ratings(text: str) -> Iterator[tuple[int, int, float]]:
    """Where each rating starts and ends, and its value from 0 to 1."""
    known = []
    for match in OUT_OF.finditer(text):
        given, most = _number(match["given"]), _number(match["most"])
        if given <= most:
            known.append((*match.span(), given / most))
    for match in STARS.finditer(text):
        given, most = len(match["given"]) + 0.5 * bool(match["half"]), match["most"].count("*") or int(match["most"])
        if given <= most:
            known.append((*match.span(), given / most))
    known += [(*match.span(), GRADES[match["given"]]) for match in GRADE.finditer(text)]
    yield from known
    for match in ALONE.finditer(text):
        apart = all(match.end() <= start or end <= match.start() for start, end, _ in known)
        if apart and _number(match["given"]) <= 10:
            yield *match.span(), _number(match["given"]) / 10


def _number(written: str) -> float:
    return float(NUMBERS.get(written.lower(), written.replace(",", ".")))
