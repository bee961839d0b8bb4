"""Files of the same columns, whose rows are told apart by their file and their number in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ulmfit_lib.data.frames import PART_ROWS, read_frames
from ulmfit_lib.data.writing import to_arrow
from ulmfit_lib.errors import DataError

FILE, ROW = "source_file", "source_row"
ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")


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
            DataError: an empty folder.
        """
        found = sorted(data.iterdir()) if data.is_dir() else [data]
        files = {file.name: file.resolve() for file in found if not file.name.startswith((".", "_"))}
        if not files:
            raise DataError(f"{data}: no files in this folder; their names must end in {', '.join(ENDINGS)}")
        return cls(files, list(text), encoding, delimiter)

    def frames(self, name: str) -> Iterator[pd.DataFrame]:
        """All columns of a file (``read_frames``)."""
        return read_frames(self.files[name], self.text, encoding=self.encoding, delimiter=self.delimiter)

    def look(self) -> tuple[pa.Schema, int]:
        """The kind of each column, every row's file and number being the last, and about how many rows there are.

        Raises:
            DataError: a file cannot be read, or lacks a column.
        """
        schema, rows = pa.schema([]), 0
        for name, path in self.files.items():
            first = next(self.frames(name))
            found = pq.read_schema(path) if path.suffix == ".parquet" else to_arrow(first, None, path).schema
            found = pa.schema([field for field in found.remove_metadata() if field.name in first])  # an index is none
            if taken := {FILE, ROW} & set(found.names):
                raise DataError(f"{path}: has a column {min(taken)!r}, which --engine ray adds; give it another name")
            schema = schema if len(schema) else found
            if odd := set(schema.names) ^ set(found.names):
                raise DataError(f"{path}: only some of the files have the column {min(odd)!r}; all must have the same")
            rows += _rows(path, first)
        return schema.append(pa.field(FILE, pa.string())).append(pa.field(ROW, pa.int64())), rows

    def record(self) -> dict[str, Any]:
        """For JSON."""
        sizes = {name: path.stat().st_size for name, path in self.files.items()}
        return {"input": sizes, "text column": self.text, "encoding": self.encoding, "delimiter": self.delimiter}


def _rows(path: Path, first: pd.DataFrame) -> int:
    """How many there are; in a text file that is not short, about."""
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    if len(first) < PART_ROWS:
        return len(first)
    return round(len(first) * path.stat().st_size / len(first.to_csv(index=False).encode("utf-8", "surrogatepass")))
