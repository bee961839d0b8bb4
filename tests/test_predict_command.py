"""What the command predict takes for a text, for a file and for lines, with a classifier that calls everything good."""

import gzip
import io
import sys

import pytest
from coin import Coin


@pytest.fixture
def predict(monkeypatch, ulmfit):
    monkeypatch.setattr("ulmfit_lib.cli.predicting.load_classifier", lambda *_, **__: Coin())
    monkeypatch.setattr("ulmfit_lib.hub.fetching.find_folder", lambda path: path)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return ulmfit("predict", "model", *arguments)

    return run


@pytest.mark.parametrize("length", [1, 254, 255, 256, 4096, 100_000])
def test_a_text_of_any_length_is_a_text(predict, length):
    assert predict("a " * length)[:2] == (0, "good  (good 75 %, bad 25 %)\n")
    assert predict("a" * length)[:2] == (0, "good  (good 75 %, bad 25 %)\n")


def test_an_empty_text_is_no_folder(predict, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("fine")
    monkeypatch.chdir(tmp_path)
    assert predict("")[:2] == (0, "\n")


def test_all_letters_are_written_where_the_locale_knows_ascii_alone(predict, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert predict(stdin="schön 😀\n".encode())[0] == 0
    sys.stdout.flush()
    assert written.getvalue().decode() == "good  (good 75 %, bad 25 %)  schön 😀\n"


def test_the_name_of_a_file_is_no_text_whether_it_is_there_or_not(predict, tmp_path):
    code, _, said = predict(tmp_path / "nowhere.CSV")
    assert code == 2 and "no such file" in said
    (tmp_path / "a").write_text("text\nfine\n")
    code, _, said = predict(tmp_path / "a")
    assert code == 2 and "--text" in said


def test_lines_are_read_by_the_rules_for_files(predict):
    code, out, _ = predict(stdin="\ufefffine\n\ncafé\n".encode())
    assert code == 0 and out.splitlines() == [
        "good  (good 75 %, bad 25 %)  fine",
        "",
        "good  (good 75 %, bad 25 %)  café",
    ]
    code, _, said = predict(stdin="fine\ncafé\n".encode("cp1252"))
    assert code == 2 and "standard input: line 2 is not utf-8" in said and "--encoding cp1252" in said
    assert predict("--encoding", "cp1252", stdin="café\n".encode("cp1252"))[1].endswith("café\n")


def test_a_folder_of_texts_is_predicted_file_by_file(predict, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "B.TXT").write_text("fine")
    code, out, _ = predict(tmp_path, "--quiet")
    assert code == 0 and out.splitlines()[1] == "new/B.TXT,new,fine,good,0.75,0.25,0.75"


def test_an_argument_where_the_locale_knows_ascii_alone_is_the_text_that_was_typed(predict, monkeypatch):
    read, judge = [], Coin.judge
    monkeypatch.setattr(Coin, "judge", lambda self, texts, scope=None: read.extend(texts) or judge(self, texts, scope))
    for given in ("schön 😀".encode().decode("ascii", "surrogateescape"), "half a pair: \ud83d"):
        assert predict(given)[0] == 0
    assert read == ["schön 😀", "half a pair: \ufffd"]


@pytest.mark.parametrize("content", [gzip.compress(b"fine", mtime=0), b"PK\x03\x04", b"PAR1\x15\x04\x15"])
def test_a_packed_file_on_standard_input_is_no_text_of_another_encoding(predict, content):
    code, out, err = predict(stdin=content)
    assert code == 2 and not out and "where lines of text are needed; name the file, and --text" in err
