import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ulmfit_lib import TextClassifier
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import calibration_error
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.linear.blend import Blend

LABELS = ["--text", "review", "--label", "sentiment"]


def predictions(n, seed):
    """Confidences that are as often right as they say."""
    draw = np.random.default_rng(seed)
    confidence = draw.uniform(0.5, 1, n)
    return confidence, draw.random(n) < confidence


def test_the_precision_asked_for_holds_on_other_rows():
    held = 0
    for seed in range(40):
        least, unsure = Certainty.measure(*predictions(600, seed)).threshold(0.9)
        confidence, right = predictions(20_000, 1000 + seed)
        sure = confidence >= least
        held += right[sure].mean() >= 0.9
        assert abs((~sure).mean() - unsure) < 0.1 and 0.4 < sure.mean() + unsure < 1.6
    assert held >= 34  # 90 % of 40 are 36


def test_the_lowest_confidence_that_is_enough_is_taken():
    confidence = np.array([0.9] * 100 + [0.8] * 100 + [0.6] * 100)
    correct = np.array([True] * 200 + [True, False] * 50)
    least, unsure = Certainty.measure(confidence, correct).threshold(0.95)
    assert least == 0.8 and unsure == pytest.approx(1 / 3)
    assert Certainty.measure(confidence, correct).threshold(0.5) == (0.6, 0)


def test_what_cannot_be_had_is_said():
    few = Certainty.measure(np.array([0.9, 0.8]), np.array([True, True]))
    with pytest.raises(OptionError, match="on the 2 rows that were measured"):
        few.threshold(0.95)
    with pytest.raises(OptionError, match="between 0 and 1"):
        few.threshold(95)


@pytest.mark.parametrize(
    "certainty",
    [
        None,
        3,
        {"confidence": [], "rows": [], "right": []},
        {"confidence": [1.0], "rows": ["1"], "right": [1]},
        {"confidence": [1.0], "rows": [0], "right": [0]},
        {"confidence": [1.0], "rows": [1, 2], "right": [1]},
    ],
)
def test_a_missing_or_damaged_record_is_said(certainty):
    file = Path(__file__).parent / "data" / "version-2" / "classifier" / "training.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    TrainingRecord.from_json(found).certainty()
    for report in ({**found["report"], "certainty": certainty}, None):
        with pytest.raises(OptionError, match="make it with `fit`"):
            TrainingRecord.from_json({**found, "report": report}).certainty()


def test_temperature_scaling_calibrates_what_is_too_sure():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.array([draw.choice(3, p=row) for row in honest])
    boastful = honest**3 / (honest**3).sum(1, keepdims=True)
    blend = Blend.fit({"ulmfit": boastful}, targets)
    scaled = blend.apply({"ulmfit": boastful})
    gaps = [calibration_error(p.max(1), p.argmax(1) == targets) for p in (boastful, scaled)]
    assert blend.baseline == 0 and gaps[1] < 0.03 < 0.15 < gaps[0]
    assert (scaled.argmax(1) == boastful.argmax(1)).mean() > 0.98


@pytest.mark.slow
def test_predict_says_unsure_and_how_often(ulmfit, tiny_lm, fruit, write_csv, tmp_path):
    tiny_lm.save(tmp_path / "lm")
    labelled = fruit
    data, model = write_csv(zip(labelled.texts, labelled.labels, strict=True)), tmp_path / "model"
    quickly = ["--base", tmp_path / "lm", "--lm-epochs", 1, "--strategy", "linear-probe"]
    assert ulmfit("fit", data, *LABELS, *quickly, "--out", model)[0] == 0
    classifier = TextClassifier.load(model)
    least, _ = classifier.certainty.threshold(0.9)
    sure = classifier.predict_proba(labelled.texts).max(1) >= least
    found = classifier.predict(labelled.texts, min_precision=0.9)
    assert [label != "unsure" for label in found] == sure.tolist() and sure.sum() > 0
    out = tmp_path / "out.jsonl"
    code, _, err = ulmfit("predict", model, data, "--text", "review", "--out", out, "--min-precision", 0.9)
    written = [json.loads(line)["prediction"] for line in out.read_text().splitlines()]
    assert code == 0 and written == found and f"{(~sure).sum()} of {len(sure)} rows" in err
    code, _, err = ulmfit("predict", model, data, "--text", "review", "--min-precision", 0.9999)
    assert code == 2 and "no confidence gives it" in err


def test_evaluate_draws_reliability(ulmfit, tiny_classifier, fruit, write_csv, tmp_path):
    tiny_classifier.save(tmp_path / "model")
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    code, out, _ = ulmfit("evaluate", tmp_path / "model", data, *LABELS, "--json", "--plots", tmp_path / "plots")
    bins = json.loads(out)["reliability"]
    assert code == 0 and sum(one["rows"] for one in bins) == 48 and (tmp_path / "plots" / "reliability.png").is_file()
    assert ulmfit("predict", tmp_path / "model", data, "--text", "review", "--min-precision", 0.9)[0] == 2


def test_a_few_rows_that_are_all_right_do_not_make_it_sure_without_bounds():
    targets = np.array([0, 1] * 5)
    right = np.where(np.eye(2)[targets] > 0, 0.9, 0.1)
    for parts in ({"ulmfit": right}, {"ulmfit": right, "baseline": right}):
        said = Blend.fit(parts, targets).apply(parts).max(1)
        assert said.min() > 0.8 and said.max() < 0.97


def test_a_class_called_unsure_is_not_confused_with_the_answer():
    classifier = SimpleNamespace(kind=Classes(), classes=["sure", "unsure"])
    with pytest.raises(OptionError, match="one of the classes is called so: give it another name"):
        TextClassifier.certainty.fget(classifier)
