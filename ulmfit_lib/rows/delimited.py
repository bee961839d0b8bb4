"""Delimited text -> records: which delimiter and which quoting a file has, and never a row that is bent to fit.

RFC 4180 says how CSV is quoted, and not all programs hold to it: some escape a quotation mark by a backslash, and some
quote nothing, so that a mark at the start of a text is a character like any other. A reader that takes it for an
opening quote swallows rows up to the next mark. So the whole file is looked at before it is read: the first way of
quoting in which every mark is well placed and every row has as many cells as the header is the file's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.text_files import open_text

DELIMITERS = (",", "\t", ";", "|")
NAMES = {"\t": "a tab"}
QUOTINGS = ("double", "backslash", "none")
PAIRS = {"double": re.compile('""|"'), "backslash": re.compile(r'\\.|""|"', re.DOTALL)}


@dataclass(frozen=True)
class Layout:
    """How a delimited file is written.

    Attributes:
        delimiter: between cells.
        quoting: ``double`` (a mark within quotes is doubled), ``backslash`` (it stands behind one) or ``none``.
        skipped: lines before the header, such as Excel's ``sep=;``.
    """

    delimiter: str
    quoting: str
    skipped: int = 0


class NoRows(DataError):
    """A file is empty, or has column names alone."""


class _Misfit(Exception):
    """A record is not what the header and the quoting say; ``args``: its line, and what is wrong with it."""


@dataclass
class _Reading:
    """Records of lines; counts those that are suspicious.

    Attributes:
        lines: the file's.
        layout: how they are written.
        across: cells so far that hold a delimiter and a line break, as cells do that have swallowed rows.
    """

    lines: Iterator[str]
    layout: Layout
    across: int = 0
    line: int = 0

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Each record's first line, from 1, and its cells; empty lines between records are none.

        Raises:
            _Misfit: a quotation mark where none can be.
        """
        plain = self.layout.quoting == "none"
        while (line := self._next()) is not None:
            if self.line <= self.layout.skipped or not line.rstrip("\r"):
                continue
            if plain or '"' not in line:
                yield self.line, line.removesuffix("\r").split(self.layout.delimiter)
            else:
                yield self.line, self._quoted(line)

    def _next(self) -> str | None:
        self.line += 1
        return next(self.lines, None)

    def _quoted(self, line: str) -> list[str]:
        delimiter, started, place = self.layout.delimiter, self.line, 0
        cells: list[str] = []
        while True:
            if not line.startswith('"', place):
                end = line.find(delimiter, place)
                cells.append(line[place:end] if end >= 0 else line[place:].removesuffix("\r"))
                if end < 0:
                    return cells
                place = end + 1
                continue
            pieces, place = [], place + 1
            while (end := self._closing(line, place)) < 0:
                pieces.append(line[place:])
                more = self._next()
                if more is None:
                    raise _Misfit(started, "an opening double quote that is never closed")
                line, place = more, 0
            cell = self._unescaped("\n".join([*pieces, line[place:end]]))
            self.across += bool(pieces) and delimiter in cell
            cells.append(cell)
            rest = line[end + 1 :]
            if rest in ("", "\r"):
                return cells
            if not rest.startswith(delimiter):
                raise _Misfit(self.line, f"{rest[:20]!r} behind a closing double quote")
            place = end + 2

    def _closing(self, line: str, place: int) -> int:
        marks = PAIRS[self.layout.quoting].finditer(line, place)
        return next((mark.start() for mark in marks if mark.group() == '"'), -1)

    def _unescaped(self, cell: str) -> str:
        cell = cell.replace('""', '"')
        return re.sub(r'\\([\\"])', r"\1", cell) if self.layout.quoting == "backslash" else cell


def read_records(lines: Iterator[str], layout: Layout, name: str | Path) -> Iterator[list[str]]:
    """The header, and then each row's cells, as many as the header has.

    Cells that are beyond the header and empty are left out, for some programs end each row with a delimiter.

    Args:
        lines: of the file.
        layout: how it is written.
        name: of the file, for messages.

    Raises:
        DataError: names the line that does not fit.
    """
    try:
        yield from _fitting(_Reading(lines, layout))
    except _Misfit as misfit:
        line, what = misfit.args
        raise DataError(f"{name}: line {line} has {what}") from misfit


def _fitting(reading: _Reading) -> Iterator[list[str]]:
    width, quoted = 0, reading.layout.quoting != "none"
    for line, cells in reading.records():
        width = width or len(cells)
        if len(cells) < width:
            raise _Misfit(
                line,
                f"{counted(len(cells), 'field')} and the header has {width}: put a text that holds a line break in "
                "double quotes, and give each empty cell its delimiter",
            )
        if any(cells[width:]):
            way = "put texts that contain the delimiter in double quotes"
            unquoted = ", or pass --quoting none if quotation marks are part of the texts" if quoted else ""
            raise _Misfit(
                line, f"{len(cells)} fields and the header has {width}; {way}, or pass another --delimiter{unquoted}"
            )
        yield cells[:width]


def find_layout(
    path: Path,
    encoding: str | None,
    needed: Sequence[str],
    *,
    default: str | None,
    delimiter: str | None,
    quoting: str | None,
) -> Layout:
    """How a file is written, found from its content; what is not as usual is said.

    Args:
        path: the file.
        encoding: that is given (``text_files.find_encoding``).
        needed: columns that the header must name.
        default: the delimiter that the file's name promises.
        delimiter: the one that is given; for a file whose header it does not split, another one is found.
        quoting: the one that is given, of ``QUOTINGS``; None: it is found.

    Raises:
        DataError: the header lacks a column.
        OptionError: a delimiter of several characters, or an unknown quoting.
    """
    if quoting not in (None, *QUOTINGS):
        raise OptionError(f"quoting {quoting!r}: choose {', '.join(QUOTINGS)}")
    given = check_delimiter(delimiter)
    with open_text(path, encoding) as (text, _):
        first = next((line for line in text.lines() if line.strip()), None)
    if first is None:
        raise NoRows(f"{path}: the file is empty")
    marked = re.fullmatch(r'"?sep=(.)"?\r?', first)
    likely = list(dict.fromkeys(one for one in (given, marked and marked[1], default, *DELIMITERS) if one))
    headers = {one: _header(path, encoding, Layout(one, quoting or "double", bool(marked))) for one in likely}
    sure = given or (marked and marked[1])
    found = next((one for one in likely if set(needed) <= set(headers[one])), None) if needed else sure
    if found is None:
        found = max(likely, key=lambda one: len(headers[one]))
    check_columns(headers[found], needed, path)
    if found != likely[0]:
        note(f"{path}: columns are separated by {NAMES.get(found, repr(found))}")
    return Layout(found, quoting or _find_quoting(path, encoding, found, bool(marked)), bool(marked))


def _header(path: Path, encoding: str | None, layout: Layout) -> list[str]:
    """The names of the columns; none where they cannot be written so."""
    try:
        with open_text(path, encoding) as (text, _):
            return next(read_records(text.lines(), layout, path), [])
    except DataError:
        return []


def _find_quoting(path: Path, encoding: str | None, delimiter: str, skipped: int) -> str:
    """The first of ``QUOTINGS`` that every row of the file fits; ``double`` if none is, whose misfit is then said."""
    with open_text(path, encoding) as (text, _):
        if not any('"' in block for block in text.blocks()):
            return "double"
    across = _cells_across(path, encoding, Layout(delimiter, "double", skipped))
    if across == 0:
        return "double"
    others = [
        one
        for one in ("backslash", "none")
        if _cells_across(path, encoding, Layout(delimiter, one, skipped)) is not None
    ]
    if across is None and others:
        said = "quotation marks are part of the texts" if others[0] == "none" else "a backslash escapes quotation marks"
        note(f"{path}: {said} (--quoting {others[0]})")
        return others[0]
    if across and "none" in others:
        note(
            f"{path}: {counted(across, 'cell')} within quotation marks with both a line break and the delimiter; if "
            "these marks are part of the texts, pass --quoting none"
        )
    return "double"


def _cells_across(path: Path, encoding: str | None, layout: Layout) -> int | None:
    """Cells that hold a delimiter and a line break, as those do that swallow rows; None if a row does not fit."""
    with open_text(path, encoding) as (text, _):
        reading = _Reading(text.lines(), layout)
        try:
            for _ in _fitting(reading):
                pass
        except _Misfit:
            return None
        return reading.across


def check_delimiter(given: str | None) -> str | None:
    """One character; the word ``tab`` and ``\\t`` stand for a tab.

    Raises:
        OptionError: several characters.
    """
    if given in ("tab", "\\t"):
        return "\t"
    if given is not None and len(given) != 1:
        raise OptionError(f"delimiter {given!r}: it must be one character, such as ',' or ';', or the word tab")
    return given


def check_columns(names: Sequence[str], needed: Sequence[str], source: str | Path) -> None:
    """Refuse a table that lacks a column, or has two of its name.

    Raises:
        DataError: names the column, and those that there are.
    """
    for name in needed:
        if name not in names:
            shown = ", ".join(repr(str(one)) for one in names[:20])
            shown += f" and {len(names) - 20} more" if len(names) > 20 else ""
            data = max((len(str(one)) for one in names), default=0) > 25
            advice = "; if these are the cells of a row, write a line of column names above it" if data else ""
            raise DataError(f"{source}: no column {name!r}; it has {shown or 'none'}{advice}")
        if list(names).count(name) > 1:
            places = [str(place) for place, one in enumerate(names, 1) if one == name]
            raise DataError(
                f"{source}: columns {' and '.join(places)} are both called {name!r}; give one of them another name"
            )
