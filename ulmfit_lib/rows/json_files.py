"""JSON -> records: one a line, one array, columns, or what tools for labelling export."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import DataError, first_line
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.text_files import TextStream
from ulmfit_lib.tokens.rules import well_formed

WRAPPERS = (
    "data",
    "rows",
    "records",
    "examples",
    "items",
    "documents",
    "results",
    "values",
)  # what documents call their rows
SPACE = re.compile(r"[\s,\x1e]*")  # also what may stand between values
LITERALS = re.compile(r"[\s\[]*\{\s*'")  # of Python, as its ``print`` shows them
ASSIGNED = re.compile(r"^\s*[\w.$]+\s*=\s*(?=[\[{])")  # as archives of Twitter have it, for a page to show
BYTES = re.compile(
    r"\\u00[cdef][\da-f]\\u00[89ab][\da-f]", re.IGNORECASE
)  # of UTF-8, as Facebook's archives escape them
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON escapes it; two of them may be half a pair each


def json_records(path: Path, text: TextStream, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    """JSON's objects, one a line or those of one document, that should have the needed names.

    A DataError names the line or entry that is none.
    """
    apart, parser = 0, _Parser()
    for row, where in _values(path, text, parser, needed):
        apart += isinstance(row, dict) and _is_disputed(row)
        yield _record(row, where)
    if parser.twice:
        name, count = next(iter(parser.twice)), sum(parser.twice.values())
        note(
            f"{path}: {counted(count, 'object')} with two values of one name, such as {name!r}; the last of them counts"
        )
    if parser.garbled:
        note(
            f"{path}: {counted(parser.garbled, 'text')} with bytes for letters, as Facebook writes them, read as UTF-8"
        )
    if apart:
        note(
            f"{path}: the annotations of {counted(apart, 'task')} differ; the first of each counts, for none is marked "
            "as ground truth"
        )


class _Parser:
    """Reads JSON, also with line breaks and tabs within strings.

    Attributes:
        twice: names that an object held several times, and in how many.
        garbled: texts whose bytes were escaped one by one.
    """

    def __init__(self) -> None:
        self.garbled = 0
        self.twice: Counter[str] = Counter()
        self.decoder = json.JSONDecoder(strict=False, object_pairs_hook=self._object)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            self.twice[next(name for name in names if names.count(name) > 1)] += 1
        return found

    def from_bytes(self, text: str) -> str:
        """A text whose bytes of UTF-8 stand for letters of their own; another one as it is."""
        with suppress(UnicodeError):
            read = text.encode("latin-1").decode()
            self.garbled += read != text
            return read
        return text


def _values(path: Path, text: TextStream, parser: _Parser, needed: Sequence[str]) -> Iterator[tuple[Any, str]]:
    """What should be an object, and where it stands."""
    lines = enumerate(text.lines(), 1)
    start = next(((number, line) for number, line in lines if line.strip()), None)
    if start is None:
        return
    number, line = start[0], ASSIGNED.sub("", start[1])
    if not line.lstrip("\x1e \t").startswith(("[", "{")):
        raise DataError(
            f"{path}: line {number} does not start with [ or {{, as JSON does; if this is a table, give it a name "
            "that ends in .csv"
        )
    if not _is_record(line, needed):
        whole = "\n".join([line, *(line for _, line in lines)])
        values = _parsed(whole, f"{path}: from line {number} on, it", parser)
        lists = [row for value in values for row in (value if isinstance(value, list) else [value])]
        try:
            found = lists if len(values) > 1 else _rows_of_document(values[0], needed)
        except ValueError as error:
            raise DataError(f"{path}: its rows have not as many cells as its columns ({first_line(error)})") from error
        if name := _only_list_of_rows(values[0], needed):
            note(f"{path}: read is its list {name!r}")
        yield from ((row, f"{path}: entry {place} of the array") for place, row in enumerate(found, 1))
        return
    for place, content in chain([(number, line)], lines):
        if content.strip():
            where = f"{path}: line {place}"
            yield from ((value, where) for value in _parsed(content, where, parser))


def cell_at(record: dict[str, Any], name: str) -> Any:
    """What a record holds under a name; under ``review.text``, what its ``review`` holds under ``text``."""
    if name in record or "." not in name:
        return record.get(name)
    outer, _, inner = name.partition(".")
    found = record.get(outer)
    return cell_at(found, inner) if isinstance(found, dict) else None


def names_within(record: dict[str, Any]) -> list[str]:
    """The names by which ``cell_at`` finds what lies within a record's objects."""
    return [
        f"{outer}.{name}"
        for outer, inner in record.items()
        if isinstance(inner, dict)
        for name in (*inner, *names_within(inner))
    ]


def lists_within(record: dict[str, Any]) -> list[str]:
    """The names of lists within a record, and within its objects, that hold objects as a document holds its rows."""
    return [name for name in (*record, *names_within(record)) if _holds_objects(cell_at(record, name))]


def _holds_objects(cell: Any) -> bool:
    return isinstance(cell, list) and bool(cell) and all(isinstance(one, dict) for one in cell)


def _is_record(line: str, needed: Sequence[str]) -> bool:
    """Whether a file's first line is a record, so that each line is one; or else the start of one document."""
    try:
        found = json.loads(line, strict=False)
    except (ValueError, RecursionError):
        return line.lstrip().startswith("{") and line.rstrip().endswith("}")  # a line that is broken
    try:
        return isinstance(found, dict) and _rows_of_document(found, needed) == [found]
    except ValueError:  # of columns whose cells are missing
        return False


def _rows_of_document(found: Any, needed: Sequence[str]) -> list[Any]:
    """The rows of an array, or of an object that holds one; pandas' and Polars' columns; or the one record there is."""
    if isinstance(found, list):
        return _with_names(found) if all(isinstance(row, list) for row in found) else found
    if isinstance(found, dict):
        if isinstance(found.get("columns"), list) and isinstance(found.get("data"), list):  # pandas' orient="split"
            return [dict(zip(found["columns"], row, strict=True)) for row in found["data"]]
        if _is_indexed(found, needed):
            return list(found.values())
        if columns := _columns(found):
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if rows := next((found[name] for name in WRAPPERS if isinstance(found.get(name), list)), None):
            return _rows_of_document(rows, needed)
        if name := _only_list_of_rows(found, needed):
            return list(cell_at(found, name))
    return [found]


def _only_list_of_rows(found: Any, needed: Sequence[str]) -> str:
    """The name of the one list within a document whose objects have the needed names; "" if the document has some."""
    if not isinstance(found, dict) or set(needed) & {*found, *names_within(found)}:
        return ""
    lists = [name for name in lists_within(found) if needed]
    fitting = [name for name in lists if any(_has(row, needed) for row in cell_at(found, name))]
    return fitting[0] if len(fitting) == 1 else ""


def _has(record: dict[str, Any], needed: Sequence[str]) -> bool:
    return set(needed) <= {*record, *names_within(record)}


def _is_indexed(found: dict[str, Any], needed: Sequence[str]) -> bool:
    """Whether its values are rows, called by numbers (pandas' orient="index") or by keys, as Firebase has them."""
    rows = [row for row in found.values() if isinstance(row, dict)]
    numbered = all(map(str.isdigit, found))
    asked = set(needed)  # a row without a label may lack that name
    keyed = not asked & found.keys() and all(asked & row.keys() for row in rows)
    keyed = keyed and any(asked <= row.keys() for row in rows)
    return bool(rows) and len(rows) == len(found) and (numbered or keyed)


def _with_names(rows: list[list[Any]]) -> list[Any]:
    """Rows of cells by the names in the first of them, as sheets are exported; others, such as spaCy's, as they are."""
    names = rows[0] if rows else []
    if not all(isinstance(name, str) for name in names) or any(len(row) > len(names) for row in rows):
        return list(rows)
    return [dict(zip_longest(names, row)) for row in rows[1:]]


def _columns(found: dict[str, Any]) -> dict[str, list[Any]]:
    """Lists of cells by the names of the columns, as pandas' ``to_json`` writes them; empty if it is none."""
    if "data" in found:  # Label Studio's
        return {}
    cells = [list(value.values()) if isinstance(value, dict) else value for value in found.values()]
    lists = bool(cells) and all(isinstance(one, list) for one in cells)
    plain = lists and not any(isinstance(cell, dict) or _holds_objects(cell) for one in cells for cell in one)
    keys = {tuple(value) for value in found.values() if isinstance(value, dict)}
    return dict(zip(found, cells, strict=True)) if plain and len({len(one) for one in cells}) == 1 >= len(keys) else {}


def _parsed(content: str, where: str, parser: _Parser) -> list[Any]:
    """The values in a text, of which there are several where one was written behind the other."""
    found, place = [], 0
    try:
        while place < len(content):
            value, place = parser.decoder.raw_decode(content, SPACE.match(content, place).end())  # type: ignore[union-attr]
            value = _mapped(value, well_formed) if SURROGATE.search(content) else value
            found.append(_mapped(value, parser.from_bytes) if BYTES.search(content) else value)
            place = SPACE.match(content, place).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError) as error:
        advice = "; Python's json.dumps writes it, and print does not" if LITERALS.match(content) else ""
        raise DataError(f"{where} is no JSON ({first_line(error)}){advice}") from error
    return found


def _record(row: Any, where: str) -> dict[str, Any]:
    if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict):
        return {"text": row[0], **row[1]}  # spaCy's pairs
    if not isinstance(row, dict):
        raise DataError(f'{where} is no JSON object such as {{"text": ...}}')
    return _label_studio(row) if isinstance(row.get("data"), dict) else row


def _label_studio(task: dict[str, Any]) -> dict[str, Any]:
    """A task's data, and what its annotation says under the names of the labelling interface.

    Of several annotations the one that is marked as the truth counts, else the first that was not cancelled.
    """
    given = _annotations(task)
    chosen = next((one for one in given if one.get("ground_truth")), given[0] if given else {})
    return {**task["data"], **_labels_of(chosen)}


def _annotations(task: dict[str, Any]) -> list[dict[str, Any]]:
    found = task.get("annotations") or task.get("completions") or []
    return [one for one in found if isinstance(one, dict) and not one.get("was_cancelled")]


def _is_disputed(task: dict[str, Any]) -> bool:
    """Whether its annotations differ, and none is marked as the truth."""
    given = _annotations(task) if isinstance(task.get("data"), dict) else []
    said = [_labels_of(one) for one in given]
    return any(one != said[0] for one in said) and not any(one.get("ground_truth") for one in given)


def _labels_of(chosen: dict[str, Any]) -> dict[str, Any]:
    """What an annotation says, by the names of the labelling interface."""
    labels: dict[str, Any] = {}
    for part in chosen.get("result", ()):
        value = part.get("value", {})
        if name := part.get("from_name"):
            if "start" in value:  # a part of the text, which is no label of the whole
                labels.setdefault(name, []).append(value)
                continue
            for kind in ("choices", "rating", "number", "text", "taxonomy"):
                if kind in value:
                    labels[name] = [" / ".join(one) for one in value[kind]] if kind == "taxonomy" else value[kind]
    return labels


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON, each text in it changed, names too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    if isinstance(value, dict):
        return {change(name): _mapped(one, change) for name, one in value.items()}
    return value
