"""The comparison with peers (benchmarks/peers.py) in its tiny form: made-up texts, a made-up teacher, no training."""

import argparse
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
WORDS = {"good": ["fine", "lovely", "splendid"], "bad": ["awful", "dull", "poor"], "odd": ["weird", "strange", "queer"]}


class Teacher:
    """Gives each text a vector of its first word, and counts the texts."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], prompt: str, **_: Any) -> np.ndarray:
        self.encoded += texts
        seeds = [int(hashlib.sha256((prompt + text.split()[0]).encode()).hexdigest()[:8], 16) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds])


class Delivered:
    """Stands for what `fit` makes: it knows one answer."""

    def __init__(self, table: TextTable) -> None:
        self.classes = table.classes

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        return np.full((len(texts), len(self.classes)), 0.4)

    def predict(self, texts: Sequence[str]) -> list[str]:
        return [self.classes[0]] * len(texts)


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    return peers


@pytest.fixture
def teacher(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Teacher:
    import encoded_texts

    made_up = Teacher()
    monkeypatch.setattr(encoded_texts, "load_teacher", lambda source: made_up)
    return made_up


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A set of three classes and one of tags."""
    rng = np.random.default_rng(0)
    labels = rng.choice(list(WORDS), 60).tolist()
    tags = [";".join(sorted(rng.choice(list(WORDS), rng.integers(1, 3), replace=False))) for _ in range(60)]
    for name, some in {"classes": labels, "tags": tags}.items():
        texts = [
            " ".join([*(rng.choice(WORDS[one]) for one in label.split(";")), str(i)]) for i, label in enumerate(some)
        ]
        write_set(tmp_path / "sets" / name, texts, some)
    return tmp_path / "sets"


def write_set(folder: Path, texts: Sequence[str], labels: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    rows = list(zip(texts, labels, strict=True))
    for part, some in {"train": rows[::2], "test": rows[1::2]}.items():
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *some])


def options(
    sets: Path, *peers: str, labels: Sequence[int] = (20,), draws: int = 2, **others: Any
) -> argparse.Namespace:
    defaults = {
        "names": None,
        "each": (),
        "test_rows": None,
        "teachers": [],
        "finished": False,
        "work": sets.parent / "work",
    }
    return argparse.Namespace(sets=sets, peers=peers, labels=labels, draws=draws, **{**defaults, **others})


def test_draws_are_those_of_pandas_and_nested(peers: ModuleType, sets: Path) -> None:
    one = peers.LabelledSet.read(sets / "classes")
    frame = pd.DataFrame({"text": one.train.texts})
    few, many = one.draw(10, 1), one.draw(25, 1)
    assert few.texts == frame["text"].sample(10, random_state=1).tolist()
    assert many.texts[:10] == few.texts


def test_draws_of_many_classes_start_with_ten_rows_of_each(peers: ModuleType, tmp_path: Path) -> None:
    labels = sorted(f"class {i % 14:02}" for i in range(600))
    write_set(tmp_path / "many", [f"text {i}" for i in range(600)], labels)
    one = peers.LabelledSet.read(tmp_path / "many")
    few, many = one.draw(100, 0), one.draw(200, 0)
    assert set(Counter(few.labels).values()) == {10}
    assert len(many) == len(set(many.texts)) == 200
    assert many.texts[:140] == few.texts


def test_so_many_rows_of_each_class_are_drawn_apart_from_those_at_random(peers: ModuleType, sets: Path) -> None:
    asked = options(sets, "tfidf", labels=[20], each=[6], draws=1, test_rows=5)
    cells, complete = peers.measure(asked)
    one = peers.LabelledSet.read(sets / "classes")
    assert complete
    assert set(Counter(one.draw_of_each(6, 0).labels).values()) == {6}
    assert {(cell["set"], cell["labels"]) for cell in cells} == {("classes", 20), ("classes", "6 each"), ("tags", 20)}
    assert f"| classes | {6 * len(one.class_sizes)} |" in peers.markdown(peers.summary(cells), "accuracy", "Accuracy")


@pytest.mark.slow
def test_every_peer_learns_classes_and_tags(
    peers: ModuleType, teacher: Teacher, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peer_classifiers

    monkeypatch.setattr(peer_classifiers, "fit", Delivered)
    cells, complete = peers.measure(options(sets, "tfidf", "e5", "delivered-old"))
    assert complete
    assert {(cell["set"], cell["draw"], cell["peer"]) for cell in cells} == {
        (name, draw, peer)
        for name in ("classes", "tags")
        for draw in (0, 1)
        for peer in ("tfidf-cv", "tfidf-c10", "e5-cv", "e5-c10", "delivered-old")
    }
    accuracy = {(row["set"], row["peer"]): row["accuracy"] for row in peers.summary(cells)}
    assert accuracy["classes", "tfidf-cv"] > 90 > 50 > accuracy["classes", "delivered-old"]


def test_what_is_finished_is_neither_encoded_nor_measured_again(
    peers: ModuleType, teacher: Teacher, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = peers.measure(options(sets, "minilm", names=["classes"], draws=1))
    assert len(teacher.encoded) == len(set(teacher.encoded))
    before = set(teacher.encoded)
    again, _ = peers.measure(options(sets, "minilm", names=["classes"], draws=2))
    assert [cell for cell in again if cell["draw"] == 0] == first
    assert len(teacher.encoded) == len(set(teacher.encoded)) > len(before)

    monkeypatch.setattr(peers, "measure_cell", None)  # nothing is measured
    assert peers.measure(options(sets, "minilm", names=["classes"], draws=2)) == (again, True)


def test_only_rows_that_are_drawn_or_tested_are_encoded(peers: ModuleType, teacher: Teacher, sets: Path) -> None:
    peers.measure(options(sets, "mpnet", names=["tags"], labels=[8], draws=1, test_rows=5))
    assert len(teacher.encoded) == 8 + 5


def test_a_peer_that_fails_leaves_the_others_their_cells(
    peers: ModuleType, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import peer_classifiers

    def refuse(table: TextTable) -> None:
        raise DataError("these labels cannot be learnt")

    monkeypatch.setattr(peer_classifiers, "fit", refuse)
    cells, complete = peers.measure(options(sets, "delivered", "tfidf", names=["classes"], draws=1))
    assert not complete
    assert [cell["peer"] for cell in cells] == ["tfidf-cv", "tfidf-c10"]
    assert "these labels cannot be learnt" in capsys.readouterr().err


def test_an_interrupted_encoding_goes_on_after_the_last_chunk(
    peers: ModuleType, teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import encoded_texts

    monkeypatch.setattr(encoded_texts, "TEXTS_A_CHUNK", 4)
    texts = [f"{'long ' * i}text" for i in range(10)]
    encode = teacher.encode

    def interrupted(some: Sequence[str], **others: Any) -> np.ndarray:
        if teacher.encoded:
            raise KeyboardInterrupt
        return encode(some, **others)

    monkeypatch.setattr(teacher, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encoded_texts.EncodedTexts.open(tmp_path / "set.npz").add(texts, peers.TEACHERS["e5"], description="texts")
    monkeypatch.setattr(teacher, "encode", encode)
    kept = encoded_texts.EncodedTexts.open(tmp_path / "set.npz")
    kept.add(texts, peers.TEACHERS["e5"], description="texts")
    assert sorted(teacher.encoded) == sorted(texts)
    assert np.allclose(np.linalg.norm(kept[texts], axis=1), 1)


def test_tags_are_scored_by_exact_match_and_stars_by_distance(peers: ModuleType, tmp_path: Path) -> None:
    write_set(tmp_path / "tags", ["a", "b", "c", "d"], ["x;y", "x;y", "none", "none"])
    tags = peers.LabelledSet.read(tmp_path / "tags")
    scores = tags.score(["x", ""], np.array([[0.9, 0.4], [0.1, 0.2]]), ["x", "y"])
    assert (scores["accuracy"], scores["macro_f1"], scores["mean_average_precision"]) == (50, 50, 100)

    write_set(tmp_path / "stars", ["a", "b", "c", "d"], ["1 star", "1 star", "4 stars", "4 stars"])
    stars = peers.LabelledSet.read(tmp_path / "stars")
    scores = stars.score(["4 stars", "4 stars"], np.array([[0.2, 0.8], [0.2, 0.8]]), ["1 star", "4 stars"])
    assert (scores["accuracy"], scores["mean_absolute_error"]) == (50, 1.5)
    assert scores["log_loss"] == pytest.approx(-np.log([0.2, 0.8]).mean())


def test_the_table_has_a_row_for_each_set_and_a_column_for_each_peer(peers: ModuleType) -> None:
    cells = [
        {"labels": 100, "set": name, "rows": 100, "draw": draw, "peer": peer, "accuracy": 60.0 + draw, "seconds": 1.0}
        for name in ("first", "second")
        for draw in (0, 1)
        for peer in ("tfidf-cv", "delivered")
    ]
    table = peers.markdown(peers.summary(cells), "accuracy", "Accuracy")
    assert table.splitlines()[2:] == [
        "| set | labels | tfidf-cv | delivered |",
        "|---|---:|---:|---:|",
        "| first | 100 | 60.5 | 60.5 |",
        "| second | 100 | 60.5 | 60.5 |",
        "| mean of 2 sets | 100 | 60.5 | 60.5 |",
    ]


def test_missing_sets_columns_and_teachers_are_named(peers: ModuleType, sets: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no set 'absent'; it has classes, tags"):
        peers.measure(options(sets, "tfidf", names=["absent"]))
    with pytest.raises(OptionError, match="give PEER=FOLDER"):
        peers.measure(options(sets, "e5", teachers=["e5=nowhere"]))
    (sets / "classes" / "test.csv").write_text("text,tag\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test.csv: no column 'label'; it has 'text', 'tag'"):
        peers.measure(options(sets, "tfidf"))


def test_cells_are_plain_json(peers: ModuleType, sets: Path) -> None:
    peers.measure(options(sets, "tfidf", names=["tags"], draws=1))
    files = sorted((sets.parent / "work").rglob("*.json"))
    assert len(files) == 2
    assert json.loads(files[0].read_text(encoding="utf-8"))["set"] == "tags"


def test_decisions_are_measured_beside_logistic_regression(
    peers: ModuleType, teacher: Teacher, sets: Path, tiny_lm: Any
) -> None:
    import decisions

    tiny_lm.save(sets.parent / "lm")
    asked = argparse.Namespace(
        sets=sets,
        names=None,
        labels=[20],
        each=[5],
        draws=1,
        test_rows=None,
        base=str(sets.parent / "lm"),
        teachers=[f"minilm={sets}"],
        setfit=None,
        work=sets.parent / "work",
    )
    cells = decisions.measure(asked)
    methods = {"likeliest", "auto", "macro-f1", "tfidf", "own", "own-balanced", "minilm", "minilm-balanced"}
    drawn = {("classes", "20"), ("classes", "5 each"), ("tags", "20")}
    assert {(cell["set"], cell["draw"], cell["method"]) for cell in cells} == {(*d, m) for d in drawn for m in methods}
    accuracy = {(row["set"], row["draw"], row["method"]): row["accuracy"] for row in decisions.summary(cells)}
    assert accuracy["classes", "5 each", "minilm"] > 60  # the first word tells the class, where it is known
    covered = [cell["coverage"] for cell in cells if "coverage" in cell]
    assert len(covered) == 2 and all(0 <= share <= 100 for share in covered)
    assert decisions.measure(asked) == cells  # from what is kept
