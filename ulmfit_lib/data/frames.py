"""Files -> tables of cells, some rows at a time, and one clear sentence about what is wrong with a file."""

import codecs
import csv
import gzip
import io
import json
import lzma
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import zstandard

from ulmfit_lib.errors import DataError, OptionError, first_line
from ulmfit_lib.progress import bar
from ulmfit_lib.tokens.rules import well_formed

DELIMITED = {".csv": ",", ".tsv": "\t"}
COMPRESSED = (".gz", ".xz", ".zst")
FORMATS = ".csv, .tsv, .jsonl, .parquet (also .gz, .xz or .zst), or a folder with one subfolder of .txt files per label"
PART_ROWS = 20_000
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON escapes it; two of them may be half a pair each
BLOCK = 1 << 20  # bytes or characters read at a time


class NoRows(DataError):
    """A file is empty, or has column names alone."""


def read_frames(
    path: Path, columns: Sequence[str], *, encoding: str = "utf-8", delimiter: str | None = None, rows: int = PART_ROWS
) -> Iterator[pd.DataFrame]:
    """All columns of a file, as they are, in frames of at most ``rows`` rows; ``columns`` must be among them.

    Every frame has the same columns, and there is at least one row in the first.

    Raises:
        NoRows: the file is empty.
        DataError: the file is missing, damaged, in another encoding, or lacks a column.
        OptionError: an unknown encoding, or a delimiter of several characters.
    """
    suffix, found = suffix_of(path), False
    with _open(path) as (stream, file), bar(total=_size(file), description=path.name, unit="B") as progress:
        if suffix == ".parquet":
            frames = _parquet_frames(path, stream, rows)
        else:
            text = TextStream(path, stream, encoding)
            if not text.peek(BLOCK).strip():
                raise NoRows(f"{path}: the file is empty")
            if suffix == ".jsonl":
                frames = _jsonl_frames(path, text, encoding, rows)
            else:
                frames = _delimited_frames(path, text, delimiter or DELIMITED[suffix], columns, rows)
        for frame in frames:
            if missing := [column for column in columns if column not in frame.columns]:
                raise DataError(f"{path}: no column {missing[0]!r}; it has {_names(frame.columns)}")
            if not frame.empty:
                found = True
                yield frame
            if suffix != ".parquet":  # which is read from its end
                progress.update(file.tell() - progress.n)
    if not found:
        raise NoRows(f"{path}: the file has column names but no rows")


def read_text(path: Path, encoding: str) -> str:
    """A whole text file.

    Raises:
        DataError: missing, damaged, or in another encoding.
    """
    with _open(path) as (stream, _):
        return TextStream(path, stream, encoding).read()


class TextStream(io.TextIOBase):
    """Decoded text of a binary stream, which names the line where the decoding fails."""

    def __init__(self, path: Path, stream: BinaryIO, encoding: str) -> None:
        self.path, self._stream, self._encoding = path, stream, encoding
        try:
            utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
            self._decoder = codecs.getincrementaldecoder("utf-8-sig" if utf8 else encoding)()
        except LookupError as error:
            raise OptionError(f"encoding {encoding!r} is unknown; try utf-8, latin-1, cp1252 or utf-16") from error
        self._pending, self._lines, self._start, self._ended = "", 0, b"", False

    def read(self, size: int | None = -1) -> str:
        """The next ``size`` characters, or all that are left."""
        wanted = size if size is not None and size >= 0 else None
        pieces = [self._pending]
        held = len(self._pending)
        while not self._ended and (wanted is None or held < wanted):
            pieces.append(self._decode())
            held += len(pieces[-1])
        text = "".join(pieces)
        self._pending = text[wanted:] if wanted is not None else ""
        return text[:wanted]

    def peek(self, size: int) -> str:
        """The next ``size`` characters, which stay to be read."""
        found = self.read(size)
        self._pending = found + self._pending
        return found

    def lines(self) -> Iterator[str]:
        """What newlines separate."""
        rest = ""
        while block := self.read(BLOCK):
            *lines, rest = (rest + block).split("\n")
            yield from lines
        yield rest

    def _decode(self) -> str:
        block = self._stream.read(BLOCK)
        self._ended = not block
        self._start = self._start or block[:2]
        try:
            text = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            line = self._lines + error.object.count(b"\n", 0, error.start) + 1
            advice = "utf-16" if self._start in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
            raise DataError(
                f"{self.path}: row {max(line - 1, 0)} (line {line}) is not {self._encoding}: it holds the byte "
                f"0x{error.object[error.start]:02x}; say how the file is encoded, for example --encoding {advice}"
            ) from error
        self._lines += block.count(b"\n")
        return text


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def suffix_of(path: Path) -> str:
    """The kind of a file by its name: ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``, compressed or not.

    Raises:
        DataError: it is none of these.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in (*DELIMITED, ".jsonl", ".parquet"):
        raise DataError(f"{path}: cannot tell the kind of file from its name; it must end in {FORMATS}")
    return suffix


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, BinaryIO]]:
    """A file's bytes, decompressed; and the file itself, whose position tells how far it is read."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                yield gzip.GzipFile(fileobj=file), file
            elif path.suffix == ".xz":
                yield lzma.LZMAFile(file), file  # noqa: SIM115 (closed with the file below it)
            elif path.suffix == ".zst":
                yield zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True), file
            else:
                yield file, file
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a whole {path.suffix} file ({first_line(error)})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _delimited_frames(
    path: Path, text: TextStream, delimiter: str, columns: Sequence[str], rows: int
) -> Iterator[pd.DataFrame]:
    if len(delimiter) != 1:
        raise OptionError(f"delimiter {delimiter!r}: it must be one character, such as ',' or ';'")
    start = text.peek(BLOCK)
    try:
        header = next(csv.reader(io.StringIO(start), delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{path}: line 1 is not a row of column names ({error})") from error
    if missing := [column for column in columns if column not in header]:
        others = [other for other in (",", ";", "\t", "|") if other != delimiter and other in start.splitlines()[0]]
        if len(header) == 1 and others:
            shown = "tab" if others[0] == "\t" else others[0]
            raise DataError(
                f"{path}: no column {missing[0]!r}; the only column is {header[0]!r}, which looks like several "
                f"separated by {shown!r}: pass --delimiter {others[0]!r}"
            )
        raise DataError(f"{path}: no column {missing[0]!r}; it has {_names(header)}")
    options: Any = {"dtype": str, "keep_default_na": False, "na_filter": False, "chunksize": rows}
    try:
        for frame in pd.read_csv(text, sep=delimiter, **options):
            if not isinstance(frame.index, pd.RangeIndex):
                raise DataError(
                    f"{path}: the rows have more fields than the {len(header)} column names; "
                    f"put texts that contain {delimiter!r} in double quotes"
                )
            yield frame
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: {_parser_message(str(error))}") from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path}: no readable table ({first_line(error)})") from error


def _parser_message(message: str) -> str:
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message):
        expected, line, seen = found.groups()
        return (
            f"line {line} has {seen} fields and the others have {expected}; put texts that contain the delimiter "
            f"in double quotes, or pass another --delimiter"
        )
    if found := re.search(r"EOF inside string starting at row (\d+)", message):
        return f"row {int(found.group(1))} has an opening double quote that is never closed"
    return f"no readable table ({message.splitlines()[0]})"


def _jsonl_frames(path: Path, text: TextStream, encoding: str, rows: int) -> Iterator[pd.DataFrame]:
    lines = _json_lines(path, text)
    part = list(islice(lines, rows))
    names = dict.fromkeys(name for row in part for name in row)
    if len(part) == rows:  # there may be more, and more names in it
        with _open(path) as (stream, _):
            names = dict.fromkeys(name for row in _json_lines(path, TextStream(path, stream, encoding)) for name in row)
    while part:
        yield pd.DataFrame({name: pd.Series([row.get(name) for row in part], dtype=object) for name in names})
        part = list(islice(lines, rows))


def _json_lines(path: Path, text: TextStream) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.lines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if SURROGATE.search(line):
                row = _well_formed(row)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is no JSON ({first_line(error)})") from error
        if not isinstance(row, dict):
            raise DataError(f'{path}: line {number} is no JSON object such as {{"text": ...}}')
        yield row


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_well_formed(one) for one in value]
    if isinstance(value, dict):
        return {well_formed(name): _well_formed(one) for name, one in value.items()}
    return value


def _parquet_frames(path: Path, stream: Any, rows: int) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:  # a compressed file is read at once: Parquet is read from its end
        whole = io.BytesIO(stream.read()) if path.suffix in COMPRESSED else stream
        file = pq.ParquetFile(whole, pre_buffer=False)  # or else it keeps all that it has read
        if not file.metadata.num_rows:
            yield _all_columns(file.schema_arrow.empty_table())
        for batch in file.iter_batches(rows):
            batch.validate(full=True)  # Arrow trusts a damaged file's strings, and may crash on them
            yield _all_columns(batch)
    except DataError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: no readable Parquet file ({first_line(error)})") from error


def _all_columns(rows: Any) -> pd.DataFrame:
    """Those that pandas wrote as the names of rows, too, but for names that nobody gave."""
    frame: pd.DataFrame = rows.to_pandas(integer_object_nulls=True, ignore_metadata=True)
    return frame[[name for name in frame.columns if not name.startswith("__index_level_")]]


def _names(columns: Sequence[Any] | pd.Index, most: int = 20) -> str:
    names = [repr(str(name)) for name in columns]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
