import os
import random
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ulmfit_lib import TextClassifier, TextTable, fit, fit_classifier, fit_lm
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.evaluation.metrics import calibration_error, score, wilson_interval
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.pipeline.experiment import Scoring
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.classifying import ClassifierRecipe
from ulmfit_lib.training.recipes import find_recipe
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import fit_tfidf

STORED = Path(__file__).parent / "data" / "version-2"
TEXTS = ["great film", "a terrible, terrible " + "long " * 200 + "film", "great " * 90, "x", "the film was terrible"]


@pytest.mark.parametrize("strategy", ["linear-probe", "fine-tune"])
@pytest.mark.parametrize("recipe", [CLASSIFY, replace(CLASSIFY, pooling="layers", head_hidden=0)])
def test_a_classifier_learns(tiny_lm, fruit, strategy, recipe):
    lm = fit_lm(fruit.texts, base=tiny_lm, epochs=2, lr=1e-2, run=Run(device="cpu"))
    recipe = replace(recipe, lr=5e-3, epochs=5, dropouts=Dropouts(), head_dropout=0.0)  # of 16 units, none to spare
    classifier = fit_classifier(fruit, lm=lm, strategy=strategy, recipe=recipe, run=Run(device="cpu"))
    assert classifier.pooling == recipe.pooling_for(strategy, lm)
    assert classifier.evaluate(fruit).accuracy > 0.9
    assert set(classifier.weights) == {"forward", "backward"}


def test_a_prediction_does_not_depend_on_its_batch_mates(tiny_classifier):
    together = tiny_classifier.predict_proba(TEXTS * 20)
    alone = np.concatenate([tiny_classifier.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together[: len(TEXTS)], alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1)


def test_order_is_kept(tiny_classifier, fruit):
    texts = fruit.texts[:]
    expected = dict(zip(texts, tiny_classifier.predict(texts), strict=True))
    random.Random(0).shuffle(texts)
    assert tiny_classifier.predict(texts) == [expected[text] for text in texts]


@pytest.mark.slow
def test_a_fresh_process_predicts_the_same(tiny_classifier, fruit, tmp_path):
    baseline = fit_tfidf(fruit.texts, fruit.targets())
    classifier = replace(tiny_classifier, tfidf={"baseline": baseline}, blend=Blend(0.7, 0.4))
    classifier.save(tmp_path / "model")
    code = (
        "import sys, numpy as np; from ulmfit_lib import TextClassifier\n"
        f"model = TextClassifier.load({str(tmp_path / 'model')!r})\n"
        f"np.save({str(tmp_path / 'p.npy')!r}, model.predict_proba({TEXTS!r}))"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), classifier.predict_proba(TEXTS), atol=1e-6)


PREDICT_IN_A_FORK = """
import os, sys, numpy as np
from ulmfit_lib import TextClassifier
classifier, texts = TextClassifier.load(sys.argv[1]), 4 * ["bad, film " * 40]
expected = classifier.predict_proba(texts)
child = os.fork()
if not child:
    os._exit(0 if np.array_equal(classifier.predict_proba(texts), expected) else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
def test_a_classifier_that_has_predicted_predicts_the_same_in_a_forked_child():
    command = [sys.executable, "-W", "ignore", "-c", PREDICT_IN_A_FORK, str(STORED / "classifier")]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "2"}, start_new_session=True)


def test_training_leaves_the_language_model_alone(tiny_lm, fruit):
    before = tiny_lm.sha256()
    fit_classifier(fruit, lm=tiny_lm, strategy="fine-tune", run=Run(device="cpu"), recipe=CLASSIFY.with_epochs(1))
    assert tiny_lm.sha256() == before


def test_many_classes_work(tiny_lm):
    words = ["apple", "bread", "cheese", "dates", "eggs"]
    table = TextTable.from_lists([f"i ate {w} and {w} today" for w in words for _ in range(12)], words * 12)
    table = replace(table, labels=[w for w in words for _ in range(12)])
    lm = fit_lm(table.texts, base=tiny_lm, epochs=3, lr=1e-2, run=Run(device="cpu"))
    classifier = fit_classifier(table, lm=lm.only("forward"), strategy="linear-probe", run=Run(device="cpu"))
    assert classifier.evaluate(table).accuracy > 0.9
    assert classifier.predict_proba(["x", "y"]).shape == (2, 5)


def test_balanced_weights_help_the_rare_class(tiny_lm, fruit):
    rare = fruit.select([i for i in range(48) if i % 2 == 0 or i < 12])
    plain, balanced = (
        fit_classifier(
            rare,
            lm=tiny_lm,
            strategy="linear-probe",
            run=Run(device="cpu"),
            recipe=replace(CLASSIFY, class_weights=weights),
        )
        for weights in (None, "balanced")
    )
    column = plain.classes.index("negative")
    assert balanced.predict_proba(rare.texts)[:, column].mean() > plain.predict_proba(rare.texts)[:, column].mean()


def test_a_classifier_is_moved_to_another_device_once(tiny_classifier):
    assert tiny_classifier.to("cpu") is tiny_classifier
    elsewhere = replace(tiny_classifier, device="meta")
    assert elsewhere.to("cpu").predict(TEXTS) == tiny_classifier.predict(TEXTS)


def test_texts_from_pandas_are_predicted_and_evaluated_as_lists_are(tiny_classifier, fruit):
    frame = pd.DataFrame({"text": fruit.texts, "label": fruit.labels}, index=range(100, 100 + len(fruit)))
    assert tiny_classifier.predict(frame[["text"]]) == tiny_classifier.predict(fruit.texts)
    np.testing.assert_array_equal(tiny_classifier.embed(frame["text"]), tiny_classifier.embed(fruit.texts))
    assert asdict(tiny_classifier.evaluate(frame["text"], frame["label"])) == asdict(tiny_classifier.evaluate(fruit))


def test_bad_inputs_are_named(tiny_classifier, tiny_lm, fruit):
    with pytest.raises(DataError, match="single string"):
        tiny_classifier.predict("one text")
    with pytest.raises(DataError, match="choose it"):
        tiny_classifier.embed(pd.DataFrame({"text": ["good"], "label": ["positive"]}))
    with pytest.raises(DataError, match="row 1"):
        tiny_classifier.predict(["good", None])
    with pytest.raises(DataError, match="'odd'"):
        tiny_classifier.evaluate(["a", "b"], ["odd", "odd"])
    with pytest.raises(DataError, match="no row has a label"):
        tiny_classifier.evaluate(TextTable.from_lists(["a"]))
    with pytest.raises(OptionError, match="'magic'"):
        fit_classifier(fruit, lm=tiny_lm, strategy="magic")
    assert tiny_classifier.predict_proba([]).shape == (0, 2)


def test_the_rebuilt_baseline_is_scikit_learns(fruit):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    theirs = make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=2000)).fit(fruit.texts, fruit.labels)
    ours = fit_tfidf(fruit.texts, fruit.targets())
    np.testing.assert_allclose(ours.predict_proba(TEXTS), theirs.predict_proba(TEXTS), atol=1e-8)
    assert fit_tfidf(["!", "?", "!", "?"], ["a", "b", "a", "b"]).predict_proba(["!", "?"]).argmax(1).tolist() == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [0, 6])
def test_fine_tuning_that_was_stopped_ends_with_the_weights_of_an_undisturbed_run(
    tiny_lm, fruit, tmp_path, killed_often, hidden
):
    def run(checkpoints):
        recipe = ClassifierRecipe(head_hidden=hidden, phase_epochs=1, epochs=3, batch_size=8)
        options = {"recipe": recipe, "run": Run(device="cpu", checkpoints=checkpoints)}
        classifier = fit_classifier(fruit, lm=tiny_lm.only("forward"), strategy="fine-tune", **options)
        return {**classifier.weights["forward"], **classifier.heads["forward"]}

    undisturbed = run(None)
    kills, resumed = killed_often(lambda: run(Checkpoints(tmp_path / "checkpoints")))
    different = [name for name, tensor in resumed.items() if not np.array_equal(tensor, undisturbed[name])]
    assert kills >= 2 and not different


def test_the_blend_prefers_the_part_that_is_right():
    targets = np.array([0, 1] * 50)
    right = np.where(np.eye(2)[targets] > 0, 0.8, 0.2)
    noise = np.random.default_rng(0).dirichlet([1, 1], 100)
    blend = Blend.fit({"ulmfit": right, "baseline": noise}, targets)
    spread = np.log(noise).std() / np.log(right).std()
    assert blend.ulmfit > 3 * blend.baseline * spread
    np.testing.assert_allclose(blend.apply({"ulmfit": right, "baseline": noise}).sum(1), 1)


def test_scores_are_what_their_names_say():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]])
    found = score(probabilities, np.array([0, 1, 1, 1]), ["a", "b"])
    assert (found.accuracy, found.n, found.confusion) == (0.75, 4, [[1, 0], [1, 2]])
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.6, 0.2, 0.7]).mean())
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert calibration_error(np.array([0.9, 0.9]), np.array([True, False])) == pytest.approx(0.4)


@pytest.mark.slow
def test_fit_reads_no_held_out_text_and_reports_every_part(tiny_lm, fruit, tmp_path, monkeypatch):
    texts = [f"{text} sentinel{i} or sentinel{i} or sentinel{i}" for i, text in enumerate(fruit.texts)]
    table = TextTable.from_lists(texts + ["just some text"] * 3, [*fruit.labels, None, None, None])
    _, held_out = table.split(0.2, seed=42)
    secret = {word for text in held_out.texts for word in text.split() if word.startswith("sentinel")}
    cache = tmp_path / "cache"
    monkeypatch.setenv("ULMFIT_CACHE", str(cache))

    def score_unseen(*arguments, **options):
        kept = b"".join(file.read_bytes() for file in cache.rglob("*") if file.is_file())
        assert b"sentinel" in kept and not [word for word in secret if f'"{word}"'.encode() in kept]
        return score(*arguments, **options)

    monkeypatch.setattr("ulmfit_lib.pipeline.report.score", score_unseen)
    classifier = fit(
        table,
        base=tiny_lm,
        strategy="linear-probe",
        run=Run(device="cpu"),
        recipe=find_recipe("cpu").changed(lm_epochs=1),
        scoring=Scoring(test_fraction=0.2),
    )
    assert len(secret) == 10 and not secret & set(classifier.vocabulary.tokens)
    assert any(token.startswith("sentinel") for token in classifier.vocabulary.tokens)  # those of the others were read
    report = classifier.training.report
    assert report.held_out_rows == 10 and report.labelled_rows == 38 and report.majority == 0.5
    for part in ("ensemble", "ulmfit", "baseline"):
        assert 0 <= report.scores[part].accuracy <= 1
    assert "TF-IDF + logistic regression" in report.sentence and "held-out rows" in report.sentence
    classifier.save(tmp_path / "model")
    again = TextClassifier.load(tmp_path / "model")
    np.testing.assert_allclose(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS), atol=1e-6)


@pytest.mark.slow
def test_a_transductive_fit_reads_the_held_out_texts_and_says_so(tiny_lm, fruit, tmp_path):
    texts = [f"{text} sentinel{i} or sentinel{i} or sentinel{i}" for i, text in enumerate(fruit.texts)]
    table = TextTable.from_lists(texts, fruit.labels)
    scoring, recipe = Scoring(test_fraction=0.2, transductive=True), find_recipe("cpu").changed(lm_epochs=1)
    options = {"recipe": recipe, "strategy": "linear-probe", "run": Run(device="cpu")}
    classifier = fit(table, base=tiny_lm, scoring=scoring, **options)
    secret = {text.split()[-1] for text in table.split(0.2, seed=42)[1].texts}
    assert len(secret & set(classifier.vocabulary.tokens)) > 5  # of 10: fit_lm keeps a few texts to measure on
    assert classifier.training.report.transductive
    classifier.save(tmp_path / "model")
    assert "(transductive)" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.slow
def test_without_the_baseline_ulmfit_alone_is_delivered(tiny_lm, fruit):
    classifier = fit(
        fruit,
        base=tiny_lm,
        direction="backward",
        run=Run(device="cpu"),
        recipe=find_recipe("cpu").changed(lm_epochs=1, with_baseline=False),
    )
    assert not classifier.tfidf and "baseline" not in classifier.training.report.scores
    assert classifier.direction == "backward"
