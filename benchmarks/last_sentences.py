"""Single sentences in two classes, from reviews: the last one of each, which often sums it up.

    python benchmarks/last_sentences.py train.csv --text review --label sentiment > sentences.csv

The label is the whole review's, so that some sentences do not show it. A stand-in for public sets of short reviews.
"""

import argparse
import csv
import re
import sys
from pathlib import Path

from ulmfit_lib import read_csv

BREAK, SENTENCE_END = re.compile(r"<br\s*/?>"), re.compile(r"(?<=[.!?])\s+")
WORDS = range(6, 41)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path)
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    arguments = parser.parse_args()
    table = read_csv(arguments.reviews, text=arguments.text, label=arguments.label).labelled()
    writer = csv.writer(sys.stdout)
    writer.writerow(["text", "label"])
    for text, label in zip(table.texts, table.targets(), strict=True):
        sentences = [one.strip() for one in SENTENCE_END.split(BREAK.sub(" ", text)) if len(one.split()) in WORDS]
        if len(sentences) > 1:
            writer.writerow([sentences[-1], label])


if __name__ == "__main__":
    main()
