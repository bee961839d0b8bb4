"""The gate: exit code and table, by limits that a tiny classifier keeps or misses."""

import json
from dataclasses import replace

import pytest

from ulmfit_lib.errors import OptionError
from ulmfit_lib.insight.drift import Drift
from ulmfit_lib.insight.gate import Limits, check_limits

SAME = Drift(300, 300, 5.0, 5.0, 0.05, 0.9, 0.5, 0.5, 0.0, 0.0)


@pytest.fixture(scope="module")
def folder(tiny_classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("gate") / "model"
    tiny_classifier.save(path)
    return path


@pytest.fixture
def gate(ulmfit, folder, write_csv, fruit):
    """Run the gate on rows of which one in eight has a wrong label."""
    wrong = ["positive" if i % 8 == 1 else label for i, label in enumerate(fruit.labels)]
    data = write_csv(zip(fruit.texts, wrong, strict=True))
    return lambda *options: ulmfit("gate", folder, data, "--text", "review", *options)


def test_a_limit_that_is_missed_ends_with_1_and_one_that_is_kept_with_0(gate):
    code, out, _ = gate("--label", "sentiment", "--min-accuracy", 0.875, "--max-calibration-error", 0.001)
    rows = {line[:17].strip(): line for line in out.splitlines()}
    assert code == 1 and "passed" in rows["accuracy"] and "0.875" in rows["accuracy"]
    assert "FAILED" in rows["calibration error"]
    assert gate("--label", "sentiment", "--min-accuracy", 0.875)[0] == 0
    code, out, _ = gate("--label", "sentiment", "--min-accuracy", 0.88, "--json")
    assert code == 1 and json.loads(out)["checks"][0]["found"] == 0.875


def test_an_exported_classifier_is_judged_too(ulmfit, gate, folder, tmp_path, write_csv, fruit):
    pytest.importorskip("onnxruntime")
    from ulmfit_lib.serving.predictor import Predictor

    Predictor.load(folder).save(tmp_path / "onnx")
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True), name="right.csv")
    options = ["--text", "review", "--label", "sentiment", "--min-accuracy", 0.9]
    assert ulmfit("gate", tmp_path / "onnx", data, *options)[0] == 0


def test_mistakes_are_told_from_failures(gate):
    for options, said in (
        ([], "no limit was given"),
        (["--min-accuracy", 85], "between 0 and 1"),
        (["--min-accuracy", 0.85], "--label"),
        (["--max-drift", 0.1], "--known"),  # fit_classifier keeps no numbers of its texts
    ):
        code, _, err = gate(*options)
        assert code == 2 and said in err


def test_a_drift_counts_unless_chance_explains_it():
    limits = Limits(max_drift=0.1)
    checks = check_limits(limits, drift=SAME)
    assert [check.found for check in checks] == [0.05, 0.0] and all(check.passed for check in checks)
    far = replace(SAME, words_distance=0.3, told_apart=0.9)
    assert all(check.passed and "chance" in check.note for check in check_limits(limits, drift=far))
    sure = replace(far, words_chance=1e-6, vectors_chance=1e-6)
    assert [check.passed for check in check_limits(limits, drift=sure)] == [False, False]
    assert check_limits(Limits(max_drift=0.9), drift=sure)[1].passed
    with pytest.raises(OptionError, match="max-drift"):
        Limits(max_drift=1.5)


@pytest.mark.slow
def test_texts_of_another_kind_do_not_pass(ulmfit, folder, lm_folder, write_csv, fruit):
    known = write_csv(zip(fruit.texts, fruit.labels, strict=True), name="known.csv")
    other = write_csv([(f"is plot {i} of its own a waste", "") for i in range(40)], name="new.csv")
    options = ["--text", "review", "--known", known, "--base", lm_folder, "--max-drift", 0.3]
    assert ulmfit("gate", folder, other, *options)[0] == 1
    assert ulmfit("gate", folder, known, *options)[0] == 0
