"""Files that a hasty reader gets wrong: every way in and out must make the same rows of them."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

RECORDS = [{"id": 1, "text": "Fine,\nreally"}, {"id": 2, "text": None}, {"id": 3, "text": 'He said "no"'}]
TABLE = pa.Table.from_pylist(RECORDS)


def lines(*more):
    """JSON lines of the records, each with something more."""
    return "".join(json.dumps({**record, **one}) + "\n" for record, one in zip(RECORDS, more, strict=True))


def workbook():
    """A hidden sheet of the same columns, and a title above a label that is merged over two rows."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet("Answers")
    for target in (book.active, sheet):
        for row in (["Our survey"], ["id", "text", "label"], [1, "Fine", "good"], [2, " ", None], [3, "Dull", "bad"]):
            target.append(row)
    sheet.merge_cells("C3:C4")
    book.save(file)
    return file.getvalue()


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("data/train.csv", "id;text\n1;Fine, really\n2;\n")
        zipped.writestr("README.txt", "About the data")
    return file.getvalue()


def arrow(write, table=TABLE):
    file = pa.BufferOutputStream()
    write(table, file)
    return file.getvalue().to_pybytes()


def choice(*names):
    return {"result": [{"from_name": "label", "type": "choices", "value": {"choices": list(names)}}]}


NAMES = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}
NUMBERED = TABLE.append_column("label", pa.array([1, None, 0]))
NASTY = {
    "quotes.tsv": 'id\ttext\n1\t"Fine," she said\n2\tDull\n3\t"Never\n',
    "breaks.csv": 'id,text\n1,"Fine,\nreally"\n2,""\n3,"  "\n4,"""no"""\n',
    "marked.csv": "\ufeffid;text\r\n1;café, noir\r\n2;\r\n",
    "names.csv": "id,text,prediction,id\n1,Fine,x,2\n2,,y,3\n",
    "lines.jsonl": '{"id": 1, "text": "Fine"}\n{"id": 2, "text": null, "late": "x"}\n',
    "joined.csv": "\ufeffid,text\n1,Fine\n\ufeff2,Dull\n",
    "survey.csv": 'Our survey,\n,\nid,text\n1,"Fine, really"\n2,\n',
    "r.txt": '"id" "text"\n"1" 1 "It said \\"no\\" to me"\n"7" 2 "Dull"\n',
    "spaced.csv": 'id, "text"\n1, "Fine, really"\n2, Dull\n',
    "excel.txt": "id\ttext\r\n1\tcafé, noir\r\n2\t\r\n".encode("utf-16"),
    "copied.tsv": "id\ttext\n1\tFine,\\nreally\n2\t\\N\n3\tC:\\\\temp\n",
    "loose.csv": '"id","text"\n"1","Fine, "really" fine"\n"2",""\n',
    "lines.csv": 'text\nFine, really\n""\nNever, ever, again\n',
    "within.json": json.dumps({"total": 3, "found": RECORDS}, indent=1),
    "packed.csv.gz": gzip.compress(b"id,text\n1,Fine\n2,\n"),
    "archive.zip": archive(),
    "workbook.xlsx": workbook(),
    "array.json": json.dumps(RECORDS, indent=1),
    "one-behind-the-other.json": "".join(json.dumps(record, indent=1) for record in RECORDS),
    "sheet.json": json.dumps([["id", "text"], *([record["id"], record["text"]] for record in RECORDS)]),
    "studio.json": json.dumps(
        [{"data": record, "annotations": [choice("good"), choice("bad", "dull")]} for record in RECORDS]
    ),
    "studio-min.json": json.dumps([{**record, "label": {"choices": ["good", "dull"]}} for record in RECORDS]),
    "doccano.jsonl": lines({"label": ["good"]}, {"label": []}, {"label": ["bad", "dull"]}),
    "prodigy.jsonl": lines(*({"accept": ["good"], "answer": answer} for answer in ("accept", "ignore", "reject"))),
    "spacy.jsonl": lines(*({"cats": {"good": share, "bad": 1 - share}} for share in (1.0, 0.0, 1.0))),
    "fasttext.txt": "__label__good Fine, really\n__label__bad\t__label__dull Never\nHe said no __label__bad\n",
    "a.parquet": arrow(pq.write_table),
    "classes.parquet": arrow(pq.write_table, NUMBERED.replace_schema_metadata({"huggingface": json.dumps(NAMES)})),
    "a.feather": arrow(feather.write_feather),
}

# Parquet, Ray and Spark hold no two columns of one name.
WITH_UNIQUE_NAMES = [name for name in NASTY if name != "names.csv"]

# One for each way to read, where a run takes long; test_engines.py has the others read as Ray reads them.
OF_EACH_READER = ["breaks.csv", "excel.txt", "archive.zip", "workbook.xlsx", "studio.json", "fasttext.txt", "a.feather"]


def write_nasty(folder: Path, name: str) -> Path:
    content = NASTY[name]
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name
