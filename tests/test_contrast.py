"""Words in context that learn from labels which texts belong together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ulmfit_lib import TextTable, fit
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.pipeline.candidates import Candidate, cross_validate
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.serving.packing import rounded
from ulmfit_lib.stages.fit_classifier import fit_classifier
from ulmfit_lib.training.classifying import CONTRAST, LINEAR_PROBE
from ulmfit_lib.training.contrast import (
    ContrastRecipe,
    TokenizedTexts,
    contrast,
    contrastive_loss,
    learn_contrast,
    words_of,
)
from ulmfit_lib.training.run import Run

RUN = Run(seed=1, device="cpu")
RECIPE = ContrastRecipe(epochs=3, batch_size=8)


@pytest.fixture(scope="module")
def table(fruit):
    return TextTable.from_lists(fruit.texts, fruit.labels)


def test_tokenized_texts_give_the_vectors_that_the_language_model_makes(words_lm, table):
    found = TokenizedTexts.of(words_lm, table.texts).features(words_of(words_lm))
    (way, vectors), *others = words_lm.features(table.texts, pooling="words").items()
    assert not others  # either direction would say the same
    np.testing.assert_allclose(found[way], vectors, atol=1e-4)


def apart(model, table):
    """How much nearer texts with one label are to each other than to the others."""
    same, vectors = np.array(table.labels)[:, None] == np.array(table.labels), model.embed(table.texts)
    similar = vectors @ vectors.T
    return similar[same].mean() - similar[~same].mean()


def test_texts_of_one_class_draw_closer_than_those_of_others(words_lm, table):

    assert apart(contrast(words_lm, table, replace(RECIPE, lr=5e-3), RUN), table) > apart(words_lm, table) + 0.05


def test_the_loss_is_the_cross_entropy_of_the_only_other_text_of_a_class():
    vectors = torch.nn.functional.normalize(torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    same = torch.eye(4)
    same[0, 2] = same[2, 0] = 1
    found = contrastive_loss(vectors, same, 0.5)
    similar = (vectors @ vectors.T / 0.5).fill_diagonal_(-torch.inf).log_softmax(1)
    assert float(found) == pytest.approx(-float(similar[0, 2] + similar[2, 0]) / 2, abs=1e-5)


def test_texts_that_are_a_little_alike_draw_closer_and_others_move_apart():
    vectors = torch.nn.functional.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    likeness = torch.from_numpy(Tags(";").likeness(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]]))).float()
    moved = vectors.clone().requires_grad_()
    contrastive_loss(moved, likeness, 0.5).backward()
    nearer = torch.nn.functional.normalize(vectors - 0.01 * moved.grad, dim=1)
    change = nearer @ nearer.T - vectors @ vectors.T
    assert change[0, 1] > 0 > change[0, 2]


def test_rows_without_another_of_their_class_teach_nothing():
    assert float(contrastive_loss(torch.eye(3), torch.eye(3), 0.5)) == 0


def test_only_words_in_context_learn_and_both_directions_alike(words_lm, table):
    learnt = contrast(words_lm, table, RECIPE, RUN)
    changed = {
        name
        for way in words_lm.weights
        for name, tensor in words_lm.weights[way].items()
        if not torch.equal(tensor, learnt.weights[way][name])
    }
    assert {"near.0", "words.widen", "words.score", "words.context.0.narrow.weight"} <= changed
    assert all(name.startswith(("near.", "words.widen", "words.score", "words.context.")) for name in changed)
    assert torch.equal(learnt.weights["forward"]["near.0"], learnt.weights["backward"]["near.0"].flip(1))
    assert learnt.training.last.name == "contrast" and learnt.training.last.labelled_texts == len(table)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_base_as_it_is(words_lm, table):
    before = words_lm.sha256()
    once, again = (contrast(words_lm, table, RECIPE, RUN).sha256() for _ in range(2))
    assert once == again != before == words_lm.sha256()


def test_each_fold_learns_from_its_own_rows_alone(words_lm, table):
    experiment = Experiment.of(table, seed=1)
    candidate = Candidate(words_lm, CONTRAST)
    candidate = replace(candidate, recipe=replace(candidate.recipe, contrast=RECIPE))
    found = cross_validate(candidate, experiment.train, experiment.splits, RUN)
    _, test = experiment.splits[0]
    flipped = np.array(table.labels)
    flipped[test] = flipped[test][::-1]
    other = Experiment.of(TextTable.from_lists(table.texts, flipped.tolist()), seed=1).train
    again = cross_validate(candidate, other, experiment.splits[:1], RUN)
    for config, probabilities in found.of_folds([0]).ulmfit.items():
        np.testing.assert_allclose(again.ulmfit[config], probabilities, atol=1e-6)


def test_the_classifier_says_after_loading_what_it_said_before(words_lm, table, tmp_path):
    classifier = fit_classifier(table, lm=words_lm, strategy=CONTRAST, run=RUN)
    classifier.save(tmp_path / "model")
    again = TextClassifier.load(tmp_path / "model")
    np.testing.assert_allclose(again.predict_proba(table.texts), classifier.predict_proba(table.texts), atol=1e-5)
    assert [stage.name for stage in again.training.stages[-2:]] == ["contrast", "classify"]


def test_bytes_change_nothing_of_what_has_learnt(words_lm, table):
    learnt = contrast(rounded(words_lm, "int8"), table, RECIPE, RUN)
    again = rounded(learnt, "int8")
    for name, tensor in learnt.weights["forward"].items():
        if name.startswith(("near.", "words.widen", "words.context.")) and tensor.ndim == 2:
            torch.testing.assert_close(again.weights["forward"][name], tensor, rtol=0, atol=1e-6)


def test_fit_tries_it_and_says_what_it_brought(words_lm, table):
    report = fit(table, base=words_lm, minutes=1, run=RUN).training.report
    assert any("with contrastive learning: cross-validated accuracy" in one for one in report.tried)
    assert not any(
        "contrastive" in one for one in fit(table, base=words_lm, strategy=LINEAR_PROBE, run=RUN).training.report.tried
    )


def test_a_base_without_words_in_context_is_refused(tiny_lm, table):
    with pytest.raises(OptionError, match="a base that reads words in context, such as general-en-small"):
        fit(table, base=tiny_lm, strategy=CONTRAST, run=RUN)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [(Tags(";"), {"positive": "good;fresh", "negative": "bad;old"}), (Ratings(), {"positive": "5", "negative": "1"})],
)
def test_texts_of_tags_and_of_ratings_draw_closer_where_these_are_alike(words_lm, table, kind, labels):
    other = TextTable.from_lists(table.texts, [labels[one] for one in table.labels]).with_kind(kind)

    assert apart(contrast(words_lm, other, replace(RECIPE, lr=5e-3), RUN), table) > apart(words_lm, table) + 0.05
    classifier = fit_classifier(other, lm=words_lm, strategy=CONTRAST, run=RUN)
    assert (np.array(classifier.predict(table.texts)) == np.array(other.labels)).mean() > 0.9


def test_ratings_of_ranges_draw_closer_too(words_lm, table):
    numbers = [str(place + 20 * (label == "positive")) for place, label in enumerate(table.labels)]
    ratings = TextTable.from_lists(table.texts, numbers).with_kind(Ratings())
    classifier = fit_classifier(ratings, lm=words_lm, strategy=CONTRAST, run=RUN)
    assert not classifier.kind.exact and np.isfinite(classifier.predict_ratings(table.texts)).all()


def test_ratings_are_the_less_alike_the_further_apart():
    likeness = Ratings((1.0, 2.0, 5.0)).likeness(np.array([0, 1, 2, 2]))
    assert likeness[2, 3] == 1 and likeness[0, 2] == 0 and likeness[0, 1] > likeness[1, 2] > 0


def test_pairs_of_a_class_stay_together_and_every_row_is_learnt_once(words_lm, table):
    read = TokenizedTexts.of(words_lm, table.texts)
    seen = []
    thinned = TokenizedTexts.thinned

    def remember(self, words, places, recipe, rng):
        seen.append(places)
        return thinned(self, words, places, recipe, rng)

    targets = table.class_numbers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenizedTexts, "thinned", remember)
        learn_contrast(read, targets, Classes(), words_lm, replace(RECIPE, epochs=1), seed=3)
    assert sorted(np.concatenate(seen)) == list(range(len(table)))
    for places in seen:
        pairs = targets[places].reshape(-1, 2)
        assert (pairs[:, 0] == pairs[:, 1]).all()


@pytest.mark.parametrize(("classes", "expected"), [(2, 0.6), (5, 0.6), (15, 0.2), (30, 0.1), (150, 0.1)])
def test_temperature_falls_with_the_number_of_classes(classes: int, expected: float) -> None:
    assert ContrastRecipe().temperature_for(classes) == pytest.approx(expected)


@pytest.mark.parametrize(("texts", "epochs"), [(8, 8), (100, 8), (500, 4), (640, 3), (5000, 2)])
def test_many_texts_are_read_in_fewer_epochs(texts: int, epochs: int) -> None:
    assert ContrastRecipe().for_texts(texts).epochs == epochs
    assert ContrastRecipe().for_texts(texts).for_texts(texts).epochs == epochs
    assert ContrastRecipe(max_steps=0).for_texts(texts).epochs == 8


def test_contrast_learns_for_as_many_epochs_as_the_texts_allow(words_lm, table):
    recipe = replace(RECIPE, max_steps=1)
    learnt = contrast(words_lm, table, recipe, Run())
    assert learnt.training.stages[-1].recipe["epochs"] == 2 < RECIPE.epochs
    same = contrast(words_lm, table, replace(RECIPE, epochs=2, max_steps=0), Run())
    for name, tensor in learnt.weights["forward"].items():
        torch.testing.assert_close(tensor, same.weights["forward"][name], rtol=0, atol=0)
