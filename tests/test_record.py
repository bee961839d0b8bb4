import json
from dataclasses import replace
from pathlib import Path

import pytest

from ulmfit_lib.artifact.catalogue import EMBEDDED
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.errors import ArtifactError, OptionError

FOLDERS = [*Path(__file__).parent.glob("data/*/*/training.json"), *EMBEDDED.glob("*/training.json")]
REPORTED = json.loads((Path(__file__).parent / "data/version-2/classifier/training.json").read_text())


def read(report: object) -> TrainingRecord:
    return TrainingRecord.from_json({**REPORTED, "report": report})


@pytest.mark.parametrize("file", FOLDERS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_what_any_version_wrote_is_read_and_written_back_whole(file):
    found = json.loads(file.read_text(encoding="utf-8"))
    again = TrainingRecord.load(file.parent).as_json()
    for stage, before in zip(again["stages"], found["stages"], strict=True):
        added = {name: value for name, value in stage.items() if name not in before}
        assert all(not value for value in added.values())
        assert before == {name: stage[name] for name in before}
    report = found.get("report", {})
    assert report == {name: value for name, value in again.get("report", {}).items() if name in report}
    assert {**found, "stages": 0, "report": 0} == {**again, "stages": 0, "report": 0}


def test_a_report_is_read_by_attribute():
    record = TrainingRecord.from_json(REPORTED)
    report = record.report
    assert report is not None and report.ensemble is report.scores[ENSEMBLE]
    assert report.sentence.startswith("On 8 held-out rows") and report.ensemble.low == pytest.approx(0.6756, abs=1e-4)
    assert record.last.name == "classify"


@pytest.mark.parametrize(("minutes", "share"), [(0.0, 1.0), (0.2, 0.2), (10.0, 1.0)])
def test_a_report_from_before_shares_of_time_were_kept_tells_its_own_by_its_minutes(minutes, share):
    report = read({**REPORTED["report"], "minutes": minutes}).report
    assert report is not None and report.share_of_time == share
    again = read(replace(report, share_of_time=0.5).as_json()).report
    assert again is not None and again.share_of_time == 0.5


def test_what_a_later_version_adds_is_kept():
    added = {**REPORTED, "colour": 1, "stages": [{"stage": "classify", "mood": [2]}], "more": {"size": 3}}
    again = TrainingRecord.from_json(added)
    assert again.last == Stage("classify", more={"mood": [2]})
    assert replace(again, name="b").as_json()["colour"] == 1 and again.as_json()["stages"][0]["mood"] == [2]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (3, "'3' is no dict"),
        ({"stages": {}}, "stages: '{}' is no list"),
        ({"stages": [7]}, "stage 1: '7' is no dict"),
        ({"stages": [{}]}, "stage 1.name: 'None' is no str"),
        ({"stages": [{"stage": "pretrain", "seconds": "long"}]}, "stage 1.seconds: 'long' is no float"),
        ({"stages": [{"stage": "pretrain", "texts": True}]}, "stage 1.texts: 'True' is no int"),
        ({"stages": [{"stage": "x", "validation": {"tokens": 1}}]}, "stage 1.validation: it lacks 'perplexity'"),
        ({"name": []}, "name: '\\[\\]' is no str"),
    ],
)
def test_a_record_of_wrong_types_is_refused_and_the_place_named(damage, said):
    with pytest.raises(ArtifactError, match=f"training.json.*{said}"):
        TrainingRecord.from_json(damage)


@pytest.mark.parametrize("name", ["sentence", "majority", "delivered", "held_out_rows"])
def test_a_report_that_lacks_something_is_kept_but_not_read(name):
    partial = {key: value for key, value in REPORTED["report"].items() if key != name}
    record = read(partial)
    assert record.report is None and record.as_json()["report"] == partial
    with pytest.raises(OptionError, match="make it with `fit`"):
        record.certainty()
