"""Excel's and LibreOffice's workbooks -> rows."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import DataError, OptionError, first_line
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.columns import HEADER_LINES, as_called, describing_rows, header_among
from ulmfit_lib.rows.text_files import WEB_PAGE, open_bytes

# A cell whose formula has no value; where its value is an empty text, its type says so.
WITHOUT_VALUE = re.compile(rb'<c(?![^>]*t="str")[^>]*><f(?:\s[^>]*)?(?:/>|>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>')

OPEN_DOCUMENT = "content.xml"
BREAKS = {b"<text:tab/>": b"&#9;", b"<text:line-break/>": b"&#10;"}  # in OpenDocument's texts, which calamine drops
SPANNED = re.compile(rb'number-rows-spanned="(?!1")\d+"')


def sheet_names(path: Path) -> list[str]:
    """The names of a workbook's sheets, those that are shown first."""
    with _opened(path) as book:
        return _names(book)


def workbook_rows(path: Path, columns: Sequence[str], sheet: str | None) -> Rows:
    """The rows of a sheet, the names of its columns in its first row; a whole number is one, as the sheet shows it.

    By default, of the first sheet with rows that has these columns, else the first of all.
    """
    with _opened(path) as book:
        sheets = _names(book)
        if sheet is not None and sheet not in sheets:
            raise DataError(f"{path}: no sheet {sheet!r}; it has {', '.join(map(repr, sheets))}")
        asked = sheets if sheet is None else [sheet]
        tables = {name: _rows_of(book.get_sheet_by_name(name), columns, f"{path}: {name!r}") for name in asked}
    fitting = [
        name for name, rows in tables.items() if set(columns) <= set(as_called(rows.names, columns)) and len(rows)
    ]
    chosen = next(iter(fitting or tables))
    _mention_what_is_lost(path)
    if sheet is None and (chosen != sheets[0] or (len(fitting) > 1 and columns)):
        others = "; others have its columns, too (--sheet names one)" if len(fitting) > 1 else ""
        note(f"{path}: read is the sheet {chosen!r}{others}")
    return tables[chosen]


def _mention_what_is_lost(path: Path) -> None:
    """Say how many formulas have no value, as programs write them that cannot compute it: these cells are empty.

    Of OpenDocument sheets, calamine gives the value of merged cells to the first alone.
    """
    with open_bytes(path) as (stream, _):
        whole = BytesIO(stream.read())
    if not zipfile.is_zipfile(whole):
        return
    with zipfile.ZipFile(whole) as archive:
        names = archive.namelist()
        sheets = [one for one in names if one.startswith("xl/worksheets/") and one.endswith(".xml")]
        empty = sum(len(WITHOUT_VALUE.findall(archive.read(one))) for one in sheets)
        merged = len(SPANNED.findall(archive.read(OPEN_DOCUMENT))) if OPEN_DOCUMENT in names else 0
    if empty:
        note(
            f"{path}: {counted(empty, 'formula')} without a value read as empty cells; open the workbook in Excel or "
            "LibreOffice and save it, which computes them"
        )
    if merged:
        note(
            f"{path}: {counted(merged, 'cell')} merged over several rows: the first of these rows alone has the value; "
            "save the workbook as .xlsx, of which each has it"
        )


def _with_breaks(whole: bytes) -> BytesIO:
    """A workbook whose texts keep their tabs and line breaks."""
    if not zipfile.is_zipfile(BytesIO(whole)):
        return BytesIO(whole)
    changed = BytesIO()
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        content = archive.read(OPEN_DOCUMENT) if OPEN_DOCUMENT in archive.namelist() else b""
        if not any(written in content for written in BREAKS):
            return BytesIO(whole)
        for written, meant in BREAKS.items():
            content = content.replace(written, meant)
        with zipfile.ZipFile(changed, "w") as copy:
            for one in archive.infolist():
                copy.writestr(one, content if one.filename == OPEN_DOCUMENT else archive.read(one))
    changed.seek(0)
    return changed


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise OptionError(f"{path}: a workbook needs one more package: pip install python-calamine") from error
    with open_bytes(path) as (stream, _):
        whole = stream.read()
        try:
            yield CalamineWorkbook.from_filelike(_with_breaks(whole))
        except CalamineError as error:
            if WEB_PAGE.match(whole):
                raise DataError(
                    f"{path}: this is a web page or XML, as some programs write for Excel; open it in Excel or "
                    "LibreOffice and save it as .xlsx"
                ) from error
            raise DataError(
                f"{path}: no readable workbook ({first_line(error)}); if it has a password, save it without one; if it "
                "is text, give it a name that ends in .csv"
            ) from error


def _names(book: Any) -> list[str]:
    shown = [one.name for one in book.sheets_metadata if str(one.visible).endswith(".Visible")]
    return [*shown, *(name for name in book.sheet_names if name not in shown)]


def _rows_of(sheet: Any, columns: Sequence[str], where: str) -> Rows:
    """A sheet's rows; the names of its columns stand in its first line, or below a title in the first that has them."""
    lines = [[_cell(value) for value in line] for line in sheet.to_python()] or [[]]
    place = header_among(
        [["" if name is None else str(name) for name in line] for line in lines[:HEADER_LINES]], columns
    )
    _fill_merged(sheet, lines, place + 1, where)
    header, *rest = lines[place:]
    rest = rest[describing_rows([["" if cell is None else str(cell) for cell in line] for line in rest[:2]], where) :]
    if place:
        note(f"{where}: the columns are named in line {place + 1}; what stands above is left out")
    width = max(
        (place for line in (header, *rest) for place, value in enumerate(line, 1) if value is not None), default=0
    )
    names = ["" if name is None else str(name).strip() for name in header[:width]]
    return Rows(names, list(map(list, zip(*(line[:width] for line in rest), strict=True))) or [[] for _ in names])


def _fill_merged(sheet: Any, lines: list[list[Any]], first: int, where: str) -> None:
    """Put what merged cells of several rows show into each of them, from line ``first`` on."""
    top, left = sheet.start or (0, 0)
    filled = 0
    for (up, start), (down, end) in getattr(sheet, "merged_cell_ranges", None) or ():
        up, down, start, end = max(up - top, first), down - top, start - left, end - left
        if up < down < len(lines) and 0 <= start <= end and (value := lines[up][start]) is not None:
            filled += 1
            for line in lines[up : down + 1]:
                line[start] = value
    if filled:
        note(f"{where}: {counted(filled, 'cell')} merged over several rows: each of these rows has its value")


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "" else value
