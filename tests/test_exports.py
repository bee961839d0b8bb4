"""Files as programs export them and people save them: nothing is lost or changed without a word."""

import gzip
import os

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ulmfit_lib import read_table
from ulmfit_lib.data.label_checks import spellings
from ulmfit_lib.errors import DataError
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.text_files import likely_encoding
from ulmfit_lib.rows.texts import read_texts
from ulmfit_lib.server.labelling import column_names

TWO = (["a, b", "c"], ["x", "y"])
READ = {  # a file, and what is said of it
    "windows-python.csv": ('"text","label"\r\r\n"a, b","x"\r\r\n"c","y"\r\r\n', ""),
    "one-name-too-many.csv": ('text,label,\n"a, b",x\nc,y\n', ""),
    "escaped.csv": ("text,label\na\\, b,x\nc,y\n", "a backslash escapes what stands behind it"),
    "two-comments.csv": ('# by Ann, Bob\n# of 2024, May\ntext,label\n"a, b",x\nc,y\n', "named in line 3"),
    "surveymonkey.csv": (
        'text,label\nOpen-Ended Response,Response\n"a, b",x\nc,y\n',
        "exports from SurveyMonkey describe the columns there",
    ),
    "unseen.csv": ('text\u200b,\u2060label\n"a, b",x\nc,y\n', ""),
    "jsonlite.json": ('[{"text": ["a, b"], "label": ["x"]}, {"text": ["c"], "label": ["y"]}]', "none has several"),
    "twice.jsonl": (
        '{"text": "z", "text": "a, b", "label": "x"}\n{"text": "c", "label": "y"}\n',
        "1 object with two values of one name, such as 'text'; the last of them counts",
    ),
    "arrays.json": ('[{"text": "a, b", "label": "x"}]\n[{"text": "c", "label": "y"}]\n', ""),
    "fasttext-with-a-bare-line.txt": ("a text without a label\n__label__x a, b\n__label__y c\n", "none has several"),
}


@pytest.mark.parametrize("name", list(READ))
def test_exports_hold_the_rows_that_they_show(tmp_path, capsys, name):
    content, said = READ[name]
    (tmp_path / name).write_bytes(content.encode())
    table = read_table(tmp_path / name, text="text", label="label").labelled()
    assert (list(table.texts), list(table.labels)) == TWO
    assert said in capsys.readouterr().err


REFUSED = {  # a file, what is said of it, and a file or an option that this leads to
    "ruled.csv": ("text,label\n----,-----\nc,y\n", "line 2 is a ruled line", "text,label\nc,y\n"),
    "box.txt": ("+----+-----+\n|text|label|\n+----+-----+\n", "line 1 is a ruled line", "text|label\nc|y\n"),
    "aligned.txt": ("text      label\nso, so    y\n", "aligned with spaces", "text,label\nc,y\n"),
    "no-names.txt": ("c\ty\nd\tx\n", "write a line of column names above it", "text\tlabel\nc\ty\nd\tx\n"),
    "marks-within.csv": (
        'text,label\n"c "b" \nd,y\n',
        "double each quotation mark",
        'text,label\n"c ""b"" \nd",y\n',
    ),
    "hash.tsv": ("#text\tlabel\nc\ty\n", "did you mean '#text'", "text\tlabel\nc\ty\n"),
    "cells.csv": ("__label__y,c\n__label__x,d\n", "write a line of column names above it", "label,text\ny,c\nx,d\n"),
    "printed.json": ("[{'text': 'c', 'label': 'y'}]", "json.dumps", '[{"text": "c", "label": "y"}]'),
    "ragged.json": (
        '{"columns": ["text", "label"], "data": [["c"]]}',
        "not as many cells as its columns",
        '[{"text": "c"}]',
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused_leads_to_a_file_that_is_read(tmp_path, name):
    content, said, better = REFUSED[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / name, text="text", label="label")
    (tmp_path / name).write_text(better)
    assert read_table(tmp_path / name, text="text").texts[0].startswith("c")


@pytest.mark.parametrize("header", ["text", "What do you think of it?"])
def test_lines_of_text_that_hold_commas_are_texts(tmp_path, capsys, header):
    (tmp_path / "a.csv").write_text(f'{header}\nFine, really\nDull\n"Never, ever"\n')
    assert column_names(lambda path: path.write_bytes((tmp_path / "a.csv").read_bytes()), "a.csv", FileFormat()) == {
        "columns": [header],
        "sheets": [],
    }
    assert list(read_table(tmp_path / "a.csv", text=header).texts) == ["Fine, really", "Dull", "Never, ever"]
    assert "each line is one text, since lines hold ',' in different numbers" in capsys.readouterr().err


def test_a_comma_at_the_end_of_some_lines_is_their_texts(tmp_path):
    for lines, texts in ((["Well,", "fine"], ["Well,", "fine"]), (["Well,", "fine,"], ["Well", "fine"])):
        (tmp_path / "a.csv").write_text("\n".join(["text", *lines, ""]))
        assert list(read_table(tmp_path / "a.csv", text="text").texts) == texts


@pytest.mark.parametrize("content", ["text\na,1\nb,2\n", 'text\n"a",1\nb\n', "text\nFine, really\nDull, too\n"])
def test_lines_that_may_lack_a_column_s_name_are_texts_where_that_is_said(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=r"line 2 has .*, or pass --quoting none|if each line is one text, pass --deli"):
        read_table(tmp_path / "a.csv", text="text")
    table = read_table(tmp_path / "a.csv", text="text", delimiter="tab", quoting="none")
    assert list(table.texts) == content.splitlines()[1:]


def test_surveys_are_read_by_either_line_of_names(tmp_path, capsys):
    rows = ["Q1,Q2", "What do you think?,Class", '"{""ImportId"":""A""}","{""ImportId"":""B""}"', "Fine,x", "Dull,y"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    for text, label, said in (("Q1", "Q2", "2 rows left out"), ("What do you think?", "Class", "named in line 2")):
        table = read_table(tmp_path / "a.csv", text=text, label=label)
        assert (list(table.texts), list(table.labels)) == (["Fine", "Dull"], ["x", "y"])
        assert said in capsys.readouterr().err


def test_what_follows_a_backslash_outside_quotes_is_a_cells(tmp_path):
    (tmp_path / "outfile.tsv").write_text(
        "text\tlabel\nFine,\\\nreally\tx\nC:\\temp \\\\ a\\\tb\ty\n"
    )  # MySQL's OUTFILE
    ((_, texts, labels),) = read_texts(tmp_path / "outfile.tsv", text="text", label="label")
    assert (texts, labels) == (["Fine,\nreally", "C:\\temp \\ a\tb"], ["x", "y"])
    (tmp_path / "quoted.csv").write_text('"text","label"\n"Fine,\\\nreally","x"\n"\\"So\\"","y"\n')
    assert list(read_table(tmp_path / "quoted.csv", text="text").texts) == ["Fine,\nreally", '"So"']


def test_a_macs_rows_end_in_carriage_returns_and_its_cells_may_hold_newlines(tmp_path):
    (tmp_path / "mac.csv").write_bytes(b'text,label\r"Fine,\nreally",x\rDull,y\r')
    (tmp_path / "unix.csv").write_bytes(b'"te\rxt",label\n"Fine,\nreally",x\nDull,y\n')
    for name, column in (("mac.csv", "text"), ("unix.csv", "te\rxt")):
        table = read_table(tmp_path / name, text=column, label="label")
        assert (list(table.texts), list(table.labels)) == (["Fine,\nreally", "Dull"], ["x", "y"])


@pytest.mark.parametrize("text", ["un café très chaud", "Größe über Maß", "el café del señor", "smörgåsbord på Åland"])
def test_the_encoding_that_is_advised_is_that_of_the_file(tmp_path, text):
    for encoding in ("cp1252", "mac_roman", "cp850"):
        (tmp_path / "a.csv").write_bytes(f"text\n{text} here\n".encode(encoding))
        if encoding == "cp850" and "ß" in text:
            continue  # this letter of DOS is one of a Mac's, too
        with pytest.raises(DataError, match=f"--encoding {encoding}$"):
            read_table(tmp_path / "a.csv", text="text")
        assert list(read_table(tmp_path / "a.csv", text="text", encoding=encoding).texts) == [f"{text} here"]
    assert likely_encoding("“Fine”, it’s naïve – really".encode("cp1252")) == "cp1252"


def test_a_file_in_two_encodings_is_told(tmp_path, capsys):
    (tmp_path / "a.csv").write_bytes("text\ncafé\n".encode() + "thé\n".encode("cp1252"))
    with pytest.raises(DataError, match="correct this line, or save the whole file in one encoding"):
        read_table(tmp_path / "a.csv", text="text")
    assert "come out wrong" not in capsys.readouterr().err
    read_table(tmp_path / "a.csv", text="text", encoding="cp1252")
    assert capsys.readouterr().err.count("a part of it is UTF-8 and not cp1252, so letters come out wrong there") == 1


def test_utf_16_without_a_mark_is_found_where_few_letters_are_latin(tmp_path):
    (tmp_path / "a.csv").write_bytes(("text,label\n" + "всё было прекрасно и очень мило,да\n" * 40).encode("utf-16-le"))
    assert read_table(tmp_path / "a.csv", text="text", label="label").classes == ["да"]
    (tmp_path / "c.csv").write_bytes(("text,label\n" + "一个很好的故事,好\n" * 40).encode("utf-16-le"))
    assert read_table(tmp_path / "c.csv", text="text", label="label").classes == ["好"]
    (tmp_path / "b.txt").write_bytes(b"text\nFine\0\n")  # a zero alone is no UTF-16
    assert list(read_table(tmp_path / "b.txt", text="text").texts) == ["Fine\0"]


def test_halves_of_characters_and_files_that_are_packed_twice_are_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text\nFine \xed\xa0\xbd\xed\xb8\x80\n")
    with pytest.raises(DataError, match="half of a character, as CESU-8 has it"):
        read_table(tmp_path / "a.csv", text="text")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(gzip.compress(b"text\nFine\n")))
    with pytest.raises(DataError, match="compressed twice; unpack it once"):
        read_table(tmp_path / "a.csv.gz", text="text")


def test_formulas_without_a_value_are_told(tmp_path, capsys):
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["a", "x"], ["b", '=IF(1=1,"y","z")']):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert read_table(tmp_path / "a.xlsx", text="text", label="label").labels == ["x", None]
    assert "1 formula without a value read as empty cells" in capsys.readouterr().err


def test_a_column_within_texts_that_are_no_objects_is_missing(tmp_path):
    pq.write_table(pa.table({"title": ["Fine."], "review": ["Good."]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"review\.body"):
        read_table(tmp_path / "a.parquet", text=["title", "review.body"])


def test_objects_and_bytes_of_parquet_are_read_as_json_has_them(tmp_path):
    rows = [{"review": {"text": "Fine"}, "label": b"x"}, {"review": {"text": "Dull"}, "label": b"y"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    ((found, _, _),) = read_texts(tmp_path / "a.parquet", text="review.text")
    assert list(found.column("label")) == ["x", "y"]  # which is what is written beside predictions
    for data in (tmp_path / "a.parquet", rows):
        table = read_table(data, text="review.text", label="label")
        assert (list(table.texts), list(table.labels)) == (["Fine", "Dull"], ["x", "y"])
    with pytest.raises(DataError, match=r"no column 'review\.body'; it has 'review', 'label'$"):
        read_table(tmp_path / "a.parquet", text="review.body")
    with pytest.raises(DataError, match="row 1, column 'text': found bytes that are no text in UTF-8"):
        read_table([{"text": b"caf\xe9"}], text="text")


def test_names_of_files_that_are_no_utf_8_are_written_as_utf_8(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    (tmp_path / os.fsdecode(b"caf\xe9") / "1.txt").write_text("Fine")
    ((rows, _, labels),) = read_texts(tmp_path, text="text", label="label")
    assert (rows.column("file"), labels) == (["caf\\xe9/1.txt"], ["caf\\xe9"])


def test_the_parts_of_a_dataset_are_no_labels_of_a_folder(tmp_path):
    for name in ("train/good", "train/bad", "test/good", "test/bad"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.txt").write_text("Fine")
    with pytest.raises(DataError, match="its folders test, train are parts of a dataset and no labels") as refused:
        read_table(tmp_path, text="text", label="label")
    assert str(refused.value).endswith(f"such as {tmp_path / 'train'}")
    assert read_table(tmp_path / "train", text="text", label="label").classes == ["bad", "good"]
    ((_, texts, _),) = read_texts(tmp_path, text="text", file=FileFormat())  # as `predict` reads them
    assert len(texts) == 4


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("titles.csv", "Our survey of May\n,\n# by Ann\ntext,label\nc,y\n", ["text", "label"]),
        ("title.csv", "Survey,\ntext,label\nc,y\n", ["text", "label"]),
        ("alone.csv", "Survey\ntext;label\nc, e;y\n", ["text", "label"]),
        ("unnamed.csv", "text\nc\nd\n", ["text"]),
        ("one.csv", "a text\nc\nd\n", ["a text"]),
        ("hash.csv", "# id,text,label\n1,c,y\n", ["# id", "text", "label"]),
        ("index.csv", ",text\n0,c\n", ["", "text"]),
        (
            "lines.jsonl",
            '{"review": {"text": "c", "by": {"id": 1}}}\n',
            ["review", "review.text", "review.by", "review.by.id"],
        ),
        (
            "document.json",
            '{"total": 1, "issues": [{"fields": {"text": "c"}}, {"fields": {"text": "d"}}]}',
            ["total", "issues", "fields", "fields.text"],
        ),
        (
            "spans.jsonl",
            '{"text": "c", "spans": [{"label": "x"}]}\n{"text": "d", "spans": []}\n',
            ["text", "spans"],
        ),
    ],
)
def test_the_page_offers_the_columns_that_a_file_has(name, content, columns):
    assert column_names(lambda path: path.write_text(content), name, FileFormat())["columns"] == columns


def test_columns_of_yes_and_no_are_read_as_databases_and_people_write_them(tmp_path):
    (tmp_path / "a.csv").write_text("text,x,y\na,t,f\nb,on,off\nc,✓,✗\n")
    assert read_table(tmp_path / "a.csv", text="text", label=["x", "y"]).labels == ["x"] * 3


@pytest.mark.parametrize("odd", ["1,234", "4 stars", "5%"])
def test_a_rating_that_is_no_number_leads_to_one_that_is(tmp_path, odd):
    (tmp_path / "a.csv").write_text(f'text,label\na,\u22121\nb,"{odd}"\n')
    with pytest.raises(DataError, match="write it alone, with a point before decimals"):
        read_table(tmp_path / "a.csv", text="text", label="label", ratings=True)
    (tmp_path / "a.csv").write_text("text,label\na,\u22121\nb,4.5\n")
    assert list(read_table(tmp_path / "a.csv", text="text", label="label", ratings=True).numbers) == [-1, 4.5]


def test_labels_that_differ_in_blanks_and_dashes_alone_are_told():
    assert spellings(["5 %", "5%", "−1", "-1", "1"]) == [["5 %", "5%"], ["−1", "-1"]]
