"""Labels that are not one class a text: ratings, and several labels."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ulmfit_lib import TextClassifier, TextTable
from ulmfit_lib.data.label_checks import check_file_labels
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.evaluation.metrics import score_ratings, score_tags
from ulmfit_lib.labels.links import softmax
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.pipeline.deciding import Goal, learn_rule
from ulmfit_lib.serving.stored_classifier import rule_from_config
from ulmfit_lib.training.regression import solve
from ulmfit_lib.training.tfidf import fit_tfidf

LABELS = ["--text", "review", "--label", "stars"]
WORDS = {1: "terrible", 2: "dull", 3: "fine", 4: "good", 5: "great"}


def starred(n, start=0):
    stars = [(i, i % 5 + 1) for i in range(start, start + n)]
    return [(f"number {i} : {WORDS[k]} , really {WORDS[k]}", k) for i, k in stars]


@pytest.mark.slow
def test_ratings_are_learnt_predicted_and_scored(ulmfit, lm_folder, write_csv, tmp_path):
    header = ("review", "stars")
    train = write_csv([*starred(100), ("no label", "")], "train.csv", header)
    test = write_csv(starred(30, 100), "test.csv", header)
    out = tmp_path / "model"
    code, stdout, _ = ulmfit(
        "fit", train, *LABELS, "--ratings", "--base", lm_folder, "--lm-epochs", 1, "--out", out, "--json"
    )
    report = json.loads(stdout)
    assert code == 0 and "off by" in report["sentence"] and "rank correlation" in report["sentence"]
    assert report["ratings"]["delivered"]["mean_absolute_error"] < report["median_off_by"]
    code, stdout, _ = ulmfit("evaluate", out, test, *LABELS, "--json")
    scores = json.loads(stdout)
    assert code == 0 and scores["n"] == 30 and scores["mean_absolute_error"] < 0.6 and scores["spearman"] > 0.8
    assert scores["parts"]["baseline"]["mean_absolute_error"] < 0.6
    assert "rank correlation" in ulmfit("evaluate", out, test, *LABELS)[1]
    assert ulmfit("predict", out, test, "--text", "review", "--out", tmp_path / "out.csv")[0] == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert np.abs(found["prediction"] - found["stars"]).mean() == pytest.approx(scores["mean_absolute_error"], abs=1e-3)
    code, _, stderr = ulmfit("predict", out, test, "--text", "review", "--min-precision", "0.9")
    assert code == 2 and "one class a text" in stderr


@pytest.mark.slow
def test_ratings_by_folds_and_by_fine_tuning(ulmfit, lm_folder, write_csv, tmp_path):
    train = write_csv(starred(60), "train.csv", ("review", "stars"))
    arguments = [train, *LABELS, "--ratings", "--base", lm_folder, "--lm-epochs", 1, "--direction", "forward"]
    code, stdout, _ = ulmfit("fit", *arguments, "--folds", 2, "--json", "--out", tmp_path / "folds")
    assert code == 0 and json.loads(stdout)["ratings"]["delivered"]["n"] == 60
    arguments = [train, *LABELS, "--ratings", "--lm", lm_folder, "--epochs", 1, "--direction", "forward"]
    assert ulmfit("fit-classifier", *arguments, "--out", tmp_path / "tuned")[0] == 0
    classifier = TextClassifier.load(tmp_path / "tuned")
    assert classifier.kind.values == (1, 2, 3, 4, 5)
    assert classifier.predict_ratings(["great , really great"]) > classifier.predict_ratings(["terrible , terrible"])
    assert float(classifier.predict(["great"])[0]) == round(classifier.predict_ratings(["great"])[0])


def test_one_of_few_numbers_is_said_and_of_ranges_the_mean():
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 6, 300)
    stars = TextTable.from_lists([f"t{i}" for i in range(300)], [str(one) for one in truth]).with_kind(Ratings())
    kind = Ratings().learnt_from(stars)
    shy = softmax(-0.4 * np.abs(np.arange(1, 6) - (truth + rng.normal(0, 0.5, 300))[:, None]))  # too near the mean
    targets = stars.class_numbers()
    rule = learn_rule(shy, targets, kind, Goal())
    said = {"mean": kind.expected(shy), "nearest": kind.said(shy), "cuts": kind.said(shy, rule)}
    errors = {name: np.abs(one - truth).mean() for name, one in said.items()}
    assert errors["cuts"] < errors["nearest"] < errors["mean"] and rule.stable > 0.8
    assert kind.decode(shy[:1], stars.classes, rule=rule) == [stars.classes[kind.decide(shy[:1], rule)[0]]]
    assert kind.score(shy, truth, stars.classes, decided=kind.decide(shy, rule)).mean_absolute_error == errors["cuts"]
    accurate = learn_rule(shy, targets, kind, Goal("accuracy"))
    assert (kind.decide(shy, accurate) == targets).mean() >= (kind.decide(shy) == targets).mean()
    ranges = Ratings(kind.values)
    assert ranges.decode(shy[:1], stars.classes, rule=rule) == [f"{kind.expected(shy[:1])[0]:.4g}"]
    for cuts, wrong in (([1.0], "between each two"), ([4.0, 3.0, 2.0, 1.0], "must rise")):
        with pytest.raises(ArtifactError, match=wrong):
            rule_from_config({"rule": {"goal": "auto", "cuts": cuts}}, Path("config.json"), 5)


def test_many_different_numbers_become_ranges():
    numbers = np.random.default_rng(0).gamma(2, 10, 200).round(2)
    table = TextTable.from_lists([f"t{i}" for i in range(200)], [str(number) for number in numbers])
    table = table.with_kind(Ratings())
    sizes = np.unique(table.labels, return_counts=True)[1]
    assert len(sizes) == 10 and sizes.min() >= 15
    means = Ratings().learnt_from(table).values
    assert min(means) > numbers.min() and max(means) < numbers.max()
    few = TextTable.from_lists(list("abcdef"), ["1.5", "2", "2", None, "7", "9"]).with_kind(Ratings())
    assert few.numbers == [1.5, 2, 2, None, 7, 9] and few.labels[3] is None


@pytest.mark.parametrize("label", ["good", "nan", "1e999", "٣ of 5"])
def test_a_label_that_is_no_number_is_named(label):
    with pytest.raises(DataError, match="row 2 has the label"):
        TextTable.from_lists(["a", "b"], ["3", label]).with_kind(Ratings())


def test_a_classifier_of_classes_gives_no_ratings(tiny_classifier):
    with pytest.raises(OptionError, match="--ratings"):
        tiny_classifier.predict_ratings(["a"])


def test_scores_of_ratings():
    scores = score_ratings(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 9.0]))
    assert scores.mean_absolute_error == 2 and scores.spearman == pytest.approx(1)
    assert score_ratings(np.ones(3), np.arange(3.0)).spearman == 0


TOPICS = {"price": "cheap", "staff": "waiter", "view": "window"}
TAGGED = ["--text", "review", "--label", "topics"]


def tagged(n, start=0):
    rows = []
    for i in range(start, start + n):
        chosen = [tag for bit, tag in enumerate(TOPICS) if i >> bit & 1]
        words = " and ".join(f"the {TOPICS[tag]} {TOPICS[tag]}" for tag in chosen) or "nothing at all"
        rows.append((f"number {i} : we spoke of {words}", " ; ".join(chosen) or ";"))
    return rows


@pytest.mark.slow
def test_several_labels_are_learnt_predicted_and_scored(ulmfit, lm_folder, write_csv, tmp_path):
    header = ("review", "topics")
    train = write_csv([*tagged(120), ("no label", "")], "train.csv", header)
    test = write_csv(tagged(32, 120), "test.csv", header)
    out = tmp_path / "model"
    arguments = [train, *TAGGED, "--label-delimiter", ";", "--base", lm_folder, "--lm-epochs", 1]
    code, stdout, _ = ulmfit("fit", *arguments, "--out", out, "--json")
    report = json.loads(stdout)
    assert code == 0 and "micro F1" in report["sentence"] and report["tags"]["delivered"]["n"] == 120
    code, stdout, _ = ulmfit("evaluate", out, test, *TAGGED, "--json")
    scores = json.loads(stdout)
    assert code == 0 and scores["n"] == 32 and scores["micro_f1"] > 0.9 and set(scores["f1"]) == set(TOPICS)
    assert scores["parts"]["ulmfit"]["micro_f1"] > 0.7
    assert "all labels correct" in ulmfit("evaluate", out, test, *TAGGED)[1]
    assert ulmfit("predict", out, test, "--text", "review", "--out", tmp_path / "out.csv")[0] == 0
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    exact = np.mean(
        [
            set(a.split(";")) - {""} == {t.strip() for t in b.split(";")} - {""}
            for a, b in zip(found["prediction"], found["topics"], strict=True)
        ]
    )
    assert exact == pytest.approx(scores["exact"])
    classifier = TextClassifier.load(out)
    assert classifier.predict(["number 7 : we spoke of the cheap cheap and the waiter waiter"]) == ["price;staff"]
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "label_delimiter": 7}))
    with pytest.raises(ArtifactError, match="label_delimiter 7"):
        TextClassifier.load(out)


@pytest.mark.slow
def test_several_labels_by_folds_and_by_fine_tuning(ulmfit, lm_folder, write_csv, tmp_path):
    train = write_csv(tagged(64), "train.csv", ("review", "topics"))
    arguments = [train, *TAGGED, "--label-delimiter", ";", "--direction", "forward"]
    few = ["--base", lm_folder, "--lm-epochs", 1, "--folds", 2, "--json", "--out", tmp_path / "folds"]
    code, stdout, _ = ulmfit("fit", *arguments, *few)
    assert code == 0 and json.loads(stdout)["tags"]["delivered"]["n"] == 64
    tuned = ["--lm", lm_folder, "--epochs", 1, "--class-weights", "balanced", "--out", tmp_path / "tuned"]
    assert ulmfit("fit-classifier", *arguments, *tuned)[0] == 0
    classifier = TextClassifier.load(tmp_path / "tuned")
    first, second = classifier.predict_proba(["the cheap cheap", "the window window"])
    assert first[0] > second[0] and second[2] > first[2]


def test_a_table_of_several_labels():
    table = TextTable.from_lists(["t1", "t2", "t3", "t4"], [" b;a;;b", "a", ";", None]).with_kind(Tags(";"))
    assert table.labels == ["a;b", "a", "", None] and table.classes == ["a", "b"]
    assert table.labelled().class_numbers().tolist() == [[1, 1], [1, 0], [0, 0]]
    assert table.strata == ["b", "a", "", None]
    with pytest.raises(DataError, match="row 1 has the label 'b'; the classifier knows 'a'"):
        table.labelled().class_numbers(["a"])
    with pytest.raises(OptionError, match="delimiter"):
        table.with_kind(Tags("  "))


def test_a_label_seen_once_is_named_with_its_own_row():
    table = TextTable.from_lists([f"text {i}" for i in range(5)], ["cat", "cat", "dog", "dog", "a"])
    with pytest.raises(DataError, match="'a' occurs once, in row 5"):
        check_file_labels(table)


def test_each_of_several_labels_has_a_regression_of_its_own():
    texts = [f"{'red' if i & 1 else 'blue'} {'big' if i & 2 else 'small'} thing {i}" for i in range(40)]
    targets = np.array([[i & 1, i >> 1 & 1, 1] for i in range(40)])
    baseline = fit_tfidf(texts, targets, kind=Tags(";"))
    found = baseline.predict_proba(["red big", "blue small"])
    assert (found[:, :2] > 0.5).tolist() == [[True, True], [False, False]] and found[:, 2].min() > 0.95
    alone = fit_tfidf(texts, targets[:, 0]).predict_proba(["red big", "blue small"])
    np.testing.assert_allclose(found[:, 0], alone[:, 1])
    weights, _ = solve(np.ones((4, 3)), np.array([[0], [0], [0], [0]]), c=1)
    assert not weights.any()


def test_scores_of_several_labels():
    scores = score_tags(np.array([[0.9, 0.1], [0.6, 0.7]]), np.array([[1, 0], [0, 1]]), ["a", "b"])
    assert scores.exact == 0.5 and scores.f1 == {"a": pytest.approx(2 / 3), "b": 1.0}
    assert scores.micro_f1 == pytest.approx(0.8) and scores.macro_f1 == pytest.approx(5 / 6)
