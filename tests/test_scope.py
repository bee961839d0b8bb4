"""Texts that are like nothing that was labelled."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib import TextClassifier, TextTable, fit
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.linear.scope import Scope
from ulmfit_lib.server.models import answer
from ulmfit_lib.serving.predictor import Predictor


def vectors(numbers, spread=0.35, seed=0):
    """Around one axis for each number, of length 1."""
    found = np.eye(12)[numbers] + np.random.default_rng(seed).normal(0, spread, (len(numbers), 12))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_the_share_that_was_asked_for_is_kept_and_others_teach_what_is_outside():
    targets, new = np.arange(600) % 4, np.arange(4000) % 4
    labelled, kept = vectors(targets), vectors(new, seed=1)

    def between(n, seed):
        mixed = vectors(np.zeros(n, int), seed=seed) + vectors(np.full(n, 5), seed=seed + 1)
        return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)

    asked = between(500, 7)
    alone = Scope.fit(labelled, targets, labelled[:0])
    beside = Scope.fit(labelled, targets, np.concatenate([vectors(np.arange(200) % 4, seed=3), between(100, 5)]))
    alike = Scope.fit(labelled, targets, vectors(np.arange(300) % 4, seed=3))
    for scope in (alone, beside, alike):
        assert 0.93 < 1 - scope.outside(kept, 0.95).mean() < 0.98
    assert beside.weight > 0 and alike.weight == 0
    assert beside.outside(asked, 0.95).mean() > alone.outside(asked, 0.95).mean() + 0.2
    with pytest.raises(OptionError, match="must lie between 0 and 1"):
        alone.outside(kept, 95)


@pytest.fixture(scope="module")
def fruits(tiny_lm, fruit):
    """A classifier of the fruit reviews, with texts of other words apart."""
    odd = [f"number {i} is a gearbox that rattles" for i in range(24)]
    table = TextTable.from_lists([*fruit.texts, *odd], [*fruit.labels, *["other"] * len(odd)])
    return fit(table.set_apart("other"), base=tiny_lm, strategy="linear-probe", minutes=0.5), table


def test_examples_of_other_are_no_class_but_what_is_said_of_texts_like_them(fruits, tmp_path, write_csv, ulmfit):
    classifier, table = fruits
    assert classifier.classes == ["negative", "positive"] and classifier.scope.label == "other"
    said = np.array(classifier.predict(table.texts))
    apart = np.array(table.labels) == "other"
    assert (said[apart] == "other").mean() > 0.8 and (said[~apart] == "other").mean() < 0.15
    assert "Of the texts labelled 'other', which are no class of their own" in classifier.training.report.sentence
    classifier.save(tmp_path / "model", precision="int8")
    for loaded in (TextClassifier.load(tmp_path / "model"), Predictor.load(tmp_path / "model", threads=1)):
        assert (np.array(loaded.predict(table.texts)) == said).mean() > 0.97
        assert [one["label"] for one in answer(loaded, table.texts[:3], None)] == loaded.predict(table.texts[:3])
    file = write_csv(zip(table.texts, table.labels, strict=True), header=("text", "label"))
    base = (tmp_path / "model", file, "--text", "text")
    out = tmp_path / "out.csv"
    assert ulmfit("predict", *base, "--out", out)[0] == 0
    with out.open() as written:
        found = [row["prediction"] for row in csv.DictReader(written)]
    assert (np.array(found) == said).mean() > 0.97
    scores = json.loads(ulmfit("evaluate", *base, "--label", "label", "--json")[1])
    assert scores["n"] == (~apart).sum() and scores["scope"]["rows"] == 24 and scores["scope"]["found"] > 0.8
    code, told, _ = ulmfit("evaluate", *base, "--label", "label")
    assert code == 0 and "of 24 rows found" in told


def test_a_scope_must_have_been_measured_and_must_fit(fruits, tiny_classifier, tmp_path):
    classifier, table = fruits
    with pytest.raises(OptionError, match="`fit` measures that"):
        tiny_classifier.predict(table.texts, scope=0.95)
    with pytest.raises(OptionError, match="no row has the label 'odd'"):
        table.set_apart("odd")
    classifier.save(tmp_path / "model")
    wrong = replace(classifier, scope=replace(classifier.scope, weight=2.0))
    wrong.save(tmp_path / "wrong")
    with pytest.raises(ArtifactError, match="must lie between 0 and 1"):
        TextClassifier.load(tmp_path / "wrong")


def test_without_other_the_scope_is_asked_for(tiny_lm, fruit):
    classifier = fit(fruit, base=tiny_lm, strategy="linear-probe", minutes=0.5)
    odd = ["a gearbox that rattles , a clutch that slips"] * 2
    assert set(classifier.predict(odd)) <= set(classifier.classes)
    assert set(classifier.predict(odd, scope=0.5)) == {"none of these"}
    assert (np.array(classifier.predict(fruit.texts, scope=0.9)) == "none of these").mean() < 0.2


def test_after_contrastive_learning_held_out_texts_tell_how_near_new_ones_come(words_lm, fruit):
    odd = [f"number {i} is a gearbox that rattles" for i in range(24)]
    table = TextTable.from_lists([*fruit.texts, *odd], [*fruit.labels, *["other"] * len(odd)]).set_apart("other")
    classifier = fit(table, base=words_lm, strategy="contrast", minutes=0.5)
    kept = np.array(classifier.predict(fruit.texts)) != "other"
    assert kept.mean() > 0.85 and (np.array(classifier.predict(odd)) == "other").mean() > 0.8
    learnt = classifier.scope.scores(classifier.scope_vectors(classifier.features(fruit.texts)))
    assert np.median(classifier.scope.known) < np.median(learnt)  # which is nearer to its classes than new texts are
    asked = fit(fruit, base=words_lm, strategy="contrast", minutes=0.5)
    assert (np.array(asked.predict(fruit.texts, scope=0.9)) == "none of these").mean() < 0.2
