"""Excel's and LibreOffice's workbooks -> rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import DataError, OptionError, first_line
from ulmfit_lib.progress import note
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.text_files import open_bytes


def sheet_names(path: Path) -> list[str]:
    """The names of a workbook's sheets, those that are shown first.

    Raises:
        DataError: the file is missing or damaged.
        OptionError: a package is missing.
    """
    with _opened(path) as book:
        return _names(book)


def workbook_rows(path: Path, columns: Sequence[str], sheet: str | None) -> Rows:
    """The rows of a sheet, the names of its columns in its first row; a whole number is one, as the sheet shows it.

    Args:
        path: the workbook.
        columns: that the sheet must have.
        sheet: its name; by default the first with rows that has these columns, else the first of all.

    Raises:
        DataError: the file is missing or damaged, or has no such sheet.
        OptionError: a package is missing.
    """
    with _opened(path) as book:
        sheets = _names(book)
        if sheet is not None and sheet not in sheets:
            raise DataError(f"{path}: no sheet {sheet!r}; it has {', '.join(map(repr, sheets))}")
        asked = sheets if sheet is None else [sheet]
        tables = {name: _rows_of(book.get_sheet_by_name(name).to_python()) for name in asked}
    fitting = [name for name, rows in tables.items() if set(columns) <= set(rows.names) and len(rows)]
    chosen = next(iter(fitting or tables))
    if sheet is None and (chosen != sheets[0] or (len(fitting) > 1 and columns)):
        others = "; others have its columns, too (--sheet names one)" if len(fitting) > 1 else ""
        note(f"{path}: read is the sheet {chosen!r}{others}")
    return tables[chosen]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise OptionError(f"{path}: a workbook needs one more package: pip install python-calamine") from error
    with open_bytes(path) as (stream, _):
        try:
            yield CalamineWorkbook.from_filelike(stream)
        except CalamineError as error:
            raise DataError(f"{path}: no readable workbook ({first_line(error)})") from error


def _names(book: Any) -> list[str]:
    shown = [one.name for one in book.sheets_metadata if str(one.visible).endswith(".Visible")]
    return [*shown, *(name for name in book.sheet_names if name not in shown)]


def _rows_of(lines: Sequence[Sequence[Any]]) -> Rows:
    header, *rest = [[_cell(value) for value in line] for line in lines] or [[]]
    width = max((place for place, name in enumerate(header, 1) if name is not None), default=0)
    width = max(
        [width, *(place for line in rest for place, value in enumerate(line, 1) if value is not None)], default=0
    )
    names = ["" if name is None else str(name).strip() for name in header[:width]]
    return Rows(names, list(map(list, zip(*(line[:width] for line in rest), strict=True))) or [[] for _ in names])


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "" else value
