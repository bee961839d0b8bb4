"""How a delimited file is written: its delimiter, its quoting, and where its header is.

RFC 4180 says how CSV is quoted, and not all programs hold to it: some escape a quotation mark by a backslash, and some
quote nothing, so that a mark at the start of a text is a character like any other. A reader that takes it for an
opening quote swallows rows up to the next mark. So the whole file is looked at before it is read: the first way of
quoting in which every mark is well placed and every row has as many cells as the header is the file's.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.columns import HEADER_LINES, as_called, check_columns, describing_rows, header_among
from ulmfit_lib.rows.delimited import COPIED, NULL, QUOTINGS, Layout, Misfit, NoRows, Reading, fitting_records
from ulmfit_lib.rows.text_files import open_text

DELIMITERS = (",", "\t", ";", "|")
RARE = ("~", "^", "\x01", "\x1f", ":", " ")  # taken where the columns that are needed come out
LINES = ("\t", "\x01", "\x1f")  # one that no line holds separates nothing
NAMES = {"\t": "a tab", " ": "a space"}
JSON = re.compile(r'\s*(\[\s*)?\{\s*"|\s*[\[{]\s*$')
RULED = re.compile(r"[\s|+:=-]*---+\s*[|+][\s|+:=-]*|(?=.*---)\s*--+(?:[\s,;]+--+)+\s*")


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
    """
    if quoting not in (None, *QUOTINGS):
        raise OptionError(f"quoting {quoting!r}: choose {', '.join(QUOTINGS)}")
    given = check_delimiter(delimiter)
    with open_text(path, encoding) as (text, _):
        first, second, *_ = [*islice((line for line in text.lines() if line.strip()), 2), "", ""]
    if not first:
        raise NoRows(f"{path}: the file is empty")
    if ruled := next((number for number, line in enumerate((first, second), 1) if RULED.fullmatch(line)), 0):
        raise DataError(
            f"{path}: line {ruled} is a ruled line, so this is a table for people to look at; export it as CSV, or "
            "delete the lines that are no rows"
        )
    marked = re.fullmatch(r'"?sep=(.)"?\r?', first)
    sure = given or (marked and marked[1])
    likely = list(dict.fromkeys(one for one in (given, marked and marked[1], default, *DELIMITERS) if one))
    asked = Layout("", quoting or "double", bool(marked))
    found: list[_Header] = []
    for one in [*likely, *(one for one in RARE if one not in likely and needed)]:
        found.append(_with_header(path, encoding, replace(asked, delimiter=one), needed))
        if found[-1].fits and found[-1].layout.skipped == asked.skipped:
            break
    fitting = [one for one in found if (one.fits if needed else one.layout.delimiter == sure)]
    if fitting:
        best = min(fitting, key=lambda one: one.layout.skipped > asked.skipped)
    else:
        best = max(
            found[: len(likely)],
            key=lambda one: (len(one.names) > 1 and one.layout.skipped == asked.skipped, len(one.names)),
        )
    layout, names = best.layout, best.names
    if needed and not best.fits and JSON.match(first):
        raise DataError(f"{path}: this looks like JSON, whatever its name says; give it a name that ends in .json")
    if layout.delimiter == " " and not all(names):
        raise DataError(f"{path}: its columns are aligned with spaces, which texts hold, too; export it as CSV")
    if not names:
        raise DataError(f"{path}: its first line is no list of column names, such as text,label")
    check_columns(as_called(names, needed), needed, path)
    if layout.delimiter != likely[0]:
        note(f"{path}: columns are separated by {NAMES.get(layout.delimiter, repr(layout.delimiter))}")
    if layout.skipped > asked.skipped:
        note(f"{path}: the columns are named in line {layout.skipped + 1}; what stands above is left out")
    layout = _with_odd_rows(path, encoding, layout)
    if len(names) == 1 and not sure:
        layout = _with_whole_lines(path, encoding, layout)
    return layout if quoting else _with_quoting(path, encoding, layout, needed or names)


class _Header(NamedTuple):
    """Names of columns, how the file is written that has them, and whether they hold what is needed."""

    layout: Layout
    names: list[str]
    fits: bool


def _with_header(path: Path, encoding: str | None, layout: Layout, needed: Sequence[str]) -> _Header:
    """The first line that has what is needed, if all above it have fewer cells, as titles do; else the first line."""
    names: list[str] = []
    others = replace(layout, wrapped=True), replace(layout, spaced=True), replace(layout, apostrophes=True)
    for one in (layout, *others):
        records = _first_records(path, encoding, one, HEADER_LINES)
        place = header_among([cells for _, cells in records], needed)
        line, found = records[place] if records else (0, [])
        if found and set(needed) <= set(as_called(found, needed)):
            return _Header(replace(one, skipped=line - 1) if place else one, found, bool(needed))
        names = names or ([] if one.apostrophes else found)
    return _Header(layout, names, False)


def _first_records(path: Path, encoding: str | None, layout: Layout, most: int) -> list[tuple[int, list[str]]]:
    """The first records of a file with the lines in which they start, up to one that cannot be written so."""
    found = []
    with open_text(path, encoding) as (text, _):
        try:
            for record in islice(Reading(text.lines(), layout).records(), most):
                found.append(record)
        except Misfit:
            pass
    return found


def _with_whole_lines(path: Path, encoding: str | None, layout: Layout) -> Layout:
    """The layout of a file of one column; if rows have several cells, and not all as many, each line is one.

    A delimiter at the end of all rows is none of their texts; at the end of some it is.
    """
    with open_text(path, encoding) as (text, _):
        lines = [line.rstrip("\r") for line in islice(text.lines(), layout.skipped + 1, None) if line.strip()]
    ends = any(line.endswith(layout.delimiter) and '"' not in line for line in lines)
    if not ends and _cells_across(path, encoding, layout) is not None:
        return layout
    free = next((one for one in LINES if not any(one in line for line in lines)), None)
    if free is None or len({line.count(layout.delimiter) for line in lines}) == 1:
        return layout
    whole = replace(layout, delimiter=free)
    if _cells_across(path, encoding, whole) is None:
        return layout
    note(f"{path}: each line is one text, since lines hold {layout.delimiter!r} in different numbers")
    return whole


def _with_odd_rows(path: Path, encoding: str | None, layout: Layout) -> Layout:
    """The layout with what R, Qualtrics and SurveyMonkey write beside rows."""
    each = (_first_records(path, encoding, replace(layout, quoting=one), 3) for one in (layout.quoting, *QUOTINGS))
    (_, names), *rows = max(each, key=len)
    if rows and len(rows[0][1]) == len(names) + 1 and rows[0][1][-1] and rows[0][1][0].isdigit():
        named = replace(layout, row_names=True)
        if any(_cells_across(path, encoding, replace(named, quoting=one)) is not None for one in QUOTINGS):
            note(f"{path}: the first cell of each row has no column name and is taken for its number, as R writes it")
            return named
    return replace(layout, described=describing_rows([cells for _, cells in rows], path))


def _with_quoting(path: Path, encoding: str | None, layout: Layout, needed: Sequence[str]) -> Layout:
    """The first way of quoting that has the needed columns and every row fits; else the usual one.

    The misfit of that one is then said.
    """
    with open_text(path, encoding) as (text, _):
        if not (layout.apostrophes or any('"' in block or "\\" in block for block in text.blocks())):
            return layout
    if layout.delimiter == "\t" and (copied := _breaks_as_copied(path, encoding, layout)):
        breaks, nulls = copied
        if nulls:
            note(
                f"{path}: \\n stands for a line break and \\N for no value, as PostgreSQL's COPY writes them "
                "(--quoting copy)"
            )
            return replace(layout, quoting="copy")
        note(f"{path}: \\n occurs in {counted(breaks, 'cell')}; if it stands for a line break, pass --quoting copy")
    across = _cells_across(path, encoding, layout)
    plain = replace(layout, quoting="none")
    others = {
        replace(layout, wrapped=True): "some rows are quoted once more, as a whole; these marks are left out",
        replace(layout, quoting="backslash"): "a backslash escapes what stands behind it (--quoting backslash)",
        plain: "quotation marks are part of the texts (--quoting none)",
        replace(
            layout, loose=True
        ): "some quotation marks within quotes are not doubled; they are taken for the texts'",
    }
    for other, said in others.items() if across is None else ():
        header = next((cells for _, cells in _first_records(path, encoding, other, 1)), [])
        across = _cells_across(path, encoding, other) if set(needed) <= set(as_called(header, needed)) else None
        if across is not None:
            note(f"{path}: {said}")
            layout = other
            break
    if across and _cells_across(path, encoding, plain) is not None:
        note(
            f"{path}: {counted(across, 'cell')} within quotation marks with both a line break and the delimiter; if "
            "these marks are part of the texts, pass --quoting none"
        )
    return layout


def _breaks_as_copied(path: Path, encoding: str | None, layout: Layout) -> tuple[int, int] | None:
    """Cells with a line break, and empty ones, as databases copy them; None where backslashes mean something else."""
    escapes = breaks = nulls = 0
    with open_text(path, encoding) as (text, _):
        for _, cells in Reading(text.lines(), replace(layout, quoting="none")).records():
            for cell in cells:
                if '"' in (cell[:1], cell[-1:]) or (cell != NULL and "\\" in COPIED.sub("", cell)):
                    return None
                nulls += cell == NULL
                found = COPIED.findall(cell)
                escapes += bool(found)
                breaks += "n" in found
    return (breaks, nulls) if breaks or (nulls and escapes) else None


def _cells_across(path: Path, encoding: str | None, layout: Layout) -> int | None:
    """Cells that hold a delimiter and a line break, as those do that swallow rows; None if a row does not fit."""
    with open_text(path, encoding) as (text, _):
        reading = Reading(text.lines(), layout)
        try:
            for _ in fitting_records(reading):
                pass
        except Misfit:
            return None
        return reading.across


def check_delimiter(given: str | None) -> str | None:
    """One character; the word ``tab`` and ``\\t`` stand for a tab."""
    if given in ("tab", "\\t"):
        return "\t"
    if given is not None and len(given) != 1:
        raise OptionError(f"delimiter {given!r}: it must be one character, such as ',' or ';', or the word tab")
    return given
