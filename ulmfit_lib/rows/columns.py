"""The columns that a table must have, by their names."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import counted, note

HEADER_LINES = 20  # among the first of which the columns may be named
COMMENT = "# "
LONG_NAME = 25  # characters, beyond which a name looks like a text
MARKS = "'#*:`´‘’“”„«»"  # that may surround a name
MARK_READ_WRONGLY = "ï»¿"  # of UTF-8, where a file was taken for Windows' encoding and saved anew
# Characters that nobody sees: soft hyphens, marks of direction and of byte order, and blanks of no width.
INVISIBLE = "\xad\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
SURVEYMONKEY = "Open-Ended Response"
QUALTRICS = re.compile(r'\{"ImportId":.*\}')


class MissingColumn(DataError):
    """A table lacks a column that was asked for."""


def header_among(lines: Sequence[Sequence[str]], needed: Sequence[str]) -> int:
    """The place of the first line that has the needed names, where all above it are comments or have fewer cells, as
    titles do, or where one line alone is above it, as surveys have two lines of names; or 0.

    Where no name is needed, of the first line that is no title, if it and those below have the same number of cells.

    >>> header_among([["Our survey", "", ""], ["id", "text", "label"]], ["text"])
    1
    """
    if not needed:
        below = zip_longest(lines, lines[1:], fillvalue=())
        place = next((place for place, (line, then) in enumerate(below) if not _is_title(line, then)), 0)
        alike = len({len(line) for line in lines[place:] if _filled(line)}) == 1
        return place if alike and _filled(lines[place]) > 1 else 0
    above = 0
    for place, line in enumerate(lines):
        filled = _filled(line)
        if set(needed) <= set(as_called(line, needed)) and (filled > above or place == 1):
            return place
        comment = bool(line) and line[0].startswith(COMMENT)
        above = above if comment else max(above, filled)
    return 0


def describing_rows(rows: Sequence[Sequence[str]], source: str | Path) -> int:
    """How many of the first rows below the names describe the columns, as surveys have them; this is said."""
    described = [
        all(map(QUALTRICS.fullmatch, row)) for row in ([cell for cell in row if cell] for row in rows[:2]) if row
    ]
    count, tool = 0, ""
    if any(described):
        count, tool = described.index(True) + 1, "Qualtrics"
    elif rows and SURVEYMONKEY in rows[0]:
        count, tool = 1, "SurveyMonkey"
    if count:
        left_out = f"{counted(count, 'row')} left out below the column names"
        note(f"{source}: {left_out}: exports from {tool} describe the columns there")
    return count


def _filled(line: Sequence[str]) -> int:
    return sum(bool(cell) and not cell.isspace() for cell in line)


def _is_title(line: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a line is blank, a comment, or has nothing but several words in its first cell, or cells beside it.

    Where it is as full as the line below it, the mark of a comment is a part of the first column's name.
    """
    first = line[0].strip() if line else ""
    if first.startswith(COMMENT):
        return _filled(line) == 1 or _filled(line) < _filled(below)
    beside = len(line) > 2 < _filled(below) or 1 < len(line) == _filled(below)
    alone = len(line) == 1 < len(below) == _filled(below) and all(cell == cell.strip() for cell in below)
    return _filled(line) == bool(first) and (" " in first or not first or beside or alone)


def as_called(names: Sequence[str], needed: Sequence[str]) -> list[str]:
    """The names of a table's columns; one that differs from a needed name in blanks, or in what nobody sees, is
    called by that.

    >>> as_called(["id", " text\\n"], ["text"])
    ['id', 'text']
    """
    found = list(names)
    for name in needed:
        places = [place for place, one in enumerate(names) if _seen(one) == _seen(name)]
        if name not in names and len(places) == 1:
            found[places[0]] = name
    return found


def check_columns(
    names: Sequence[str], needed: Sequence[str], source: str | Path, *, advice: str | None = None
) -> None:
    """Refuse a table that lacks a column, or has two of its name.

    The ``advice`` says what to do where a column is missing and none has a name like it; default that of files with a
    header. A DataError names the column, and those that there are; it is a MissingColumn where one is missing.
    """
    for name in needed:
        if name not in names:
            shown = ", ".join(repr(str(one)) for one in names[:20])
            shown += f" and {len(names) - 20} more" if len(names) > 20 else ""
            row = not set(needed) & set(names) or any(len(str(one)) > LONG_NAME for one in names)
            way = "; if these are the cells of a row, write a line of column names above it" if row else ""
            way = way if advice is None else advice
            if alike := next((one for one in map(str, names) if _plain(name) in (_plain(one), _last(one))), ""):
                way = f"; did you mean {alike!r}?"
            elif len(names) == 1 and _plain(name) in _plain(str(names[0])):
                way = "; if it holds several columns, name the character between them with --delimiter" + way
            raise MissingColumn(f"{source}: no column {name!r}; it has {shown or 'none'}{way if names else ''}")
        if list(names).count(name) > 1:
            places = [str(place) for place, one in enumerate(names, 1) if one == name]
            raise DataError(
                f"{source}: columns {', '.join(places[:-1])} and {places[-1]} are called {name!r}; give all but one of "
                "them another name, or put the labels of several into one, such as a;b, and pass --label-delimiter ';'"
            )


def _seen(name: str) -> str:
    name = unicodedata.normalize("NFC", name.removeprefix(MARK_READ_WRONGLY))  # Macs part letters from their accents
    return " ".join(name.translate(dict.fromkeys(map(ord, INVISIBLE))).split())


def _plain(name: str) -> str:
    return _seen(name).strip(MARKS).casefold()


def _last(name: str) -> str:
    """The inner name of ``table.column`` and of ``table[column]``."""
    return _plain(re.split(r"[.\[]", name)[-1].rstrip("]"))
