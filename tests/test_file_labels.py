"""What the cells of files say of labels: names, lists of them, columns of yes and no, and words for nothing."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ulmfit_lib import TextTable
from ulmfit_lib.data.joining import join_tables
from ulmfit_lib.data.label_checks import check_file_labels, mention_odd_labels
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.errors import DataError
from ulmfit_lib.insight.label_checks import check_spelling
from ulmfit_lib.insight.label_errors import suspect
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.rows.labels import label_of

TAGS = [["bad", "food"], ["good"], [], None]
TEXTS = ["Cold soup", "Warm rooms", "We came on Friday", "Not read yet"]
SETTLED = ["bad;food", "good", "", None]


def table_of(path, cells):
    return pd.DataFrame({"text": TEXTS, "topics": cells}).to_csv(path, index=False)


@pytest.mark.parametrize(
    "as_text",
    [
        repr,
        json.dumps,
        lambda names: str(np.array(names, dtype=object)),
        lambda names: f"[{', '.join(names)}]",
        lambda names: repr(tuple(names)),
        lambda names: json.dumps({"choices": names}),
        lambda names: json.dumps({name: float(name in names) for name in ("bad", "food", "good")}),
    ],
)
@pytest.mark.parametrize("delimiter", [None, ";"])
def test_a_list_in_a_cell_is_tags_however_it_is_written(tmp_path, as_text, delimiter):
    table_of(tmp_path / "a.csv", [None if names is None else as_text(names) for names in TAGS])
    table = read_table(tmp_path / "a.csv", text="text", label="topics", label_delimiter=delimiter)
    assert (table.labels, table.kind) == (SETTLED, Tags(";"))


def test_lists_in_parquet_json_and_python_are_tags(tmp_path):
    pq.write_table(pa.table({"text": TEXTS, "topics": TAGS}), tmp_path / "a.parquet")
    records = [{"text": text, "topics": names} for text, names in zip(TEXTS, TAGS, strict=True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for table in (
        read_table(tmp_path / "a.parquet", text="text", label="topics"),
        read_table(tmp_path / "a.jsonl", text="text", label="topics"),
        TextTable.from_lists(TEXTS, TAGS),
    ):
        assert (table.labels, table.kind) == (SETTLED, Tags(";"))


def test_lists_of_one_are_classes_and_a_classifier_of_tags_reads_them_as_tags(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": ["x"]}\n{"text": "b", "label": []}\n')
    table = read_table(tmp_path / "a.jsonl", text="text", label="label")
    assert (table.labels, table.kind) == (["x", None], Classes())
    assert table.with_kind(Tags("|")).labels == ["x", None]


def test_tags_are_joined_by_a_delimiter_that_none_of_them_holds():
    table = TextTable.from_lists(["a", "b"], [["x;y", "z"], ["z"]])
    assert table.kind == Tags("|") and table.labels == ["x;y|z", "z"]
    with pytest.raises(DataError, match="row 1: the label 'x;y' holds the label delimiter ';'"):
        table.with_kind(Tags(";"))
    with pytest.raises(DataError, match=r"row 1 has 2 labels, .* only tags allow several"):
        table.with_kind(Classes())


def test_several_columns_of_yes_and_no_are_tags(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,bad,food,good\na,1,1,0\nb,0.0,False,x\nc,0,0,0\nd,,,\n")
    table = read_table(path, text="text", label=["bad", "food", "good"])
    assert (table.labels, table.kind) == (SETTLED, Tags(";"))
    path.write_text("text,bad,food\na,1,perhaps\n")
    with pytest.raises(DataError, match="row 1, column 'food': 'perhaps' is neither yes nor no"):
        read_table(path, text="text", label=["bad", "food"])


def test_spans_are_no_labels_of_a_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": [[0, 1, "NAME"]]}\n')
    with pytest.raises(DataError, match=r"row 1, column 'label': .* is no label of a whole text"):
        read_table(tmp_path / "a.jsonl", text="text", label="label")


@pytest.mark.parametrize("word", ["NA", "nan", "null", "NULL", "N/A", "<NA>"])
def test_words_for_nothing_are_no_class(tmp_path, word, capsys):
    table_of(tmp_path / "a.csv", ["good", "bad", word, ""])
    assert read_table(tmp_path / "a.csv", text="text", label="topics").labels == ["good", "bad", None, None]
    assert f"1 row with the label {word!r}" in capsys.readouterr().err


def test_whole_numbers_are_one_class_with_and_without_a_point(tmp_path):
    tables = []
    for name, cells in (("a", ["1.0", "0.0", "1.0", ""]), ("b", ["1", "0", "1", "0"])):
        table_of(tmp_path / f"{name}.csv", cells)
        tables.append(read_table(tmp_path / f"{name}.csv", text="text", label="topics"))
    assert [table.classes for table in tables] == [["0", "1"]] * 2
    assert tables[1].class_numbers(["0.0", "1.0"]).tolist() == [1, 0, 1, 0]  # as an older model calls them
    table_of(tmp_path / "c.csv", ["1.0", "1.5", "2.0", ""])
    assert read_table(tmp_path / "c.csv", text="text", label="topics").classes == ["1.0", "1.5", "2.0"]


def test_labels_that_look_alike_or_may_be_ratings_are_mentioned(capsys):
    table = TextTable.from_lists([f"text {i}" for i in range(6)], ["Food", "food", "FOOD ", "bad", "bad", None])
    mention_odd_labels(table)
    assert "'FOOD' and 'Food' and 'food' are different classes and look alike" in capsys.readouterr().err
    assert check_spelling(table).cause == "classes alike"
    mention_odd_labels(TextTable.from_lists(list("abcdef"), ["1", "2", "3"] * 2))
    assert "--ratings" in capsys.readouterr().err
    mention_odd_labels(TextTable.from_lists(list("abcdef"), ["0", "1"] * 3))
    assert not capsys.readouterr().err
    mention_odd_labels(TextTable.from_lists(list("abcd"), ["sure", "unsure"] * 2))
    assert "a class is called 'unsure'" in capsys.readouterr().err


def test_a_label_that_may_be_a_slip_is_refused_at_the_file_and_not_in_a_part_of_it():
    table = TextTable.from_lists([f"text {i}" for i in range(9)], ["a"] * 4 + ["b"] * 4 + ["odd"])
    with pytest.raises(DataError, match="'odd' occurs once, in row 9; correct it"):
        check_file_labels(table)
    check_file_labels(TextTable.from_lists(["text 1", "text 2"], [["a", "odd"], ["a"]]))
    train, _ = table.split()
    assert "odd" in train.labels


def test_doubtful_tags_and_ratings_are_found_in_the_form_of_the_file():
    tags = TextTable.from_lists(["a", "b", "c"], ["x;y", "x", "y"]).with_kind(Tags(";"))
    found = suspect(tags, said := np.array([[0.9, 0.8], [0.2, 0.9], [0.1, 0.4]]), tags.kind.decide(said))
    assert [(one.row, one.label, one.expected) for one in found] == [(2, "x", "y"), (3, "y", "")]
    assert found[0].probability == pytest.approx(0.1)
    stars = TextTable.from_lists(list("abcdef"), ["1", "3", "5"] * 2).with_kind(Ratings())
    near = np.array([[0.9, 0.1, 0], [0, 0.4, 0.6], [1, 0, 0], *np.eye(3)])
    doubted = suspect(stars, near, Ratings().learnt_from(stars).decide(near))
    assert [(one.row, one.label, one.expected) for one in doubted] == [(3, "5", "1"), (2, "3", "5")]


def test_tags_of_one_file_are_joined_with_those_of_another():
    first, second = TextTable.from_lists(["a"], [["x", "y"]]), TextTable.from_lists(["b"], ["y"])
    joined = join_tables(first, [second])
    assert (joined.labels, joined.kind) == (["x;y", "y"], Tags(";"))


def test_a_span_or_a_category_without_a_number_is_told_apart():
    assert label_of({"good": 1, "bad": 0}) == ("good",)
    with pytest.raises(DataError, match="categories are numbers"):
        label_of({"good": "yes"})
