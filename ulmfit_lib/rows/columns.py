"""The columns that a table must have, by their names."""

from collections.abc import Sequence
from pathlib import Path

from ulmfit_lib.errors import DataError

HEADER_LINES = 20  # among the first of which the columns may be named


def header_among(lines: Sequence[Sequence[str]], needed: Sequence[str]) -> int:
    """The place of the first line that has the needed names, where all above it have fewer cells, as titles do; or 0.

    >>> header_among([["Our survey", "", ""], ["id", "text", "label"]], ["text"])
    1
    """
    above = 0
    for place, line in enumerate(lines if needed else ()):
        filled = sum(bool(cell) and not cell.isspace() for cell in line)
        if set(needed) <= set(as_called(line, needed)) and filled > above:
            return place
        above = max(above, filled)
    return 0


def as_called(names: Sequence[str], needed: Sequence[str]) -> list[str]:
    """The names of a table's columns; one that differs from a needed name in blanks alone is called by that.

    >>> as_called(["id", " text\\n"], ["text"])
    ['id', 'text']
    """
    found = list(names)
    for name in needed:
        places = [place for place, one in enumerate(names) if " ".join(one.split()) == " ".join(name.split())]
        if name not in names and len(places) == 1:
            found[places[0]] = name
    return found


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
            if alike := next((one for one in map(str, names) if _plain(name) in (_plain(one), _last(one))), ""):
                advice = f"; did you mean {alike!r}?"
            elif len(names) == 1 and _plain(name) in _plain(str(names[0])):
                advice = "; if it holds several columns, name the character between them with --delimiter" + advice
            raise DataError(f"{source}: no column {name!r}; it has {shown or 'none'}{advice}")
        if list(names).count(name) > 1:
            places = [str(place) for place, one in enumerate(names, 1) if one == name]
            raise DataError(
                f"{source}: columns {' and '.join(places)} are both called {name!r}; give one of them another name"
            )


def _plain(name: str) -> str:
    return name.strip().casefold()


def _last(name: str) -> str:
    return _plain(name.rpartition(".")[2])
