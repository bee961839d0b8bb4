"""The static tier: it says what its classifier says, alone and among others, from a folder and from a page of HTML."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.serving.static_classifier import StaticClassifier, find_terms
from ulmfit_lib.serving.static_page import write_page
from ulmfit_lib.training.static_student import Loss, distil_static, measure_certainty, measure_loss

TEXTS = [
    "the film was great great",
    "Terrible, TERRIBLE film!",
    "",
    "qqqq",
    "don’t – İstanbul 映画は très\u2028bien 😀 <b>it's</b> was",
    "number 7 : " + "word and " * 120 + "terrible",
]


@pytest.fixture(scope="module")
def student(tiny_classifier, fruit):
    return distil_static(tiny_classifier, fruit.texts)


def test_it_says_what_its_classifier_says(student, tiny_classifier, fruit):
    loss = measure_loss(tiny_classifier, student, fruit)
    assert loss.teacher_accuracy == 1 and loss.lost == 0 and loss.rows == 48
    assert measure_loss(tiny_classifier, student, TextTable.from_lists(fruit.texts)).student_accuracy is None
    with pytest.raises(DataError, match="20 are needed"):
        distil_static(tiny_classifier, fruit.texts[:5])


def test_a_text_gets_the_same_bits_alone_and_among_others(student):
    among = student.predict_proba(TEXTS)
    assert all((student.predict_proba([text])[0] == row).all() for text, row in zip(TEXTS, among, strict=True))
    assert student.predict_proba([]).shape == (0, 2)


def test_a_saved_one_says_the_same(student, tmp_path):
    student.save(tmp_path / "static")
    again = StaticClassifier.load(tmp_path / "static")
    np.testing.assert_allclose(again.predict_proba(TEXTS), student.predict_proba(TEXTS), atol=1e-6)
    (tmp_path / "static" / "terms.json").write_text(json.dumps(student.terms[::-1]))
    with pytest.raises(ArtifactError, match=r"terms\.json"):
        StaticClassifier.load(tmp_path / "static")


def test_its_folder_is_described(student, tmp_path, ulmfit):
    student.save(tmp_path / "static")
    code, said, _ = ulmfit("info", tmp_path / "static")
    assert code == 0 and said.startswith("# A static classifier")
    assert json.loads(ulmfit("info", tmp_path / "static", "--json")[1])["classes"] == list(student.classes)


def test_the_label_that_is_said_is_explained(student):
    likeliest = student.explain(TEXTS[0]).label
    other = next(name for name in student.classes if name != likeliest)
    offsets = tuple(50.0 * (name == other) for name in student.classes)
    asked = replace(student, rule=DecisionRule(offsets=offsets))
    assert asked.predict([TEXTS[0]]) == [asked.explain(TEXTS[0]).label] == [other]


def test_an_explanation_adds_up(student):
    found = student.explain(TEXTS[0], label="positive")
    assert found.words[int(found.contributions.argmax())] == "great"
    log_odds = student.raw_scores([TEXTS[0]])[0]
    assert found.rest + found.contributions.sum() == pytest.approx(log_odds[1] - log_odds[0], abs=1e-4)
    assert found.rest == pytest.approx(float(student.intercepts[1] - student.intercepts[0]), abs=1e-4)


def test_terms_are_words_and_pairs():
    assert find_terms("Well-made, 映画!") == ["well-made", ",", "映", "画", "!", "well-made ,", ", 映", "映 画", "画 !"]


def test_the_command_measures_first_and_refuses_what_loses_too_much(
    ulmfit, tiny_classifier, fruit, write_csv, tmp_path, monkeypatch
):
    tiny_classifier.save(tmp_path / "m")
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    asked = ["--tier", "static", "--learn", data, "--text", "review", "--label", "sentiment"]
    page = tmp_path / "page.html"
    code, out, err = ulmfit("export", tmp_path / "m", "--out", tmp_path / "s", *asked, "--html", page)
    assert code == 0 and "loss of 0.0000" in out and "10 held-out rows" in out, err
    assert page.stat().st_size > 1000
    code, out, _ = ulmfit("predict", tmp_path / "s", TEXTS[0])
    assert code == 0 and out.startswith("positive")
    monkeypatch.setattr("ulmfit_lib.training.static_student.measure_loss", lambda *_: Loss(10, 0.2))
    code, out, err = ulmfit("export", tmp_path / "m", "--out", tmp_path / "t", *asked)
    assert code == 2 and "--lose 0.03" in err and "20.0 %" in out and not (tmp_path / "t").exists()
    assert ulmfit("export", tmp_path / "m", "--out", tmp_path / "t", "--tier", "static")[0] == 2
    assert ulmfit("export", tmp_path / "m", "--out", tmp_path / "t", "--html", page)[0] == 2


def test_labels_that_the_classifier_does_not_know_measure_no_loss(ulmfit, tiny_classifier, fruit, write_csv, tmp_path):
    tiny_classifier.save(tmp_path / "m")
    data = write_csv([(text, f"{label}s") for text, label in zip(fruit.texts, fruit.labels, strict=True)])
    asked = ["--tier", "static", "--learn", data, "--text", "review", "--label", "sentiment"]
    code, out, err = ulmfit("export", tmp_path / "m", "--out", tmp_path / "s", *asked)
    assert code == 2 and "row 1 has the label" in err and "the classifier knows" in err and not out
    assert not (tmp_path / "s").exists()


def test_what_was_not_measured_is_not_claimed(student):
    with pytest.raises(OptionError, match="--check FILE"):
        student.thresholds(0.9)
    with pytest.raises(OptionError, match="held-out"):
        student.prediction_sets(0.9)


def test_uncertain_texts_are_unsure_by_rows_that_were_checked(
    ulmfit, tiny_classifier, fruit, write_csv, tmp_path, student
):
    tiny_classifier.save(tmp_path / "m")
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    unheard = [(f"{text} .", label) for text, label in zip(fruit.texts, fruit.labels, strict=True)]
    check = write_csv(2 * [*unheard, *(("qqqq", label) for label in student.classes * 8)], name="check.csv")
    asked = ["--tier", "static", "--learn", data, "--text", "review", "--label", "sentiment", "--lose", "1"]
    code, _, err = ulmfit("export", tmp_path / "m", "--out", tmp_path / "s", *asked, "--check", check)
    assert code == 0, err
    code, out, err = ulmfit("predict", tmp_path / "s", "qqqq", "--min-precision", "0.9")
    assert code == 0 and out.startswith("unsure") and "labelled unsure" in err
    assert StaticClassifier.load(tmp_path / "s").thresholds(0.9).shape == (2,)
    for option in ("--by-class", "--min-precision=positive=0.9"):
        asked = [option] if "=" in option else ["--min-precision", "0.9", option]
        code, _, err = ulmfit("predict", tmp_path / "s", "qqqq", *asked)
        assert code == 2 and "give one number" in err


def test_a_damaged_record_of_certainty_is_refused(student, tmp_path):
    measured = measure_certainty(student, TextTable.from_lists(["film"] * 4, ["positive"] * 4))
    measured.rows.append(7)
    replace(student, measured=measured).save(tmp_path / "s")
    with pytest.raises(ArtifactError, match="certainty"):
        StaticClassifier.load(tmp_path / "s")


# The page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_page_says_the_same_in_a_browser_without_a_network(student, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    write_page(student, tmp_path / "page.html")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(offline=True)
        page, wrong = context.new_page(), []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda one: one.url.startswith(("file:", "data:")) or wrong.append(one.url))
        page.goto((tmp_path / "page.html").as_uri())
        found = page.evaluate("(texts) => texts.map(classify)", TEXTS)
        page.fill("#text", TEXTS[1])
        assert page.inner_text("#label") == "negative" and page.inner_text("#words") == TEXTS[1]
        assert page.locator("#words mark").count() == len(student.explain(TEXTS[1]).words)
        browser.close()
    assert not wrong
    np.testing.assert_allclose([one["probabilities"] for one in found], student.predict_proba(TEXTS), atol=1e-4)
    assert [one["labels"][0] for one in found] == student.predict(TEXTS)
    for text, one in zip(TEXTS, found, strict=True):
        if text:
            expected = student.explain(text, label=one["labels"][0])
            np.testing.assert_allclose(one["contributions"], expected.contributions, atol=1e-4)
