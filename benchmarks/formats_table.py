"""Write the table of formats in docs/guide.md: a small file of each kind is written, and each way to read it is tried.

python benchmarks/formats_table.py            # or `make formats`
python benchmarks/formats_table.py --check    # write nothing; exit with 1 if the table is out of date
"""

import argparse
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ulmfit_lib.cli.options import FileFormat, LabelledFile
from ulmfit_lib.cli.running import read
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.engines.sources import Source, arrow_table
from ulmfit_lib.errors import UlmfitError
from ulmfit_lib.progress import quietly
from ulmfit_lib.rows.kinds import upload_name
from ulmfit_lib.server.labelling import column_names

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide.md"
MARKED = re.compile(r"(<!-- formats -->\n\n).*?(\n\n<!-- /formats -->)", re.DOTALL)
TEXTS, LABELS = ["Fine, really", "Dull and long"], ["good", "bad"]
PAIRS = list(zip(TEXTS, LABELS, strict=True))
RECORDS = [{"text": text, "label": label} for text, label in PAIRS]
FRAME = pd.DataFrame(RECORDS)
WAYS = ("terminal", "page", "Python", "Ray", "Spark")


@dataclass(frozen=True)
class Format:
    """A kind of file, or of table in memory.

    Attributes:
        name: as the guide says it.
        make: writes an example into a folder, and returns its path; or returns a table.
        labels: the columns of its labels.
        label_file: the name of the file of labels, if there is one.
    """

    name: str
    make: Callable[[Path], Any]
    labels: tuple[str, ...] = ("label",)
    label_file: str | None = None


def written(name: str, content: str, encoding: str = "utf-8") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content, encoding=encoding)
        return folder / name

    return make


def json_lines(records: list[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def workbook(folder: Path) -> Path:
    book = openpyxl.Workbook()
    for row in (("text", "label"), *PAIRS):
        book.active.append(row)
    book.save(folder / "a.xlsx")
    return folder / "a.xlsx"


def archive(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        file.writestr("train.csv", FRAME.to_csv(index=False))
    return folder / "a.zip"


def parquet(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(RECORDS), folder / "a.parquet")
    return folder / "a.parquet"


def dataset(folder: Path) -> Path:
    """As the ``save_to_disk`` of ``datasets`` writes it."""
    names = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": TEXTS, "label": [1, 0]}).replace_schema_metadata({"huggingface": json.dumps(names)})
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as file:
        file.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return folder


def folders(folder: Path) -> Path:
    for number, (text, label) in enumerate(PAIRS):
        (folder / label).mkdir()
        (folder / label / f"{number}.txt").write_text(text)
    return folder


def parallel(folder: Path) -> Path:
    (folder / "labels.txt").write_text("good\nbad\n")
    return written("texts.txt", "\n".join(TEXTS) + "\n")(folder)


STUDIO = [
    {
        "data": {"text": text},
        "annotations": [{"result": [{"from_name": "label", "type": "choices", "value": {"choices": [label]}}]}],
    }
    for text, label in PAIRS
]
FORMATS = (
    Format("CSV, TSV and other delimited text (`.csv`, `.tsv`, `.txt`)", written("a.csv", FRAME.to_csv(index=False))),
    Format("the same in UTF-16, as Excel saves it", written("a.txt", FRAME.to_csv(index=False, sep="\t"), "utf-16")),
    Format(
        "one column of yes and no for each label (`--label good --label bad`)",
        written("a.csv", FRAME.assign(good=[1, 0], bad=[0, 1]).to_csv(index=False)),
        labels=("good", "bad"),
    ),
    Format("workbooks (`.xlsx`, `.xls`, `.ods`; `--sheet`)", workbook),
    Format("JSON: lines, an array or columns (`.jsonl`, `.ndjson`, `.json`)", written("a.json", json.dumps(RECORDS))),
    Format(
        "doccano's JSON lines",
        written("a.jsonl", json_lines([{"text": text, "label": [label]} for text, label in PAIRS])),
    ),
    Format(
        "Prodigy's JSON lines (`--label accept` for choices)",
        written("a.jsonl", json_lines([{"text": t, "accept": [y], "answer": "accept"} for t, y in PAIRS])),
        labels=("accept",),
    ),
    Format(
        "spaCy's categories (`--label cats`)",
        written(
            "a.jsonl", json_lines([{"text": t, "cats": {"good": y == "good", "bad": y == "bad"}} for t, y in PAIRS])
        ),
        labels=("cats",),
    ),
    Format("Label Studio's JSON and JSON-MIN", written("a.json", json.dumps(STUDIO))),
    Format(
        "fastText's lines (`__label__good A text`)",
        written("a.txt", "".join(f"__label__{label} {text}\n" for text, label in PAIRS)),
    ),
    Format("Parquet and Arrow (`.parquet`, `.arrow`, `.feather`)", parquet),
    Format("a folder that `datasets` of Hugging Face saved", dataset),
    Format("any of these files compressed (`.gz`, `.bz2`, `.xz`, `.zst`), or a `.zip` of one", archive),
    Format("a folder of text files, in a subfolder for each label", folders),
    Format("two files of lines, texts and labels (`--label-file`)", parallel, label_file="labels.txt"),
    Format("frames of pandas and Polars, Arrow tables, `datasets`, lists of dicts", lambda _: pl.DataFrame(RECORDS)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the table is out of date")
    arguments = parser.parse_args()
    old = GUIDE.read_text(encoding="utf-8")
    new = rendered(old)
    if arguments.check and new != old:
        sys.exit(f"out of date: {GUIDE.name}; run `make formats` and commit what it writes")
    GUIDE.write_text(new, encoding="utf-8")


def rendered(guide: str) -> str:
    """The guide with its table written anew."""
    lines = [f"| what is read | {' | '.join(WAYS)} |", "|---|" + "---|" * len(WAYS)]
    for one in FORMATS:
        with tempfile.TemporaryDirectory() as folder, quietly():
            read_by = ways(one, Path(folder))
        lines.append(f"| {one.name} | {' | '.join('yes' if read_by[way] else 'no' for way in WAYS)} |")
    return MARKED.sub(lambda found: found[1] + "\n".join(lines) + found[2], guide)


def ways(one: Format, folder: Path) -> dict[str, bool]:
    """By which ways an example's texts come out, with its labels where a way reads labels."""
    data, columns = one.make(folder), list(one.labels)
    file = FileFormat(label_file=str(folder / one.label_file) if one.label_file else None)

    def right(texts: Any) -> bool:
        return sorted(text.strip() for text in texts) == sorted(TEXTS)

    def page() -> bool:
        name = upload_name(data.name)
        found = column_names(partial(copyfile, data), name, FileFormat())
        return {"text", *columns} <= set(found["columns"])

    def ray() -> bool:
        source = Source.find(data, ["text"], file)
        source.look()
        return right(text for name in source.files for rows in source.rows(name) for text in rows.column("text"))

    asked: dict[str, Any] = {"text": "text", "label": columns, "label_file": file.label_file}
    tried: dict[str, Callable[[], bool]] = {
        "terminal": lambda: right(read(LabelledFile(data, ["text"], columns, file)).texts),
        "page": page,
        "Python": lambda: read_table(data, **asked).classes == ["bad", "good"],
        "Ray": ray,
        "Spark": lambda: right(arrow_table(data, text="text", file=file)["text"].to_pylist()),
    }
    possible = WAYS if isinstance(data, Path) else ("Python",)
    return {way: way in possible and _works(tried[way]) for way in WAYS}


def _works(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except (UlmfitError, OSError):
        return False


if __name__ == "__main__":
    main()
