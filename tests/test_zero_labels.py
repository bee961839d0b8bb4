"""Classifiers that know the names of their classes and no label."""

import pytest

from ulmfit_lib import LanguageModel, TextClassifier
from ulmfit_lib.errors import OptionError
from ulmfit_lib.pipeline.zero_labels import fit_by_names

PRAISE = ["I loved every minute of it.", "Excellent sound and a great battery.", "A wonderful, funny film."]
BLAME = ["The worst film I have ever seen.", "It broke after a week, a useless product.", "Rude staff, awful food."]
FILMS = ["The film was shot in Rome and its director won an award.", "She starred in two comedies and a thriller."]
SPORT = ["The striker scored twice and the team won the cup.", "He finished third in the marathon."]


@pytest.fixture(scope="module")
def base():
    return LanguageModel.from_pretrained("general-en-small")


def test_names_of_opinions_tell_praise_from_blame(base):
    classifier = fit_by_names(PRAISE + BLAME, ["positive", "negative"], base=base)
    assert classifier.predict(PRAISE + BLAME) == ["positive"] * 3 + ["negative"] * 3
    assert classifier.training.stages[-1].by == "opinion"


@pytest.mark.slow
def test_other_names_stand_for_what_they_mean(base, tmp_path):
    classifier = fit_by_names(FILMS + SPORT, ["sport", "film"], base=base, direction="forward")
    assert classifier.predict(FILMS + SPORT) == ["film"] * 2 + ["sport"] * 2
    classifier.save(tmp_path / "model")
    assert TextClassifier.load(tmp_path / "model").predict(SPORT) == ["sport"] * 2


@pytest.mark.slow
def test_a_file_without_labels_needs_two_names_and_a_distilled_base(ulmfit, tiny_lm, write_csv, tmp_path):
    with pytest.raises(OptionError, match="two different names"):
        fit_by_names(PRAISE, ["good", " good "], base=tiny_lm)
    with pytest.raises(OptionError, match="distilled"):
        fit_by_names(PRAISE, ["good", "bad"], base=tiny_lm)
    file = write_csv([(text,) for text in PRAISE], "texts.csv", ("review",))
    asked = ["fit", file, "--text", "review", "--out", tmp_path / "model"]
    code, _, told = ulmfit(*asked)
    assert code == 2 and "--label" in told and "--classes" in told
    code, told, _ = ulmfit(*asked, "--classes", "positive,negative", "--base", "general-en-small")
    assert code == 0 and "its accuracy is not known" in told


@pytest.mark.parametrize(
    "given",
    [
        ["--describe", "good: praise"],
        ["--set", "fit_lm.lr=0.001"],
        ["--minutes", "1"],
        ["--no-baseline"],
        ["--decide-for", "macro-f1"],
        ["--ratings"],
        ["--report", "report.html"],
        ["--json"],
    ],
    ids=lambda given: given[0],
)
def test_options_that_need_labels_are_refused_where_there_are_none(ulmfit, write_csv, tmp_path, given):
    file = write_csv([(text,) for text in PRAISE], "texts.csv", ("review",))
    asked = ["fit", file, "--text", "review", "--out", tmp_path / "model", "--classes", "good,bad"]
    code, _, told = ulmfit(*asked, *given)
    assert code == 2 and f"{given[0]} needs labels" in told and not (tmp_path / "model").exists()
