"""Would Polars or DuckDB read a file that is larger than memory better than our reader?

    pip install polars duckdb
    python benchmarks/readers.py [--readers ours polars] [--megabytes 40 400] [--rounds 3] [--note "..."] [--json]

Each reads the same CSV, and the same Parquet file, from its start to its end in blocks of some thousands of rows, and
gives every text as a string of Python, which is what the classifier takes. Each run is a process of its own, on one
core, and its seconds are those of the CPU. A hash shows that all have read the same texts. Then each reads files whose
last line is damaged.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from light_side import resident
from made_up_texts import reviews

from ulmfit_lib.data.reading import read_parts
from ulmfit_lib.rows.reader import PART_ROWS

DIFFERENT = 4000  # texts that are made up; then they come again
GOOD_ROWS = 30_000  # before the damaged line
DAMAGE = {
    "a field too many": b"1,good,too many\n",
    "a byte that is no UTF-8": b"1,caf\xe9\n",
    "an open quote": b'1,"open\n',
}
DAMAGED = "damaged.csv"
Blocks = Iterator[list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS), help="to compare")
    parser.add_argument("--megabytes", type=int, nargs=2, default=[40, 400], help="of the small and the large CSV file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--reader", choices=list(READERS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        job = say if arguments.file.name == DAMAGED else measure
        print(json.dumps(job(READERS[arguments.reader], arguments.file)))
        return
    from conditions import conditions  # with PyTorch, which no reader needs

    readers = arguments.readers
    found: dict[tuple[str, str], list[list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for megabytes in arguments.megabytes:
            write(Path(folder), megabytes)
            for file in ("rows.csv", "rows.parquet"):
                rounds = [[run(reader, Path(folder) / file) for reader in readers] for _ in range(arguments.rounds)]
                if len({one["hash"] for sides in rounds for one in sides}) > 1:
                    sys.exit(f"{file}: not all readers read the same texts")
                for reader, of_rounds in zip(readers, zip(*rounds, strict=True), strict=True):
                    found.setdefault((file, reader), []).append(list(of_rounds))
        damaged = {
            kind: {reader: verdict(reader, Path(folder), line) for reader in readers} for kind, line in DAMAGE.items()
        }
    sides = [
        {
            "kind": Path(file).suffix[1:],
            "reader": reader,
            "rows": large[0]["rows"],
            "rows_per_second": round(large[0]["rows"] / float(np.median([one["seconds"] for one in large]))),
            "peak_mb": [max(one["peak_mb"] for one in size) for size in (small, large)],
        }
        for (file, reader), (small, large) in found.items()
    ]
    result = {"rounds": arguments.rounds, "megabytes": arguments.megabytes, "sides": sides, "damaged": damaged}
    result |= conditions()
    result["versions"] |= {name: version(name) for name in ("pandas", "pyarrow", *readers) if name != "ours"}
    result |= {"note": arguments.note} if arguments.note else {}
    print(json.dumps(result) if arguments.json else "\n".join(map(json.dumps, [*sides, damaged])))


def write(folder: Path, megabytes: int) -> None:
    """The same rows as CSV and as Parquet; no text is stored once for many rows."""
    texts = [text for text, _ in islice(reviews(), DIFFERENT)]
    schema = pa.schema([("id", pa.int64()), ("review", pa.string())])
    numbered = enumerate(cycle(texts))
    with (
        (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file,
        pq.ParquetWriter(folder / "rows.parquet", schema, use_dictionary=False) as parquet,
    ):
        lines = csv.writer(file)
        lines.writerow(schema.names)
        while file.tell() < megabytes * 1_000_000:
            rows = list(islice(numbered, DIFFERENT))
            lines.writerows(rows)
            parquet.write_table(pa.Table.from_pylist([{"id": i, "review": text} for i, text in rows], schema))


def run(reader: str, file: Path) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", __file__, "--reader", reader, "--file", str(file)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    core = {min(os.sched_getaffinity(0))}
    return dict(
        json.loads(
            subprocess.run(
                command,
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                preexec_fn=lambda: os.sched_setaffinity(0, core),
            ).stdout
        )
    )


def measure(reader: Callable[[Path], Blocks], file: Path) -> dict[str, Any]:
    digest, rows, seconds = hashlib.sha256(), 0, 0.0
    blocks = reader(file)
    while True:
        started = time.process_time()
        block = next(blocks, None)
        seconds += time.process_time() - started  # without the hashing
        if block is None:
            return {"rows": rows, "seconds": seconds, "peak_mb": resident("VmHWM"), "hash": digest.hexdigest()}
        rows += len(block)
        for text in block:
            digest.update(text.encode())


def verdict(reader: str, folder: Path, line: bytes) -> str:
    """What a reader does about a damaged line: ``named``, ``refused`` without its number, or ``read``."""
    (folder / DAMAGED).write_bytes(b"id,review\n" + b"1,good\n" * GOOD_ROWS + line)
    said = run(reader, folder / DAMAGED)["said"]
    numbers = (GOOD_ROWS + 1, GOOD_ROWS + 2)  # the row, and the line
    return "read" if said is None else "named" if any(str(one) in said for one in numbers) else "refused"


def say(reader: Callable[[Path], Blocks], file: Path) -> dict[str, Any]:
    try:
        for _ in reader(file):
            pass
    except Exception as error:  # each has its own
        return {"said": str(error)}
    return {"said": None}


def ours(file: Path) -> Blocks:
    return (list(table.texts) for _, table in read_parts(file, text="review"))


def polars(file: Path) -> Blocks:
    import polars as pl

    rows = pl.scan_parquet(file) if file.suffix == ".parquet" else pl.scan_csv(file, infer_schema=False)
    return (block["review"].to_list() for block in rows.collect_batches(chunk_size=PART_ROWS, engine="streaming"))


def duckdb(file: Path) -> Blocks:
    import duckdb

    here = duckdb.connect(config={"threads": 1})
    rows = here.read_parquet(str(file)) if file.suffix == ".parquet" else here.read_csv(str(file), all_varchar=True)
    return (block["review"].to_pylist() for block in rows.to_arrow_reader(PART_ROWS))


READERS: dict[str, Callable[[Path], Blocks]] = {"ours": ours, "polars": polars, "duckdb": duckdb}

if __name__ == "__main__":
    main()
