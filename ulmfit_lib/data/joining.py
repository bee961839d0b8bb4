"""Several tables as one: texts with new or corrected labels beside those that were there."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ulmfit_lib.data.stored_texts import collect_texts
from ulmfit_lib.data.table import TextTable


def join_tables(first: TextTable, others: Sequence[TextTable]) -> TextTable:
    """All rows, numbered on from those of the first; where one table's labels are tags, all are.

    A text of another table that has a label there stands for the same text in the tables before it, whether that had no
    label yet or a different one.

    >>> old = TextTable.from_lists(["good", "bad"], ["pos", None])
    >>> join_tables(old, [TextTable.from_lists(["bad"], ["neg"])]).labels
    ['pos', 'neg']
    """
    tags = next((one.kind for one in (first, *others) if not one.kind.exclusive), None)
    first, *others = (one.with_kind(tags) if tags else one for one in (first, *others))
    joined = first
    for other in others:
        renewed = {text for text, label in zip(other.texts, other.labels, strict=True) if label is not None}
        kept = [i for i, text in enumerate(joined.texts) if text not in renewed]
        before = joined if len(kept) == len(joined) else joined.select(kept)
        last = max(before.rows, default=0)
        joined = replace(
            before,
            texts=collect_texts(chain(before.texts, other.texts)),
            labels=[*before.labels, *other.labels],
            rows=[*before.rows, *(last + row for row in other.rows)],
            times=[*before.times, *other.times],
            source=f"{before.source} and {other.source}",
            skipped=before.skipped + other.skipped,
        )
    return joined
