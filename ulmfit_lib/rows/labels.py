"""Cells -> labels: one name, several, or none.

A cell may hold a list of names: as Parquet and JSON have it, as Python, JSON or numpy write it into a CSV, as spaCy's
``cats`` (a number for each name) or as Label Studio's ``{"choices": [...]}``. Several columns hold several labels, too,
where each says yes or no to the label that it is called by.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from ulmfit_lib.errors import DataError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.batch import Rows, decoded, is_missing
from ulmfit_lib.rows.columns import INVISIBLE

Label: TypeAlias = "str | tuple[str, ...] | None"

MISSING = (
    "\\N",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "nan",
    "NaN",
    "NaT",
    "null",
    "NULL",
)  # as programs write no value
# Of a workbook's cells, in any language: #VALUE!, #NAME?, #DIV/0!, #N/A, #NV, LibreOffice's Err:502.
ERROR = re.compile(r"#[¡¿]?[A-ZÀ-Ü]+(/0)?[!?]|#N/[A-Z]!?|#NV|Err:\d{3}")
LONGEST_ERROR = 20  # characters, far more than any has
# As programs and people write yes and no; Excel saves its own words in the user's language.
YES = (
    *("1", "1.0", "true", "t", "yes", "y", "on", "x", "✓", "✔", "checked", "ja", "oui", "si", "sí", "sim", "да"),
    *("wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar"),
)
NO = (
    *("0", "0.0", "false", "f", "no", "n", "off", "✗", "✘", "unchecked", "nein", "non", "não", "nee", "нет"),
    *("falsch", "faux", "falso", "onwaar"),
)
NOT_SAID = ("", "-1", "-1.0", *(word.casefold() for word in MISSING))
CALLED = re.compile(r"(?:np\.)?(?:array|set|frozenset)\((.*?)(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
LISTED = re.compile(r"\[.*\]|\{.*\}|\(.*\)", re.DOTALL)
ANGLED = re.compile(r"(?:<[^<>]+>)+")  # as Stack Exchange lists tags
BARE = re.compile(r"\[[^\[\]]*\]|\{[^{}:]*\}")  # a list whose names have no quotes
NUMPY = re.compile(r"""\[\s*(?:(?:'[^']*'|"[^"]*"|[\d.-]+)(?:\s+|(?=\])))+\]""")
NUMPY_NAME = re.compile(r"""'([^']*)'|"([^"]*)"|([\d.-]+)""")
WHOLE = re.compile(r"-?\d+(\.0+)?")
TRUTH = re.compile("true|false", re.IGNORECASE)
DELIMITERS = ";|,/#~"  # that join tags which came as lists; the first that no tag holds
ANSWER, NOT_GIVEN = "answer", ("reject", "ignore")  # Prodigy's


def labels_of(rows: Rows, columns: Sequence[str], source: str | Path) -> list[Label]:
    """Each row's label; of several columns, which of them say yes.

    Raises:
        DataError: names the row and the column that holds no label.
    """
    if len(columns) > 1:
        answers = [_answers(rows, column, source) for column in columns]
        return [_names_of_columns(columns, some) for some in zip(*answers, strict=True)]
    (column,) = columns
    names = rows.class_names.get(column, ())
    where = f"{source}: row {{}}, column {column!r}"
    found = [
        label_of(cell, where.format(row), names) for row, cell in zip(rows.numbers, rows.column(column), strict=True)
    ]
    if column != ANSWER and ANSWER in rows.names:
        answered = rows.column(ANSWER)
        if left_out := sum(answer in NOT_GIVEN for answer in answered):
            note(f"{source}: no label for {counted(left_out, 'row')} rejected or ignored in Prodigy")
        found = [None if answer in NOT_GIVEN else one for one, answer in zip(found, answered, strict=True)]
    return found


def label_of(cell: Any, where: str = "a label", class_names: Sequence[str] = ()) -> Label:
    """What a cell holds: a name, the names in a list, or nothing; a DataError for something else, such as spans.

    Whole numbers stand for ``class_names``, if there are any; -1 is no label then.

    >>> label_of("good"), label_of("['bad', 'food']"), label_of({"bad": 0.9, "good": 0.1}), label_of(" ")
    ('good', ('bad', 'food'), ('bad',), None)
    """
    if is_missing(cell):
        return None
    cell = cell.tolist() if hasattr(cell, "tolist") else cell
    if isinstance(cell, str):
        word = cell.strip().strip(INVISIBLE).strip()
        if ANGLED.fullmatch(word) and not stands_for_nothing(word):
            return label_of(word[1:-1].split("><"), where, class_names)
        if (called := CALLED.fullmatch(word)) and LISTED.fullmatch(called[1] or "[]"):
            word = called[1] or "[]"
        listed = _read_list(word) if LISTED.fullmatch(word) else None
        return (word or None) if listed is None else label_of(listed, where, class_names)
    if isinstance(cell, Mapping):
        return tuple(_names_of_mapping(cell, where))
    if isinstance(cell, list | tuple | set | frozenset):
        return tuple(_names([class_names[one] if class_names else one for one in cell], where))
    if class_names and isinstance(cell, int):
        return class_names[cell] if cell >= 0 else None
    return _name(cell, where)


def settle(
    labels: Sequence[Label], *, rows: Sequence[int], source: str, kind: LabelKind | None = None
) -> tuple[list[str | None], LabelKind]:
    """All labels as text, and what ``kind`` they are: by default tags if some label is a list of several, else classes.

    Raises:
        DataError: names the row whose label cannot be of that kind.
    """
    lists = [one for one in labels if isinstance(one, tuple)]
    if kind is None:
        kind = tags_joining(lists, source) if any(len(one) > 1 for one in lists) else Classes()
        if lists:
            said = f"tags, joined by {kind.delimiter!r}" if isinstance(kind, Tags) else "classes, for none has several"
            note(f"{source}: the labels are lists; they are read as {said}")
    if not lists:
        return [one for one in labels if not isinstance(one, tuple)], kind
    settled = (
        one if one is None else join_names((one,) if isinstance(one, str) else one, kind, f"{source}: row {row}")
        for row, one in zip(rows, labels, strict=True)
    )
    return list(settled), kind


def tags_joining(labels: Sequence[Label], source: str) -> Tags:
    """Tags with a delimiter that none of the names in the lists holds."""
    names = {name for one in labels if isinstance(one, tuple) for name in one}
    free = (delimiter for delimiter in DELIMITERS if not any(delimiter in name for name in names))
    if found := next(free, None):
        return Tags(found)
    raise DataError(
        f"{source}: the labels hold each of {' '.join(DELIMITERS)}; name another delimiter with --label-delimiter "
        "(label_delimiter=...)"
    )


def join_names(names: Sequence[str], kind: LabelKind, where: str) -> str | None:
    """Several names as one label of a kind; of classes and ratings, None where there is no name.

    Raises:
        DataError: a tag that holds the delimiter, or several names for one class.
    """
    if isinstance(kind, Tags):
        if odd := next((name for name in names if kind.delimiter in name), None):
            raise DataError(
                f"{where}: the label {odd!r} holds the label delimiter {kind.delimiter!r}; choose another one with "
                "--label-delimiter (label_delimiter=...)"
            )
        return kind.delimiter.join(names) or kind.delimiter
    if len(names) > 1:
        raise DataError(
            f"{where} has {len(names)} labels, {' and '.join(map(repr, names[:2]))}, and only tags allow several: "
            "leave one, or name a --label-delimiter (label_delimiter=...)"
        )
    return names[0] if names else None


def tidied(labels: Sequence[Label], *, rows: Sequence[int], source: str) -> list[Label]:
    """Labels of a file as they are meant: ``NA`` is none, ``1.0`` is 1, ``TRUE`` is True. What changes is said."""
    empty = [place for place, label in enumerate(labels) if stands_for_nothing(label)]
    tidy: list[Label] = [None if stands_for_nothing(label) else label for label in labels]
    if empty:
        first = labels[empty[0]]
        note(
            f"{source}: {counted(len(empty), 'row')} with the label {first!r} or the like have none (first: row "
            f"{rows[empty[0]]}); if it is a class, give it another name"
        )
    names = {label for label in tidy if label is not None}
    for form in (WHOLE, TRUTH):
        if names and all(isinstance(name, str) and form.fullmatch(name) for name in names):
            if odd := next((name for name in sorted(map(str, names)) if as_read(name) != name), ""):
                note(f"{source}: labels such as {odd!r} are read as {as_read(odd)!r}")
            return [as_read(label) if isinstance(label, str) else label for label in tidy]
    return tidy


def stands_for_nothing(cell: Any) -> bool:
    """Whether a cell holds what programs write for no value, such as ``NA``, or for a formula that failed."""
    if not isinstance(cell, str) or len(cell) > LONGEST_ERROR:
        return False
    return cell in MISSING or ERROR.fullmatch(cell) is not None


def as_read(label: str) -> str:
    """A whole number without zeros behind its point, as pandas adds them; true and false as Python writes them.

    >>> as_read("4.0"), as_read("4.5"), as_read("TRUE"), as_read("good")
    ('4', '4.5', 'True', 'good')
    """
    if TRUTH.fullmatch(label):
        return label.capitalize()
    return label.partition(".")[0] if WHOLE.fullmatch(label) else label


def _answers(rows: Rows, column: str, source: str | Path) -> list[bool | None]:
    """What a column says of its label; None where it says nothing."""
    found: list[bool | None] = []
    for row, cell in zip(rows.numbers, rows.column(column), strict=True):
        word = "" if is_missing(cell) else str(cell).strip().casefold()
        word = "" if stands_for_nothing(cell) else "yes" if word == column.strip().casefold() else word  # as in surveys
        if word not in (*YES, *NO, *NOT_SAID):
            raise DataError(
                f"{source}: row {row}, column {column!r}: {str(cell)[:40]!r} is neither yes nor no; where --label is "
                "given several times, each column holds 1 or 0, and an empty cell is no"
            )
        found.append(None if word in NOT_SAID else word in YES)
    return found


def _names_of_columns(columns: Sequence[str], answers: Sequence[bool | None]) -> Label:
    if all(answer is None for answer in answers):
        return None
    return tuple(name for name, answer in zip(columns, answers, strict=True) if answer)


def _read_list(word: str) -> Any:
    """What a list is that is written as text; None where it is none."""
    with suppress(ValueError):
        return _if_names(json.loads(word))
    if NUMPY.fullmatch(word):
        return ["".join(some) for some in NUMPY_NAME.findall(word)]
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return _if_names(ast.literal_eval(word))
    if BARE.fullmatch(word):
        return [name.strip().strip("'\"") for name in word[1:-1].split(",")]
    return None


def _if_names(value: Any) -> Any:
    return value if isinstance(value, list | tuple | set | dict) else None


def _names(cells: Any, where: str) -> Iterator[str]:
    for cell in cells:
        if not is_missing(cell) and (name := _name(cell, where)):
            yield name


def _names_of_mapping(cell: Mapping[str, Any], where: str) -> Iterator[str]:
    """The names of ``{"good": 0.9, "bad": 0.1}`` from a half on, or of ``{"choices": ["good"]}``."""
    if "choices" in cell:
        choices = cell["choices"]
        yield from _names([choices] if isinstance(choices, str) else choices, where)
        return
    for name, share in cell.items():
        if not isinstance(share, bool | int | float):
            raise DataError(
                f'{where}: {name!r} holds {share!r}; categories are numbers, such as {{"good": 1, "bad": 0}}, and what '
                f"lies within an object of JSON is a column, too, such as label.{name}"
            )
        if share >= 0.5:
            yield name


def _name(cell: Any, where: str) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, bytes):
        cell = decoded(cell, where)
    if isinstance(cell, Mapping) and isinstance(cell.get("name"), str) and "start" not in cell:
        cell = cell["name"]  # as GitHub and Trello list labels
    if isinstance(cell, list | tuple | Mapping):
        raise DataError(
            f"{where}: {str(cell)[:40]!r} is no label of a whole text; a label is a name, or a list of names"
        )
    return str(cell).strip().strip(INVISIBLE).strip()
