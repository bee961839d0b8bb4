"""The loop of labels on files as people have them: the command that is printed works, and corrects what it should."""

import csv
import gzip
import io
import json
import shlex

import numpy as np
import openpyxl
import pandas as pd
import pytest

from ulmfit_lib import TextTable
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.joining import join_tables
from ulmfit_lib.pipeline.out_of_fold import HeldOutAnswers

TEXTS = [
    "Nice café, really",
    '"Great," they said',
    "Dull; very\nlong day",
    "  edges  ",
    "a | b \\ c",
    '"Never',
    "it's fine",
    "1",
    *(f"row number {number}, plain" for number in range(12)),
]
WRONG = range(1, 8)  # places of texts whose label is doubted
LABELS = ["good" if place % 2 else "bad" for place in range(len(TEXTS))]
TAGS = [[tag for bit, tag in enumerate("ab") if place >> bit & 1] for place in range(len(TEXTS))]


def table(rows, header=("text", "label"), **how):
    file = io.StringIO(newline="")
    csv.writer(file, **how).writerows([header, *rows])
    return file.getvalue()


def lines(*columns):
    return "".join(
        json.dumps(dict(zip(("text", "label"), row, strict=True))) + "\n" for row in zip(*columns, strict=True)
    )


def workbook():
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.create_sheet("My answers")
    for row in (("text", "label"), *PLAIN):
        book["My answers"].append(row)
    book.save(file)
    return file.getvalue()


def studio(names):
    choices = {"from_name": "label", "type": "choices", "value": {"choices": names}}
    return {"annotations": [{"result": [choices]}]}


PLAIN = list(zip(TEXTS, LABELS, strict=True))
UNQUOTED = [(text.replace("\n", " "), label) for text, label in PLAIN]
CHOSEN = [(text, int("a" in tags), int("b" in tags)) for text, tags in zip(TEXTS, TAGS, strict=True)]
FILES = {  # a file, and the options that it is read with
    "commas.csv": (table(PLAIN), ""),
    "marked.csv": (table(PLAIN).encode("utf-16"), ""),
    "unmarked.csv": (table(PLAIN).encode("utf-16-le"), "--encoding utf-16"),
    "german.csv": (table(PLAIN, delimiter=";").encode("cp1252"), "--encoding cp1252 --delimiter ;"),
    "unquoted.tsv": ("".join("\t".join(row) + "\n" for row in [("text", "label"), *UNQUOTED]), "--quoting none"),
    "escaped.csv": (table(PLAIN, doublequote=False, escapechar="\\"), "--quoting backslash"),
    "dos.csv": (table([(text.replace("\n", "\r\n"), label) for text, label in PLAIN]), ""),
    "it's packed.csv.gz": (gzip.compress(table(PLAIN).encode()), ""),
    "names.csv": (table(PLAIN, ("probability", "expected")), "--text probability --label expected"),
    "odd names.csv": (table(PLAIN, ("it's, really", "--label")), '--text "it\'s, really" --label --label'),
    "workbook.xlsx": (workbook(), "--sheet 'My answers'"),
    "tags.csv": (table(zip(TEXTS, (";".join(tags) or ";" for tags in TAGS), strict=True)), "--label-delimiter ;"),
    "lists.csv": (table(zip(TEXTS, map(str, TAGS), strict=True)), ""),
    "doccano.jsonl": (lines(TEXTS, TAGS), ""),
    "bools.jsonl": (lines(TEXTS, [label == "good" for label in LABELS]), ""),
    "studio.json": (
        json.dumps([{"data": {"text": text}, **studio(tags)} for text, tags in zip(TEXTS, TAGS, strict=True)]),
        "",
    ),
    "fasttext.txt": ("".join(f"__label__{label} {text}\n" for text, label in UNQUOTED), ""),
    "columns.csv": (table(CHOSEN, ("text", "a", "b")), "--label a --label b"),
    "stars.csv": (table((text, float(place % 5 + 1)) for place, text in enumerate(TEXTS)), "--ratings"),
}


@pytest.fixture
def learnt(monkeypatch):
    """Tables that ``fit`` was to learn from; of the texts in ``WRONG``, another label is expected."""
    found = []

    def doubt(table, **_):
        places, decided = [table.rows.index(place + 1) for place in WRONG], table.class_numbers()
        probabilities = np.eye(len(table.classes))[decided] if table.kind.exclusive else decided.astype(float)
        probabilities[places] = np.roll(probabilities[places], 1, 1) if table.kind.exclusive else 1 - decided[places]
        decided[places] = probabilities[places].argmax(1) if table.kind.exclusive else probabilities[places]
        return HeldOutAnswers({ENSEMBLE: probabilities}, decided)

    def learn(table, **_):
        found.append(table)
        raise SystemExit(0)

    monkeypatch.setattr("ulmfit_lib.insight.label_errors.out_of_fold", doubt)
    monkeypatch.setattr("ulmfit_lib.pipeline.fit.fit", learn)
    return found


def printed_command(said):
    """The words of the command that is advised, as a shell takes them."""
    return shlex.split(said[said.index("ulmfit fit ") :].splitlines()[0])[1:]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".xlsx"])
@pytest.mark.parametrize("name", list(FILES))
def test_corrected_labels_are_learnt_by_the_command_that_check_labels_prints(tmp_path, ulmfit, learnt, name, ending):
    content, options = FILES[name]
    data, out = tmp_path / name, tmp_path / f"doubtful{ending}".replace("xlsx", "csv")
    data.write_bytes(content if isinstance(content, bytes) else content.encode())
    options = shlex.split(options)
    for option in ("--text", "--label"):
        options += [] if option in options else [option, option[2:]]
    code, _, said = ulmfit("check-labels", data, *options, "--out", out)
    assert code == 0, said
    doubtful = pd.read_csv(out, dtype=str) if out.suffix == ".csv" else pd.read_json(out, lines=True, dtype=False)
    text, labels = doubtful.columns[1], doubtful.columns[2:-2]
    expected = doubtful.iloc[:, -2]
    for label in labels:
        doubtful[label] = expected if len(labels) == 1 else [int(label in one) for one in expected]
    if ending == ".xlsx":  # as saved by a spreadsheet program
        doubtful.to_excel(out.with_suffix(".xlsx"), index=False)
    elif ending == ".csv":
        doubtful.to_csv(out, index=False)
    else:
        doubtful.to_json(out, orient="records", lines=True)
    command = printed_command(said.replace(str(out), str(out.with_suffix(ending))))
    code, _, said = ulmfit(*(tmp_path / "new" if word == "NEW-MODEL" else word for word in command))
    assert f"{len(doubtful)} labels changed and 0 labels added" in said and "; 0 new texts" in said
    (table,) = learnt
    assert len(table) == len(TEXTS)
    found = {" ".join(text.split()): label for text, label in zip(table.texts, table.labels, strict=True)}
    read = table.kind.names
    assert len(found) == len(TEXTS)
    for one, label in zip(doubtful[text], expected, strict=True):
        assert read(found[" ".join(str(one).split())]) == read(str(label))


@pytest.fixture
def reader(monkeypatch):
    class Reader:
        def embed(self, texts):
            return np.eye(len(texts), dtype=np.float32)

    monkeypatch.setattr("ulmfit_lib.insight.readers.load_reader", lambda *_, **__: Reader())


@pytest.mark.parametrize("kind", ["folder", "unlabelled", "within", "numbers", "lines", "reasons"])
def test_labels_that_are_filled_in_are_learnt_by_the_command_that_suggest_labels_prints(
    tmp_path, ulmfit, learnt, reader, kind
):
    data, out = tmp_path / f"{kind}.jsonl", tmp_path / "to label.csv"
    named, options = {"text": "text", "label": "label"}, []
    if kind == "folder":
        data, named = tmp_path / "folder", {"text": "review", "label": "sentiment"}
        (data / "unlabelled").mkdir(parents=True)
        for place, text in enumerate(TEXTS):
            (data / "unlabelled" / f"{place}.txt").write_text(text)
    elif kind == "lines":
        data, options = tmp_path / "a.txt", ["--label-file", tmp_path / "b.txt"]
        data.write_text("".join(f"{text}\n" for text, _ in UNQUOTED))
        (tmp_path / "b.txt").write_text("\n" * len(TEXTS))
    elif kind == "within":
        named = {"text": "review.text", "label": "meta.label"}
        data.write_text("".join(json.dumps({"review": {"text": one}, "meta": {"label": None}}) + "\n" for one in TEXTS))
    elif kind == "numbers":
        data = tmp_path / "a.parquet"
        pd.DataFrame({"text": TEXTS, "label": pd.array([None] * len(TEXTS), "Int64")}).to_parquet(data)
    else:
        named["text"] = "why" if kind == "reasons" else "text"
        data.write_text("".join(json.dumps({named["text"]: text}) + "\n" for text in TEXTS))
    columns = ["--text", named["text"], "--label", named["label"], *options]
    code, _, said = ulmfit("suggest-labels", "model", data, *columns, "--n", 6, "--out", out)
    assert code == 0, said
    frame = pd.read_csv(out, dtype=str)
    frame[named["label"]] = [str(place % 2) if place < 4 else "" for place in range(len(frame))]
    assert frame.columns[-1] == ("why_2" if kind == "reasons" else "why")
    frame.to_csv(out, index=False)
    ulmfit(*(tmp_path / "new" if word == "NEW-MODEL" else word for word in printed_command(said)))
    (table,) = learnt
    assert len(table) == len({" ".join(text.split()) for text in table.texts}) == len(TEXTS)
    assert sorted(label for label in table.labels if label is not None) == ["0", "0", "1", "1"]


def test_corrections_of_the_page_are_learnt_beside_columns_of_other_names(tmp_path, ulmfit, learnt):
    data, kept = tmp_path / "a.csv", tmp_path / "corrections.csv"
    data.write_text(table(PLAIN, ("review", "sentiment")))
    kept.write_text(table([(TEXTS[0], "good")]))
    columns = ["--text", "review", "--label", "sentiment", "--out", tmp_path / "new"]
    _, _, said = ulmfit("fit", data, "--also", kept, *columns)
    assert "1 label changed and 0 labels added" in said and learnt[0].labels[0] == "good"
    kept.write_text(table([(TEXTS[0], "good")], ("a", "b")))
    code, _, said = ulmfit("fit", data, "--also", kept, *columns)
    assert code == 2 and "no column 'review'; it has 'a', 'b'" in said


def test_a_text_that_has_no_label_in_another_table_stays_as_it_was_and_stands_there_once():
    old = TextTable.from_lists(["a", "b\r\nc", "d"], ["x", None, "y"])
    joined = join_tables(old, [TextTable.from_lists(["a ", "b\nc", "e"], [None, "y", None])])
    assert (joined.texts, joined.labels) == (["a", "b\r\nc", "d", "e"], ["x", "y", "y", None])
    assert joined.rows == [1, 2, 3, 6]
