import json
from pathlib import Path

import numpy as np
import pytest

from ulmfit_lib import TextClassifier
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.serving.explanations import explain, find_spans, log_odds, occlude, score_odds
from ulmfit_lib.serving.predictor import Predictor

STORED = Path(__file__).parent / "data" / "version-2"


@pytest.fixture(scope="module")
def stored():
    return TextClassifier.load(STORED / "classifier")


@pytest.fixture(scope="module")
def texts():
    return json.loads((STORED / "expected.json").read_text())["texts"]


def test_what_words_add_to_a_linear_part_sums_to_its_scores(stored, texts):
    for part in stored.tfidf.values():
        for text in [*texts, "", "İ " + texts[0]]:
            _, added = part.contributions(text)
            np.testing.assert_allclose(added.sum(0) + part.intercepts, part.scores([text])[0], atol=1e-9)


def test_the_log_odds_of_what_is_delivered_are_the_weighted_sum_of_the_parts(stored, texts):
    found = stored.probabilities(texts)
    summed = sum(
        getattr(stored.blend, part) * log_odds(found[part], 1, stored.kind) for part in found if part != "ensemble"
    )
    np.testing.assert_allclose(log_odds(found["ensemble"], 1, stored.kind), summed, atol=1e-4)


@pytest.mark.parametrize(("kind", "columns"), [(Classes(), 1), (Classes(), 3), (Tags(";"), 2)])
def test_the_log_odds_of_a_linear_parts_probabilities_are_those_of_its_scores(kind, columns):
    scores = np.random.default_rng(0).standard_normal((5, columns))
    said = kind.link(scores)
    for number in range(said.shape[1]):
        np.testing.assert_allclose(log_odds(said, number, kind), score_odds(scores, number, kind), atol=1e-9)


def test_the_words_that_give_the_label_away_are_explained_as_the_strongest(tiny_classifier, fruit):
    found = tiny_classifier.explain(fruit.texts[0])
    assert found.label == "positive"
    assert "great" in found.phrases()[0][0]
    against = explain(tiny_classifier, fruit.texts[0], label="negative")
    np.testing.assert_allclose(against.contributions, -found.contributions, atol=1e-6)


def test_an_explanation_is_shown_in_colours_and_every_text_is_escaped(tiny_classifier):
    found = tiny_classifier.explain("<b>great</b> film")
    assert "&lt;" in found._repr_html_() and "<b>great" not in found._repr_html_()
    assert "\033[" in found.as_text(colour=True) and "\033[" not in str(found)


def test_a_text_without_a_word_and_an_unknown_label_are_refused(tiny_classifier):
    with pytest.raises(DataError, match="no word"):
        tiny_classifier.explain("  ")
    with pytest.raises(OptionError, match="'negative', 'positive'"):
        tiny_classifier.explain("great", label="grand")


def test_a_long_text_is_taken_apart_into_a_bounded_number_of_parts():
    text = "word " * 1000
    spans = find_spans(text)
    assert 100 < len(spans) <= 150
    assert sum(end - start for start, end in spans) > 0.9 * len(text.strip())


def test_words_that_are_taken_out_become_one_unknown_token_each(tiny_classifier):
    text = "a film, a great great great film"
    gone = occlude(text, find_spans(text), range(len(find_spans(text))))
    ids = tiny_classifier.vocabulary.encode(next(iter(tiny_classifier.tokenizer([gone]))))
    assert ids == [tiny_classifier.vocabulary.index["xxbos"]] + len(find_spans(text)) * [
        tiny_classifier.vocabulary.unknown_id
    ]


def test_the_command_explains_a_text(ulmfit, tiny_classifier, fruit, tmp_path):
    tiny_classifier.save(tmp_path / "m")
    code, out, _ = ulmfit("explain", tmp_path / "m", fruit.texts[1], "--json")
    said = json.loads(out)
    assert code == 0 and said["label"] == "negative"
    assert [one["word"] for one in said["words"]] == tiny_classifier.explain(fruit.texts[1]).words
    Predictor.of(tiny_classifier).save(tmp_path / "exported")
    code, out, _ = ulmfit("explain", tmp_path / "exported", fruit.texts[1], "--json")
    assert code == 0 and json.loads(out)["words"][0]["word"] == said["words"][0]["word"]
