import json
from functools import partial

import numpy as np
import pytest

from ulmfit_lib import TextTable, fit
from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.learning_curve import LearningCurve
from ulmfit_lib.pipeline.label_budget import label_budget, nested_order
from ulmfit_lib.pipeline.tuning import tune
from ulmfit_lib.training.run import Run


def answers(law, sizes, *, draws=5, rows=400, seed=0):
    """Wrong answers whose chance follows a law; a row that is hard for one size is hard for the others."""
    generator = np.random.default_rng(seed)
    return [np.array([generator.random(rows) < law(size) for size in sizes]) for _ in range(draws)]


@pytest.mark.slow
def test_a_power_law_is_found_again_and_its_interval_holds_the_truth():
    sizes, held = [20, 40, 80, 160, 320], 0
    for seed in range(20):
        curve = LearningCurve.fit(sizes, answers(lambda n: 0.8 * n**-0.25, sizes, seed=seed), seed=seed)
        gain, low, high = curve.gain(320, 320)
        truth = 0.8 * (320**-0.25 - 640**-0.25)
        assert abs(gain - truth) < 0.015 and low <= gain <= high
        held += low <= truth <= high
    assert 14 <= held <= 20  # of 20, 18 are expected


def test_labels_never_hurt_and_no_error_is_not_never():
    flat = LearningCurve.fit([10, 20, 40], answers(lambda n: 0.2 + n / 200, [10, 20, 40]))
    assert flat.exponent == 0 and flat.gain(40, 40)[0] == 0
    perfect = LearningCurve.fit([10, 20], [np.zeros((2, 50), bool)])
    assert 0 < perfect.error(1000) < 0.02


def test_every_beginning_is_stratified():
    labels = ["a"] * 80 + ["b"] * 16 + ["c"] * 4
    order = nested_order(labels, seed=3)
    assert sorted(order) == list(range(100)) and order != nested_order(labels, seed=4)
    assert sorted(labels[i] for i in order[:6]) == ["a", "a", "b", "b", "c", "c"]
    for size in (25, 50, 75):
        assert abs([labels[i] for i in order[:size]].count("a") / size - 0.8) < 0.1


@pytest.mark.slow
def test_a_budget_says_what_more_labels_bring(ulmfit, tiny_lm, reviews, write_csv, tmp_path):
    tiny_lm.save(tmp_path / "lm")
    labelled = reviews.labelled()
    data = write_csv(zip(labelled.texts, labelled.labels, strict=True))
    command = ["label-budget", data, "--text", "review", "--label", "sentiment", "--base", tmp_path / "lm"]
    code, out, _ = ulmfit(*command, "--more", 100, "--plot", tmp_path / "curve.png")
    assert code == 0 and f"With all {len(labelled)} labels" in out and "100 more labels: about +" in out
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = ulmfit(*command, "--json")
    found = json.loads(out)
    assert code == 0 and found["curve"]["labels"] == sorted(found["curve"]["labels"])
    assert [one["labels"] for one in found["more"]] == [100, 200, 500] and 0 < found["accuracy"] < 1
    assert all(low <= one["gain"] <= high for one in found["more"] for low, high in [one["gain_90"]])
    code, _, err = ulmfit(*command, "--plot", tmp_path / "curve.doc")
    assert code == 2 and ".png" in err


def test_too_few_rows_are_said(tiny_lm):
    table = TextTable.from_lists([f"text {i}" for i in range(20)], ["a", "b"] * 10)
    with pytest.raises(DataError, match="20 labelled rows; a curve needs 40"):
        label_budget(table, base=tiny_lm)


def test_texts_that_are_all_alike_are_said(tiny_lm):
    table = TextTable.from_lists(["the same again"] * 44, ["a", "b"] * 22)
    with pytest.raises(DataError, match="no label has two different texts"):
        label_budget(table, base=tiny_lm)


@pytest.mark.slow
def test_the_curve_ends_where_fit_begins(tiny_lm):
    """With all labels, as many are wrong as the report of ``fit`` says of its heads: the parts are weighed alike."""
    random = np.random.default_rng(1)
    labels = ["good", "bad"] * 25
    texts = [
        f"{label if random.random() < 0.6 else 'some'} film {random.integers(99)} of {i}"
        for i, label in enumerate(labels)
    ]
    table = TextTable.from_lists(texts, labels)
    curve = label_budget(table, base=tiny_lm, run=Run(device="cpu")).curve
    report = fit(table, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu")).training.report
    assert curve.sizes[-1] == 40 and 0 < curve.errors[-1] < 0.5
    assert curve.errors[-1] == pytest.approx(1 - report.ensemble.accuracy)


@pytest.mark.slow
def test_fine_tuning_for_every_point(tiny_lm, fruit):
    budget = label_budget(fruit, base=tiny_lm, thorough=True, folds=1, run=Run(device="cpu"))
    assert budget.labels == 48 and len(budget.curve.sizes) >= 2


def test_what_is_no_table_is_refused_with_the_way_to_one(tmp_path):
    for refuse in (label_budget, partial(tune, folder=tmp_path)):
        with pytest.raises(DataError, match=r"where a table of texts and labels is needed: read_table"):
            refuse(["a text"])
