"""Some rows of a table, as they pass from the reader to the writer."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_lib.errors import DataError, OptionError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows, column by column; a cell is what the file holds: a text, a number, None."""

    names: Sequence[str]  # of the columns, as the file has them: one may be empty, and two may be the same
    columns: Sequence[Sequence[Any]]  # (n_columns) lists of (n_rows) cells
    first: int = 1  # number of the first row in the file, from 1, the header not counted
    kinds: Mapping[str, Any] = field(default_factory=dict)  # Arrow's types of the columns whose type is known, by name
    # What the whole numbers of a column stand for, where the file says so.
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Any]]) -> "Rows":
        """From cells by the names of the columns."""
        return cls(list(columns), list(columns.values()))

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """Parts of one table, one below the other."""
        columns = [
            [cell for cells in some for cell in cells] for some in zip(*(one.columns for one in parts), strict=True)
        ]
        return replace(parts[0], columns=columns)

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    @property
    def numbers(self) -> range:
        """Each row's number in the file."""
        return range(self.first, self.first + len(self))

    def column(self, name: str) -> Sequence[Any]:
        """The cells of a column; of the first one, if two have this name."""
        return self.columns[self.names.index(name)]

    def adding(self, columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Any] | None = None) -> "Rows":
        """The same rows with more columns, which take the place of columns of the same names."""
        kept = [place for place, name in enumerate(self.names) if name not in columns]
        return replace(
            self,
            names=[*(self.names[place] for place in kept), *columns],
            columns=[*(self.columns[place] for place in kept), *columns.values()],
            kinds={**{name: kind for name, kind in self.kinds.items() if name not in columns}, **(kinds or {})},
        )

    def with_inner(self, names: Sequence[str]) -> "Rows":
        """The rows with what ``names`` such as ``review.text`` find within objects, as columns of their own."""
        found = {}
        for name in names:
            outer, _, inner = name.partition(".")
            if inner and name not in self.names and outer in self.names:
                cells = self.column(outer)
                objects = [cell for cell in cells if isinstance(cell, Mapping)]
                if any(inner.partition(".")[0] in cell for cell in objects) or all(map(is_missing, cells)):
                    found[name] = [_within(cell, inner) for cell in cells]
        return self.adding(found) if found else self

    def select(self, places: Iterable[int]) -> "Rows":
        """The rows at ``places``, in that order."""
        chosen = list(places)
        return replace(self, columns=[[cells[place] for place in chosen] for cells in self.columns])

    def check_names(self, source: str | Path) -> None:
        """Refuse two columns of one name, which only a delimited file can hold."""
        if twice := sorted({name for name in self.names if list(self.names).count(name) > 1}):
            raise DataError(f"{source}: two columns are called {twice[0]!r}, which only .csv and .tsv can hold")

    def to_arrow(self, source: str | Path, schema: "pa.Schema | None" = None) -> "pa.Table":
        """The rows as Arrow, and so Parquet, holds them, by a ``schema`` or by what ``kinds`` or the values say.

        Raises:
            DataError: a column has values of another type, or of several; or two columns have one name.
        """
        pa = arrow(source)
        self.check_names(source)
        arrays = {}
        for name in schema.names if schema else self.names:
            kind = schema.field(name).type if schema else self.kinds.get(name)
            try:
                cells = self.column(name)
                if kind is not None and str(kind).startswith(("int", "uint")) and any(map(_has_fraction, cells)):
                    raise ValueError(f"{name}: no whole number")  # Arrow would cut the fraction off
                arrays[name] = pa.array(cells, kind, from_pandas=True)
            except pa.ArrowMemoryError:
                raise
            except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
                raise DataError(
                    f"{source}: column {name!r} has several kinds of values, or one that Parquet cannot hold: make "
                    "them one kind, or write .csv or .jsonl without an engine"
                ) from error
        return pa.table(arrays, schema=schema)


def arrow(source: str | Path) -> Any:
    """The module pyarrow, with its errors and types; an OptionError where it is not installed."""
    try:
        import pyarrow
    except ImportError as error:
        raise OptionError(f"{source}: a Parquet file needs one more package: pip install pyarrow") from error
    return pyarrow


def decoded(cell: bytes, where: str) -> str:
    """A text that a file holds as bytes; a DataError where it is not UTF-8."""
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: found bytes that are no text in UTF-8; save the column as text") from error


def _within(cell: Any, name: str) -> Any:
    """What an object holds under a name, such as ``a.b`` for what its ``a`` holds under ``b``."""
    for one in name.split("."):
        cell = cell.get(one) if isinstance(cell, Mapping) else None
    return cell


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing: None, or what numpy and pandas put there for it."""
    return (
        cell is None or (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in ("NAType", "NaTType")
    )


def _has_fraction(cell: Any) -> bool:
    return isinstance(cell, float) and cell % 1 > 0
