"""Cells -> points in time: dates as people and programs write them, or numbers that rise with time."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from ulmfit_lib.errors import DataError
from ulmfit_lib.labels.ratings import read_rating
from ulmfit_lib.progress import note
from ulmfit_lib.rows.batch import is_missing
from ulmfit_lib.rows.labels import stands_for_nothing

_TWO_PARTS = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}\b")  # a day and a month, or a month and a day

# Which pandas would take for today's; Excel shows so what is left of a date in a narrow format, and saves that.
_OF_DAY = re.compile(r"\d{1,3}:\d\d(:\d\d)?([.,]\d+)?(\s*[AP]M)?", re.IGNORECASE)


class Time(NamedTuple):
    """A point in time."""

    value: float  # the later, the higher: seconds since 1970 of a date, or the number that the file holds
    shown: str  # as the file holds it


def read_times(cells: Sequence[Any], *, rows: Sequence[int], column: str, source: str) -> list[Time | None]:
    """The times that the cells of a column hold: numbers if all are, else dates; None where a cell is empty.

    Where all dates are such as 03/04/2024, the day is taken to come first, and that is mentioned. A DataError names the
    row that holds neither.

    >>> [time.value for time in read_times(["1970-01-02", "2 Jan 1970"], rows=[1, 2], column="day", source="file")]
    [86400.0, 86400.0]
    """
    import pandas as pd

    given = [None if is_missing(cell) or stands_for_nothing(cell) else str(cell).strip() or None for cell in cells]
    texts = [text for text in given if text is not None]
    numbers = [read_rating(text) for text in texts]
    values: list[float | None] = numbers
    if None in numbers:
        day_first = _day_first(texts, f"{source}: column {column!r}")
        dates: Any = pd.Series(texts)
        turned = dates.str.match(_TWO_PARTS.pattern) & day_first  # pandas would turn 2024-05-01, too
        read: Any = partial(pd.to_datetime, format="mixed", utc=True, errors="coerce")
        dates = pd.concat([read(dates[~turned]), read(dates[turned], dayfirst=True)]).sort_index()
        dated = zip(dates, texts, strict=True)
        values = [None if date is pd.NaT or _OF_DAY.fullmatch(text) else date.timestamp() for date, text in dated]
    found = iter(zip(values, texts, strict=True))
    times: list[Time | None] = []
    for row, text in zip(rows, given, strict=True):
        value, shown = next(found) if text is not None else (None, "")
        if text is not None and value is None:
            raise DataError(
                f"{source}: row {row}, column {column!r}: {shown[:40]!r} is no time; write dates such as 2024-05-31 or "
                "2024-05-31 14:30, or numbers that rise with time"
            )
        times.append(None if value is None else Time(value, shown))
    return times


def _day_first(texts: Sequence[str], where: str) -> bool:
    """Whether the day comes before the month in dates such as 03/04/2024."""
    pairs = [(text, found) for text in texts if (found := _TWO_PARTS.match(text))]
    day_first, month_first = ([text for text, found in pairs if int(found[part]) > 12] for part in (1, 2))
    if day_first and month_first:
        raise DataError(
            f"{where}: in {day_first[0]!r} the day comes first and in {month_first[0]!r} the month: write all dates in "
            "one way, such as 2024-05-31"
        )
    if pairs and not (day_first or month_first):
        note(f"{where}: {pairs[0][0]!r} is read with the day first; write 2024-05-31 to be sure")
    return not month_first
