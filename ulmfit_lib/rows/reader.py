"""Files -> rows, some at a time, and one clear sentence about what is wrong with a file."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import DataError, first_line
from ulmfit_lib.progress import bar
from ulmfit_lib.rows.batch import Rows, arrow
from ulmfit_lib.rows.delimited import Layout, NoRows, check_columns, find_layout, read_records
from ulmfit_lib.rows.text_files import COMPRESSED, TextStream, open_bytes, open_text
from ulmfit_lib.tokens.rules import well_formed

DELIMITED = {".csv": ",", ".tsv": "\t", ".txt": None}
JSON = (".jsonl", ".ndjson", ".json")
FORMATS = (
    ".csv, .tsv, .txt, .jsonl, .json, .parquet (also .gz, .xz or .zst), or be a folder with one subfolder of .txt "
    "files per label"
)
PART_ROWS = 20_000
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON escapes it; two of them may be half a pair each


@dataclass(frozen=True)
class FileFormat:
    """How text files are written; what is None is found in each file.

    Attributes:
        encoding: of the characters, such as ``cp1252``; by default UTF-8 or what a file's first bytes mark.
        delimiter: between columns.
        quoting: ``double``, ``backslash`` or ``none`` (``rows.delimited``).
    """

    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None


def read_rows(
    path: Path, columns: Sequence[str], file: FileFormat | None = None, *, rows: int = PART_ROWS
) -> Iterator[Rows]:
    """All columns of a file, as they are, at most ``rows`` rows at a time; ``columns`` must be among them.

    All parts have the same columns, and there is at least one row in the first. The rows are those of the file: one
    that does not fit the header is refused.

    Raises:
        NoRows: the file is empty.
        DataError: the file is missing, damaged, in another encoding, or lacks a column.
        OptionError: an unknown encoding or quoting, or a delimiter of several characters.
    """
    file, suffix = file or FileFormat(), suffix_of(path)
    if suffix == ".parquet":
        parts = _parquet_rows(path, rows)
    elif suffix in JSON:
        parts = _json_rows(path, file.encoding, rows)
    else:
        parts = _delimited_rows(path, file, columns, rows)
    first, found = 1, False
    for part in parts:
        check_columns(part.names, columns, path)
        if len(part):
            found = True
            yield Rows(part.names, part.columns, first, part.kinds)
            first += len(part)
    if not found:
        raise NoRows(f"{path}: the file has column names but no rows")


def suffix_of(path: Path) -> str:
    """The kind of a file by its name, in small letters: ``.csv``, ``.jsonl``, ``.parquet`` ..., compressed or not.

    Raises:
        DataError: no kind that is known.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in (*DELIMITED, *JSON, ".parquet"):
        raise DataError(f"{path}: cannot tell the kind of file from its name; it must end in {FORMATS}")
    return suffix


def upload_name(given: str | None) -> str:
    """A name for a file that somebody sent: nothing but what tells its kind, ``.csv`` where that is unknown."""
    path = Path(given or "")
    try:
        suffix = suffix_of(path)
    except DataError:
        return "input.csv"
    return f"input{suffix}{path.suffix.lower() if path.suffix.lower() in COMPRESSED else ''}"


def layout_of(path: Path, file: FileFormat, columns: Sequence[str]) -> Layout:
    """How a delimited file is written (``delimited.find_layout``); it is looked at once, until it changes.

    Raises:
        DataError: the file is missing, in another encoding, or lacks a column.
        OptionError: an unknown encoding or quoting, or a delimiter of several characters.
    """
    with open_bytes(path):
        state = path.stat()
    return _layout(path, file, tuple(columns), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _layout(path: Path, file: FileFormat, columns: Sequence[str], *_: int) -> Layout:
    default = DELIMITED[suffix_of(path)]
    return find_layout(path, file.encoding, columns, default=default, delimiter=file.delimiter, quoting=file.quoting)


def _delimited_rows(path: Path, file: FileFormat, columns: Sequence[str], rows: int) -> Iterator[Rows]:
    layout = layout_of(path, file, columns)
    with _shown(path, file.encoding) as text:
        records = read_records(text.lines(), layout, path)
        names = next(records)
        part = list(islice(records, rows))
        while part:
            yield Rows(names, list(zip(*part, strict=True)))
            part = list(islice(records, rows))
        yield Rows(names, [()] * len(names))


@contextmanager
def _shown(path: Path, encoding: str | None) -> Iterator[TextStream]:
    """A file's text, while a bar shows how far it is read."""
    with (
        open_text(path, encoding) as (text, file),
        bar(total=os.fstat(file.fileno()).st_size, description=path.name, unit="B") as progress,
    ):
        text.watch = lambda: progress.update(file.tell() - progress.n)
        yield text


def _json_rows(path: Path, encoding: str | None, rows: int) -> Iterator[Rows]:
    with _shown(path, encoding) as text:
        records = _json_records(path, text)
        part = list(islice(records, rows))
        if not part:
            raise NoRows(f"{path}: the file is empty")
        names = dict.fromkeys(name for row in part for name in row)
        if len(part) == rows:  # there may be more, and more names in it
            with open_text(path, encoding) as (again, _):
                names = dict.fromkeys(name for row in _json_records(path, again) for name in row)
        while part:
            yield Rows(list(names), [[row.get(name) for row in part] for name in names])
            part = list(islice(records, rows))


def _json_records(path: Path, text: TextStream) -> Iterator[dict[str, Any]]:
    """JSON's objects: one a line, or those of one array."""
    lines = enumerate(text.lines(), 1)
    start = next(((number, line) for number, line in lines if line.strip()), None)
    if start is None:
        return
    number, line = start
    if line.lstrip().startswith("["):
        whole = "\n".join([line, *(line for _, line in lines)])
        found = _parsed(whole, f"{path}: from line {number} on, it")
        yield from (_checked(row, f"{path}: entry {place} of the array") for place, row in enumerate(found, 1))
        return
    for number, line in chain([start], lines):
        if line.strip():
            yield _checked(_parsed(line, f"{path}: line {number}"), f"{path}: line {number}")


def _parsed(content: str, where: str) -> Any:
    try:
        found = json.loads(content)
        return _well_formed(found) if SURROGATE.search(content) else found
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON ({first_line(error)})") from error


def _checked(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f'{where} is no JSON object such as {{"text": ...}}')
    return row


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_well_formed(one) for one in value]
    if isinstance(value, dict):
        return {well_formed(name): _well_formed(one) for name, one in value.items()}
    return value


def _parquet_rows(path: Path, rows: int) -> Iterator[Rows]:
    pa = arrow(path)
    import pyarrow.parquet as pq

    with open_bytes(path) as (stream, _):
        try:  # a compressed file is read at once: Parquet is read from its end
            whole = BytesIO(stream.read()) if path.suffix.lower() in COMPRESSED else stream
            file = pq.ParquetFile(whole, pre_buffer=False)  # or else it keeps all that it has read
            schema = file.schema_arrow
            kept = [place for place, name in enumerate(schema.names) if not name.startswith("__index_level_")]
            names = [schema.names[place] for place in kept]  # without those that pandas made up
            kinds = {name: schema.types[place] for name, place in zip(names, kept, strict=True)}
            yield Rows(names, [()] * len(names), kinds=kinds)
            for batch in file.iter_batches(rows):
                batch.validate(full=True)  # Arrow trusts a damaged file's strings, and may crash on them
                yield Rows(names, [batch.column(place).to_pylist() for place in kept], kinds=kinds)
        except DataError:
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{path}: no readable Parquet file ({first_line(error)})") from error
