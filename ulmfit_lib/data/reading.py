"""Files and folders -> texts and labels."""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulmfit_lib.data.stored_texts import collect_texts
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.data.times import read_times
from ulmfit_lib.errors import DataError
from ulmfit_lib.labels.stored import kind_of
from ulmfit_lib.progress import counted, note, quietly
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.columns import check_columns
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.labels import Label, settle, tags_joining, tidied
from ulmfit_lib.rows.texts import as_columns, read_texts, source_of


def read_table(
    data: Any,
    *,
    text: str | Sequence[str],
    label: str | Sequence[str] | None = None,
    ratings: bool = False,
    label_delimiter: str | None = None,
    time: str | None = None,
    **written: Any,
) -> TextTable:
    """Read texts and labels from a file, a folder or a table in memory.

    Files may be larger than memory: many texts go to a temporary file in the cache folder. Rows without a text are left
    out, and counted in ``skipped``; ``read_parts`` keeps them.

    Args:
        data: a CSV, TSV, JSON, Excel, Parquet, Arrow or fastText file, plain or compressed; a folder that Hugging
            Face's ``datasets`` saved; a folder with one subfolder of text files per label (``unsup`` and ``unlabelled``
            hold texts without one; ``text`` and ``label`` do not matter then); or a table in memory, such as a frame of
            pandas or Polars or a list of dicts (``rows.frames.rows_of``).
        text: the column of the texts; several are joined, each marked with fastai's field token.
        label: the column of the labels; an empty cell is a text without a label, and a list of several names is tags.
            Several columns are tags, too: each says yes or no to the one that it is called by. None reads no labels.
        ratings: labels are numbers, such as one to five stars, and what is asked for is a number, too.
        label_delimiter: a label is several tags, such as "cheap;slow", separated by this; a cell of delimiters alone
            has none.
        time: the column that says when each text was written: dates, or numbers that rise with time (``read_times``).
        written: how the file is written (``rows.kinds.FileFormat``): ``encoding``, ``delimiter``, ``quoting``,
            ``sheet`` and ``label_file``; by default what is found.

    Raises:
        DataError: names the file, the row or the column, what was found, and what to do.
        OptionError: an unknown encoding or quoting, or a delimiter of several characters.

    Examples:
        >>> reviews = read_table("reviews.csv", text="review", label="sentiment")
        >>> len(reviews), len(reviews.labelled()), reviews.classes
        (404, 202, ['negative', 'positive'])
    """
    data = Path(data) if isinstance(data, str | os.PathLike) else data
    source, file = source_of(data), FileFormat(**written)
    asked = kind_of(ratings, label_delimiter) if ratings or label_delimiter is not None else None
    labels: list[Label] = []
    names: dict[Label, Label] = {}
    rows = array("q")
    times: list[Any] = []
    n_blank = n_headers = 0
    header = (as_columns(text), as_columns(label))

    def texts_of_parts() -> Iterator[str]:
        nonlocal n_blank, n_headers
        for part, some, given in read_texts(data, text=text, label=label, file=file):
            n_blank += some.count("")
            check_columns(part.names, as_columns(time), source)
            moments = [None] * len(part) if time is None else part.column(time)
            for one, name, row, moment in zip(some, given, part.numbers, moments, strict=True):
                if ([one], [name]) == header:  # where files were joined
                    n_headers += 1
                elif one:
                    labels.append(names.setdefault(name, name))  # one object for each label
                    rows.append(row)
                    times.append(moment)
                    yield one

    texts = collect_texts(texts_of_parts())
    if n_headers:
        note(f"{source}: the column names stand again in {counted(n_headers, 'row')}; left out")
    if not len(texts):
        raise DataError(f"{source}: {'every text is blank' if n_blank else 'it has no rows'}")
    places = rows.tolist() if isinstance(texts, list) else rows
    labels = tidied(labels, rows=rows, source=source)
    kind = asked or (tags_joining(labels, source) if len(as_columns(label)) > 1 else None)
    settled, kind = settle(labels, rows=rows, source=source, kind=kind)
    table = TextTable(texts, settled, places, source, n_blank).with_kind(kind)
    return table if time is None else replace(table, times=read_times(times, rows=places, column=time, source=source))


def read_parts(
    path: Path, *, text: str | Sequence[str], label: str | Sequence[str] | None = None, file: FileFormat | None = None
) -> Iterator[tuple[Rows, TextTable]]:
    """The same, some thousands of rows at a time, each part with all columns that it was read from.

    No row is left out: a blank text is "". What kind the labels are is found for each part by itself.
    """
    for rows, texts, labels in read_texts(path, text=text, label=label, file=file):
        with quietly():
            tidy = tidied(labels, rows=rows.numbers, source=str(path))
            settled, kind = settle(tidy, rows=rows.numbers, source=str(path))
        yield rows, TextTable(texts, settled, rows.numbers, str(path), kind=kind)
