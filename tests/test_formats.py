"""Files and tables as people have them, each read as the same rows."""

import bz2
import datetime
import json
import zipfile

import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ulmfit_lib import read_table
from ulmfit_lib.errors import DataError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.reader import read_rows

TEXTS, LABELS = ["Fine, really", 'He said "no"', "We came on Friday"], ["good", "bad", None]
FRAME = pd.DataFrame({"text": TEXTS, "label": LABELS})
RECORDS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
CELLS = st.text(st.sampled_from(list("ab é\"\n,;\t\\|😀'=-")), max_size=8)
HABITS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(data, **written):
    table = read_table(data, text="text", label="label", **written)
    assert (list(table.texts), table.labels, table.kind) == (TEXTS, LABELS, Classes())


def label_studio(text, label, **more):
    choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    annotations = [{"result": [], "was_cancelled": True}, {"result": [choice] if label else []}]
    return {"id": 1, "data": {"text": text}, "annotations": annotations, **more}


def prodigy(text, label):
    return {"text": text, "label": label or "good", "answer": "accept" if label else "reject"}


WAYS = {
    "a.json": json.dumps(RECORDS, indent=1),
    "b.json": FRAME.to_json(orient="records"),
    "c.json": FRAME.to_json(orient="columns"),
    "d.json": FRAME.to_json(orient="split"),
    "e.json": FRAME.to_json(orient="table", index=False),
    "f.json": json.dumps({"version": 1, "data": RECORDS}, default=str),
    "g.json": FRAME.to_json(orient="index"),
    "lists.json": json.dumps({"text": TEXTS, "label": LABELS}),
    "lines.ndjson": FRAME.to_json(orient="records", lines=True),
    "spacy.json": json.dumps(
        [
            [t, {"label": {n: n == y for n in ("bad", "good")} if y else None}]
            for t, y in zip(TEXTS, LABELS, strict=True)
        ]
    ),
    "doccano.jsonl": "\n".join(
        json.dumps({"id": 1, "text": t, "label": [y] if y else []}) for t, y in zip(TEXTS, LABELS, strict=True)
    ),
    "prodigy.jsonl": "\n".join(json.dumps(prodigy(t, y)) for t, y in zip(TEXTS, LABELS, strict=True)),
    "studio.json": json.dumps([label_studio(t, y) for t, y in zip(TEXTS, LABELS, strict=True)]),
    "studio-min.json": json.dumps(
        [{"text": t, "label": {"choices": [y] if y else []}} for t, y in zip(TEXTS, LABELS, strict=True)]
    ),
    "fasttext.txt": "".join(f"__label__{y} {t}\n" if y else f"{t}\n" for t, y in zip(TEXTS, LABELS, strict=True)),
    "fasttext.train": "".join(f"__label__{y} {t}\n" if y else f"{t}\n" for t, y in zip(TEXTS, LABELS, strict=True)),
    "delimited.txt": FRAME.to_csv(index=False, sep="|"),
    "a.tab": FRAME.to_csv(index=False, sep="\t"),
}


@pytest.mark.parametrize("name", list(WAYS))
def test_each_way_to_write_text_files_is_read(tmp_path, name):
    (tmp_path / name).write_text(WAYS[name], encoding="utf-8")
    check(tmp_path / name)


def test_workbooks_are_read_by_their_sheet(tmp_path, capsys):
    book = openpyxl.Workbook()
    book.active.append(["Read me"])
    sheet = book.create_sheet("Data")
    for row in [
        ("id", "text", "label"),
        *((number, *pair) for number, pair in enumerate(zip(TEXTS, LABELS, strict=True), 1)),
    ]:
        sheet.append(row)
    more, hidden = book.create_sheet("More"), book.create_sheet("Old", 0)
    hidden.sheet_state = "hidden"
    for row in (["text", "label"], ["x", "y"]):
        more.append(row)
        hidden.append(row)
    book.save(tmp_path / "a.xlsx")
    check(tmp_path / "a.xlsx")
    assert "read is the sheet 'Data'; others have its columns" in capsys.readouterr().err
    check(tmp_path / "a.xlsx", sheet="Data")
    (rows,) = read_rows(tmp_path / "a.xlsx", ["text"])
    assert rows.column("id") == [1, 2, 3]
    with pytest.raises(DataError, match="no sheet 'data'; it has 'Sheet', 'Data', 'More', 'Old'"):
        check(tmp_path / "a.xlsx", sheet="data")
    with pytest.raises(DataError, match="no column 'review'; it has 'Read me'"):
        read_table(tmp_path / "a.xlsx", text="review")
    (tmp_path / "b.xlsx").write_bytes(b"no workbook")
    with pytest.raises(DataError, match="no readable workbook"):
        check(tmp_path / "b.xlsx")


def test_a_blank_row_of_a_sheet_keeps_its_number(tmp_path):
    book = openpyxl.Workbook()
    for row in [("text", "when"), ("a", datetime.date(2026, 1, 2)), (None, None), ("b", 1.5), (None, None)]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert read_table(tmp_path / "a.xlsx", text="text").rows == [1, 3]


def test_arrow_files_and_folders_of_datasets_are_read_with_the_names_of_their_classes(tmp_path):
    feature = {"names": ["bad", "good"], "_type": "ClassLabel"}
    noted = {"info": {"features": {"label": feature, "tags": {"feature": feature, "_type": "List"}}}}
    table = pa.table({"text": TEXTS, "label": [1, 0, -1], "tags": [[0, 1], [1], []]})
    table = table.replace_schema_metadata({b"huggingface": json.dumps(noted).encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "a.feather", compression="uncompressed")
    folder = tmp_path / "saved" / "train"
    folder.mkdir(parents=True)
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as file:
        file.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    for data in (tmp_path / "a.parquet", tmp_path / "a.feather", folder, table):
        check(data)
        assert read_table(data, text="text", label="tags").labels == ["bad;good", "good", ""]
    (tmp_path / "saved" / "dataset_dict.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds the splits train: name one of them, such as .*train"):
        check(tmp_path / "saved")


def test_a_folder_of_parquet_is_one_table_or_says_which_there_are(tmp_path):
    for number, row in enumerate(RECORDS):
        pq.write_table(pa.Table.from_pylist([row], FRAME_SCHEMA), tmp_path / f"train-0000{number}-of-00003.parquet")
    check(tmp_path)
    pq.write_table(pa.table({"text": ["a"], "label": ["x"]}), tmp_path / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"holds several tables .* name one of the files"):
        check(tmp_path)


FRAME_SCHEMA = pa.schema([("text", pa.string()), ("label", pa.string())])


def test_an_archive_of_one_table_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("data/train.csv", FRAME.to_csv(index=False))
        archive.writestr("README.txt", "what it is")
        archive.writestr("__MACOSX/._train.csv", "x")
    check(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("data/test.csv", "text\na\n")
    with pytest.raises(DataError, match=r"holds 2 tables, 'data/train.csv' and 'data/test.csv': unpack it"):
        check(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(b"PK no")
    with pytest.raises(DataError, match=r"not a whole .zip file"):
        check(tmp_path / "b.zip")
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(FRAME.to_csv(index=False).encode()))
    check(tmp_path / "a.csv.bz2")


def test_two_files_of_lines_are_read_side_by_side(tmp_path):
    texts, labels = tmp_path / "texts.txt", tmp_path / "labels.txt"
    texts.write_text("\n".join(TEXTS) + "\n")
    labels.write_text("good\r\nbad\r\n\r\n")
    check(texts, label_file=str(labels))
    labels.write_text("good\n")
    with pytest.raises(DataError, match=r"labels.txt: 1 lines, and .*texts.txt has 3"):
        check(texts, label_file=str(labels))


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.set_index(pd.Index([5, 5, 9])),
        FRAME.convert_dtypes(),
        FRAME.astype({"label": "category"}),
        FRAME.convert_dtypes(dtype_backend="pyarrow"),
        pl.DataFrame({"text": TEXTS, "label": pl.Series(LABELS, dtype=pl.Categorical)}),
        pa.Table.from_pandas(FRAME.set_index(pd.Index([5, 5, 9]))),
        RECORDS,
        {"text": TEXTS, "label": LABELS},
    ],
)
def test_tables_in_memory_are_read(data):
    check(data)
    assert read_table(data, text="text").rows == [1, 2, 3]


@pytest.mark.parametrize("data", [5, [1, 2], [], {"train": FRAME_SCHEMA, "test": [1]}])
def test_what_is_no_table_gets_a_sentence(data):
    with pytest.raises(DataError, match="the data"):
        read_table(data, text="text")


@pytest.mark.parametrize("name", ["a.pkl", "a.docx", "a.tar.gz", "a.xml", "a.sqlite", "a.spacy", "a"])
def test_a_file_that_is_not_read_says_what_to_do(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"save|export|unpack|write|must end in"):
        read_table(tmp_path / name, text="text")


@HABITS
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_what_a_workbook_holds_is_read_back(tmp_path, rows):
    book = openpyxl.Workbook()
    book.active.append(("text", "label", "id"))
    for number, row in enumerate(rows, 2):
        for place, value in enumerate((*row, number), 1):
            cell = book.active.cell(number, place, value)
            cell.data_type = "n" if place == 3 else "s"  # not a formula
    book.save(tmp_path / "a.xlsx")
    parts = read_rows(tmp_path / "a.xlsx", ["text"])
    found = [tuple(cell or "" for cell in row) for part in parts for row in zip(*part.columns, strict=True)]
    blank = [tuple("" if cell.isspace() else cell for cell in row) for row in rows]
    assert found == [(*row, number) for number, row in enumerate(blank, 2)]


@HABITS
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5),
    written=st.sampled_from(
        [
            {"sep": ","},  # pandas' habit
            {"sep": ",", "quoting": 1, "lineterminator": "\r\n"},  # QUOTE_ALL
            {"sep": " ; ".strip(), "quoting": 2, "lineterminator": "\r\n", "encoding": "utf-8-sig"},  # Excel in Europe
            {"sep": "\t", "encoding": "utf-16"},  # Excel's Unicode text
            {"sep": ",", "quoting": 2, "na_rep": "NA"},  # R's write.csv
        ]
    ),
)
def test_what_pandas_excel_and_r_write_is_read_back(tmp_path, rows, written):
    frame = pd.DataFrame(rows, columns=["text", "label"])
    frame.to_csv(tmp_path / "a.csv", index=False, **written)
    parts = read_rows(tmp_path / "a.csv", ["text", "label"], FileFormat())
    assert [row for part in parts for row in zip(*part.columns, strict=True)] == rows


def test_lists_are_written_so_that_they_are_read_back(tmp_path):
    from ulmfit_lib.rows.batch import Rows
    from ulmfit_lib.rows.writer import row_writer

    with row_writer(tmp_path / "a.csv") as write:
        write(Rows.of({"text": ["a", "b"], "tags": [["x, y", "z"], []]}))
    table = read_table(tmp_path / "a.csv", text="text", label="tags")
    assert (table.labels, table.kind) == (["x, y;z", ""], Tags(";"))


@pytest.mark.parametrize(("text", "label"), [(1, 0), ("1", "0"), ([1], [0])])
def test_columns_of_frames_that_are_called_by_numbers_are_named_by_them(text, label):
    table = read_table(pd.DataFrame([["x", "a"], ["y", "b"]]), text=text, label=label)
    assert (list(table.texts), list(table.labels)) == (["a", "b"], ["x", "y"])


def test_an_address_is_no_file_and_nothing_is_downloaded(ulmfit):
    with pytest.raises(DataError, match="it is an address, and nothing is downloaded: save the file here"):
        read_table("https://example.org/a.csv", text="text")
    code, _, said = ulmfit("doctor", "https://example.org/a.csv", "--text", "text", "--label", "label")
    assert code == 2 and "it is an address" in said
