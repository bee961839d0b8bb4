"""Classes of which there are one, two or three rows."""

import json

import numpy as np
import pytest

from ulmfit_lib import TextTable, fit
from ulmfit_lib.data.label_checks import check_file_labels
from ulmfit_lib.errors import DataError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.training import regression
from ulmfit_lib.training.recipes import find_recipe
from ulmfit_lib.training.regression import folds
from ulmfit_lib.training.run import Run

ARGUMENTS = ["--text", "review", "--label", "sentiment"]


def with_oddities(fruit, count):
    return [*zip(fruit.texts, fruit.labels, strict=True), *((f"an oddity of kind {i}", "odd") for i in range(count))]


@pytest.mark.parametrize("counts", [(1, 30), (2, 30), (3, 4, 50), (1, 1, 2, 9), (2, 2)])
def test_every_class_is_always_learnt_from_and_an_only_row_never_tested_on(counts):
    targets = np.repeat(np.arange(len(counts)), counts)
    splits = folds(targets, kind=Classes(), seed=3)
    assert len(splits) == min(5, max(counts))
    assert all(set(targets[train]) == set(range(len(counts))) for train, _ in splits)
    assert all(not set(train) & set(test) for train, test in splits)
    tested = sorted(place for _, test in splits for place in test)
    assert tested == [place for place, target in enumerate(targets) if counts[target] > 1]


def test_every_one_of_several_labels_is_always_learnt_from():
    targets = np.zeros((40, 3), np.int64)
    targets[:20, 0], targets[5, 1], targets[[7, 30], 2] = 1, 1, 1
    for seed in range(20):
        splits = folds(targets, kind=Tags(";"), seed=seed)
        assert splits and all(targets[train].any(0).all() for train, _ in splits)
        assert all(5 in train and 5 not in test for train, test in splits)


def test_there_are_no_folds_of_single_rows():
    assert folds(np.arange(4), kind=Classes()) == []


def test_a_class_too_rare_to_be_among_the_rows_that_choose_the_strength(monkeypatch):
    monkeypatch.setattr(regression, "MAX_SEARCHED_ROWS", 30)
    generator = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2], [2, 100, 100])
    features = (generator.normal(size=(202, 4)) + targets[:, None]).astype(np.float32)
    for seed in range(5):
        losses = regression.cross_validated_loss(
            features, targets, [0.1, 1.0], kind=Classes(), class_weights=None, seed=seed
        )
        assert list(losses) == [0.1, 1.0] and max(losses.values()) < 1


@pytest.mark.slow
@pytest.mark.parametrize(("count", "strategy"), [(2, "fine-tune"), (3, "fine-tune"), (2, "linear-probe")])
def test_fit_learns_a_class_of_few_rows(tiny_lm, fruit, count, strategy):
    rows = with_oddities(fruit, count)
    classifier = fit(
        TextTable.from_lists(*map(list, zip(*rows, strict=True))),
        base=tiny_lm,
        strategy=strategy,
        direction="forward",
        run=Run(device="cpu"),
        recipe=find_recipe("cpu").changed(lm_epochs=1),
    )
    assert classifier.classes == ["negative", "odd", "positive"]
    assert classifier.predict(fruit.texts[:10]) == fruit.labels[:10]
    assert classifier.training.report.ensemble.accuracy > 0.8


@pytest.mark.slow
def test_a_label_seen_once_is_mentioned_and_learnt_and_unknown_ones_are_wrong(
    ulmfit, lm_folder, fruit, write_csv, tmp_path
):
    rows = [*with_oddities(fruit, 1), ("number 50 : great , great", "positive"), ("terrible indeed", "negative")]
    out = tmp_path / "model"
    options = ["--base", lm_folder, "--lm-epochs", 1, "--direction", "forward", "--out", out]
    code, _, stderr = ulmfit("fit", write_csv(rows), *ARGUMENTS, *options)
    assert code == 0 and "the label 'odd' occurs once, in row 49; it is learnt" in stderr
    test = write_csv([*with_oddities(fruit, 2), ("what is this", "new")], "test.csv")
    code, stdout, stderr = ulmfit("evaluate", out, test, *ARGUMENTS, "--json")
    scores = json.loads(stdout)
    assert code == 0 and "was not trained on 'new'" in stderr
    assert scores["classes"] == ["negative", "odd", "positive", "new"] and scores["n"] == 51
    assert 0.9 < scores["accuracy"] <= 50 / 51 and scores["confusion"][3][3] == 0 and sum(scores["confusion"][3]) == 1
    code, _, stderr = ulmfit("evaluate", out, write_csv([("a", "yes"), ("b", "no")], "other.csv"), *ARGUMENTS)
    assert code == 2 and "the classifier knows 'negative', 'odd', 'positive'" in stderr


def test_among_few_rows_a_label_seen_once_is_taken_for_a_slip(fruit):
    rows = with_oddities(fruit, 1)[10:]
    with pytest.raises(DataError, match="'odd' occurs once, in row 39; correct it"):
        check_file_labels(TextTable.from_lists(*map(list, zip(*rows, strict=True))))
