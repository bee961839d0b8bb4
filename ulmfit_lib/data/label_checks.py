"""Whether a table's labels can be learnt from, and what is odd about them."""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.certainty import UNSURE
from ulmfit_lib.labels.ratings import read_rating
from ulmfit_lib.progress import counted, note

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable

DOUBTFUL = (
    "None",
    "none",
    "NONE",
    "Null",
    "-",
    "--",
    "?",
    ".",
    "(null)",
    "(none)",
    "(blank)",
    "(Blank)",
    "missing",
)  # may stand for no label
DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))
MANY_CLASSES = 20  # more distinct labels than this, in a large share of the rows, look like free text
LONG_LABEL = 60  # characters
FEWEST_WITH_SINGLE = 50  # labelled rows among which a label seen once may be a rare class


def check_labels(table: "TextTable") -> None:
    """Raise a DataError, before hours of training do, for labels that are missing, all the same, or free text."""
    labels = table.targets()
    if not labels:
        raise DataError(f"{table.source}: no row has a label")
    classes = table.classes
    names = [name for label in labels for name in table.kind.names(label)]
    average = sum(map(len, names)) / max(len(names), 1)
    many = len(classes) > MANY_CLASSES and len(classes) > len(labels) / 3
    if many or average > LONG_LABEL:
        texts = [text for text, label in zip(table.texts, table.labels, strict=True) if label is not None]
        if len(set(texts)) <= max(2, len(texts) / 3) and sum(map(len, texts)) / len(texts) < average:
            raise DataError(
                f"{table.source}: the labels look like texts and the texts like labels "
                f"(for example {texts[0][:40]!r}): swap --text and --label"
            )
        raise DataError(
            f"{table.source}: the label column looks like free text: {len(classes)} different values in "
            f"{len(labels)} rows (for example {labels[0][:60]!r}); name the column of the classes with --label"
            f"{', or pass --ratings (ratings=True) if it holds ratings' if suggest_ratings(table) else ''}"
        )
    if len(set(labels)) == 1:
        raise DataError(
            f"{table.source}: all {len(labels)} labelled rows have the label {labels[0]!r}; a classifier needs two"
        )


def check_file_labels(table: "TextTable") -> None:
    """``check_labels`` of a user's file: where labels are few, a class that is seen once is refused: it may be a slip.

    A tag that is seen once is not: the text has others, or a column of its own says so.
    """
    check_labels(table)
    if table.kind.exclusive and (said := _single_labels(table)) and len(table.targets()) < FEWEST_WITH_SINGLE:
        raise DataError(f"{said}; correct it, drop the row, or add at least one more example")


def mention_odd_labels(table: "TextTable") -> None:
    """Tell the user of labels that are seen once, of those that differ in capitals alone, and of numbers in order."""
    if said := _single_labels(table):
        note(f"{said}; it is learnt, but no row is left to test it on: correct it if it is a slip")
    if table.kind.one_class_per_text and UNSURE in table.classes:
        note(
            f"{table.source}: a class is called {UNSURE!r}, as is the answer to texts that are too uncertain for "
            "--min-precision, which cannot be asked for then: give the class another name"
        )
    counts = table.label_counts
    if doubtful := [name for name in DOUBTFUL if name in counts]:
        rows = counted(counts[doubtful[0]], "row")
        note(f"{table.source}: {rows} with the label {doubtful[0]!r}; if it stands for none, leave the cells empty")
    if alike := spellings(table.classes):
        note(f"{table.source}: {spelt_apart(alike)}; write them in one way if they mean the same")
    if suggestion := suggest_ratings(table):
        note(f"{table.source}: {suggestion}")


def spellings(classes: Sequence[str]) -> list[list[str]]:
    """Classes that differ in capitals, blanks, dashes or Unicode's forms alone, those that are alike together.

    >>> spellings(["Food", "bad", "food ", "good"])
    [['Food', 'food ']]
    """
    alike: dict[str, list[str]] = {}
    for name in classes:
        seen = unicodedata.normalize("NFKC", name).translate(DASHES).casefold()
        alike.setdefault("".join(seen.split()), []).append(name)
    return [names for names in alike.values() if len(names) > 1]


def spelt_apart(alike: Sequence[Sequence[str]]) -> str:
    """A clause on the first of what ``spellings`` found."""
    more = f" (and {len(alike) - 1} more such groups)" if len(alike) > 1 else ""
    return f"the labels {' and '.join(map(repr, alike[0]))} are different classes and look alike{more}"


def suggest_ratings(table: "TextTable") -> str:
    """A sentence where classes are numbers that may be ratings; else "".

    >>> from ulmfit_lib import TextTable
    >>> table = TextTable.from_lists(["Dull.", "Fine.", "Great."], ["1", "3", "5"])
    >>> suggest_ratings(table)
    'the labels are numbers from 1 to 5; if they are in order, as stars are, --ratings (ratings=True) makes use of that'
    """
    numbers = [read_rating(name) for name in table.classes] if table.kind.one_class_per_text else []
    known = sorted(number for number in numbers if number is not None)
    if len(known) < 3 or len(known) < len(numbers):
        return ""
    return (
        f"the labels are numbers from {known[0]:g} to {known[-1]:g}; if they are in order, as stars are, --ratings "
        "(ratings=True) makes use of that"
    )


def _single_labels(table: "TextTable") -> str:
    """A clause on labels that are seen once; "" without any."""
    once = sorted(label for label, count in table.label_counts.items() if count == 1)
    if not once:
        return ""
    row = next(row for row, label in zip(table.rows, table.strata, strict=True) if label == once[0])
    more = f" (and {len(once) - 1} more such labels)" if len(once) > 1 else ""
    return f"{table.source}: the label {once[0]!r} occurs once, in row {row}{more}"
