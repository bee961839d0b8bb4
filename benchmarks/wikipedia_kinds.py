"""Short texts in six classes, from Wikipedia: what kind of thing are these two sentences about?

    python benchmarks/wikipedia_kinds.py train-04.jsonl.xz train-05.jsonl.xz … > kinds.csv

The class is the last word in brackets in an article's title, such as (2004 film); the text is the fifth and the sixth
sentence, which seldom name it, 300 characters at most. A stand-in for public sets of questions, tweets and news.
"""

import argparse
import csv
import json
import lzma
import random
import re
import sys
from pathlib import Path

KINDS = ("album", "band", "film", "politician", "series", "song")
IN_BRACKETS = re.compile(r"\((\w[\w ]*)\)$")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("articles", type=Path, nargs="+", help=".jsonl.xz with title and text")
    found = []
    for file in parser.parse_args().articles:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for article in map(json.loads, lines):
                if title := IN_BRACKETS.search(article["title"]):
                    found.append((title[1].split()[-1].lower(), article["text"]))
    random.Random(0).shuffle(found)
    writer = csv.writer(sys.stdout)
    writer.writerow(["text", "label"])
    for kind, text in found:
        sentences = SENTENCE_END.split(text.replace("\n", " "))
        if kind in KINDS and len(sentences) > 6:
            writer.writerow([" ".join(sentences[4:6])[:300], kind])


if __name__ == "__main__":
    main()
