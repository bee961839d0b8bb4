"""Models that an earlier version of the library saved still load, and say what they said then."""

import json
from pathlib import Path

import numpy as np
import pytest

from ulmfit_lib import LanguageModel, TextClassifier, read_table

STORED = Path(__file__).parent / "data" / "version-2"
REVIEWS = Path(__file__).parent.parent / "examples" / "reviews.csv"


@pytest.fixture(scope="module")
def expected():
    return json.loads((STORED / "expected.json").read_text())


def by_member(expected):
    """Probabilities of the ``ensemble``, which was called ``delivered``, and of its members."""
    return {name.replace("delivered", "ensemble"): one for name, one in expected["probabilities"].items()}


def test_a_stored_classifier_predicts_as_it_did(expected):
    classifier = TextClassifier.load(STORED / "classifier")
    found = classifier.probabilities(expected["texts"])
    wanted = by_member(expected)
    assert set(found) == set(wanted) == {"ensemble", "ulmfit", "baseline", "topics"}
    for part, probabilities in wanted.items():
        exact = part in ("baseline", "topics")  # the others were read in bfloat16, which not every CPU has
        np.testing.assert_allclose(found[part], probabilities, atol=1e-9 if exact else 0.005, err_msg=part)
    assert classifier.predict(expected["texts"]) == expected["labels"]


def test_a_stored_language_model_reads_as_it_did(expected):
    lm = LanguageModel.load(STORED / "language-model")
    assert [list(one) for one in lm.tokenizer(expected["texts"])] == expected["tokens"]
    assert [lm.vocabulary.encode(one) for one in expected["tokens"]] == expected["ids"]
    texts = read_table(REVIEWS, text="review").texts[:20]
    assert lm.score(texts).perplexity == pytest.approx(expected["perplexity"], rel=1e-5)


def test_a_stored_export_of_bytes_predicts_as_it_did_alone_and_among_others(expected):
    pytest.importorskip("onnxruntime")
    from ulmfit_lib.serving.predictor import Predictor

    exported = Predictor.load(STORED / "exported-int8", threads=1)
    found = exported.probabilities(expected["texts"])["ulmfit"]
    np.testing.assert_allclose(found, expected["exported_int8"], atol=0.005)
    for text, row in zip(expected["texts"], found, strict=True):
        np.testing.assert_array_equal(exported.probabilities([text])["ulmfit"][0], row)


def test_a_stored_model_that_is_saved_again_predicts_the_same(expected, tmp_path):
    classifier = TextClassifier.load(STORED / "classifier")
    classifier.save(tmp_path / "again")
    again = TextClassifier.load(tmp_path / "again").predict_proba(expected["texts"])
    np.testing.assert_allclose(again, classifier.predict_proba(expected["texts"]), atol=1e-6)


def test_a_stored_classifier_with_offsets_predicts_as_it_did():
    folder = STORED.parent / "version-4"
    expected = json.loads((folder / "expected.json").read_text())
    classifier = TextClassifier.load(folder / "classifier")
    assert json.loads((folder / "classifier" / "config.json").read_text())["format_version"] == 4
    assert len(classifier.blend.offsets) == len(classifier.classes)
    found = classifier.probabilities(expected["texts"])
    for part, probabilities in by_member(expected).items():
        np.testing.assert_allclose(found[part], probabilities, atol=0.005, err_msg=part)


def test_a_stored_classifier_with_a_decision_rule_says_what_it_said():
    folder = STORED.parent / "version-6"
    expected = json.loads((folder / "expected.json").read_text())
    classifier = TextClassifier.load(folder / "classifier")
    assert classifier.rule.goal == "macro-f1" and classifier.rule.stable == 0.95
    assert classifier.predict(expected["texts"]) == expected["labels"]
    likeliest = np.array(expected["probabilities"]["ensemble"]).argmax(1)
    assert expected["labels"] != [classifier.classes[one] for one in likeliest]


@pytest.mark.parametrize("version", [9, 10])  # 10 reads unknown words by their spelling
def test_a_stored_classifier_of_words_alone_predicts_as_it_did(version):
    folder = STORED.parent / f"version-{version}"
    expected = json.loads((folder / "expected.json").read_text())
    assert json.loads((folder / "classifier" / "config.json").read_text())["format_version"] == version
    found = TextClassifier.load(folder / "classifier").predict_proba(expected["texts"])
    np.testing.assert_allclose(found, expected["probabilities"], atol=0.005)


@pytest.mark.parametrize("version", [9, 10])
def test_a_stored_export_of_words_alone_predicts_as_it_did(version):
    pytest.importorskip("onnxruntime")
    from ulmfit_lib.serving.predictor import Predictor

    folder = STORED.parent / f"version-{version}"
    expected = json.loads((folder / "expected.json").read_text())
    found = Predictor.load(folder / "exported-int8", threads=1).predict_proba(expected["texts"])
    np.testing.assert_allclose(found, expected["exported"], atol=0.005)
