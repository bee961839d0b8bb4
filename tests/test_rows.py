"""One reader and one writer of rows: tables as people have them, and what every way in makes of them."""

import csv
import io
import time
from dataclasses import asdict

import pytest
from coin import Coin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nasty_files import NASTY, write_nasty

from ulmfit_lib.cli import options
from ulmfit_lib.data.joining import join_tables
from ulmfit_lib.data.reading import read_parts, read_table
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.rows.predictions import AddedColumns, RowLabeller
from ulmfit_lib.rows.reader import layout_of, read_rows
from ulmfit_lib.rows.texts import read_texts
from ulmfit_lib.rows.writer import row_writer

CELLS = st.text(st.sampled_from(list('ab é"\n,;\t\\|😀')), max_size=8)
HABITS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cells_of(path, *columns, file=None):
    parts = list(read_rows(path, columns, file))
    return [list(cells) for part in parts for cells in zip(*part.columns, strict=True)]


def write(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return path


@HABITS
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL]),
)
def test_what_the_csv_module_quotes_is_read_back(tmp_path, rows, delimiter, end, encoding, quoting):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("id", "text", "label"), *rows])
    path = write(tmp_path / "a.csv", file.getvalue(), encoding)
    assert cells_of(path, "text", "label") == [list(row) for row in rows]


@HABITS
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), ending=st.sampled_from([".csv", ".tsv", ".jsonl"])
)
def test_what_is_written_is_read_back(tmp_path, rows, ending):
    out = tmp_path / f"a{ending}"
    with row_writer(out) as write_rows:
        write_rows(Rows(["text", "more"], list(zip(*rows, strict=True))))
    assert cells_of(out, "text") == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("content", "quoting", "texts"),
    [
        (
            'text\tlabel\n"Fine," she said\tgood\nDull\tbad\n"Never\tbad\n',
            "none",
            ['"Fine," she said', "Dull", '"Never'],
        ),
        ('text,label\n"He said \\"no\\", twice",bad\nFine,good\n', "backslash", ['He said "no", twice', "Fine"]),
        ('text,label\n"He said ""no"",\ntwice",bad\nFine,good\n', "double", ['He said "no",\ntwice', "Fine"]),
    ],
)
def test_the_quoting_is_found_and_no_row_is_lost(tmp_path, content, quoting, texts):
    path = write(tmp_path / ("a.tsv" if "\t" in content else "a.csv"), content)
    assert layout_of(path, FileFormat(), ("text", "label")).quoting == quoting
    assert read_table(path, text="text").texts == texts


def test_a_quoting_that_is_given_is_taken(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"Fine\tgood\nDull"\tbad\n')
    assert [text for text, _ in cells_of(path, "text")] == ["Fine\tgood\nDull"]
    unquoted = cells_of(path, "text", file=FileFormat(quoting="none"))
    assert unquoted == [['"Fine', "good"], ['Dull"', "bad"]]
    with pytest.raises(OptionError, match="choose double, backslash, none, copy"):
        cells_of(path, "text", file=FileFormat(quoting="odd"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\nIt was late\nand loud,bad\n", "line 2 has 1 field and the header has 2"),
        ("text,label\nlate, and loud,bad\n", "line 2 has 3 fields and the header has 2"),
    ],
)
def test_a_row_that_does_not_fit_the_header_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read_table(write(tmp_path / "a.csv", content), text="text")


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "text;label\nFine, really;good\nDull;bad\n", {}),
        ("a.csv", "text\tlabel\nFine, really\tgood\nDull\tbad\n", {"delimiter": "\\t"}),
        ("a.csv", "text\tlabel\nFine, really\tgood\nDull\tbad\n", {"delimiter": ";"}),  # as another file needs it
        ("a.csv", "sep=;\ntext;label\nFine, really;good\nDull;bad\n", {}),
        ("a.csv", 'text,label\r"Fine, really",good\rDull,bad\r', {}),
        ("A.TSV", "text\tlabel\nFine, really\tgood\t\nDull\tbad\t\n", {}),
        ("a.ndjson", '{"text": "Fine, really", "label": "good"}\n\n{"text": "Dull", "label": "bad"}\n', {}),
        ("a.json", '[{"text": "Fine, really", "label": "good"},\n {"text": "Dull", "label": "bad"}]', {}),
    ],
)
def test_tables_are_read_as_people_have_them(tmp_path, name, content, options):
    table = read_table(write(tmp_path / name, content), text="text", label="label", **options)
    assert (table.texts, table.labels) == (["Fine, really", "Dull"], ["good", "bad"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("given_encoding", [None, "cp1252", "utf-16"])
def test_each_file_is_read_in_its_own_encoding(tmp_path, encoding, given_encoding):
    path = write(tmp_path / "a.csv", "text\ncafé in the morning\n", encoding)
    if encoding == "cp1252" and given_encoding != "cp1252":
        with pytest.raises(DataError, match="line"):
            read_table(path, text="text", encoding=given_encoding)
    else:
        assert read_table(path, text="text", encoding=given_encoding).texts == ["café in the morning"]


def test_a_correction_in_utf_8_and_commas_finds_its_text_in_a_file_of_another_kind(tmp_path):
    file = FileFormat(encoding="cp1252", delimiter=";")
    data = write(tmp_path / "data.csv", "text;label\nCafé, cold;good\nCafé, warm;good\n", "cp1252")
    with row_writer(tmp_path / "corrected.csv") as write_rows:
        write_rows(Rows.of({"text": ["Café, cold"], "label": ["bad"]}))
    tables = [
        read_table(path, text="text", label="label", **asdict(file)) for path in (data, tmp_path / "corrected.csv")
    ]
    joined = join_tables(tables[0], tables[1:])
    assert dict(zip(joined.texts, joined.labels, strict=True)) == {"Café, warm": "good", "Café, cold": "bad"}
    assert len(joined) == 2


def test_a_command_that_is_suggested_names_how_the_file_is_written():
    given = options.FileFormat(encoding="cp1252", quoting="none")
    assert given.as_arguments() == ["--encoding", "cp1252", "--quoting", "none"]


def test_an_encoding_that_is_advised_works(tmp_path):
    path = write(tmp_path / "a.csv", "text\nfine\ncafé\n", "cp1252")
    with pytest.raises(DataError, match=r"line 3 is not utf-8: .* --encoding cp1252$"):
        read_table(path, text="text")
    assert read_table(path, text="text", encoding="cp1252").texts == ["fine", "café"]
    path.write_bytes("text\ncafé\n".encode() + "café\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"line 3 is not utf-8: .* correct this line"):
        read_table(path, text="text")


def test_a_wrong_byte_in_json_lines_is_placed_by_its_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n{"text": "caf\xe9"}\n')
    with pytest.raises(DataError, match="line 2 is not utf-8"):
        read_table(path, text="text")


def test_folders_are_read_as_people_have_them(tmp_path):
    files = {"good/2024/a.txt": "Fine", "good/B.TXT": "Lovely", "bad/53068": "Dull", "unsup/c.txt": "Who knows"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "good" / "notes.md").write_text("no text to learn from")
    ((rows, table),) = read_parts(tmp_path, text="any", label="any")
    assert dict(zip(rows.column("file"), table.texts, strict=True)) == files
    assert dict(zip(table.texts, table.labels, strict=True)) == {
        "Fine": "good",
        "Lovely": "good",
        "Dull": "bad",
        "Who knows": None,
    }


def test_columns_of_the_user_are_kept_beside_predictions(tmp_path):
    path = write(tmp_path / "a.csv", "text,Confidence,,more,more\nFine,1,2,3,4\n ,1,2,3,4\n")
    ((rows, texts, _),) = read_texts(path, text="text")
    classifier = Coin()
    labeller = RowLabeller(classifier, AddedColumns.beside(rows.names, classifier.classes), threshold=0.9)
    with row_writer(tmp_path / "out.csv") as write_rows:
        write_rows(labeller.label(rows, texts, classifier.predict_proba(texts)))
    added = "prediction_2,confidence_2,probability of bad_2,probability of good_2"
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        f"text,Confidence,,more,more,{added}",
        "Fine,1,2,3,4,unsure,0.75,0.25,0.75",
        " ,1,2,3,4,,,,",
    ]
    assert (labeller.rows, labeller.blank, labeller.unsure) == (2, 1, 1)


def test_a_column_that_two_have_the_name_of_is_not_guessed(tmp_path):
    with pytest.raises(DataError, match="columns 1 and 3 are called 'text'"):
        read_table(write(tmp_path / "a.csv", "text,label,text\na,b,c\n"), text="text")


@pytest.fixture
def ways(monkeypatch, tmp_path, ulmfit):
    """What the terminal, the server and Python make of a file: its rows with predictions."""
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from ulmfit_lib.cli import predicting
    from ulmfit_lib.server.app import create_app
    from ulmfit_lib.server.models import Models, ServedModel

    class Served(ServedModel):
        def __init__(self, path):
            self.path, self.predictor = path, Coin()

        def current(self):
            return self.predictor

    def by_terminal(path):
        code, out, said = ulmfit("predict", "model", path, "--text", "text", "--quiet")
        assert code == 0, said
        return list(csv.reader(io.StringIO(out, newline="")))

    def by_server(path):
        models = Models([], threads=1, waiting=10)
        models.by_name["coin"] = Served(tmp_path)
        with TestClient(create_app(models, folder=tmp_path / "state")) as client:
            files = {"file": (path.name, path.read_bytes())}
            name = client.post("/jobs", files=files, data={"text": "text"}).json()["id"]
            for _ in range(400):
                if (state := client.get(f"/jobs/{name}").json())["state"] not in ("waiting", "running"):
                    break
                time.sleep(0.02)
            assert state["state"] == "done", state
            content = client.get(f"/jobs/{name}/result").content.decode()
        return list(csv.reader(io.StringIO(content, newline="")))

    def by_python(path):
        classifier, out = Coin(), tmp_path / "python.csv"
        with row_writer(out) as write_rows:
            for rows, table in read_parts(path, text="text"):
                labeller = RowLabeller(classifier, AddedColumns.beside(rows.names, classifier.classes))
                write_rows(labeller.label(rows, table.texts, classifier.predict_proba(table.texts)))
        with out.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    monkeypatch.setattr(predicting, "load_classifier", lambda *_, **__: Coin())
    monkeypatch.setattr("ulmfit_lib.hub.fetching.find_folder", lambda path: path)
    return [by_terminal, by_server, by_python]


@pytest.mark.parametrize("name", list(NASTY))
def test_terminal_server_and_python_give_the_same_rows_and_columns(tmp_path, ways, name):
    path = write_nasty(tmp_path, name)
    terminal, server, python = (way(path) for way in ways)
    assert terminal == server == python
    assert len(terminal) == 1 + sum(map(len, read_rows(path, ["text"])))
