"""Files by the habits of the programs that wrote them: each is read as it looks, or refused with advice that works."""

import bz2
import gzip
import json
import pickle
import re
import zipfile

import openpyxl
import pandas as pd
import pytest

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.data.label_checks import mention_odd_labels
from ulmfit_lib.errors import DataError
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.rows.columns import as_called
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.reader import read_rows
from ulmfit_lib.rows.texts import read_texts

TWO = (["a, b", "c"], ["x", "y"])
ODD = {
    # R
    "write-table.txt": ('"text" "label"\n"1" "a, b" "x"\n"12" "c" "y"\n', "its number, as R writes it"),
    "write-table.tsv": ('"text"\t"label"\n"1"\t"a, b"\t"x"\n"2"\t"c"\t"y"\n', "its number, as R writes it"),
    "write-csv2.csv": ('"";"text";"label"\n"1";"a, b";"x"\n"2";"c";"y"\n', "separated by ';'"),
    # titles, comments and what describes columns
    "title.csv": ('Our survey,\n,\ntext,label\n"a, b",x\nc,y\n', "named in line 3"),
    "comment.csv": ('# from our tool\n# of 2024\ntext,label\n"a, b",x\nc,y\n', "named in line 3"),
    "qualtrics.csv": (
        'text,label\nWhat do you think?,Class\n"{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\n"a, b",x\nc,y\n',
        "exports from Qualtrics describe the columns there",
    ),
    "surveymonkey.csv": (
        'id,text,label\n,Open-Ended Response,Response\n1,"a, b",x\n2,c,y\n',
        "exports from SurveyMonkey describe the columns there",
    ),
    "percent.csv": ('% from a laboratory\ntext,label\n"a, b",x\nc,y\n', "named in line 2"),
    "form.csv": ('"Timestamp","text","label"\n"2024/01/02 3:04:05 PM GMT+1","a, b","x"\n"2024/01/03","c","y"\n', ""),
    # names, blanks and marks
    "broken-name.csv": ('"text\n", label \n"a, b",x\nc,y\n', ""),
    "spaced.csv": ('"text", "label"\n"a, b", "x"\n"c", "y"\n', ""),
    "blank-lines.csv": ('\ntext,label\n\n"a, b",x\n   \nc,y\n\n', ""),
    "joined.csv": ('\ufefftext,label\n"a, b",x\n\ufeff"c",y\n', ""),
    "joined-with-names.csv": ('text,label\n"a, b",x\ntext,label\nc,y\n', "the column names stand again in 1 row"),
    "ends.csv": ('text,label\r"a, b",x\rc,y\r', ""),
    "wrapped.csv": ('text,label\n"""a, b"",x"\nc,y\n', "quoted once more, as a whole"),
    "wrapped-names.csv": ('"text,label"\n"""a, b"",x"\n"c,y"\n', ""),
    "dos.csv": ('text,label\r\n"a, b",x\r\nc,y\r\n\x1a', ""),
    "zeros.csv": ('text,label\n"a, b",x\nc,y\n\0\0\0\0', ""),
    "directed.csv": ('\u202atext\u202c,\u200flabel\n"a, b",\u202bx\u202c\nc,\xady\n', ""),
    "invisible.csv": ('text,label\n"a, b",x\u200b\nc,\ufeffy\n', ""),
    # delimiters
    "tilde.csv": ("text~label\na, b~x\nc~y\n", "separated by '~'"),
    "control.csv": ("text\x01label\na, b\x01x\nc\x01y\n", "separated by '\\x01'"),
    "colon.txt": ("text:label\na, b:x\nc:y\n", "separated by ':'"),
    # fastText
    "tabs.txt": ("__label__x\ta, b\n__label__y\tc\n", ""),
    "behind.txt": ("a, b __label__x\nc __label__y\n", ""),
    "fasttext.csv": ("__label__x a, b\n__label__y c\n", ""),
    # JSON
    "jq.json": ('{\n "text": "a, b",\n "label": "x"\n}\n{\n "text": "c",\n "label": "y"\n}\n', ""),
    "one-line.jsonl": ('{"text": "a, b", "label": "x"}{"text": "c", "label": "y"}', ""),
    "commas.jsonl": ('{"text": "a, b", "label": "x"},\n{"text": "c", "label": "y"},\n', ""),
    "separators.jsonl": ('\x1e{"text": "a, b", "label": "x"}\n\x1e{"text": "c", "label": "y"}\n', ""),
    "keys.json": ('{"-Nq1": {"text": "a, b", "label": "x"}, "-Nq2": {"text": "c", "label": "y"}}', ""),
    "marked.json": ('\ufeff[{"text": "a, b", "label": "x"}, {"text": "c", "label": "y", "v": NaN}]', ""),
    "sheet.json": ('{"range": "A1", "values": [["text", "label"], ["a, b", "x"], ["c", "y"]]}', ""),
}


@pytest.mark.parametrize("name", list(ODD))
def test_files_of_odd_habits_hold_the_rows_that_they_show(tmp_path, capsys, name):
    content, said = ODD[name]
    (tmp_path / name).write_bytes(content.encode())
    table = read_table(tmp_path / name, text="text", label="label")
    assert (list(table.texts), list(table.labels)) == TWO
    assert said in capsys.readouterr().err


# What parts the lines of these is known by the names that are asked for alone.
BY_NAME = ("write-table.txt", "spaced.csv", "wrapped-names.csv", "tilde.csv", "control.csv", "colon.txt")


@pytest.mark.parametrize("name", [name for name in ODD if name not in BY_NAME])
def test_columns_are_found_where_none_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(ODD[name][0].encode())
    names = next(read_rows(tmp_path / name, [])).names
    if name != "keys.json":  # it may be columns of cells, too
        assert {"text", "label"} <= set(as_called(names, ["text", "label"]))


def test_names_of_several_words_are_no_title_above_texts_that_hold_commas(tmp_path):
    (tmp_path / "a.csv").write_text("What you say;label\nfine view, rude staff, cold soup;x\nno, never, again;y\n")
    assert next(read_rows(tmp_path / "a.csv", [])).names == ["What you say", "label"]


def test_a_row_that_names_the_columns_is_no_header_where_rows_stand_above_it(tmp_path):
    (tmp_path / "a.csv").write_text("Text,class\ngood,x\ntext,y\n")
    with pytest.raises(DataError, match=r"no column 'text'; it has 'Text', 'class'; did you mean 'Text'\?"):
        read_table(tmp_path / "a.csv", text="text")
    assert list(read_table(tmp_path / "a.csv", text="Text").texts) == ["good", "text"]


def test_rows_of_one_field_too_many_are_only_r_s_where_each_starts_with_a_number(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n1,a,x\nso, b,y\n")
    with pytest.raises(DataError, match="line 2 has 3 fields and the header has 2"):
        read_table(tmp_path / "a.csv", text="text", label="label")


def test_what_lies_within_objects_of_json_is_a_column(tmp_path):
    records = [{"review": {"text": "a, b", "by": {"name": "x"}}}, {"review": {"text": "c", "by": {"name": "y"}}}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(DataError, match=r"did you mean 'review\.text'\?"):
        read_table(tmp_path / "a.jsonl", text="text")
    table = read_table(tmp_path / "a.jsonl", text="review.text", label="review.by.name")
    assert (list(table.texts), list(table.labels)) == TWO
    (tmp_path / "b.jsonl").write_text('{"text": "a", "label": {"name": "x"}}\n{"text": "b", "label": {"name": "y"}}\n')
    with pytest.raises(DataError, match=r"a column, too, such as label\.name"):
        read_table(tmp_path / "b.jsonl", text="text", label="label")
    assert read_table(tmp_path / "b.jsonl", text="text", label="label.name").classes == ["x", "y"]


def test_annotators_who_differ_and_rejected_rows_are_told(tmp_path, capsys):
    def said(*names):
        return {"result": [{"from_name": "label", "type": "choices", "value": {"choices": list(names)}}]}

    tasks = [
        {"data": {"text": "a, b"}, "annotations": [said("x"), said("y")]},
        {"data": {"text": "c"}, "annotations": [said("x"), {**said("y"), "ground_truth": True}]},
    ]
    (tmp_path / "a.json").write_text(json.dumps(tasks))
    table = read_table(tmp_path / "a.json", text="text", label="label")
    assert (list(table.texts), list(table.labels)) == TWO
    assert "the annotations of 1 task differ; the first of each counts" in capsys.readouterr().err
    answers = [{"text": "a", "label": "x", "answer": answer} for answer in ("accept", "reject", "ignore")]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, answers)))
    assert list(read_table(tmp_path / "b.jsonl", text="text", label="label").labels) == ["x", None, None]
    assert "no label for 2 rows rejected or ignored in Prodigy" in capsys.readouterr().err


def test_titles_and_merged_cells_of_workbooks_are_understood_and_told(tmp_path, capsys):
    book = openpyxl.Workbook()
    for row in (["Our survey"], [], ["text\n", "label"], ["a, b", "x"], ["c", None], ["d", "y"]):
        book.active.append(row)
    book.active.merge_cells("B4:B5")
    book.active.merge_cells("A1:B1")
    book.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx", text="text", label="label")
    assert list(zip(table.texts, table.labels, strict=True)) == [("a, b", "x"), ("c", "x"), ("d", "y")]
    said = capsys.readouterr().err
    assert "named in line 3" in said and "1 cell merged over several rows" in said


def write_open_document(path, rows):
    """A sheet whose rows are given as OpenDocument's cells."""
    spaces = "".join(f' xmlns:{one}="urn:oasis:names:tc:opendocument:xmlns:{one}:1.0"' for one in SPACES)
    lines = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    sheet = f'<table:table table:name="Answers">{lines}</table:table>'
    body = f"<office:body><office:spreadsheet>{sheet}</office:spreadsheet></office:body>"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", f"<office:document-content{spaces}>{body}</office:document-content>")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")


def open_document_cell(*paragraphs, more=""):
    content = "".join(f"<text:p>{one}</text:p>" for one in paragraphs)
    return f'<table:table-cell office:value-type="string"{more}>{content}</table:table-cell>'


SPACES = ("office", "table", "text")


def test_texts_of_open_document_sheets_are_whole_and_merged_cells_are_told(tmp_path, capsys):
    cell = open_document_cell
    covered = "<table:covered-table-cell/>"
    rows = [
        [cell("Our survey")],
        [cell("text"), cell("label")],
        [cell("a,", 'b<text:s text:c="2"/>c<text:tab/>d<text:line-break/>e &amp; f'), cell("x")],
        [cell("c"), cell("y", more=' table:number-rows-spanned="2"')],
        [cell("d"), covered],
    ]
    write_open_document(tmp_path / "a.ods", rows)
    table = read_table(tmp_path / "a.ods", text="text", label="label")
    assert (list(table.texts), list(table.labels)) == (["a,\nb  c\td\ne & f", "c", "d"], ["x", "y", None])
    said = capsys.readouterr().err
    assert "named in line 2" in said and "1 cell merged over several rows: the first of these rows alone has" in said
    write_open_document(tmp_path / "a.ods", [*rows[:2], [cell("c"), cell("y")]])
    assert list(read_table(tmp_path / "a.ods", text="text", label="label").labels) == ["y"]
    assert "merged" not in capsys.readouterr().err


def test_what_describes_the_columns_of_a_survey_s_workbook_is_no_row(tmp_path, capsys):
    book = openpyxl.Workbook()
    for row in (["id", "text", "label"], [None, "Open-Ended Response", "Response"], [1, "a, b", "x"], [2, "c", "y"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx", text="text", label="label")
    assert (list(table.texts), list(table.labels)) == TWO and list(table.rows) == [1, 2]
    assert "exports from SurveyMonkey describe the columns there" in capsys.readouterr().err


def test_one_of_several_lists_that_may_hold_the_rows_of_a_document_is_named_and_read_alone(tmp_path):
    rows = [{"text": "a, b", "label": "x"}, {"text": "c", "label": "y"}]
    for document in ({"response": {"items": rows}, "again": rows}, {"took": 1, "hits": {"hits": rows}, "more": rows}):
        (tmp_path / "a.json").write_text(json.dumps(document))
        with pytest.raises(DataError, match=r"if its list '([a-z.]+)' holds the rows, save that list alone") as refused:
            read_table(tmp_path / "a.json", text="text", label="label")
        found = document
        for name in re.search("its list '([a-z.]+)'", str(refused.value))[1].split("."):
            found = found[name]
        (tmp_path / "b.json").write_text(json.dumps(found))
        table = read_table(tmp_path / "b.json", text="text", label="label")
        assert (list(table.texts), list(table.labels)) == TWO


def test_missing_values_of_databases_are_no_labels_and_such_texts_are_told(tmp_path, capsys):
    (tmp_path / "a.tsv").write_text("text\tlabel\na\tx\n\\N\ty\nc\t\\N\n")
    table = read_table(tmp_path / "a.tsv", text="text", label="label")
    assert list(table.labels) == ["x", "y", None] and len(table) == 3
    assert "1 cell with NA or the like read as texts" in capsys.readouterr().err


CSV = b'text,label\n"a, b",x\nc,y\n'
MISNAMED = {
    "gzip.csv": (gzip.compress(CSV), "gzip.csv.gz"),
    "bzip.csv": (bz2.compress(CSV), "bzip.csv.bz2"),
    "plain.csv.gz": (CSV, "plain.csv"),
    "plain.xlsx": (CSV, "plain.csv"),
    "plain.parquet": (CSV, "plain.csv"),
    "plain.json": (CSV, "plain.csv"),
    "lines.csv": (b'{"text": "a, b", "label": "x"}\n{"text": "c", "label": "y"}\n', "lines.json"),
    "array.csv": (b'[\n{"text": "a, b", "label": "x"},\n{"text": "c", "label": "y"}]\n', "array.json"),
}


@pytest.mark.parametrize("name", list(MISNAMED))
def test_a_file_whose_name_says_something_else_is_refused_with_a_name_that_works(tmp_path, name):
    content, better = MISNAMED[name]
    (tmp_path / name).write_bytes(content)
    advice = "leave that ending out" if name.startswith(better) else f"a name that ends in .{better.partition('.')[2]}"
    with pytest.raises(DataError, match=f"{re.escape(advice)}$"):
        read_table(tmp_path / name, text="text", label="label")
    (tmp_path / name).rename(tmp_path / better)
    table = read_table(tmp_path / better, text="text", label="label")
    assert (list(table.texts), list(table.labels)) == TWO


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>\n<html>Sign in</html>", "this is a web page"),
        (b" id | text\n----+------\n 1 | a\n(1 row)\n", "line 2 is a ruled line"),
        (b'<?xml version="1.0"?>\n<rows/>', "a web page or XML"),
        (b"| id | text |\n|---|---|\n| 1 | a |\n", "export it as CSV"),
        (b'"text"x,y\na,b\n', "no list of column names"),
        (b"text/label\na/x\n", "name the character between them with --delimiter"),
        (
            b"SQLite format 3\0\x10",
            "a database of SQLite, whatever its name says; export the table as .csv or .parquet",
        ),
        (b"%PDF-1.7\n", "this is a PDF, whatever its name says; save its text as .txt"),
        (b"{\\rtf1 text,label}", "this is a document of RTF"),
        (pickle.dumps({"text": "a"}), "this is a pickle, whatever its name says; a pickle can run code"),
        ("text\n映画は良いです、とても\n".encode("shift_jis"), "shift_jis"),
        ("text\nОчень хорошо\n".encode("cp1251"), "cp1251"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_way_forward(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / "a.csv", text="text")
    for encoding in {"shift_jis", "cp1251"} & {said}:
        assert not read_table(tmp_path / "a.csv", text="text", encoding=encoding).texts[0].isascii()


def test_a_column_and_a_stream_are_no_table_and_tags_of_frames_may_be_sets():
    frame = pd.DataFrame({"text": ["a", "b"], "label": [{"x"}, {"x", "y"}]})
    table = read_table(frame, text="text", label="label")
    assert isinstance(table.kind, Tags) and table.classes == ["x", "y"]
    for data in (frame["text"], frame["text"].to_numpy(), iter(frame.to_dict("records"))):
        with pytest.raises(DataError, match="where a file's name or one table is needed"):
            read_table(data, text="text")


def test_a_label_that_may_stand_for_none_is_told(capsys):
    mention_odd_labels(TextTable.from_lists(list("abcdef"), ["x", "x", "y", "y", "None", "None"]))
    assert "2 rows with the label 'None'; if it stands for none, leave the cells empty" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_empty_line_of_a_single_column_is_a_row_but_at_the_end(tmp_path, end):
    (tmp_path / "a.csv").write_bytes(end.join(["text", "a, b", "", "", "c", "", ""]).encode())
    ((_, texts, _),) = read_texts(tmp_path / "a.csv", text="text", file=FileFormat(quoting="none", delimiter="|"))
    assert texts == ["a, b", "", "", "c"]


def test_one_shard_of_a_table_is_told_and_a_folder_of_its_own_holds_all(tmp_path, capsys):
    for split in ("train", "test"):
        for number in (0, 1):
            pd.DataFrame({"text": [f"{split} {number}"]}).to_parquet(
                tmp_path / f"{split}-0000{number}-of-00002.parquet"
            )
    with pytest.raises(DataError, match="or put the shards of one table in a folder of their own"):
        read_table(tmp_path, text="text")
    shards = sorted(tmp_path.glob("train-*"))
    assert len(read_table(shards[0], text="text")) == 1
    assert "one of the 2 files that its table is in" in capsys.readouterr().err
    (tmp_path / "train").mkdir()
    for shard in shards:
        shard.rename(tmp_path / "train" / shard.name)
    assert list(read_table(tmp_path / "train", text="text").texts) == ["train 0", "train 1"]
    assert "one of" not in capsys.readouterr().err


def test_parts_of_a_text_are_no_labels_and_sets_and_arrays_are_lists(tmp_path):
    part = {"from_name": "label", "type": "labels", "value": {"start": 0, "end": 1, "text": "a", "labels": ["NAME"]}}
    (tmp_path / "a.json").write_text(json.dumps([{"data": {"text": "a b"}, "annotations": [{"result": [part]}]}]))
    with pytest.raises(DataError, match="is no label of a whole text"):
        read_table(tmp_path / "a.json", text="text", label="label")
    cells = ["set()", "{'x', 'y'}", "array(['x'], dtype=object)", "frozenset({'y'})"]
    pd.DataFrame({"text": list("abcd"), "label": cells}).to_csv(tmp_path / "a.csv", index=False)
    assert read_table(tmp_path / "a.csv", text="text", label="label").classes == ["x", "y"]
