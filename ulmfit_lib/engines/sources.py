"""Files of the same columns, whose rows are told apart by their file and their number in it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import quietly, track
from ulmfit_lib.rows.arrow_files import STATE, dataset_files
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.delimited import NoRows
from ulmfit_lib.rows.kinds import COMPRESSED, DELIMITED, FileFormat, suffix_of
from ulmfit_lib.rows.reader import PART_ROWS, read_rows
from ulmfit_lib.rows.texts import read_texts

FILE, ROW = "source_file", "source_row"
LOOKED_AT = 1000  # rows of a file whose columns are known from its start


def arrow_table(data: str | Path, *, text: str | Sequence[str], file: FileFormat | None = None) -> pa.Table:
    """All rows of anything that the one reader reads (``rows.texts.read_texts``), for an engine to divide."""
    parts = [rows.to_arrow(data) for rows, *_ in read_texts(Path(data), text=text, file=file)]
    return pa.concat_tables(parts, promote_options="permissive")


@dataclass(frozen=True)
class Source:
    """Files of the same columns."""

    files: dict[str, Path]  # by name
    text: list[str]  # columns that hold the texts
    file: FileFormat  # how text files are written

    @classmethod
    def find(cls, data: Path, text: Sequence[str], file: FileFormat) -> "Source":
        """A file, or those of a folder; a DataError for an empty folder, or one that holds folders."""
        if (data / STATE).is_file():  # of `datasets`
            return cls({path.name: path.resolve() for path in dataset_files(data)}, list(text), file)
        found = sorted(data.iterdir()) if data.is_dir() else [data]
        files = {path.name: path.resolve() for path in found if path == data or not path.name.startswith((".", "_"))}
        if not files:
            raise DataError(f"{data}: no files in this folder")
        if folders := [name for name, path in files.items() if path.is_dir()]:
            raise DataError(f"{data}: holds a folder, {folders[0]!r}: score each folder of files by itself")
        return cls(files, list(text), file)

    def rows(self, name: str, *, most: int = PART_ROWS) -> Iterator[Rows]:
        """All columns of a file (``read_rows``); nothing if it has no rows."""
        with suppress(NoRows):
            yield from read_rows(self.files[name], self.text, self.file, rows=most)

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
            for first in islice(self.rows(name, most=LOOKED_AT), 1):
                yield first.to_arrow(path).schema, pq.read_metadata(path).num_rows
        elif kind in DELIMITED:
            for first in islice(self.rows(name, most=LOOKED_AT), 1):
                size = sum(len(str(cell)) + 1 for cells in first.columns for cell in cells)
                rows = len(first) if len(first) < LOOKED_AT else round(len(first) * path.stat().st_size / size)
                yield first.to_arrow(path).schema, rows
        else:
            for part in self.rows(name):
                yield part.to_arrow(path).schema, len(part)

    def record(self) -> dict[str, Any]:
        """For JSON, what tells whether another run is of the same rows."""
        states = ((f"file {name}", path.stat()) for name, path in self.files.items())
        files = {name: [state.st_size, state.st_mtime_ns] for name, state in states}
        return {**files, "text column": self.text, **asdict(self.file)}


def _widened(before: pa.Field, field: pa.Field, path: Path) -> pa.Field:
    """A column that holds the values of both."""
    try:
        return pa.unify_schemas([pa.schema([before]), pa.schema([field])], promote_options="permissive").field(0)
    except pa.ArrowTypeError as error:
        raise DataError(
            f"{path}: column {field.name!r} has values of the kind {field.type}, and {before.type} before; make them "
            "one kind"
        ) from error
