"""Give the commands files that no one should write: each must end with exit code 0 or 2, one sentence and no traceback.

    python benchmarks/reliability/inputs.py --cases 10000 --json

Two kinds in turns. Tables of nasty cells (NUL, quotes, half surrogates, bidi and zero-width characters, mixed newlines,
megabytes in one cell, thousands of columns), written properly: every row must come back with its prediction. And files
that are broken: random bytes, tables cut, flipped and spliced; these may be refused, but a prediction must come back
for every row that the reader finds. Each case is seeded by its number: --first 123 --cases 1 repeats case 123
and shows it.
"""

import csv
import gzip
import io
import json
import random
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
from processes import parse_cases, peak_megabytes, print_summary, reset_peak, run_cases

from ulmfit_lib import fit_classifier, pretrain, read_table
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.errors import UlmfitError
from ulmfit_lib.rows.reader import read_rows
from ulmfit_lib.stages.pretrain import LanguageModelConfig
from ulmfit_lib.training.run import Run

REVIEWS = Path(__file__).parents[2] / "examples" / "reviews.csv"
CELLS = [
    "",
    " ",
    "\0",
    "a\0b",
    '"',
    '""',
    'he said "no',
    "'",
    ",",
    ";",
    "\t",
    "a,b",
    "line\nline",
    "line\r\nline",
    "old\rmac",
    "\x0b\x0c\x1c\x85\u2028\u2029",
    "\ufeff",
    "\u202e desrever \u202c",
    "z\u200be\u200dr\u2060o",
    "e\u0301" * 50,
    "\ue000",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\U0010ffff\uffff",
    "ﷺ" * 20,
    "İıſẞ",
    "xxbos xxunk xxpad xxrep 3 a",
    "&lt;br /&gt;&nbsp;&#0;&#xD800;&#x110000;",
    "NaN",
    "nan",
    "NULL",
    "None",
    "-1e999",
    "0x1F",
    "١٢٣",
    "=1+1",
    "#",
    "\\",
    "\\N",
    "a" * 3000,
    "!" * 3000,
    "no " * 500,
    "a b" * 800,
    " " * 2000 + "x",
    "\u00a0\u3000 x \u00a0",
    "good\u00adness",
    "<script>alert(1)</script>",
    "日本語のテキスト",
    "ไทย",
    "{}",
    "[1, 2]",
    "null",
    "% s {0} ${HOME} $(ls)",
    "../../etc/passwd",
    "\x1b[31mred",
    "ok",
]
SUFFIXES = [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"]


def make_model(folder: Path) -> Path:
    """A classifier small enough to read thousands of files."""
    reviews = read_table(REVIEWS, text="review", label="sentiment")
    config = LanguageModelConfig(Architecture(6, 8, 1), vocab_size=300)
    lm = pretrain(reviews.texts[:100], config=config, run=Run(device="cpu"))
    fit_classifier(reviews, lm=lm, strategy="linear-probe", run=Run(device="cpu")).save(folder / "model")
    return folder / "model"


def cell(rng: random.Random) -> str:
    """A nasty text."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(CELLS)
    if kind < 0.8:
        return "".join(rng.choice(CELLS)[:40] for _ in range(rng.randrange(6)))
    if kind < 0.9:
        return "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0xD800)])) for _ in range(rng.randrange(60)))
    return " ".join(rng.choice(["good", "bad", "film", "NOT", "very"]) for _ in range(rng.randrange(300)))


def write_table(path: Path, rng: random.Random) -> int:
    """A proper file of nasty cells; returns its rows."""
    n = rng.randrange(1, 12)
    texts = [cell(rng) for _ in range(n)]
    if rng.random() < 0.003:
        texts[0] = rng.choice(["good film . ", "a", "<br />", "é "]) * (1 << 20)
    more = 100_000 if rng.random() < 0.001 else rng.randrange(3)
    others = {f"c{i}": ["x"] * n if more > 3 else [cell(rng) for _ in range(n)] for i in range(more)}
    frame = pd.DataFrame({"text": texts, **others}, dtype=object)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        if rng.random() < 0.3:
            frame.loc[0, "text"] = rng.choice(["\ud800", "a\udfff b", "\ude00\ud83d"])
        rows = frame.to_dict("records")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        text = io.StringIO(newline="")
        writer = csv.writer(
            text,
            delimiter="\t" if path.suffix == ".tsv" else ",",
            lineterminator=rng.choice(["\n", "\r\n"]),
            quoting=csv.QUOTE_ALL,
        )
        writer.writerows([list(frame.columns), *frame.values.tolist()])
        content = text.getvalue().encode("utf-8", "surrogatepass")
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return n


def write_broken(path: Path, rng: random.Random) -> None:
    """Random bytes, or a table that something happened to."""
    if rng.random() < 0.3:
        starts = [b"", b"text\n", b"text,label\n", b'"text', b'{"text": "', b"PAR1", b"\x1f\x8b", b"\xff\xfe"]
        start = rng.choice(starts)
        path.write_bytes(start + rng.randbytes(rng.choice([0, 1, 30, 3000])))
        return
    write_table(path, rng)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 2, 8])):
        place = rng.randrange(max(1, len(content)))
        way = rng.randrange(4)
        if way == 0:
            del content[place:]
        elif way == 1 and content:
            content[min(place, len(content) - 1)] ^= 1 << rng.randrange(8)
        elif way == 2:
            content[place:place] = rng.choice([b'"', b"\0", b"\r", b"\xff", b",,,", b"\n\n", b"{", rng.randbytes(5)])
        else:
            content[place:place] = content[: rng.randrange(200)]
    path.write_bytes(content)


def rows_found(path: Path) -> int | None:
    """Rows that the reader finds; None if it refuses the file."""
    try:
        return sum(map(len, read_rows(path, ["text"])))
    except UlmfitError:
        return None


def try_cases(folder: Path, model: Path, first: int, count: int, report: Path) -> None:
    """Cases ``first`` up to ``first + count``, each written down before it is tried."""
    import torch

    from ulmfit_lib.cli import main

    torch.set_num_threads(1)
    floor = peak_megabytes()
    with report.open("w", encoding="utf-8") as file, tempfile.TemporaryDirectory(dir=folder) as temporary:
        for case in range(first, first + count):
            rng = random.Random(case)
            path = Path(temporary) / f"data{rng.choice(SUFFIXES)}"
            out = Path(temporary) / f"out{rng.choice(['.csv', '.jsonl', '.parquet', '.tsv'])}"
            broken = case % 2 == 1
            rows: int | None = None
            if broken:
                write_broken(path, rng)
            else:
                rows = write_table(path, rng)
            found: dict[str, Any] = {"case": case, "file": path.name, "out": out.name, "broken": broken}
            file.write(json.dumps(found) + "\n")
            file.flush()
            reset_peak()
            started = time.monotonic()
            sys.argv = ["ulmfit", "predict", str(model), str(path), "--text", "text", "--out", str(out)]
            said, code = io.StringIO(), 0
            try:
                with redirect_stderr(said), redirect_stdout(said):
                    main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except BaseException as error:
                code = -1
                said.write(f"{type(error).__name__}: {error}")
            expected = rows_found(path) if broken else rows
            predicted = sum(map(len, read_rows(out, ["prediction"]))) if out.exists() else None
            good = code == 0 and predicted == expected
            refused = code == 2 and predicted is None and expected is None
            found["result"] = "predicted" if good else "refused" if refused else "failed"
            found |= {"code": code, "rows": expected, "predicted": predicted, "said": said.getvalue()[-300:]}
            found["seconds"] = round(time.monotonic() - started, 3)
            found["megabytes"] = peak_megabytes() - floor
            file.write(json.dumps(found) + "\n")
            for one in (path, out):
                one.unlink(missing_ok=True)


def main() -> None:
    cases, as_json = parse_cases(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = make_model(folder)
        results = run_cases(try_cases, [folder, model], folder / "report.jsonl", cases)
    print_summary(results, ("predicted", "refused"), most_megabytes=2000, as_json=as_json)


if __name__ == "__main__":
    main()
