"""Files -> rows, some at a time, and one clear sentence about what is wrong with a file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import bar, quietly
from ulmfit_lib.rows.arrow_files import arrow_rows, dataset_files, mention_shard
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.columns import as_called, check_columns
from ulmfit_lib.rows.delimited import Layout, NoRows, read_records
from ulmfit_lib.rows.json_files import cell_at, json_records, lists_within, names_within
from ulmfit_lib.rows.kinds import ARROW, DELIMITED, JSON, PLAIN, WORKBOOKS, FileFormat, suffix_of
from ulmfit_lib.rows.layouts import find_layout
from ulmfit_lib.rows.text_files import TextStream, open_bytes, open_text
from ulmfit_lib.rows.text_lines import LABEL, TEXT, is_marked, marked_records, parallel_records
from ulmfit_lib.rows.workbooks import sheet_names, workbook_rows

PART_ROWS = 20_000


def read_rows(
    path: Path, columns: Sequence[str], file: FileFormat | None = None, *, rows: int = PART_ROWS
) -> Iterator[Rows]:
    """All columns of a file, as they are, at most ``rows`` rows at a time; ``columns`` must be among them.

    All parts have the same columns, and there is at least one row in the first. The rows are those of the file: one
    that does not fit the header is refused.

    Raises:
        NoRows: the file is empty.
        DataError: the file is missing, damaged, in another encoding, or lacks a column.
    """
    file, first, found = file or FileFormat(), 1, False
    for part in _parts(path, columns, file, rows):
        part = part.with_inner(columns)
        names = as_called(part.names, columns)
        in_sheet = any(suffix.lower() in WORKBOOKS for suffix in path.suffixes)
        check_columns(names, columns, path, advice=None if in_sheet else "")
        if len(part):
            found = True
            yield replace(part, names=names, first=first)
            first += len(part)
    if not found:
        raise NoRows(f"{path}: the file has column names but no rows")


def _parts(path: Path, columns: Sequence[str], file: FileFormat, rows: int) -> Iterator[Rows]:
    """By the kind of file; the columns come at least once, if only with no rows."""
    if path.is_dir():
        if not (files := dataset_files(path)):
            raise DataError(f"{path}: a folder without a table; name a file, or a folder of text files without columns")
        for one in files:
            yield from arrow_rows(one, rows)
    elif file.label_file is not None:
        with _shown(path, file.encoding) as text:
            pairs = parallel_records(path, text, Path(file.label_file), file.encoding)
            yield from _pairs(pairs, rows)
    elif (suffix := suffix_of(path)) in ARROW:
        mention_shard(path)
        yield from arrow_rows(path, rows)
    elif suffix in WORKBOOKS:
        yield from _divided(workbook_rows(path, columns, file.sheet), rows)
    elif suffix in JSON:
        yield from _json_rows(path, file.encoding, columns, rows)
    elif suffix in (".csv", *PLAIN) and is_marked(path, file.encoding):
        with _shown(path, file.encoding) as text:
            yield from _pairs(marked_records(text), rows)
    else:
        yield from _delimited_rows(path, file, columns, rows)


def _pairs(pairs: Iterator[tuple[str, Any]], rows: int) -> Iterator[Rows]:
    """Texts with their labels."""
    yield Rows([TEXT, LABEL], [(), ()])
    while part := list(islice(pairs, rows)):
        yield Rows([TEXT, LABEL], list(zip(*part, strict=True)))


def _divided(whole: Rows, rows: int) -> Iterator[Rows]:
    yield whole.select([])
    for start in range(0, len(whole), rows):
        yield whole.select(range(start, min(start + rows, len(whole))))


def format_beside(path: Path, file: FileFormat) -> FileFormat:
    """How a file may be written that is read together with another one, which is written as ``file`` says.

    Encoding and delimiter are looked at in each file; what else is said of one need not hold for another.
    """
    has_sheet = path.suffix.lower() in WORKBOOKS and file.sheet in sheet_names(path)
    return FileFormat(file.encoding, file.delimiter, sheet=file.sheet if has_sheet else None)


def layout_of(path: Path, file: FileFormat, columns: Sequence[str]) -> Layout:
    """How a delimited file is written (``layouts.find_layout``); it is looked at once, until it changes."""
    with open_bytes(path):
        state = path.stat()
    return _layout(path, file, tuple(columns), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _layout(path: Path, file: FileFormat, columns: Sequence[str], *_: int) -> Layout:
    default = DELIMITED[suffix_of(path)]
    return find_layout(path, file.encoding, columns, default=default, delimiter=file.delimiter, quoting=file.quoting)


def _delimited_rows(path: Path, file: FileFormat, columns: Sequence[str], rows: int) -> Iterator[Rows]:
    layout = layout_of(path, file, columns)
    with _shown(path, file.encoding) as text:
        records = read_records(text.lines(), layout, path)
        names = next(records)
        part = list(islice(records, rows))
        while part:
            yield Rows(names, list(zip(*part, strict=True)))
            part = list(islice(records, rows))
        yield Rows(names, [()] * len(names))


@contextmanager
def _shown(path: Path, encoding: str | None) -> Iterator[TextStream]:
    """A file's text, while a bar shows how far it is read."""
    with (
        open_text(path, encoding) as (text, file),
        bar(total=os.fstat(file.fileno()).st_size, description=path.name, unit="B") as progress,
    ):
        text.watch = lambda: progress.update(file.tell() - progress.n)
        yield text


def _json_rows(path: Path, encoding: str | None, columns: Sequence[str], rows: int) -> Iterator[Rows]:
    with _shown(path, encoding) as text:
        records = json_records(path, text, columns)
        part = list(islice(records, rows))
        if not part:
            raise NoRows(f"{path}: the file is empty")
        names = dict.fromkeys(name for row in part for name in row)
        if len(part) == rows:  # there may be more, and more names in it
            with open_text(path, encoding) as (again, _), quietly():
                names = dict.fromkeys(name for row in json_records(path, again, columns) for name in row)
        within = names_within(part[0])
        if missing := [name for name in columns if name not in names]:
            lists = lists_within(part[0])
            advice = f"; if its list {lists[0]!r} holds the rows, save that list alone" if lists else ""
            check_columns([*as_called(list(names), columns), *within], columns, path, advice=advice)
            names |= dict.fromkeys(name for name in missing if name in within)
        while part:
            yield Rows(list(names), [[cell_at(row, name) for row in part] for name in names])
            part = list(islice(records, rows))
