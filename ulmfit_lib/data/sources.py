"""Files of the same columns, whose rows are told apart by their file and their number in it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ulmfit_lib.data.frames import COMPRESSED, PART_ROWS, NoRows, read_frames, suffix_of
from ulmfit_lib.data.writing import to_arrow
from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import quietly, track

FILE, ROW = "source_file", "source_row"
ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
LOOKED_AT = 1000  # rows of a file whose columns are known from its start


@dataclass(frozen=True)
class Source:
    """Files of the same columns.

    Attributes:
        files: by name.
        text: columns that hold the texts.
        encoding: of text files.
        delimiter: between columns; default a comma, in ``.tsv`` a tab.
    """

    files: dict[str, Path]
    text: list[str]
    encoding: str
    delimiter: str | None

    @classmethod
    def find(cls, data: Path, text: Sequence[str], encoding: str, delimiter: str | None) -> "Source":
        """A file, or those of a folder.

        Raises:
            DataError: an empty folder, or one that holds folders.
        """
        found = sorted(data.iterdir()) if data.is_dir() else [data]
        files = {file.name: file.resolve() for file in found if file == data or not file.name.startswith((".", "_"))}
        if not files:
            raise DataError(f"{data}: no files in this folder; their names must end in {', '.join(ENDINGS)}")
        if folders := [name for name, file in files.items() if file.is_dir()]:
            raise DataError(f"{data}: holds a folder, {folders[0]!r}: score each folder of files by itself")
        return cls(files, list(text), encoding, delimiter)

    def frames(self, name: str, *, rows: int = PART_ROWS) -> Iterator[pd.DataFrame]:
        """All columns of a file (``read_frames``); nothing if it has no rows."""
        with suppress(NoRows):
            yield from read_frames(
                self.files[name], self.text, encoding=self.encoding, delimiter=self.delimiter, rows=rows
            )

    def look(self) -> tuple[pa.Schema, int]:
        """The kind of each column, every row's file and number being the last, and about how many rows there are.

        Raises:
            DataError: a file cannot be read, or has other columns than the others.
        """
        fields: dict[str, pa.Field] = {}
        whole = 0
        for name in track(list(self.files), total=len(self.files), description="looking at the files", unit="file"):
            path = self.files[name]
            with quietly():
                kinds = list(self._kinds(name))
            for found, rows in kinds:
                if taken := {FILE, ROW} & set(found.names):
                    raise DataError(f"{path}: has a column {min(taken)!r}, which an engine adds; give it another name")
                if fields and (odd := set(fields) ^ set(found.names)):
                    raise DataError(f"{path}: only some files have the column {min(odd)!r}; all must have the same")
                fields |= {field.name: _widened(fields.get(field.name, field), field, path) for field in found}
                whole += rows
        if not fields:
            raise NoRows(f"{path.parent if len(self.files) > 1 else path}: there are no rows to score")
        return pa.schema([*fields.values(), pa.field(FILE, pa.string()), pa.field(ROW, pa.int64())]), whole

    def _kinds(self, name: str) -> Iterator[tuple[pa.Schema, int]]:
        """Of a file's columns, with the number of rows; in a text file, about that.

        JSON Lines are read whole, for a value of another kind may stand in the last row; so is compressed Parquet.
        """
        path = self.files[name]
        kind, compressed = suffix_of(path), path.suffix.lower() in COMPRESSED
        if kind == ".parquet" and not compressed:
            for first in islice(self.frames(name, rows=LOOKED_AT), 1):
                fields = [field for field in pq.read_schema(path).remove_metadata() if field.name in first]
                yield pa.schema(fields), pq.read_metadata(path).num_rows
        elif kind in (".jsonl", ".parquet"):
            for frame in self.frames(name):
                yield to_arrow(frame, None, path).schema, len(frame)
        else:
            for first in islice(self.frames(name, rows=LOOKED_AT), 1):
                size = len(first.to_csv(index=False).encode("utf-8", "surrogatepass"))
                rows = len(first) if len(first) < LOOKED_AT else round(len(first) * path.stat().st_size / size)
                yield to_arrow(first, None, path).schema, rows

    def record(self) -> dict[str, Any]:
        """For JSON, what tells whether another run is of the same rows."""
        states = ((f"file {name}", path.stat()) for name, path in self.files.items())
        files = {name: [state.st_size, state.st_mtime_ns] for name, state in states}
        return {**files, "text column": self.text, "encoding": self.encoding, "delimiter": self.delimiter}


def _widened(before: pa.Field, field: pa.Field, path: Path) -> pa.Field:
    """A column that holds the values of both."""
    try:
        return pa.unify_schemas([pa.schema([before]), pa.schema([field])], promote_options="permissive").field(0)
    except pa.ArrowTypeError as error:
        raise DataError(
            f"{path}: column {field.name!r} has values of the kind {field.type}, and {before.type} before; make them "
            "one kind"
        ) from error
