"""Six sets of short texts that stand in for public ones, made of Wikipedia articles and film reviews.

    python benchmarks/stand_ins.py --articles train-0[4-9].jsonl.xz train-1*.jsonl.xz --reviews imdb.parquet --out sets

writes sets/NAME-train.csv and sets/NAME-test.csv, columns text and label, in random order, no source in both:

    questions   ten words with a gap; six classes, one of them rare: what kind of word is missing
    sentences   the last sentence of a review, which often sums it up; two classes, the review's
    tweets      a sentence of a review or, neutral, of an article about a film, roughened; three classes
    products    the first sixty words of a review; four classes, two ratings each
    news        two sentences from the middle of an article; four classes by the kind of thing it is about
    kinds       a sentence of an article after its first; sixty classes, few rows each, by what its first says it is:
                "is a village in", "was an American painter who"

Only labelled reviews of the training split are taken. Give articles that the base has not read.
"""

import argparse
import json
import lzma
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
IN_BRACKETS = re.compile(r"\((\w[\w ]*)\)$")
MONTH = re.compile("January|February|March|April|May|June|July|August|September|October|November|December")
MISSING = {  # how often, and what the word looks like
    "deed": (0.26, re.compile(r"[a-z]{3,}ed")),
    "name": (0.22, re.compile(r"[A-Z][a-z]{2,}")),
    "manner": (0.2, re.compile(r"[a-z]{3,}ly")),
    "year": (0.18, re.compile(r"1[89]\d\d|20\d\d")),
    "number": (0.12, re.compile(r"\d{1,3}")),
    "month": (0.02, MONTH),
}
SECTIONS = {
    "music": {"album", "song", "band", "musician", "singer", "composer"},
    "screen": {"film", "series", "actor", "director"},
    "sport": {"footballer", "football", "baseball", "cricketer", "soccer", "basketball", "hockey", "boxer", "athlete"},
    "public": {"politician", "officer", "bishop", "judge", "priest", "journalist", "businessman"},
}
WHAT_IT_IS = re.compile(
    r"\b(?:is|was|are|were) (?:an?|the|one of the)\s+(?P<words>(?:[\w'-]+ ){1,6}?)"
    r"(?:in|of|who|that|which|by|from|located|at)\b"
)
NO_KIND = re.compile(r"\w*ed|born|built|known|list|name|title|written|consisting|made|held|part|type|form|general")
MOST_KINDS, ROWS_OF_A_KIND = 60, 40
SHARE_FOR_TEST, MOST_TEST_ROWS = 0.2, 2000
Row = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, nargs="+", required=True, help=".jsonl.xz with title and text")
    parser.add_argument("--reviews", type=Path, required=True, help=".parquet with split, rating and text")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    articles = [article for file in arguments.articles for article in read_articles(file)]
    reviews = pd.read_parquet(arguments.reviews).query("split == 'train' and label in ('neg', 'pos')")
    sources = list(zip(reviews.text, reviews.rating.astype(int), strict=True))
    films = [(text, 0) for kind, text in articles if kind == "film"]
    write(arguments.out, "questions", [question(text, rng) for _, text in articles[:8000]], rng)
    write(arguments.out, "sentences", [last_sentence(*review) for review in sources], rng)
    write(arguments.out, "tweets", [tweets(text, rating, rng) for text, rating in [*sources, *films]], rng)
    write(arguments.out, "products", [opening(*review) for review in sources], rng)
    write(arguments.out, "news", [middle(*article) for article in articles], rng)
    write(arguments.out, "kinds", kinds([text for _, text in articles], rng), rng)


def read_articles(file: Path) -> Iterator[Row]:
    """The kind that a title names last in brackets, such as (2004 film), or nothing; and the article's text."""
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for article in map(json.loads, lines):
            kind = IN_BRACKETS.search(article["title"])
            yield kind[1].split()[-1].lower() if kind else "", article["text"].replace("\n", " ")


def write(out: Path, name: str, groups: list[list[Row]], rng: random.Random) -> None:
    """Rows of one article or review stay on one side."""
    rng.shuffle(groups)
    n_test = min(round(SHARE_FOR_TEST * sum(map(len, groups))), MOST_TEST_ROWS)
    test: list[Row] = []
    while len(test) < n_test:
        test += groups.pop()
    for part, rows in (("test", test), ("train", [row for group in groups for row in group])):
        rng.shuffle(rows)
        pd.DataFrame(rows, columns=["text", "label"]).to_csv(out / f"{name}-{part}.csv", index=False)


def question(text: str, rng: random.Random) -> list[Row]:
    kind = rng.choices(list(MISSING), [share for share, _ in MISSING.values()])[0]
    words = " ".join(SENTENCE_END.split(text)[2:]).split()
    places = [place for place in range(5, len(words) - 5) if MISSING[kind][1].fullmatch(words[place].strip(",;"))]
    if not places:
        return []
    gap = rng.choice(places)
    return [(" ".join([*words[gap - 5 : gap], "what", *words[gap + 1 : gap + 6]]) + "?", kind)]


def last_sentence(text: str, rating: int) -> list[Row]:
    sentences = of_length(text, range(6, 41))
    return [(sentences[-1], "pos" if rating > 5 else "neg")] if len(sentences) > 1 else []


def tweets(text: str, rating: int, rng: random.Random) -> list[Row]:
    """One from a review of 1, 2, 9 or 10 stars, ten from what has none: 0."""
    label = "neutral" if not rating else "negative" if rating < 3 else "positive" if rating > 8 else ""
    sentences = of_length(text, range(5, 25))
    chosen = rng.sample(sentences, min(len(sentences), 1 if rating else 10)) if label else []
    return [(roughened(sentence, rng), label) for sentence in chosen]


def roughened(sentence: str, rng: random.Random) -> str:
    """With what tweets have: names, tags, links, small letters, drawn-out vowels, no full stops."""
    words = sentence.rstrip(".").split()
    if rng.random() < 0.6:
        words = [word.lower() for word in words]
    place = rng.randrange(len(words))
    if rng.random() < 0.3:
        words[place] = re.sub(r"([aeiou])(?=\w*$)", lambda vowel: vowel[1] * rng.randint(3, 6), words[place], count=1)
    if rng.random() < 0.3:
        words[place] = "#" + re.sub(r"\W", "", words[place])
    if rng.random() < 0.4:
        words.insert(0, "@user")
    if rng.random() < 0.2:
        words.append(f"http://t.co/{rng.randrange(16**8):08x}")
    return " ".join(words)


def opening(text: str, rating: int) -> list[Row]:
    return [(" ".join(text.replace("<br />", " ").split()[:60]), f"{rating + rating % 2 - 1} or {rating + rating % 2}")]


def middle(kind: str, text: str) -> list[Row]:
    section = next((name for name, kinds in SECTIONS.items() if kind in kinds), None)
    sentences = SENTENCE_END.split(text)[4:]
    pairs = [" ".join(sentences[place : place + 2])[:300] for place in range(0, min(len(sentences) - 1, 20), 2)]
    return [(pair, section) for pair in pairs] if section else []


def kinds(texts: list[str], rng: random.Random) -> list[list[Row]]:
    """The commonest last words of what first sentences say that things are, some rows of each."""
    rows: dict[str, list[Row]] = {}
    for text in texts:
        first, *others = SENTENCE_END.split(text)
        said, fitting = WHAT_IT_IS.search(first), of_length(" ".join(others[:20]), range(6, 21))
        if said and fitting:
            kind = said["words"].split()[-1].lower()
            if not NO_KIND.fullmatch(kind):
                rows.setdefault(kind, []).append((rng.choice(fitting), kind))
    common = sorted(rows, key=lambda kind: -len(rows[kind]))[:MOST_KINDS]
    return [[row] for kind in common for row in rng.sample(rows[kind], min(ROWS_OF_A_KIND, len(rows[kind])))]


def of_length(text: str, words: range) -> list[str]:
    """Sentences of so many words."""
    found = SENTENCE_END.split(text.replace("<br />", " "))
    return [sentence.strip() for sentence in found if len(sentence.split()) in words]


if __name__ == "__main__":
    main()
