"""Rows -> a file that appears whole or not at all."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import new_file
from ulmfit_lib.rows.batch import Rows, arrow, is_missing

DELIMITERS = {".csv": ",", ".tsv": "\t"}
WriteRows = Callable[[Rows], None]


@contextmanager
def row_writer(out: Path | None, *, suffix: str = "") -> Iterator[WriteRows]:
    """Something that takes rows, some at a time; the file appears whole at the end, or not at all.

    It is a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``, or of the kind ``suffix``; None writes CSV to stdout.
    """
    if out is None:
        yield _delimited(sys.stdout.write, ",")
        return
    suffix = suffix or out.suffix.lower()
    if suffix not in (*DELIMITERS, ".jsonl", ".parquet"):
        raise OptionError(f"--out {out}: its name must end in .csv, .tsv, .jsonl or .parquet")
    with new_file(out) as temporary:
        if suffix == ".parquet":
            with _parquet(temporary, out) as write:
                yield write
            return
        with temporary.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            if suffix == ".jsonl":
                yield _json_lines(file.write, out)
            else:
                yield _delimited(file.write, DELIMITERS[suffix])


def _delimited(write: Callable[[str], object], delimiter: str) -> WriteRows:
    header = True

    def line(cells: Any) -> str:
        texts = ["" if is_missing(cell) else _text(cell) for cell in cells]
        quoted = [f'"{text.replace(chr(34), chr(34) * 2)}"' if _special(text, delimiter) else text for text in texts]
        return (delimiter.join(quoted) or '""') + "\n"  # an empty line would be no row

    def write_rows(rows: Rows) -> None:
        nonlocal header
        if header:
            write(line(rows.names))
            header = False
        for cells in zip(*rows.columns, strict=True):
            write(line(cells))

    return write_rows


def _text(cell: Any) -> str:
    return json.dumps(cell, ensure_ascii=False, default=str) if isinstance(cell, list | dict) else str(cell)


def _special(text: str, delimiter: str) -> bool:
    return any(mark in text for mark in (delimiter, '"', "\n", "\r"))


def _json_lines(write: Callable[[str], object], out: Path) -> WriteRows:
    def write_rows(rows: Rows) -> None:
        rows.check_names(out)
        for cells in zip(*rows.columns, strict=True):
            record = {name: None if is_missing(cell) else cell for name, cell in zip(rows.names, cells, strict=True)}
            write(json.dumps(record, ensure_ascii=False, default=str) + "\n")

    return write_rows


@contextmanager
def _parquet(path: Path, out: Path) -> Iterator[WriteRows]:
    arrow(out)
    import pyarrow.parquet as pq

    writer = None

    def write_rows(rows: Rows) -> None:
        nonlocal writer
        table = rows.to_arrow(out, writer.schema if writer else None)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write_rows
    finally:
        if writer:
            writer.close()
