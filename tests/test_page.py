"""The page in a browser: typing, a file, a download, a correction. Skipped where there is no Chromium."""

import csv
import shutil
import subprocess
import sys
import time

import pytest

from ulmfit_lib.training.run import Run

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def address(tiny_lm, fruit, tmp_path_factory):
    import socket

    import httpx

    from ulmfit_lib import fit

    folder = tmp_path_factory.mktemp("page")
    fit(fruit, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu")).save(folder / "films")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "ulmfit_lib.cli",
        "serve",
        str(folder / "films"),
        "--port",
        str(port),
        "--folder",
        str(folder / "state"),
        "--train",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    new, wrong = browser.new_page(), []
    new.on("pageerror", lambda error: wrong.append(str(error)))
    new.on("request", lambda request: request.url.startswith((address, "data:", "blob:")) or wrong.append(request.url))
    new.goto(address)
    yield new
    new.close()
    assert not wrong


def test_a_text_gets_its_label_and_its_words(page):
    page.fill("#given", "the film was terrible 😀 terrible")
    page.click("text=Classify")
    page.wait_for_selector("#words mark")
    assert page.inner_text("#label") == "negative" and page.inner_text("#words") == "the film was terrible 😀 terrible"


def test_a_file_is_labelled_corrected_and_downloaded(page, tmp_path):
    (tmp_path / "texts.csv").write_text('id;text\n1;"great, great"\n2;terrible terrible\n3;\n')
    page.click("#tab-file")
    page.set_input_files("#csv", tmp_path / "texts.csv")
    page.select_option("#column", "text")
    page.click("text=Label every row")
    page.wait_for_selector("#done:not([hidden])")
    assert page.inner_text("#notes").splitlines() == [
        "input.csv: columns are separated by ';'",
        "Rows without a text, and so without a label: 1",
    ]
    with page.expect_download() as download:
        page.click("#download")
    rows = list(csv.reader(download.value.path().read_text().splitlines()))
    assert [row[:3] for row in rows[1:3]] == [["1", "great, great", "positive"], ["2", "terrible terrible", "negative"]]
    page.select_option("#rows select >> nth=0", "negative")
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.path().read_text().split() == ["text,label", '"great,', 'great",negative']


def test_the_sheet_and_the_encoding_of_a_file_are_chosen_on_the_page(page, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["About these reviews"])
    for name, row in (("First", ("id", "text")), ("Second", ("number", "review"))):
        sheet = book.create_sheet(name)
        sheet.append(row)
        sheet.append((1, "terrible terrible"))
    book.save(tmp_path / "texts.xlsx")
    page.click("#tab-file")
    page.set_input_files("#csv", tmp_path / "texts.xlsx")
    page.wait_for_selector("#column >> text=text", state="attached")
    assert page.input_value("#upload [name=sheet]") == "First"  # of those with rows
    page.select_option("#upload [name=sheet]", "Second")
    page.wait_for_selector("#column >> text=review", state="attached")
    page.select_option("#column", "review")
    page.click("text=Label every row")
    page.wait_for_selector("#done:not([hidden])")
    assert page.inner_text("#rows tbody td >> nth=0") == "terrible terrible"
    (tmp_path / "texts.csv").write_bytes("text,größe\ngreat,x\n".encode("cp1252"))
    page.set_input_files("#csv", tmp_path / "texts.csv")
    page.wait_for_selector("#error >> text=encoded")
    page.fill("#upload [name=encoding]", "cp1252")
    page.press("#upload [name=encoding]", "Tab")
    page.wait_for_selector("#column >> text=größe", state="attached")
    assert page.is_hidden("#upload [name=sheet]")
    page.set_input_files("#csv", {"name": "a.csv", "mimeType": "text/csv", "buffer": b"review\ngreat\n"})
    page.wait_for_selector("#column >> text=review", state="attached")
    assert page.input_value("#upload [name=encoding]") == ""  # it was another file's


def test_the_card_and_the_keyboard(page):
    page.focus("#tab-text")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-card", "aria-selected") == "true"
    assert "cross-validated in" in page.inner_text("#sentence")


def test_a_mistake_is_said_on_the_page(page, tmp_path):
    page.click("#tab-train")
    (tmp_path / "bad.csv").write_text("text,label\na,b\n")
    page.set_input_files("#labelled", tmp_path / "bad.csv")
    page.wait_for_selector("#label-column >> text=label", state="attached")
    page.fill("#name", "bad")
    page.click("#begin >> text=Train")
    page.wait_for_selector("#training-state >> text=failed", timeout=60_000)
    assert "a classifier needs two" in page.inner_text("#log")


def test_the_reference_needs_nothing_from_elsewhere_and_shows_every_call(page):
    page.click("#tab-card")
    page.click("text=All calls, with examples")
    page.wait_for_selector("h1 >> text=HTTP interface")
    calls = page.locator("article h2").all_inner_texts()
    assert {"POST /predict", "POST /explain", "POST /jobs", "GET /jobs/{name}/result", "GET /metrics"} <= set(calls)
