"""The report on a classifier, and the plots."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib import TextTable, fit
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.reporting.page import render_report, write_report
from ulmfit_lib.reporting.texts import map_places
from ulmfit_lib.training.run import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = (
    '<script src="//evil.example/x"></script><img src=//evil.example/i onerror=alert(1)> \u202e"\'&{{ 7*7 }} great'
)
COLUMNS = ["--text", "review", "--label", "sentiment"]


@pytest.fixture(scope="module")
def fitted(tiny_lm, fruit):
    return fit(fruit, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu"))


@pytest.fixture(scope="module")
def page(fitted, fruit):
    return render_report(fitted, data=fruit)


@pytest.mark.slow
def test_the_page_of_the_training_file_shows_what_was_said_by_those_that_had_not_learnt_a_row(page, fitted):
    right = 100 * fitted.training.report.ensemble.accuracy
    assert f"{right:.1f}\xa0%" in page and "in 5 folds" in page and "Row " in page


def test_the_page_holds_no_script_no_address_and_is_small(page):
    assert "<script" not in page and not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", page)
    assert len(page.encode()) < 1_000_000


def test_the_page_tells_no_folder_of_its_writer(fitted, fruit):
    at_home = replace(fruit, source="/home/ada/fruit.csv")
    stages = (*fitted.training.stages[:-1], replace(fitted.training.last, source=at_home.source))
    drawn = render_report(replace(fitted, training=replace(fitted.training, stages=stages)), data=at_home)
    assert "fruit.csv" in drawn and "/home/ada" not in drawn


def test_no_text_can_add_anything_to_the_page(fitted, fruit):
    label = "<b onclick=alert(2)>negative"
    table = TextTable.from_lists([HOSTILE + f" {i}" for i in range(12)], [*fruit.labels[:11], label])
    drawn = render_report(fitted, data=table)
    assert "<script" not in drawn and "<img" not in drawn and "<b onclick" not in drawn
    assert "&lt;" in drawn and "with a label that the classifier has not" in drawn


@pytest.mark.slow
def test_without_texts_no_word_of_them_is_on_the_page(fitted, fruit):
    marked = TextTable.from_lists([f"{text} zyzzyva{i}" for i, text in enumerate(fruit.texts)], fruit.labels)
    assert "zyzzyva" in render_report(fitted, data=marked)
    assert "zyzzyva" not in render_report(fitted, data=marked, texts=False)


@pytest.mark.slow
def test_every_kind_of_label_has_a_page(tiny_lm, fruit):
    tags = TextTable.from_lists(
        fruit.texts, [f"{label};film" if i % 3 else label for i, label in enumerate(fruit.labels)]
    )
    stars = TextTable.from_lists(fruit.texts, ["5" if label == "positive" else "1" for label in fruit.labels])
    for table, said in ((tags.with_kind(Tags(";")), "micro F1"), (stars.with_kind(Ratings()), "off by")):
        classifier = fit(table, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu"))
        for data in (table, table.select(range(0, 40)), None):
            assert said in render_report(classifier, data=data)


def test_the_same_texts_give_the_same_page(page, fitted, fruit):
    assert render_report(fitted, data=fruit) == page
    vectors = np.random.default_rng(0).normal(size=(40, 8))
    assert (map_places(vectors, 1) == map_places(vectors, 1)).all()


def test_what_cannot_be_scored_is_said(tiny_classifier, fitted, fruit, tmp_path):
    with pytest.raises(OptionError, match="no whole record of scores"):
        render_report(tiny_classifier)
    broken = fitted.training.as_json()
    broken["report"]["delivered"] = {"accuracy": "<script>"}
    with pytest.raises(OptionError, match="no whole record of scores"):
        render_report(replace(fitted, training=TrainingRecord.from_json(broken)))
    with pytest.raises(OptionError, match="has learnt from these rows"):
        render_report(tiny_classifier, data=fruit)
    with pytest.raises(DataError, match="no row has a label"):
        render_report(fitted, data=TextTable.from_lists(["a text", "another"], ["dog", "cat"]))
    with pytest.raises(OptionError, match=r"must end in \.html"):
        write_report(fitted, tmp_path / "report.pdf")


@pytest.mark.slow
def test_the_training_file_is_known_without_its_rows_that_have_no_label(tiny_lm, fruit):
    mixed = TextTable.from_lists(["a text", *fruit.texts], [None, *fruit.labels])
    classifier = fit(mixed, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu"))
    assert "in 5 folds" in render_report(classifier, data=fruit) and "Most typical" in render_report(
        classifier, data=fruit
    )


def test_a_few_texts_are_called_too_few(fitted, fruit):
    assert "too few to say what it is worth" in render_report(fitted, data=fruit.select(range(10)))


@pytest.mark.slow
def test_the_command_writes_the_report_and_fit_does_with_plots(ulmfit, lm_folder, fruit, write_csv, tmp_path):
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    asked = ["--base", lm_folder, "--strategy", "linear-probe", "--out", tmp_path / "model"]
    made = ["--report", tmp_path / "fit.html", "--plots", tmp_path / "plots"]
    assert ulmfit("fit", data, *COLUMNS, *asked, *made, "--report", tmp_path / "x.txt")[0] == 2
    assert ulmfit("fit", data, *COLUMNS, *asked, *made)[0] == 0
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"confusion.png", "reliability.png", "coverage.png"} <= names
    code, out, _ = ulmfit("report", tmp_path / "model", data, *COLUMNS, "--out", tmp_path / "again.html")
    assert code == 0 and "wrote the report" in out
    assert (tmp_path / "fit.html").read_text() == (tmp_path / "again.html").read_text()
    assert ulmfit("report", tmp_path / "model", data, "--out", tmp_path / "n.html")[0] == 2


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_no_request_leaves_the_page_and_it_fits_a_phone(page, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    address = (tmp_path / "report.html").as_uri()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 390, "height": 800})
        asked, wrong = [], []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("console", lambda message: wrong.append(message.text))
        opened.goto(address)
        assert [url for url in asked if not url.startswith("data:")] == [address] and not wrong
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
        assert opened.evaluate(
            "[...document.querySelectorAll('svg[role=img]')].every(one => one.querySelector('title'))"
        )
        assert opened.locator("h1").count() == 1 and opened.locator("table:not(:has(caption))").count() == 0
        browser.close()
