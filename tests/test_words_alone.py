"""Classifiers that read words in context alone: no LSTM is read, kept or exported."""

import json
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib import LanguageModel, TextTable, fit
from ulmfit_lib.artifact.architecture import WORDS
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.models.loading import load_base_model
from ulmfit_lib.pipeline.zero_labels import fit_by_names
from ulmfit_lib.serving import predictor
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.stages.fit_classifier import fit_classifier
from ulmfit_lib.training.classifying import CONTRAST, FINE_TUNE, LINEAR_PROBE, ClassifierRecipe
from ulmfit_lib.training.recipes import find_recipe
from ulmfit_lib.training.run import Run

RUN = Run(seed=1, device="cpu")


@pytest.fixture(scope="module")
def table(fruit):
    return TextTable.from_lists(fruit.texts, fruit.labels)


@pytest.fixture(scope="module")
def classifier(words_lm, table):
    return fit_classifier(table, lm=words_lm, strategy=LINEAR_PROBE, run=RUN)


@pytest.fixture
def folder(classifier, tmp_path):
    classifier.save(tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    for name, value in changes.items():
        part = config["architecture"] if name in config["architecture"] else config
        part[name] = value
    (folder / "config.json").write_text(json.dumps(config))


def test_a_linear_probe_keeps_words_of_one_direction_and_nothing_of_the_lstm(classifier):
    assert classifier.pooling == WORDS and list(classifier.weights) == list(classifier.heads) == ["forward"]
    assert all(name.startswith(("words.", "near.")) for name in classifier.weights["forward"])
    assert classifier.architecture.layers == 0


def test_features_are_the_projected_mean_of_words_in_context(words_lm, classifier, table):
    both, forward, backward = (
        model.features(table.texts, pooling=WORDS)
        for model in (words_lm, words_lm.only("forward"), words_lm.only("backward"))
    )
    assert list(both) == ["forward"]
    np.testing.assert_array_equal(both["forward"], forward["forward"])
    np.testing.assert_allclose(both["forward"], backward["backward"], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(both["forward"], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(classifier.features(table.texts)["forward"], both["forward"])


def test_a_saved_one_says_the_same_in_pytorch_and_without(classifier, folder, table):
    expected = classifier.predict_proba(table.texts)
    assert json.loads((folder / "config.json").read_text())["format_version"] == 9
    np.testing.assert_allclose(TextClassifier.load(folder).predict_proba(table.texts), expected, atol=1e-6)
    np.testing.assert_allclose(Predictor.load(folder).predict_proba(table.texts), expected, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_exported_one_says_the_same(folder, table, precision, tmp_path):
    check = export_checked(folder, tmp_path / "out", precision=precision, texts=table.texts)
    assert check.changed == 0
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert "forward.onnx" in names and "backward.onnx" not in names
    exported, expected = Predictor.load(tmp_path / "out"), TextClassifier.load(folder).predict_proba(table.texts)
    atol = 1e-4 if precision == "float32" else 0.05
    np.testing.assert_allclose(exported.predict_proba(table.texts), expected, atol=atol)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_text_has_the_same_vector_alone_and_among_others(classifier, table, precision):
    texts = [*table.texts, "", "great " * 100]
    without_torch = Predictor.of(classifier, precision=precision)
    for model in (classifier, without_torch):
        together = model.predict_proba(texts)
        alone = np.concatenate([model.predict_proba([text]) for text in texts])
        np.testing.assert_allclose(together, alone, atol=1e-6 if model is classifier else 0)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_without_onnx_runtime_numpy_predicts_the_same(classifier, table, precision, tmp_path, monkeypatch):
    classifier.save(tmp_path / "model", precision=precision)
    monkeypatch.setattr(predictor, "has_onnxruntime", lambda: False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    loaded = Predictor.load(tmp_path / "model")
    found = loaded.predict_proba(table.texts)
    assert not loaded.graphs
    expected = TextClassifier.load(tmp_path / "model").predict_proba(table.texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for place, text in enumerate(table.texts[:4]):
        np.testing.assert_array_equal(loaded.predict_proba([text])[0], found[place])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).predict_proba(table.texts), found)


def test_no_texts_give_no_vectors(classifier):
    for model in (classifier, Predictor.of(classifier)):
        assert model.predict([]) == [] and model.features([])["forward"].shape == (0, 16)


def test_a_precision_without_graphs_is_refused(classifier):
    with pytest.raises(OptionError, match="precision 'float64'; known are float32, int8"):
        Predictor.of(classifier, precision="float64")


def test_fine_tuning_trains_the_lstm_beside_the_words(words_lm, table):
    recipe = ClassifierRecipe(epochs=1)
    tuned = fit_classifier(table, lm=words_lm, strategy=FINE_TUNE, recipe=recipe, run=RUN)
    assert tuned.pooling == "distilled+layers" and tuned.architecture.layers == 2


def test_an_encoder_whose_lstm_has_learnt_is_read_with_it(words_lm):
    recipe = ClassifierRecipe()
    assert recipe.pooling_for(LINEAR_PROBE, words_lm) == words_lm.usual_pooling == WORDS
    for stages, expected in (
        ([Stage("distill", recipe={"epochs": 0})], WORDS),
        ([Stage("distill", recipe={"epochs": 1})], "distilled+layers"),
        ([Stage("distill", recipe={"epochs": 0}), Stage("fine-tune")], "distilled+layers"),
        ([Stage("distill", recipe={"epochs": 0}), Stage("classify", strategy="linear-probe")], WORDS),
        ([Stage("distill", recipe={"epochs": 0}), Stage("classify", strategy="fine-tune")], "distilled+layers"),
        ([Stage("pretrain"), Stage("distill", recipe={"epochs": 1}), Stage("distill", recipe={"epochs": 0})], WORDS),
    ):
        lm = replace(words_lm, training=TrainingRecord("base", tuple(stages)))
        assert recipe.pooling_for(LINEAR_PROBE, lm) == expected
        assert lm.usual_pooling == expected.partition("+")[0]
        assert recipe.pooling_for(CONTRAST, lm) == WORDS


def test_a_base_that_reads_no_words_in_context_is_read_with_its_lstm(tiny_lm):
    assert ClassifierRecipe().pooling_for(LINEAR_PROBE, tiny_lm) == tiny_lm.usual_pooling == "layers"


def test_other_poolings_are_refused_in_a_sentence(tiny_lm, classifier):
    with pytest.raises(OptionError, match="nothing was distilled"):
        tiny_lm.embed(["a text"], pooling=WORDS)
    for model in (classifier, Predictor.of(classifier)):
        with pytest.raises(OptionError, match="reads words in context alone, and keeps no LSTM"):
            model.features(["a text"], pooling="layers")


def test_training_goes_on_with_the_lstm_of_the_base(words_lm, table, tmp_path):
    words_lm.save(tmp_path / "base")
    base = LanguageModel.from_pretrained(tmp_path / "base")
    named = replace(base, training=replace(base.training, name=str(tmp_path / "base")))
    fit(table, base=named, strategy="contrast", run=RUN).save(tmp_path / "model")
    found = load_base_model(tmp_path / "model")
    assert found.direction == "both" and found.architecture == base.architecture
    for way, weights in found.weights.items():
        np.testing.assert_array_equal(weights["rnns.0.weight_hh"], base.weights[way]["rnns.0.weight_hh"])
    loaded = TextClassifier.load(tmp_path / "model")
    (_, expected), (_, vectors) = (
        next(iter(model.features(table.texts, pooling=WORDS).items())) for model in (loaded, found)
    )
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    again = fit(table, base=found, strategy="linear-probe", run=RUN)
    again.save(tmp_path / "again")
    assert load_base_model(tmp_path / "again").architecture == base.architecture
    fit(table, base=named, direction="backward", strategy="contrast", run=RUN).save(tmp_path / "backward")
    assert load_base_model(tmp_path / "backward").direction == "both"
    (tmp_path / "base" / "config.json").unlink()
    with pytest.raises(ArtifactError, match="needs the LSTM of the language model that it was made of"):
        load_base_model(tmp_path / "model")


def test_classes_can_be_named_without_labels(words_lm):
    named = fit_by_names(["a great film"], ["positive", "negative"], base=words_lm)
    assert named.pooling == WORDS and named.architecture.layers == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": 2}, "pooling 'words' and an encoder of 2 layers"),
        ({"pooling": "distilled"}, "pooling 'distilled' and an encoder of 0 layers"),
        ({"context": 0, "context_width": 0}, "an encoder without layers needs words in context"),
        ({"direction": "both"}, "pooling 'words' reads in one direction, not in 'both'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(folder, changes, said):
    edit_config(folder, **changes)
    with pytest.raises(ArtifactError, match=said):
        TextClassifier.load(folder)


def test_a_base_that_names_nothing_is_refused(classifier, tmp_path):
    replace(classifier, base=["general"]).save(tmp_path / "model")
    with pytest.raises(ArtifactError, match="does not hold a name and a sha256"):
        TextClassifier.load(tmp_path / "model")


def test_a_language_model_needs_layers(words_lm, tmp_path):
    words_lm.save(tmp_path / "lm")
    edit_config(tmp_path / "lm", layers=0)
    with pytest.raises(ArtifactError, match="a language model needs at least one layer"):
        LanguageModel.load(tmp_path / "lm")


def test_a_graph_of_something_else_is_refused_when_the_folder_is_read(words_lm, folder, fruit, tmp_path):
    recipe = ClassifierRecipe(frozen_pooling="layers")
    lstm = fit_classifier(fruit, lm=words_lm.only("forward"), strategy=LINEAR_PROBE, recipe=recipe, run=RUN)
    stored = Predictor.of(TextClassifier.load(folder), precision="float32")
    wrong = replace(stored, graphs=Predictor.of(lstm, precision="float32").graphs)
    wrong.save(tmp_path / "wrong")
    with pytest.raises(ArtifactError, match="its graphs cannot be run"):
        Predictor.load(tmp_path / "wrong")


def test_contrastive_learning_that_is_asked_for_fine_tunes_no_language_model(words_lm, table):
    recipe = find_recipe("paper")
    report = fit(table, base=words_lm, recipe=recipe, strategy=CONTRAST, run=RUN).training
    assert not any(stage.name == "fine-tune" for stage in report.stages)
