"""Delimited text -> records, and never a row that is bent to fit; ``rows.layouts`` finds how a file is written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import counted

ENDS = "\r\0\x1a"  # of a line or a file, as some programs write them
QUOTINGS = ("double", "backslash", "none", "copy")
NULL = "\\N"  # of databases
COPIED = re.compile(r"\\([bfnrtv\\])")
COPIES = dict(zip("bfnrtv\\", "\b\f\n\r\t\v\\", strict=True))
PAIRS = {"double": re.compile('""|"'), "backslash": re.compile(r'\\.|""|"', re.DOTALL)}
SWAPPED = str.maketrans("'\"", "\"'")
TO_ESCAPE = "double each quotation mark within a quoted text, or pass --quoting none if the marks quote nothing"


@dataclass(frozen=True)
class Layout:
    """How a delimited file is written."""

    delimiter: str  # between cells
    # `double` (a mark within quotes is doubled), `backslash` (it stands behind one, as may a delimiter or a line break
    # outside quotes), `none`, or `copy` (none, and \n is a line break, as in PostgreSQL's COPY and mysql --batch).
    quoting: str
    skipped: int = 0  # lines before the header, such as Excel's `sep=;` or a title
    spaced: bool = False  # a space follows each delimiter, and belongs to no cell
    row_names: bool = False  # each row starts with a number that the header has no name for, as R writes them
    described: int = 0  # rows below the header that describe the columns
    wrapped: bool = False  # a row that holds quotation marks is quoted once more, as a whole
    # Marks within quotes are not doubled: one ends the quote at the end of a cell alone, and no cell has a line break.
    loose: bool = False
    apostrophes: bool = False  # they stand in place of quotation marks


class NoRows(DataError):
    """A file is empty, or has column names alone."""


class Misfit(Exception):
    """A record is not what the header and the quoting say; ``args``: its line, and what is wrong with it."""


@dataclass
class Reading:
    """Records of lines; counts those that are suspicious."""

    lines: Iterator[str]  # the file's
    layout: Layout  # how they are written
    across: int = 0  # cells so far that hold a delimiter and a line break, as cells do that have swallowed rows
    line: int = 0  # the last that was read
    blank: int = 0  # lines without anything above the record that was given last

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Each record's first line, from 1, and its cells; empty lines between records are none."""
        if not self.layout.apostrophes:
            yield from self._records()
            return
        for line, cells in self._records():
            yield line, [cell.translate(SWAPPED) for cell in cells]

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        escapes, copied = (self.layout.quoting == one for one in ("backslash", "copy"))
        plain = copied or self.layout.quoting == "none"
        while (line := self._next()) is not None:
            if self.line <= self.layout.skipped:
                continue
            if not line.strip(ENDS):
                self.blank += 1
                continue
            if not plain and self.layout.wrapped:
                yield self.line, self._unwrapped(self._quoted(line))
            elif plain or not ('"' in line or (escapes and "\\" in line)):
                cells = line.rstrip("\r").split(self.layout.delimiter)
                if copied and "\\" in line:
                    cells = ["" if cell == NULL else COPIED.sub(lambda one: COPIES[one[1]], cell) for cell in cells]
                yield self.line, [cell.lstrip(" ") for cell in cells] if self.layout.spaced else cells
            else:
                yield self.line, self._quoted(line)
            self.blank = 0

    def _next(self) -> str | None:
        self.line += 1
        line = next(self.lines, None)
        return line.translate(SWAPPED) if line is not None and self.layout.apostrophes else line

    def _quoted(self, line: str) -> list[str]:
        delimiter, started, place = self.layout.delimiter, self.line, 0
        cells: list[str] = []
        while True:
            while self.layout.spaced and line.startswith(" ", place):
                place += 1
            if not line.startswith('"', place):
                cell, line, place = self._unquoted(line, place)
                cells.append(cell)
                if place < 0:
                    return cells
                continue
            pieces, place = [], place + 1
            while (end := self._closing(line, place)) < 0:
                pieces.append(line[place:])
                more = None if self.layout.loose else self._next()
                if more is None:
                    raise Misfit(started, f"an opening double quote that is never closed; {TO_ESCAPE}")
                line, place = more, 0
            cell = self._unescaped("\n".join([*pieces, line[place:end]]))
            self.across += bool(pieces) and delimiter in cell
            if self.layout.loose and (f'{delimiter}"' in cell or f'"{delimiter}' in cell):
                raise Misfit(started, f"marks beside a delimiter in {cell[:20]!r}, where a cell may end; {TO_ESCAPE}")
            cells.append(cell)
            rest = line[end + 1 :]
            if not rest.rstrip("\r"):
                return cells
            if not rest.startswith(delimiter):
                raise Misfit(self.line, f"{rest[:20]!r} behind a closing double quote; {TO_ESCAPE}")
            place = end + 2

    def _unquoted(self, line: str, place: int) -> tuple[str, str, int]:
        """A cell that starts at a place in a line; the line that it ends in, and where the next cell starts, or -1."""
        delimiter, pieces = self.layout.delimiter, []
        while self.layout.quoting == "backslash" and (escape := line.find("\\", place)) >= 0:
            if 0 <= line.find(delimiter, place) < escape:
                break
            escaped = line[escape + 1 : escape + 2]
            if escaped not in ("", "\r"):
                kept = "" if escaped in (delimiter, '"', "\\") else "\\"
                pieces.append(line[place:escape] + kept + escaped)
                place = escape + 2
            elif (more := self._next()) is None:
                break
            else:  # the line break is the cell's
                pieces.append(line[place:escape] + "\n")
                line, place = more, 0
        end = line.find(delimiter, place)
        pieces.append(line[place:end] if end >= 0 else line[place:].rstrip("\r"))
        return "".join(pieces), line, end + 1 if end >= 0 else -1

    def _unwrapped(self, cells: list[str]) -> list[str]:
        """The cells in the only one of a row that was quoted as a whole."""
        if len(cells) > 1 or self.layout.delimiter not in cells[0]:
            return cells
        within = list(Reading(iter(cells[0].split("\n")), replace(self.layout, skipped=0, wrapped=False)).records())
        return within[0][1] if len(within) == 1 else cells

    def _closing(self, line: str, place: int) -> int:
        if self.layout.loose:
            closing = re.compile(rf'"(?={re.escape(self.layout.delimiter)}|\r?$)').search(line, place)
            return closing.start() if closing else -1
        marks = PAIRS[self.layout.quoting].finditer(line, place)
        return next((mark.start() for mark in marks if mark.group() == '"'), -1)

    def _unescaped(self, cell: str) -> str:
        cell = cell.replace('""', '"')
        return re.sub(r'\\([\\"]|\r?\n)', r"\1", cell) if self.layout.quoting == "backslash" else cell


def read_records(lines: Iterator[str], layout: Layout, name: str | Path) -> Iterator[list[str]]:
    """The header, and then each row's cells, as many as the header has; a DataError names the line that does not fit.

    Cells that are beyond the header and empty are left out, for some programs end each row with a delimiter.
    """
    try:
        yield from fitting_records(Reading(lines, layout))
    except Misfit as misfit:
        line, what = misfit.args
        raise DataError(f"{name}: line {line} has {what}") from misfit


def fitting_records(reading: Reading) -> Iterator[list[str]]:
    """``read_records``, which raises ``Misfit``.

    An empty line in a file of one column is an empty cell, as Excel writes it, unless no other follows it.
    """
    layout, width, unnamed = reading.layout, 0, 0
    for number, (line, cells) in enumerate(reading.records()):
        if layout.row_names and number == 0:
            cells = ["", *cells]
        if not width:
            width = len(cells)
            unnamed = next((place for place, name in enumerate(reversed(cells)) if name.strip()), 0)
        if 0 < number <= layout.described or (len(cells) == 1 < width and not cells[0].strip()):
            continue
        if width == 1 and number:
            yield from ([""] for _ in range(reading.blank))
        if layout.row_names and number and not cells[0].isdigit():
            raise Misfit(line, f"no row name but {cells[0][:20]!r}")
        if len(cells) < width == len(cells) + unnamed:  # the header alone ends with delimiters
            cells += [""] * unnamed
        if len(cells) < width:
            raise Misfit(
                line,
                f"{counted(len(cells), 'field')} and the header has {width}: put a text that holds a line break in "
                "double quotes, give each empty cell its delimiter, and delete a line that is no row",
            )
        if any(cells[width:]):
            way = "put texts that contain the delimiter in double quotes"
            way = f"if each line is one text, pass --delimiter tab; else {way}" if width == 1 else way
            quoted = layout.quoting != "none"
            unquoted = ", or pass --quoting none if quotation marks are part of the texts" if quoted else ""
            raise Misfit(
                line, f"{len(cells)} fields and the header has {width}; {way}, or pass another --delimiter{unquoted}"
            )
        yield cells[:width]
