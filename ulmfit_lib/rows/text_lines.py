"""Files of one text a line, with labels in the line as fastText has them, or in a second file -> records."""

import re
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

from ulmfit_lib.errors import DataError
from ulmfit_lib.rows.text_files import TextStream, open_text

TEXT, LABEL = "text", "label"
LOOKED_AT = 20  # lines
CELLS = re.compile(r"__label__[^\s,;|]+[,;|]\S")  # of a table whose labels are marked so
MARKED = re.compile(r"(?:^|(?<=\s))__label__(\S+?)[,;:|]*(?=\s|$)")


def is_marked(path: Path, encoding: str | None) -> bool:
    """Whether most of a file's first lines hold one of fastText's labels, with a blank between it and a text."""
    with open_text(path, encoding) as (text, _):
        first = list(islice((line.strip() for line in text.lines() if line.strip()), LOOKED_AT))
    marked = sum(bool(MARKED.search(line)) for line in first)
    return 2 * marked > len(first) and not any(CELLS.match(line) for line in first)


def marked_records(text: TextStream) -> Iterator[tuple[str, list[str]]]:
    """The text of each line, and the labels in it, before or behind the text; blank lines are none."""
    for line in text.lines():
        labels, rest = MARKED.findall(line), MARKED.sub("", line).strip()
        if labels or rest:
            yield rest, labels


def parallel_records(path: Path, text: TextStream, labels: Path, encoding: str | None) -> Iterator[tuple[str, str]]:
    """Each line of a file of texts, and that of a file of labels beside it, which has as many."""
    with open_text(labels, encoding) as (others, _):
        pairs = zip_longest(text.lines(), others.lines())
        for number, (one, label) in enumerate(pairs, 1):
            if one is None or label is None:
                short, long = (path, labels) if one is None else (labels, path)
                count = number + sum(1 for _ in pairs)
                raise DataError(
                    f"{short}: {number - 1:,} lines, and {long} has {count:,}; each text needs one label line"
                )
            yield one.removesuffix("\r"), label.strip()
