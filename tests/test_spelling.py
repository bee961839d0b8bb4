"""Words outside the vocabulary, which are read as the known words that are spelled most like them."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib import TextTable
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.stages.fit_classifier import fit_classifier
from ulmfit_lib.tokens.rules import SPECIAL_TOKENS
from ulmfit_lib.tokens.spelling import Spelling
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.training.classifying import CONTRAST, LINEAR_PROBE
from ulmfit_lib.training.run import Run

RUN = Run(seed=1, device="cpu")
WORDS = ["good", "the", "terrible", "handset", "table", "purchase", "total", "tested", "xxmaj"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("terible", "terrible"),
        ("terrrible", "terrible"),
        ("terribel", "terrible"),
        ("tarrible", "terrible"),
        ("handsets", "handset"),
        ("totally", "total"),
        ("untested", None),  # the opposite
        ("teh", None),  # so short that it may be any word
        ("xxmaj", None),
        ("terrible" * 1000, None),
        ("b2b", None),
        ("gearbox", None),
    ],
)
def test_a_word_is_read_as_the_known_one_that_is_spelled_most_like_it(written, read):
    index = {word: 9 + place for place, word in enumerate(WORDS)}
    assert Spelling(index).nearest(written) == (index[read] if read else None)


def test_a_vocabulary_that_has_looked_words_up_can_be_pickled():
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *WORDS])
    assert vocabulary.encode(["terible"], mend=True) == vocabulary.encode(["terrible"])
    copy = pickle.loads(pickle.dumps(vocabulary))
    assert copy == vocabulary and copy.encode(["terible"], mend=True) == vocabulary.encode(["terrible"])


def test_of_several_the_commonest_is_taken():
    assert Spelling({"carter": 5, "carted": 3, "carver": 4}).nearest("cartex") == 3


@pytest.fixture(scope="module")
def spelling_lm(words_lm):
    return replace(words_lm, architecture=replace(words_lm.architecture, spelling=True))


@pytest.fixture(scope="module")
def texts(fruit, words_lm):
    """As they are written, and with a letter left out of each long word that thereby becomes unknown."""
    known = words_lm.vocabulary.index

    def spoiled(word):
        other = word[:2] + word[3:]
        return other if len(word) > 5 and word in known and other not in known else word

    written = [" ".join(map(spoiled, text.split(" "))) for text in fruit.texts]
    assert sum(one != other for one, other in zip(written, fruit.texts, strict=True)) > 10
    return written


def test_texts_have_the_vectors_of_those_without_the_mistakes(spelling_lm, words_lm, fruit, texts):
    def apart(lm):
        return np.abs(lm.embed(texts) - lm.embed(fruit.texts)).max()

    assert apart(spelling_lm) < 1e-6 < 0.01 < apart(words_lm)
    np.testing.assert_array_equal(spelling_lm.embed(fruit.texts), words_lm.embed(fruit.texts))
    lstm = {"pooling": "layers"}
    np.testing.assert_array_equal(spelling_lm.embed(texts, **lstm), words_lm.embed(texts, **lstm))
    assert spelling_lm.perplexity(texts) == words_lm.perplexity(texts)


@pytest.mark.parametrize("strategy", [LINEAR_PROBE, CONTRAST])
def test_classifiers_read_so_too_wherever_they_predict(spelling_lm, fruit, texts, strategy, tmp_path):
    table = TextTable.from_lists(fruit.texts, fruit.labels)
    classifier = fit_classifier(table, lm=spelling_lm, strategy=strategy, run=RUN)
    classifier.save(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["format_version"] == 10
    assert export_checked(tmp_path / "model", tmp_path / "out", precision="float32", texts=texts).changed == 0
    expected = classifier.ulmfit_proba(classifier.features(fruit.texts))
    for loaded in (TextClassifier.load(tmp_path / "model"), Predictor.load(tmp_path / "out", threads=1)):
        np.testing.assert_allclose(loaded.ulmfit_proba(loaded.features(texts)), expected, atol=1e-5)


def test_spelling_needs_words_in_context():
    sizes = {"name": "awd-lstm", "embedding": 4, "hidden": 6, "layers": 2, "spelling": True}
    with pytest.raises(ArtifactError, match="only words in context"):
        Architecture.from_config(sizes, "config.json")
