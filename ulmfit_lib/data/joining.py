"""Several tables as one: texts with new or corrected labels beside those that were there."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ulmfit_lib.data.stored_texts import collect_texts
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.progress import counted, note


def join_tables(first: TextTable, others: Sequence[TextTable]) -> TextTable:
    """All texts, each once for all tables, those of the first in their rows; where one table has tags, all do.

    A label that a text has in another table takes the place of its label, or of none, in the tables before. Texts are
    the same that differ in blanks and line ends alone, which spreadsheet programs change. How many labels changed, and
    how many texts are new, is said.

    >>> old = TextTable.from_lists(["good", "bad"], ["pos", None])
    >>> join_tables(old, [TextTable.from_lists(["bad "], ["neg"])]).labels
    ['pos', 'neg']
    """
    tags = next((one.kind for one in (first, *others) if not one.kind.exclusive), None)
    joined, *others = (one.with_kind(tags) if tags else one for one in (first, *others))
    for other in others:
        joined = _joined(joined, other)
    return joined


def _joined(table: TextTable, other: TextTable) -> TextTable:
    theirs = [_seen(text) for text in other.texts]
    known = set(theirs)
    given = {seen: label for seen, label in zip(theirs, other.labels, strict=True) if label is not None}
    labels, there = list(table.labels), set()
    changed = added = 0
    for place, text in enumerate(table.texts):
        if (seen := _seen(text)) not in known:
            continue
        there.add(seen)
        before, label = labels[place], given.get(seen, labels[place])
        added += before is None and label is not None
        changed += before is not None and label != before
        labels[place] = label
    new = other.select([place for place, seen in enumerate(theirs) if seen not in there])
    note(
        f"{other.source}: {counted(changed, 'label')} changed and {counted(added, 'label')} added of texts that "
        f"{table.source} holds; {counted(len(new), 'new text')}"
    )
    last = max(table.rows, default=0)
    return replace(
        table,
        texts=collect_texts(chain(table.texts, new.texts)) if len(new) else table.texts,
        labels=[*labels, *new.labels],
        rows=[*table.rows, *(last + row for row in new.rows)],
        times=[*table.times, *new.times],
        source=f"{table.source} and {other.source}",
        skipped=table.skipped + other.skipped,
    )


def _seen(text: str) -> str:
    return " ".join(text.split())
