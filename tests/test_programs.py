"""Files as databases, trackers, surveys and offices of other languages write them."""

import json
import unicodedata

import openpyxl
import pytest

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.data.label_checks import mention_odd_labels
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.ratings import read_rating
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.reader import layout_of

TWO = (["a, b", "c"], ["x", "y"])


def read(path, content, text="text", label="label", **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_table(path, text=text, label=label, **options)
    return list(table.texts), list(table.labels)


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("WAHR", "FALSCH"),
        ("VRAI", "FAUX"),
        ("ja", "nein"),
        ("Oui", "Non"),
        ("Sí", "No"),
        ("checked", ""),
        ("да", "нет"),
    ],
)
def test_yes_and_no_are_read_in_several_languages(tmp_path, yes, no):
    content = f"text;good;bad\na;{yes};{no}\nb;{no};{yes}\nc;{no or '0'};{no}\n"
    assert read(tmp_path / "a.csv", content, label=["good", "bad"])[1] == ["good", "bad", ""]


@pytest.mark.parametrize(
    "cell",
    ["#NV", "#WERT!", "#NOM?", "#¡VALOR!", "#N/D", "#ÜBERLAUF!", "#REF!", "#DIV/0!", "#N/A", "Err:508", "#ERROR!"],
)
def test_formulas_that_failed_are_no_class_in_any_language(tmp_path, capsys, cell):
    assert read(tmp_path / "a.csv", f"text,label\na,x\nb,{cell}\n")[1] == ["x", None]
    assert "1 row with the label" in capsys.readouterr().err
    assert read(tmp_path / "a.csv", "text,label\na,#wow!\nb,#1\n")[1] == ["#wow!", "#1"]


def test_true_and_false_are_one_class_each_however_they_are_written(tmp_path, capsys):
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["a", True], ["b", False]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert list(read_table(tmp_path / "a.xlsx", text="text", label="label").labels) == ["True", "False"]
    assert read(tmp_path / "a.csv", "text,label\na,TRUE\nb,FALSE\n")[1] == ["True", "False"]
    assert "labels such as 'FALSE' are read as 'False'" in capsys.readouterr().err
    assert read(tmp_path / "a.jsonl", '{"text": "a", "label": true}\n{"text": "b", "label": false}\n')[1] == [
        "True",
        "False",
    ]
    assert read(tmp_path / "a.csv", "text,label\na,TRUE\nb,maybe\n")[1] == ["TRUE", "maybe"]
    old = TextTable.from_lists(["a", "b"], ["True", "False"])
    assert old.class_numbers(["FALSE", "TRUE"]).tolist() == [1, 0]  # of a classifier of an earlier version


def test_ratings_have_decimal_commas_where_they_can_be_nothing_else(tmp_path):
    content = '"";"text";"label"\n"1";"a, b";4,5\n"2";"c";2,0\n"3";"d";4,5\n"4";"e";2,0\n'  # R's write.csv2
    (tmp_path / "a.csv").write_text(content)
    assert list(read_table(tmp_path / "a.csv", text="text", label="label", ratings=True).numbers) == [4.5, 2, 4.5, 2]
    assert read_rating("1,234") is None and read_rating("1,2345") == 1.2345 and read_rating("1,2,3") is None


def test_tags_are_read_as_trackers_list_them(tmp_path):
    issues = [
        {"title": "a", "labels": [{"id": 1, "name": "bug", "color": "red"}]},
        {"title": "b", "labels": [{"id": 2, "name": "docs"}, {"id": 1, "name": "bug"}]},
    ]
    expected = ["bug", "bug;docs"]
    assert read(tmp_path / "a.json", json.dumps(issues), text="title", label="labels")[1] == expected
    assert read(tmp_path / "a.csv", "text,label\na,<bug>\nb,<docs><bug>\nc,<NA>\n")[1] == [*expected, None]
    content = "text,label\na,bug\nb,docs bug\nc,\n"
    assert read(tmp_path / "a.csv", content, label_delimiter=" ")[1] == ["bug", "bug docs", None]
    spans = [{"title": "a", "labels": [{"name": "bug", "start": 0, "end": 1}]}]
    with pytest.raises(DataError, match="is no label of a whole text"):
        read(tmp_path / "a.json", json.dumps(spans), text="title", label="labels")
    with pytest.raises(OptionError, match="must not be blank"):
        Tags("  ")


NESTED = {  # documents whose rows lie within, and the columns
    "jira": (
        {"total": 2, "issues": [{"fields": {"text": "a, b", "kind": {"name": "x"}}}]},
        "fields.text",
        "fields.kind.name",
    ),
    "app store": (
        {"feed": {"entry": [{"content": {"label": "a, b"}, "im:rating": {"label": "x"}}]}},
        "content.label",
        "im:rating.label",
    ),
    "search": (
        {"took": 1, "hits": {"hits": [{"_source": {"text": "a, b", "label": "x"}}]}},
        "_source.text",
        "_source.label",
    ),
    "map": (
        {"type": "F", "features": [{"properties": {"text": "a, b", "label": "x"}}]},
        "properties.text",
        "properties.label",
    ),
    "chat": ({"name": "us", "messages": [{"text": "a, b", "label": "x"}], "members": [{"id": 1}]}, "text", "label"),
}


@pytest.mark.parametrize("name", list(NESTED))
@pytest.mark.parametrize("indent", [None, 1])
def test_the_only_list_within_a_document_that_has_the_columns_holds_the_rows(tmp_path, capsys, name, indent):
    document, text, label = NESTED[name]
    assert read(tmp_path / "a.json", json.dumps(document, indent=indent), text, label) == (["a, b"], ["x"])
    assert "read is its list" in capsys.readouterr().err


def test_a_record_is_none_of_the_lists_within_it_and_two_lists_are_not_guessed(tmp_path):
    record = {"text": "a", "spans": [{"text": "b", "label": "x"}]}
    with pytest.raises(DataError, match="no column 'label'"):
        read(tmp_path / "a.json", json.dumps(record))
    rows = [{"text": "a", "label": "x"}]
    with pytest.raises(DataError, match="if its list 'old' holds the rows, save that list alone"):
        read(tmp_path / "a.json", json.dumps({"old": rows, "new": rows}))


def test_an_archive_of_twitter_is_json_behind_a_name(tmp_path):
    content = 'window.YTD.tweets.part0 = [\n  {"tweet": {"text": "a, b"}},\n  {"tweet": {"text": "c"}} ]'
    for name in ("tweets.js", "tweets.json"):
        assert read(tmp_path / name, content, "tweet.text", None)[0] == TWO[0]


COPIED = 'text\tlabel\n"Never,\\nagain\tx\nC:\\\\new\t\\N\nso\\tso\ty\n'


def test_what_databases_copy_has_its_line_breaks(tmp_path, capsys):
    texts = ['"Never,\nagain', "C:\\new", "so\tso"]
    assert read(tmp_path / "a.tsv", COPIED, quoting="copy") == (texts, ["x", None, "y"])
    plain = COPIED.replace('"', "")
    assert read(tmp_path / "b.tsv", plain)[0] == ["Never,\nagain", *texts[1:]]
    assert "as PostgreSQL's COPY writes them (--quoting copy)" in capsys.readouterr().err
    batch = plain.replace("\\N", "NULL")  # as mysql --batch writes it, where a path may be meant
    assert read(tmp_path / "c.tsv", batch)[0][0] == "Never,\\nagain"
    assert "\\n occurs in 1 cell; if it stands for a line break, pass --quoting copy" in capsys.readouterr().err
    assert read(tmp_path / "c.tsv", batch, quoting="copy")[0][0] == "Never,\nagain"
    assert read(tmp_path / "e.tsv", "text\tlabel\nso\\tso\t\\N\n")[0] == ["so\tso"]
    (tmp_path / "d.tsv").write_text("text\tlabel\nC:\\old\\new\t\\N\n")
    assert layout_of(tmp_path / "d.tsv", FileFormat(), ("text",)).quoting != "copy"


def test_names_are_found_whatever_a_mac_or_a_wrong_encoding_made_of_them(tmp_path):
    parted = unicodedata.normalize("NFD", "Größe")
    assert read(tmp_path / "a.csv", f"{parted},label\na,x\n", "Größe")[0] == ["a"]
    assert read(tmp_path / "a.csv", "ï»¿text,label\na,x\n")[0] == ["a"]


@pytest.mark.parametrize(
    ("header", "name"), [("Reviews[text]", "Reviews[text]"), ("“text”", "“text”"), ("r.text", "r.text")]
)
def test_a_name_like_the_one_that_is_asked_for_is_offered(tmp_path, header, name):
    with pytest.raises(DataError, match="did you mean") as refused:
        read(tmp_path / "a.csv", f"{header},label\na,x\n")
    assert str(refused.value).endswith(f"did you mean {name!r}?")
    assert read(tmp_path / "a.csv", f"{header},label\na,x\n", name)[0] == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xls", b"<html><table><tr><td>text</td></tr></table></html>", "save it as .xlsx"),
        ("a.xls", b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>', "save it as .xlsx"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "if it has a password, save it without one"),
        ("a.fods", b"<office/>", "export it as .xlsx or .csv"),
        ("a.eml", b"Subject: a", "export the messages as .csv"),
        ("a.arff", b"@relation r", "save it as .csv or .parquet with the program that wrote it"),
    ],
)
def test_what_is_no_table_leads_to_one(tmp_path, name, content, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path / name, content)


def test_words_that_may_stand_for_no_label_are_told(capsys):
    mention_odd_labels(TextTable.from_lists(list("abcd"), ["x", "x", "(blank)", "(blank)"]))
    assert "2 rows with the label '(blank)'; if it stands for none" in capsys.readouterr().err


def test_quotation_marks_that_nobody_doubled_are_the_texts_where_cells_end_without_doubt(tmp_path, capsys):
    content = '"text","label"\n"so "fine" it was, "really"","x"\n"a ""b"" c","y"\n'
    assert read(tmp_path / "a.csv", content) == (['so "fine" it was, "really"', 'a "b" c'], ["x", "y"])
    assert "some quotation marks within quotes are not doubled" in capsys.readouterr().err
    for doubtful in ('"a", "b","x"\n', '"a",","x"\n', '"a "b" c\nd","x"\n'):
        with pytest.raises(
            DataError, match=r"double each quotation mark within a quoted|line 2 has 3 fields|never closed"
        ):
            read(tmp_path / "a.csv", f'"text","label"\n{doubtful}"d","y"\n')


def test_apostrophes_quote_where_they_quote_the_names(tmp_path):
    content = "'text','label'\n'it''s \"fine\", really','x'\n'so\nso','y'\n"
    assert read(tmp_path / "a.csv", content) == (['it\'s "fine", really', "so\nso"], ["x", "y"])
    escaped = "'text';'label'\n'it\\'s \"fine\"; really';'x'\n'so\nso';'y'\n"
    assert read(tmp_path / "b.csv", escaped)[0] == ['it\'s "fine"; really', "so\nso"]
    assert read(tmp_path / "c.csv", "text,label\n'tis,x\n'so',y\n")[0] == ["'tis", "'so'"]


def test_columns_of_yes_and_no_may_repeat_their_name_for_yes(tmp_path):
    content = "What was good?,,\nFood,Fast service,text\nFood,,a\n,fast service,b\n"
    assert read(tmp_path / "a.csv", content, label=["Food", "Fast service"])[1] == ["Food", "Fast service"]


def test_encodings_that_mark_themselves_are_found(tmp_path):
    for encoding, mark in (("iso2022_jp", ""), ("gb18030", "\ufeff")):
        assert read(tmp_path / "a.csv", f"{mark}text,label\n映画は良い,良\n".encode(encoding)) == (
            ["映画は良い"],
            ["良"],
        )
    assert read(tmp_path / "a.csv", "text\n\x1b[1mbold\x1b[0m\n", label=None)[0] == ["\x1b[1mbold\x1b[0m"]


@pytest.mark.parametrize("mark", [",", ":", " ,", ""])
def test_labels_of_fasttext_end_before_a_comma(tmp_path, mark):
    assert read(tmp_path / "a.txt", f"__label__good{mark} Fine, really\n__label__bad{mark} Dull\n")[1] == [
        "good",
        "bad",
    ]


def test_bytes_that_facebook_escapes_are_letters(tmp_path, capsys):
    content = json.dumps({"messages": [{"text": "café “so” 😀".encode().decode("latin-1")}, {"text": "SÃO naïve"}]})
    assert read(tmp_path / "a.json", content, label=None)[0] == ["café “so” 😀", "SÃO naïve"]
    assert "1 text with bytes for letters, as Facebook writes them, read as UTF-8" in capsys.readouterr().err


def test_letters_that_were_read_in_another_encoding_before_are_told(tmp_path, capsys):
    read(tmp_path / "a.csv", f"text\n{'café “so” 😀'.encode().decode('cp1252', 'ignore')}\nSÃO naïve\n", label=None)
    assert "1 text with 'Ã©' or the like: UTF-8 that was read in another encoding" in capsys.readouterr().err
    read(tmp_path / "b.csv", 'text\n"Você não está só, À BEIRA; Â, Ã O"\n', label=None)
    assert "or the like" not in capsys.readouterr().err


def test_columns_of_one_name_lead_to_one_column(tmp_path):
    with pytest.raises(DataError, match="columns 2, 3 and 4 are called 'label'; give all but one of them another name"):
        read(tmp_path / "a.csv", "text,label,label,label\na,x,y,\n")  # as Jira exports several values
    assert read(tmp_path / "a.csv", "text,label\na,x;y\n", label_delimiter=";")[1] == ["x;y"]
