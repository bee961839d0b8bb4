"""Topics of texts without a label."""

import numpy as np
import pytest

from ulmfit_lib import TextClassifier, TextTable, fit
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.pipeline.experiment import Scoring
from ulmfit_lib.pipeline.label_budget import label_budget
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import Topics, fit_tfidf, learn_topics

WORDS = {"sea": [f"sea{i}" for i in range(80)], "sky": [f"sky{i}" for i in range(80)]}


def made_up(n, *, seed=0, kinds=("sea", "sky")):
    """Texts of eight of their kind's 80 words, which few labelled ones show, and their kinds."""
    generator = np.random.default_rng(seed)
    labels = [kinds[i % len(kinds)] for i in range(n)]
    noise = [f"word{i}" for i in range(40)]
    texts = [" ".join([*generator.choice(WORDS[kind], 8), *generator.choice(noise, 8)]) for kind in labels]
    return texts, labels


@pytest.fixture
def read(monkeypatch):
    """The texts of each learning of topics."""
    found, learn = [], Topics.learn
    monkeypatch.setattr(Topics, "learn", lambda texts, seed: found.append(list(texts)) or learn(texts, seed=seed))
    return found


@pytest.mark.slow
def test_a_transductive_fit_says_that_topics_had_read_the_scored_texts(tiny_lm, read, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.training.tfidf.FEWEST_TEXTS", 300)
    texts, labels = made_up(400, seed=5)
    table = TextTable.from_lists(texts, [*labels[:60], *[None] * 340])
    options = {"base": tiny_lm.only("forward"), "strategy": "linear-probe", "minutes": 0.01, "run": Run(device="cpu")}
    report = fit(table, scoring=Scoring(transductive=True), **options).training.report
    assert set(read[0]) == set(texts) and report.transductive
    assert "The topics had read these rows' texts, without their labels (transductive)." in report.sentence
    report = fit(table, **options).training.report
    assert set(read[1]) == set(texts[60:]) and not report.transductive and "transductive" not in report.sentence


@pytest.fixture(scope="module")
def topics():
    return Topics.learn(made_up(1200)[0], seed=0)


def test_they_tell_from_few_labels_what_tfidf_cannot(topics):
    texts, labels = made_up(12, seed=1)
    unseen, truth = made_up(400, seed=2)
    targets = np.array([label == "sky" for label in labels]).astype(int)
    by_topics = topics.classifier(texts, targets, kind=Classes(), class_weights=None, seed=0)
    right = [
        ((one.predict_proba(unseen)[:, 1] > 0.5) == (np.array(truth) == "sky")).mean()
        for one in (by_topics, fit_tfidf(texts, targets))
    ]
    assert right[0] > 0.97 > right[1]


def test_scores_are_standard_over_the_texts_they_come_from(topics):
    scores = topics.axes.scores(made_up(1200)[0])
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scores.std(0), 1, atol=1e-6)


def test_a_classifier_of_topics_is_one_of_terms(topics):
    texts, labels = made_up(30, seed=3)
    targets = np.array([label == "sky" for label in labels]).astype(int)
    found = topics.classifier(texts, targets, kind=Classes(), class_weights=None, seed=0)
    scores, given = topics.axes.scores(texts), found.scores(texts)[:, 0]
    design = np.hstack([scores, np.ones((30, 1))])
    weights = np.linalg.lstsq(np.vstack([design, 1e-9 * np.eye(51)]), np.append(given, np.zeros(51)), rcond=None)[0]
    np.testing.assert_allclose(design @ weights, given, atol=1e-6)


def test_several_labels_have_a_classifier_each(topics):
    texts, labels = made_up(60, seed=4)
    targets = np.array([[label == "sky", label == "sea", True] for label in labels]).astype(int)
    found = topics.classifier(texts, targets, kind=Tags(";"), class_weights=None, seed=0)
    assert ((found.predict_proba(texts) > 0.5) == targets).mean() > 0.97


@pytest.mark.parametrize(
    "texts", [made_up(900)[0], [f"only{i} mine{i}" for i in range(1500)], ["the same few words"] * 1500, [""] * 1500]
)
def test_few_texts_or_no_words_in_common_have_none(texts):
    assert Topics.learn(texts, seed=0) is None


def test_there_are_none_where_most_texts_have_a_label():
    texts = made_up(1200)[0]
    assert learn_topics(texts, labelled=600, seed=0) is None
    assert learn_topics(texts, labelled=599, seed=0) is not None


@pytest.mark.slow
def test_fit_learns_them_from_what_it_may_read_and_saves_them(tiny_lm, tmp_path, read):
    labelled, free = made_up(40, seed=5), made_up(1200, seed=6)[0]
    table = TextTable.from_lists([*labelled[0], *free], [*labelled[1], *[None] * len(free)])
    classifier = fit(table, base=tiny_lm, direction="forward", strategy="linear-probe", run=Run(device="cpu"))
    report = classifier.training.report
    assert read == [free] and report.held_out_rows == 40
    assert report.scores["topics"].accuracy == 1 and "topics of the unlabelled texts 100.0 %" in report.sentence
    assert report.blend["topics"] > 0 and "the ensemble of all" in report.sentence
    unseen, truth = made_up(100, seed=7)
    assert classifier.evaluate(unseen, truth).accuracy > 0.9
    classifier.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict_proba(unseen), classifier.predict_proba(unseen), atol=1e-5)
    assert set(loaded.evaluate_members(TextTable.from_lists(unseen, truth))) == {
        "ensemble",
        "ulmfit",
        "baseline",
        "topics",
    }


@pytest.mark.slow
def test_topics_tell_ratings_and_several_labels_apart_too(tiny_lm):
    labelled, free = made_up(40, seed=10), made_up(1200, seed=11)[0]
    options = {"base": tiny_lm, "direction": "forward", "strategy": "linear-probe", "run": Run(device="cpu")}
    stars = ["2" if label == "sky" else "5" for label in labelled[1]]
    rated = TextTable.from_lists([*labelled[0], *free], [*stars, *[None] * len(free)]).with_kind(Ratings())
    report = fit(rated, **options).training.report
    assert report.ratings["topics"].mean_absolute_error < 0.5 and "topics of the unlabelled" in report.sentence
    both = [f"{label};wet" if label == "sea" else label for label in labelled[1]]
    tagged = TextTable.from_lists([*labelled[0], *free], [*both, *[None] * len(free)]).with_kind(Tags(";"))
    report = fit(tagged, **options).training.report
    assert report.tags["topics"].micro_f1 > 0.95 and "topics of the unlabelled" in report.sentence


@pytest.mark.slow
def test_a_label_budget_learns_topics_from_texts_without_a_label(tiny_lm, read):
    labelled, free = made_up(60, seed=12), made_up(1200, seed=13)[0]
    table = TextTable.from_lists([*labelled[0], *free], [*labelled[1], *[None] * len(free)])
    budget = label_budget(table, base=tiny_lm, direction="forward", run=Run(device="cpu"))
    assert read == [free] and budget.labels == 60
    alone = label_budget(table.labelled(), base=tiny_lm, direction="forward", run=Run(device="cpu"))
    assert budget.curve.error(60) < alone.curve.error(60)
