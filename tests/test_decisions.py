"""Which label is said, given the probabilities."""

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from ulmfit_lib import TextClassifier, TextTable, fit
from ulmfit_lib.artifact.report import ENSEMBLE, StoredPredictions
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.evaluation.certainty import PredictionSets
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.labels.links import softmax
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.pipeline.deciding import Goal, find_goal, learn_rule
from ulmfit_lib.pipeline.out_of_fold import OutOfFoldPredictions
from ulmfit_lib.pipeline.report import report_on
from ulmfit_lib.reporting.scored import Scored
from ulmfit_lib.reporting.verdict import find_verdict
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.predictions import AddedColumns, RowLabeller
from ulmfit_lib.server.models import answer
from ulmfit_lib.training.classifying import ClassifierRecipe
from ulmfit_lib.training.heads import HeadConfig, fit_head, predict_by_config
from ulmfit_lib.training.recipes import find_recipe


def unbalanced(n=200, share=0.15, told=1.5, seed=0):
    """Calibrated probabilities of two classes, of which the second is rare and seldom the likelier one; the truth."""
    rng = np.random.default_rng(seed)
    targets = (rng.random(n) < share).astype(np.int64)
    evidence = rng.normal(targets * told, 1)  # its log likelihood ratio is linear
    odds = told * evidence - told**2 / 2 + np.log(share / (1 - share))
    return softmax(np.stack([np.zeros(n), odds], axis=1)), targets


def macro_f1(decided, targets):
    hits = [(decided == one) & (targets == one) for one in (0, 1)]
    return np.mean([2 * hit.sum() / ((decided == one).sum() + (targets == one).sum()) for one, hit in enumerate(hits)])


def test_a_rule_finds_more_of_a_rare_class_for_little_accuracy():
    probabilities, targets = unbalanced(told=1.0)
    rule = learn_rule(probabilities, targets, Classes(), Goal())
    new, truth = unbalanced(2000, told=1.0, seed=1)
    before, after = new.argmax(1), Classes().decide(new, rule)
    assert macro_f1(after, truth) > macro_f1(before, truth) + 0.03
    assert (after == truth).mean() > (before == truth).mean() - 0.03
    assert 0.5 < rule.stable <= 1


def test_each_goal_has_its_own_rule():
    probabilities, targets = unbalanced()
    rules = {name: learn_rule(probabilities, targets, Classes(), Goal(name)) for name in ("accuracy", "balanced")}
    assert rules["accuracy"].offsets == ()
    assert learn_rule(probabilities, targets, Ratings((1.0, 2.0)), Goal()).says_likeliest
    new, truth = unbalanced(2000, seed=1)
    found = {name: Classes().decide(new, rule)[truth == 1].mean() for name, rule in rules.items()}
    assert found["balanced"] > found["accuracy"] + 0.3
    dear = learn_rule(probabilities, targets, Classes(), Goal("cost", ((0.0, 1.0), (20.0, 0.0))))
    assert Classes().decide(new, dear)[truth == 1].mean() > 0.9


def test_no_class_alone_is_said_where_there_are_rows_enough_of_each():
    rng = np.random.default_rng(0)
    targets = (np.arange(100) < 10).astype(np.int64)
    nothing = softmax(np.stack([np.full(100, 2.2), rng.normal(0, 0.05, 100)], axis=1))
    rule = learn_rule(nothing, targets, Classes(), Goal())
    assert set(Classes().decide(nothing, rule)) == {0, 1}


def test_heads_that_hold_on_to_the_shares_are_corrected():
    probabilities, targets = unbalanced(told=2.5)
    shrunk = softmax(0.15 * np.log(probabilities) + np.log([0.75, 0.25]))  # ranks as well, and always says the first
    assert len(set(shrunk.argmax(1))) == 1
    blend = Blend.fit({"ulmfit": shrunk}, targets)
    corrected = blend.apply({"ulmfit": shrunk})
    assert (corrected.argmax(1) == targets).mean() > 0.9
    np.testing.assert_allclose(corrected.mean(0), [1 - targets.mean(), targets.mean()], atol=0.03)


def test_several_heads_count_and_the_row_that_is_scored_chooses_none_of_them():
    probabilities, targets = unbalanced()
    noise = softmax(np.random.default_rng(2).normal(size=(200, 2)))
    heads = {HeadConfig("layers", 0.1): probabilities, HeadConfig("layers", 1.0): noise}
    found = OutOfFoldPredictions(Classes(), np.arange(200), targets, np.arange(200) % 5, heads, {})
    assert set(found.head_weights()) == {HeadConfig("layers", 0.1)}
    held_out = found.held_out(Goal())
    turned = replace(found, targets=np.where(found.fold == 0, 1 - targets, targets)).held_out(Goal())
    first = found.fold == 0
    np.testing.assert_allclose(held_out.probabilities[ENSEMBLE][first], turned.probabilities[ENSEMBLE][first])
    np.testing.assert_array_equal(held_out.decided[first], turned.decided[first])
    assert set(held_out.decided) == {0, 1}


def test_of_few_rows_their_prior_says_which_heads_count():
    probabilities, targets = unbalanced(16)
    noise = softmax(np.random.default_rng(2).normal(size=(16, 2)))
    good, bad = HeadConfig("layers", 1.0, True), HeadConfig("named", 0.01, True)
    few = OutOfFoldPredictions(
        Classes(), np.arange(16), targets, np.arange(16) % 5, {good: probabilities, bad: noise}, {}
    )
    assert set(few.head_weights()) == {bad}
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 16, 400)
    assert set(few.among(rows).head_weights()) == {good}


def test_heads_of_classes_leave_their_shares_to_the_blend():
    rng = np.random.default_rng(0)
    targets = (np.arange(100) < 10).astype(np.int64)
    texts = {"forward": rng.normal(targets[:, None] * 0.5, 1, (100, 8)).astype(np.float32)}
    found = predict_by_config(texts, targets, texts, ClassifierRecipe(), kind=Classes())
    assert all(config.balanced for config in found)
    weak = found[HeadConfig("layers", 1e-3, True)]
    assert 0.4 < weak[:, 1].mean() < 0.6
    balanced = Blend.fit({"ulmfit": weak}, targets).apply({"ulmfit": weak})
    assert balanced[:, 1].mean() == pytest.approx(0.1, abs=0.05)
    tags = predict_by_config(texts, targets[:, None], texts, ClassifierRecipe(), kind=Tags(";"))
    assert not any(config.balanced for config in tags)
    fit = partial(fit_head, texts["forward"], targets, ClassifierRecipe(), kind=Classes(), seed=0)
    head = fit(mix={HeadConfig("layers", 1e-3, True): 1.0})
    np.testing.assert_allclose(softmax(head(torch.from_numpy(texts["forward"])).detach().numpy()), weak, atol=1e-4)
    with pytest.raises(OptionError, match="cannot see 'standardized'"):
        fit(mix={HeadConfig("standardized"): 1.0})


def test_texts_get_a_tag_where_every_row_has_one():
    rng = np.random.default_rng(0)
    truth = np.eye(3, dtype=np.int64)[rng.integers(0, 3, 60)]
    shy = np.clip(0.1 + 0.2 * truth + rng.normal(0, 0.03, truth.shape), 0.01, 0.99)  # all below 0.5
    rule = learn_rule(shy, truth, Tags(";"), Goal())
    assert not Tags(";").decide(shy).any()
    assert (Tags(";").decide(shy, rule) == truth).all(1).mean() > 0.9
    unlikely = np.full((1, 3), 0.01)
    assert Tags(";").decode(unlikely, ["a", "b", "c"], rule=rule) != [""]
    truth[0] = 0
    assert not learn_rule(shy, truth, Tags(";"), Goal()).at_least_one


def test_everything_that_predicts_follows_the_rule(tiny_classifier, fruit, tmp_path):
    texts = fruit.texts[:4]
    probabilities = tiny_classifier.predict_proba(texts)
    ruled = replace(tiny_classifier, rule=DecisionRule("balanced", (50.0, 0.0), stable=0.9))
    first = [ruled.classes[0]] * len(texts)
    ruled.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    assert loaded.rule == ruled.rule
    np.testing.assert_allclose(loaded.predict_proba(texts), probabilities, atol=1e-6)
    assert loaded.predict(texts) == first
    assert [one["label"] for one in answer(loaded, texts, None)] == first
    names = AddedColumns.beside(["text"], loaded.classes)
    rows = RowLabeller(loaded, names).label(Rows.of({"text": texts}), texts, probabilities)
    assert rows.column("prediction") == first
    np.testing.assert_allclose(rows.column("confidence"), probabilities[:, 0], atol=1e-5)
    assert loaded.explain(texts[0]).label == first[0]
    wrong = replace(ruled, rule=DecisionRule("balanced", (1.0,)))
    wrong.save(tmp_path / "wrong")
    with pytest.raises(ArtifactError, match="a number for each class"):
        TextClassifier.load(tmp_path / "wrong")


def test_a_goal_that_is_unknown_or_costs_that_do_not_fit_are_said(tmp_path):
    classes, kind = ["ham", "spam"], Classes()
    costs = tmp_path / "costs.csv"
    costs.write_text("label,predicted,cost\nspam,ham,5\n")
    assert find_goal(f"cost:{costs}", classes, kind).costs == ((0, 1), (5, 0))
    for name in ("f1", "cost", "cost:"):
        with pytest.raises(OptionError, match="known are auto, accuracy, macro-f1, balanced and cost:FILE"):
            find_goal(name, classes, kind)
    with pytest.raises(OptionError, match="one label a text"):
        find_goal(f"cost:{costs}", classes, Tags(";"))
    for row, said in (("egg,ham,1", "row 1 names the label 'egg'"), ("ham,spam,-1", "row 1 has the cost '-1'")):
        costs.write_text(f"label,predicted,cost\n{row}\n")
        with pytest.raises(DataError, match=said):
            find_goal(f"cost:{costs}", classes, kind)


def test_a_report_does_not_hide_that_one_class_is_always_said():
    rng = np.random.default_rng(0)
    labels = ["spam" if number < 12 else "ham" for number in range(100)]
    table = TextTable.from_lists([f"text number {number}" for number in range(100)], labels)
    targets, classes = table.class_numbers(), table.classes
    shy = softmax(np.stack([np.full(100, 2.0), targets + rng.normal(0, 0.3, 100)], axis=1))
    members = {ENSEMBLE: shy, "ulmfit": shy, "baseline": np.tile([0.88, 0.12], (100, 1))}
    blind = report_on(members, table, classes, learnt=table, folds=5)
    assert "It always answers with 'ham'." in blind.sentence and blind.ensemble.always == "ham"
    assert "Of the rarest class, 'spam', it finds 0 % of 12 rows" in blind.sentence
    assert blind.sentence.count("macro F1") == 1
    verdict = find_verdict(Scored(blind, ""), Classes())
    assert verdict.grade == "poor" and "It always answers with “ham”." in verdict.remarks
    seeing = Classes().decide(shy, DecisionRule("macro-f1", (-0.75, 0.75)))
    told = report_on(members, table, classes, learnt=table, decided=seeing, goal=Goal("macro-f1"))
    assert told.sentence.count("macro F1 it has") == 1 and "Its macro F1" not in told.sentence
    assert told.ensemble.always is None and told.goal.low > 0 and told.goal.likeliest == told.goal.baseline
    assert "The likeliest label of each row would have an accuracy of 88.0 % and a macro F1 of 0.47" in told.sentence
    verdict = find_verdict(Scored(told, ""), Classes())
    assert verdict.remarks[0].startswith("By macro F1, which its labels are chosen for, it is clearly")


def test_sets_hold_the_right_class_as_often_as_was_asked_for():
    probabilities, targets = unbalanced(400)
    new, truth = unbalanced(4000, seed=1)
    sharpened = np.asarray(new**2 / (new**2).sum(1, keepdims=True))  # coverage needs no calibration
    sets = PredictionSets.measure(probabilities**2 / (probabilities**2).sum(1, keepdims=True), targets, 0.9)
    inside = sets.contain(sharpened)
    assert 0.87 < inside[np.arange(4000), truth].mean() < 0.93
    rare = truth == 1
    assert inside[rare, 1].mean() < 0.7
    alike = PredictionSets.measure(probabilities, targets, 0.9, by_class=True).contain(new)
    assert 0.8 < alike[rare, 1].mean() < 0.97
    few = PredictionSets.measure(probabilities[:5], targets[:5], 0.9).contain(new)
    assert few.all()  # five rows cannot tell
    with pytest.raises(OptionError, match="between 0 and 1"):
        PredictionSets.measure(probabilities, targets, 90)


def test_predict_writes_sets(tiny_classifier, fruit, tmp_path, write_csv, ulmfit):
    with pytest.raises(OptionError, match="make it with `fit`"):
        tiny_classifier.predict_set(fruit.texts)
    probabilities = tiny_classifier.predict_proba(fruit.texts)
    kept = StoredPredictions(list(range(1, len(fruit) + 1)), fruit.class_numbers().tolist(), probabilities.tolist())
    report = report_on(tiny_classifier.probabilities(fruit.texts), fruit, fruit.classes, learnt=fruit)
    training = replace(tiny_classifier.training, report=replace(report, out_of_fold=kept))
    made = replace(tiny_classifier, training=training)
    made.save(tmp_path / "model")
    sets = made.predict_set(fruit.texts, coverage=0.99)
    assert np.mean([label in one for label, one in zip(fruit.labels, sets, strict=True)]) > 0.95
    file = write_csv([[text, "x"] for text in fruit.texts[:3]], header=("text", "label"))
    out, model = tmp_path / "out.csv", tmp_path / "model"
    assert ulmfit("predict", model, file, "--text", "text", "--sets", "0.99", "--out", out)[0] == 0
    with out.open() as written:
        assert [row["set"] for row in csv.DictReader(written)] == ["; ".join(one) for one in sets[:3]]
    code, _, said = ulmfit("predict", model, file, "--text", "text", "--by-class")
    assert code == 2 and "--by-class is for --sets" in said


def test_a_precision_is_reached_label_by_label(tiny_classifier, fruit, tmp_path, write_csv, ulmfit):
    new, truth = unbalanced(3000, told=2.5, seed=1)
    held_out, targets = unbalanced(1500, told=2.5)
    kept = StoredPredictions(list(range(1500)), targets.tolist(), held_out.tolist())
    report = report_on(tiny_classifier.probabilities(fruit.texts), fruit, fruit.classes, learnt=fruit)
    training = replace(tiny_classifier.training, report=replace(report, out_of_fold=kept))
    made = replace(tiny_classifier, training=training, rule=DecisionRule("macro-f1", (0.0, 1.0)))
    common, rare = made.classes
    limits = made.thresholds({rare: 0.9})
    said = np.array(made.decode(new, limits))
    assert limits[0] == 0 and (truth[said == rare] == 1).mean() > 0.88 and (said == rare).sum() > 100
    assert (truth[np.array(made.decode(new)) == rare] == 1).mean() < 0.85
    assert (said == common).sum() == (np.array(made.decode(new)) == common).sum()
    np.testing.assert_allclose(made.thresholds(0.9, by_class=True)[1], limits[1])
    assert made.thresholds({common: 0.9, rare: 0.9999})[1] == np.inf
    for asked, wrong in (
        ({"egg": 0.9}, "precision of 'egg'"),
        ({rare: 0.9999}, "are there enough"),
        ({rare: 2}, "0 and 1"),
    ):
        with pytest.raises(OptionError, match=wrong):
            made.thresholds(asked)
    made.save(tmp_path / "model")
    file, model = write_csv([[text] for text in fruit.texts], header=("text",)), tmp_path / "model"
    out, base = tmp_path / "out.csv", ("predict", model, file, "--text", "text")
    code, _, told = ulmfit(*base, "--min-precision", f"{rare}=0.9", "--out", out)
    with out.open() as written:
        found = [row["prediction"] for row in csv.DictReader(written)]
    assert code == 0 and f"{rare!r} is said from a confidence of" in told
    assert found == made.predict(fruit.texts, min_precision={rare: 0.9})
    assert [one["label"] for one in answer(made, fruit.texts, {rare: 0.9})] == found
    for given in (["much"], ["0.9", "--min-precision", f"{rare}=0.9"]):
        code, _, told = ulmfit(*base, "--min-precision", *given)
        assert code == 2 and "LABEL=0.95" in told


def test_the_gate_scores_what_is_said(tiny_classifier, fruit, tmp_path, write_csv, ulmfit):
    ruled = replace(tiny_classifier, rule=DecisionRule("balanced", (50.0, 0.0)))  # always the first class
    ruled.save(tmp_path / "model")
    file = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    limit = ("--text", "review", "--label", "sentiment", "--min-accuracy", "0", "--json")
    checks = json.loads(ulmfit("gate", tmp_path / "model", file, *limit)[1])["checks"]
    assert checks[0]["found"] == fruit.labels.count(ruled.classes[0]) / len(fruit)


def test_what_the_classes_are_called_helps_where_few_rows_have_a_label():
    rng = np.random.default_rng(0)
    apart = np.zeros((2, 16), np.float32)
    apart[:, 0] = (-1, 1)  # what the names say, and the texts mean

    def texts(n):
        targets = np.arange(n) % 2
        return {"forward": (apart[targets] + rng.normal(0, 1.5, (n, 16))).astype(np.float32)}, targets

    (few, targets), (many, truth) = texts(8), texts(1000)
    few, many = (
        {way: np.hstack([x, x[:, :2]]) for way, x in some.items()} for some in (few, many)
    )  # beside it, layers
    found = predict_by_config(
        few, targets, many, ClassifierRecipe(), kind=Classes(), distilled=16, names={"forward": apart}
    )
    right = {config: (p.argmax(1) == truth).mean() for config, p in found.items()}
    named, unnamed = HeadConfig("named", 0.01, True), HeadConfig("distilled", 0.01, True)
    assert right[named] > right[unnamed] + 0.05
    head = fit_head(
        few["forward"],
        targets,
        ClassifierRecipe(),
        kind=Classes(),
        seed=0,
        distilled=16,
        mix={named: 1.0},
        names=apart,
    )
    scores = head(torch.from_numpy(many["forward"])).detach().numpy()
    np.testing.assert_allclose(softmax(scores), found[named], atol=1e-4)


def test_a_description_of_no_label_and_one_without_words_are_said(write_csv, ulmfit, tmp_path):
    file = write_csv([["fine", "good"], ["lovely", "good"], ["awful", "bad"], ["dull", "bad"]])
    command = ("fit", file, "--text", "review", "--label", "sentiment", "--out", tmp_path / "model", "--describe")
    code, _, said = ulmfit(*command, "good")
    assert code == 2 and "write LABEL: WORDS" in said
    recipe = find_recipe("cpu").changed(descriptions={"odd": "strange"})
    table = TextTable.from_lists(["fine", "lovely", "awful", "dull"], ["good", "good", "bad", "bad"])
    with pytest.raises(OptionError, match="--describe odd: no such label; there are bad, good"):
        fit(table, base=tmp_path / "no such base", recipe=recipe)  # before any work
