"""Files -> texts and labels, and one clear sentence about what is wrong with a file."""

import csv
import gzip
import io
import json
import lzma
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import zstandard

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.data.text_rules import FIELD
from ulmfit_lib.errors import DataError, OptionError

DELIMITED = {".csv": ",", ".tsv": "\t"}
COMPRESSED = (".gz", ".xz", ".zst")
FORMATS = ".csv, .tsv, .jsonl, .parquet (also .gz, .xz or .zst), or a folder with one subfolder of .txt files per label"
UNLABELLED_FOLDERS = ("unsup", "unlabelled", "unlabeled")


def read_csv(
    path: str | Path,
    *,
    text: str | Sequence[str],
    label: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    keep_blank: bool = False,
) -> TextTable:
    """Read texts, and labels if there are any, from a CSV file; TSV, JSONL, Parquet and folders work likewise.

    Args:
        path: the file, plain or compressed, or a folder with one subfolder of ``.txt`` files per label (``unsup`` and
            ``unlabelled`` hold texts without one; ``text`` and ``label`` do not matter then).
        text: the column of the texts; several are joined, each marked with fastai's field token.
        label: the column of the labels; an empty cell is a text without a label. None reads no labels.
        encoding: of text files.
        delimiter: between columns; default a comma, in ``.tsv`` a tab.
        keep_blank: keep rows without a text, as "": for prediction, where no row may be lost. Otherwise they are left
            out and counted in ``skipped``.

    Raises:
        DataError: names the file, the row or the column, what was found, and what to do.
    """
    path = Path(path)
    if path.is_dir():
        texts, labels = _read_folder(path, encoding)
        return _table(texts, labels if label else None, str(path), keep_blank)
    columns = [text] if isinstance(text, str) else list(text)
    if not columns:
        raise OptionError("text: at least one column of texts is needed")
    frame = read_frame(path, [*columns, *([label] if label else [])], encoding=encoding, delimiter=delimiter)
    texts = [_cell(value, path, columns[0], row) for row, value in enumerate(frame[columns[0]], 1)]
    if len(columns) > 1:
        fields = [[_cell(value, path, name, row) for row, value in enumerate(frame[name], 1)] for name in columns]
        texts = [_join_fields(row) for row in zip(*fields, strict=True)]
    found = [_cell(value, path, label, row) for row, value in enumerate(frame[label], 1)] if label else None
    return _table(texts, found, str(path), keep_blank)


def read_frame(
    path: Path, columns: Sequence[str], *, encoding: str = "utf-8", delimiter: str | None = None
) -> pd.DataFrame:
    """All columns of a file, as they are; ``columns`` must be among them.

    Raises:
        DataError: the file is missing, empty, damaged, in another encoding, or lacks a column.
    """
    suffix = _suffix(path)
    content = _read_bytes(path)
    if not content.strip():
        raise DataError(f"{path}: the file is empty")
    if suffix in DELIMITED:
        frame = _read_delimited(path, _decode(path, content, encoding), delimiter or DELIMITED[suffix], columns)
    elif suffix == ".jsonl":
        frame = _read_jsonl(path, _decode(path, content, encoding))
    else:
        try:
            frame = pd.read_parquet(io.BytesIO(content))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: no readable Parquet file ({_first_line(error)})") from error
    for column in columns:
        if column not in frame.columns:
            raise DataError(f"{path}: no column {column!r}; it has {_names(frame.columns)}")
    if frame.empty:
        raise DataError(f"{path}: the file has column names but no rows")
    return frame


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in (*DELIMITED, ".jsonl", ".parquet"):
        raise DataError(f"{path}: cannot tell the kind of file from its name; it must end in {FORMATS}")
    return suffix


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            return gzip.decompress(content)
        if path.suffix == ".xz":
            return lzma.decompress(content)
        if path.suffix == ".zst":
            return zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a whole {path.suffix} file ({_first_line(error)})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return content


def _decode(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)
    except LookupError as error:
        raise OptionError(f"encoding {encoding!r} is unknown; try utf-8, latin-1, cp1252 or utf-16") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        advice = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
        raise DataError(
            f"{path}: row {max(line - 1, 0)} (line {line}) is not {encoding}: it holds the byte "
            f"0x{content[error.start]:02x}; say how the file is encoded, for example --encoding {advice}"
        ) from error


def _read_delimited(path: Path, content: str, delimiter: str, columns: Sequence[str]) -> pd.DataFrame:
    if len(delimiter) != 1:
        raise OptionError(f"delimiter {delimiter!r}: it must be one character, such as ',' or ';'")
    try:
        header = next(csv.reader(io.StringIO(content[:1_000_000]), delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{path}: line 1 is no row of column names ({error})") from error
    if missing := [column for column in columns if column not in header]:
        others = [other for other in (",", ";", "\t", "|") if other != delimiter and other in content.splitlines()[0]]
        if len(header) == 1 and others:
            shown = "tab" if others[0] == "\t" else others[0]
            raise DataError(
                f"{path}: no column {missing[0]!r}; the only column is {header[0]!r}, which looks like several "
                f"separated by {shown!r}: pass --delimiter {others[0]!r}"
            )
        raise DataError(f"{path}: no column {missing[0]!r}; it has {_names(header)}")
    try:
        frame = pd.read_csv(
            io.StringIO(content), sep=delimiter, dtype=str, keep_default_na=False, na_filter=False
        )
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: {_parser_message(str(error))}") from error
    except ValueError as error:
        raise DataError(f"{path}: no readable table ({_first_line(error)})") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"{path}: the rows have more fields than the {len(header)} column names; "
            f"put texts that contain {delimiter!r} in double quotes"
        )
    return frame


def _parser_message(message: str) -> str:
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message):
        expected, line, seen = found.groups()
        return (
            f"line {line} has {seen} fields and the others have {expected}; put texts that contain the delimiter "
            f"in double quotes, or pass another --delimiter"
        )
    if found := re.search(r"EOF inside string starting at row (\d+)", message):
        return f"row {int(found.group(1)) + 1} has an opening double quote that is never closed"
    return f"no readable table ({message.splitlines()[0]})"


def _read_jsonl(path: Path, content: str) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is no JSON ({_first_line(error)})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is no JSON object such as {{\"text\": ...}}")
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})


def _read_folder(path: Path, encoding: str) -> tuple[list[str | None], list[str | None]]:
    files = sorted(path.glob("*/*.txt")) + sorted(path.glob("*.txt"))
    if not files:
        raise DataError(f"{path}: no .txt files in this folder or one level below, in a subfolder per label")
    texts: list[str | None] = [_decode(file, _read_bytes(file), encoding) for file in files]
    names = [file.parent.name if file.parent != path else None for file in files]
    return texts, [None if name in UNLABELLED_FOLDERS else name for name in names]


def _table(texts: list[str | None], labels: list[str | None] | None, source: str, keep_blank: bool) -> TextTable:
    labels = labels or [None] * len(texts)
    labels = [label.strip() or None if label is not None else None for label in labels]
    blank = [text is None or not text.strip() for text in texts]
    kept = [i for i in range(len(texts)) if keep_blank or not blank[i]]
    if not kept:
        raise DataError(f"{source}: every text is blank")
    return TextTable(
        texts=["" if blank[i] else texts[i] or "" for i in kept],
        labels=[labels[i] for i in kept],
        rows=[i + 1 for i in kept],
        source=source,
        skipped=sum(blank) if not keep_blank else 0,
    )


def _join_fields(fields: Sequence[str | None]) -> str | None:
    if not any(field and field.strip() for field in fields):
        return None
    return " ".join(f"{FIELD} {number} {field or ''}" for number, field in enumerate(fields, 1))


def _cell(value: Any, path: Path, column: str | None, row: int) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of whole numbers with gaps arrives as floats
    if isinstance(value, list | dict | bytes):
        raise DataError(f"{path}: row {row}, column {column!r}: found a {type(value).__name__}, not a text")
    return str(value)


def _names(columns: Sequence[Any] | pd.Index, most: int = 20) -> str:
    names = [repr(str(name)) for name in columns]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
