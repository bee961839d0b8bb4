"""Cells -> texts: what a text is, and when a row has none."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows import folders
from ulmfit_lib.rows.arrow_files import dataset_files
from ulmfit_lib.rows.batch import Rows, decoded, is_missing
from ulmfit_lib.rows.columns import as_called, check_columns
from ulmfit_lib.rows.frames import SOURCE, rows_of
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.labels import Label, labels_of, stands_for_nothing
from ulmfit_lib.rows.reader import PART_ROWS, read_rows
from ulmfit_lib.tokens.rules import FIELD

# Letters, quotation marks and emoji of UTF-8 that were read as Windows' encoding or Latin-1, and saved.
GARBLED = re.compile("[ÃÂ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â(?:€|\x80)|ðŸ|ð\x9f")


def read_texts(
    data: Any,
    *,
    text: str | Sequence[str],
    label: str | Sequence[str] | None = None,
    file: FileFormat | None = None,
    rows: int = PART_ROWS,
) -> Iterator[tuple[Rows, list[str], list[Label]]]:
    """The rows of a file, a folder or a table in memory, some at a time: all columns, the texts and the labels.

    No row is left out: a blank text is "". What programs write for no value, such as ``NA``, is a text, which is said.

    Args:
        data: the path of a file (``read_rows``), or of a folder (``folder_rows``), where ``text`` does not
            matter; or a table in memory (``rows_of``).
        text: the column of the texts; several are joined.
        label: the column of the labels, or several that each say yes or no to one (``labels_of``); of a folder,
            any name stands for the folders' names. None: no labels.

    Raises:
        DataError: names the file, the row or the column, what was found, and what to do.
        OptionError: no column of texts.
    """
    columns, labelled, file = as_columns(text), as_columns(label), file or FileFormat()
    if not columns:
        raise OptionError("text: at least one column of texts is needed")
    source, needed = source_of(data), list(dict.fromkeys([*columns, *labelled]))
    parts: Iterator[Rows]
    if not isinstance(data, Path):
        parts = iter([rows_of(data)])
    elif is_folder_of_texts(data):
        columns, labelled = [folders.TEXT], labelled and [folders.LABEL]
        parts = folders.folder_rows(data, file.encoding, rows=rows, labelled=bool(labelled))
        needed = []
    else:
        parts = read_rows(data, needed, file, rows=rows)
    missing, garbled = 0, list[str]()
    for part in parts:
        part = replace(part, names=as_called(part.names, needed)).with_inner(needed)
        check_columns(part.names, needed, source, advice="")  # that of a file's header is checked where it is read
        missing += sum(stands_for_nothing(cell) for name in columns for cell in part.column(name))
        labels: list[Label] = labels_of(part, labelled, source) if labelled else [None] * len(part)
        texts = texts_of(part, columns, source)
        garbled += [found.group() for one in texts if not one.isascii() and (found := GARBLED.search(one))]
        yield part, texts, labels
    if garbled:
        note(
            f"{source}: {counted(len(garbled), 'text')} with {garbled[0]!r} or the like: UTF-8 that was read in "
            "another encoding and saved anew; get the file from its source again"
        )
    if missing:
        note(
            f"{source}: {counted(missing, 'cell')} with NA or the like read as texts; leave them empty if they are none"
        )


def is_folder_of_texts(path: Path) -> bool:
    """Whether a path is that of a folder whose files are texts, and not the parts of a table."""
    return path.is_dir() and not dataset_files(path)


def source_of(data: Any) -> str:
    """What messages call a file, or a table in memory."""
    return str(data) if isinstance(data, Path) else SOURCE


def as_columns(names: Any) -> list[str]:
    """One name, several or none, as a list; pandas calls columns by numbers, too.

    >>> as_columns("text"), as_columns([0, "b"]), as_columns(None)
    (['text'], ['0', 'b'], [])
    """
    if names is None:
        return []
    several = isinstance(names, Iterable) and not isinstance(names, str)
    return list(map(str, names)) if several else [str(names)]


def texts_of(rows: Rows, columns: Sequence[str], source: str | Path) -> list[str]:
    """Each row's text, from one column or from several, joined by fastai's field token; "" where it is blank.

    Raises:
        DataError: names the row and the column that holds something else.
    """
    fields = zip(*(cells_as_text(rows, column, source) for column in columns), strict=True)
    return [_one_text(some) for some in fields]


def _one_text(fields: Sequence[str | None]) -> str:
    if all(not field or field.isspace() for field in fields):
        return ""
    if len(fields) == 1:
        return fields[0] or ""
    return " ".join(f"{FIELD} {number} {field or ''}" for number, field in enumerate(fields, 1))


def cells_as_text(rows: Rows, column: str, source: str | Path) -> list[str | None]:
    """A column's cells as a file of text would hold them; None where a cell holds nothing."""
    return [_as_text(cell, source, column, row) for row, cell in zip(rows.numbers, rows.column(column), strict=True)]


def _as_text(cell: Any, source: str | Path, column: str, row: int) -> str | None:
    if isinstance(cell, str):
        return cell
    if is_missing(cell):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a column of whole numbers with gaps arrives as floats
    if isinstance(cell, list) and len(cell) == 1 and isinstance(cell[0], str):
        return cell[0]  # as R writes a text to JSON
    if isinstance(cell, bytes):
        return decoded(cell, f"{source}: row {row}, column {column!r}")
    if isinstance(cell, list | dict) or hasattr(cell, "tolist"):
        found = "list" if hasattr(cell, "tolist") else type(cell).__name__
        raise DataError(f"{source}: row {row}, column {column!r}: found a {found}, not a text; join its parts to one")
    return str(cell)
