import csv
import html
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from types import SimpleNamespace
from urllib.parse import urljoin

import pytest

from ulmfit_lib import TextClassifier, fit
from ulmfit_lib.errors import OptionError
from ulmfit_lib.training.run import Run

pytest.importorskip("fastapi")
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ulmfit_lib.data.reading import read_table
from ulmfit_lib.labels.options import KindOptions
from ulmfit_lib.pipeline.fit_file import fit_file
from ulmfit_lib.server.app import create_app
from ulmfit_lib.server.guarding import Limits
from ulmfit_lib.server.jobs import Jobs
from ulmfit_lib.server.labelling import label_file
from ulmfit_lib.server.models import Models
from ulmfit_lib.server.routes import training_routes
from ulmfit_lib.server.training import Trainings
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.serving.static_classifier import StaticClassifier
from ulmfit_lib.training.static_student import distil_static

GOOD, BAD = "the film was great great", "the film was terrible terrible"


@pytest.fixture(scope="module")
def model(tiny_lm, fruit, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "films"
    fit(fruit, base=tiny_lm, strategy="linear-probe", run=Run(device="cpu")).save(path)
    return path


@pytest.fixture
def serve(model, tmp_path):
    """A client of an application with some options."""
    with_context = []

    def make(waiting=100, models=(model,), **options):
        served = Models(list(models), threads=2, waiting=waiting)
        client = TestClient(create_app(served, folder=tmp_path / "state", **options))
        with_context.append(client.__enter__())
        client.served = served
        return client

    yield make
    for client in with_context:
        client.__exit__(None, None, None)


def test_answers_are_those_of_the_classifier(serve, model):
    texts = [GOOD, BAD, ""]
    found = serve().post("/predict", json={"texts": texts}).json()
    expected = TextClassifier.load(model).predict_proba(texts)
    assert found["model"] == "films" and [one["label"] for one in found["predictions"]][:2] == ["positive", "negative"]
    for one, row in zip(found["predictions"], expected, strict=True):
        assert list(one["probabilities"].values()) == pytest.approx(row.tolist(), abs=1e-4)


def test_static_classifiers_are_served_too(serve, model, tmp_path):
    static = distil_static(TextClassifier.load(model), [GOOD, BAD] * 20)
    static.save(tmp_path / "small")
    client = serve(models=[tmp_path / "small"])
    found = client.post("/predict", json={"texts": [GOOD, BAD]}).json()["predictions"]
    expected = StaticClassifier.load(tmp_path / "small").predict_proba([GOOD, BAD])
    assert [list(one["probabilities"].values()) for one in found] == expected.round(6).tolist()
    assert client.post("/explain", json={"text": GOOD}).json()["label"] == found[0]["label"]
    assert client.get("/models").json()[0]["classes"] == ["negative", "positive"]
    unmeasured = client.post("/predict", json={"texts": [GOOD], "min_precision": 0.9})
    assert unmeasured.status_code == 422 and "--check FILE" in unmeasured.json()["detail"]


def test_a_precision_that_cannot_be_had_and_an_unknown_model_are_said(serve):
    client = serve()
    answer = client.post("/predict", json={"texts": [GOOD], "min_precision": 0.9999})
    assert answer.status_code == 422 and "no confidence gives it" in answer.json()["detail"]
    answer = client.post("/predict", json={"texts": [GOOD], "model": "other"})
    assert answer.status_code == 404 and "served are films" in answer.json()["detail"]


def test_the_reference_shows_commands_that_work_and_lets_no_markup_in(serve):
    client = serve(token="secret")
    page = client.get("/docs").text
    body = html.unescape(page).partition("/predict \\")[2].partition("-d '")[2].partition("'")[0]
    answer = client.post("/predict", json=json.loads(body), headers={"Authorization": "Bearer secret"})
    assert answer.status_code == 200 and "http://testserver/predict" in page
    assert "<script" not in page and "https://" not in page


def test_limits_are_sentences(serve):
    client = serve(limits=Limits(texts=2, characters=50, body=500))
    for texts, said in ((["a"] * 3, "at most 2"), (["a" * 51], "at most 50"), (["a" * 600], "at most 500")):
        answer = client.post("/predict", json={"texts": texts})
        assert answer.status_code == 413 and said in answer.json()["detail"]


def test_more_than_may_wait_is_refused_and_nothing_accepted_is_lost(serve, monkeypatch, eventually):
    client = serve(waiting=3)
    go_on = threading.Event()
    monkeypatch.setattr("ulmfit_lib.server.answering.answer", lambda *_: go_on.wait(20) and [])
    answers = []
    first = threading.Thread(target=lambda: answers.append(client.post("/predict", json={"texts": [GOOD] * 3})))
    first.start()
    eventually(lambda: client.served.under_way)
    refused = client.post("/predict", json={"texts": [GOOD]})
    assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
    assert "3 texts are waiting already" in refused.json()["detail"]
    assert client.get("/ready").status_code == 503 and client.get("/health").status_code == 200
    go_on.set()
    first.join()
    assert answers[0].status_code == 200 and client.served.under_way == 0 and client.get("/ready").status_code == 200


def test_a_token_is_needed_where_there_is_one(serve):
    client = serve(token="secret")
    assert client.get("/models").status_code == 401 and client.get("/health").status_code == 200
    assert client.get("/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/models", headers={"Authorization": "Bearer secret"}).json()[0]["name"] == "films"
    assert client.get("/").status_code == 200


def test_a_replaced_folder_is_read_anew(serve, model, tiny_lm, fruit, tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.server.models.LOOKED_AFTER", 0.0)
    link = tmp_path / "live"
    link.symlink_to(shutil.copytree(model, tmp_path / "first"))
    client = serve(models=(link,))
    swapped = fit(
        type(fruit).from_lists(fruit.texts, ["yes" if label == "positive" else "no" for label in fruit.labels]),
        base=tiny_lm,
        strategy="linear-probe",
        run=Run(device="cpu"),
    )
    link.unlink()
    swapped.save(tmp_path / "second")
    link.symlink_to(tmp_path / "second")
    assert client.post("/predict", json={"texts": [GOOD]}).json()["model"] == "second"
    assert client.post("/predict", json={"texts": [GOOD]}).json()["predictions"][0]["label"] == "yes"


@pytest.fixture
def finished(eventually):
    """The state of a job, once it is done or failed."""

    def wait(client, name):
        eventually(lambda: client.get(f"/jobs/{name}").json()["state"] not in ("waiting", "running"))
        return client.get(f"/jobs/{name}").json()

    return wait


def test_a_file_is_labelled_in_its_order(serve, finished):
    rows = [[str(i), GOOD if i % 3 else f"{BAD}, {i}"] for i in range(150)]
    file = io.StringIO()
    csv.writer(file).writerows([["id", "text"], *rows])
    client = serve()
    name = client.post("/jobs", files={"file": file.getvalue()}, data={"text": "text"}).json()["id"]
    state = finished(client, name)
    assert state["state"] == "done" and state["done"] == state["rows"] == 150
    assert state["labels"] == {"negative": 50, "positive": 100}
    found = list(csv.reader(io.StringIO(client.get(f"/jobs/{name}/result").text)))
    assert found[0] == [
        "id",
        "text",
        "prediction",
        "confidence",
        *(f"probability of {name}" for name in ("negative", "positive")),
    ]
    assert [row[:2] for row in found[1:]] == rows
    assert [row[2] for row in found[1:4]] == ["negative", "positive", "positive"]
    assert client.delete(f"/jobs/{name}").status_code == 204 and client.get(f"/jobs/{name}").status_code == 404


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "no column 'text'; it has 'a', 'b'"),
        ("text,b\n1\n", "line 2 has 1 field and the header has 2"),
        ("", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(serve, content, said):
    answer = serve().post("/jobs", files={"file": content}, data={"text": "text"})
    assert answer.status_code == 422 and said in answer.json()["detail"]


def labelling(folder, models):
    return Jobs(folder, partial(label_file, models=models))


def write(text):
    return lambda path: path.write_text(text)


def test_jobs_go_on_after_a_restart(model, tmp_path, monkeypatch, eventually):
    models = Models([model], threads=1, waiting=10)
    monkeypatch.setattr(Jobs, "_run", lambda self: None)  # the server stops before it begins
    name = labelling(tmp_path, models).begin(write(f"text\n{GOOD}\n"), model=None, column="text").name
    monkeypatch.undo()
    after = labelling(tmp_path, models)
    eventually(lambda: after.find(name).state["state"] == "done")
    assert "positive" in after.find(name).result.read_text()
    after.stop()


def test_a_job_that_a_stop_interrupts_goes_on_after_a_restart(model, tmp_path, monkeypatch, eventually):
    models, under_way, go_on = Models([model], threads=1, waiting=10), threading.Event(), threading.Event()
    predict_proba = Predictor.predict_proba

    def slowly(self, texts):
        under_way.set()
        go_on.wait(20)
        return predict_proba(self, texts)

    monkeypatch.setattr(Predictor, "predict_proba", slowly)
    before = labelling(tmp_path, models)
    job = before.begin(write("text\n" + f"{GOOD}\n" * 70), model=None, column="text")
    under_way.wait(20)
    stopped = threading.Thread(target=before.stop)
    stopped.start()
    job._stopping.wait(20)
    go_on.set()
    stopped.join()
    assert job.state["state"] == "running" and not job.result.is_file()
    after = labelling(tmp_path, models)
    eventually(lambda: after.find(job.name).state["state"] == "done")
    assert after.find(job.name).state["done"] == 70
    after.stop()


def test_a_blank_text_gets_no_label_and_a_column_of_the_user_stays(serve, finished):
    client = serve()
    content = f"text;confidence\n{GOOD};high\n;low\n"
    name = client.post("/jobs", files={"file": ("a.csv", content)}, data={"text": "text"}).json()["id"]
    state = finished(client, name)
    assert state["labels"] == {"positive": 1} and state["blank"] == 1
    first, blank = csv.DictReader(io.StringIO(client.get(f"/jobs/{name}/result").text))
    assert (first["confidence"], first[state["columns"]["prediction"]]) == ("high", "positive")
    assert (blank["confidence"], blank["prediction_2"], blank["confidence_2"]) == ("low", "", "")
    assert client.post("/predict", json={"texts": [" "]}).json()["predictions"][0]["label"] == ""


def test_what_is_noticed_of_a_file_is_told_with_its_job(serve, finished):
    client = serve()
    content = f'text;label\n"{GOOD};x\nNA;"x" y\n'
    for _ in range(2):  # another file of the same content has the same notes
        name = client.post("/jobs", files={"file": ("a.csv", content)}, data={"text": "text"}).json()["id"]
        notes = finished(client, name)["notes"]
        assert [one.partition("; ")[0] for one in notes] == [
            "input.csv: columns are separated by ';'",
            "input.csv: quotation marks are part of the texts (quoting none)",
            "input.csv: 1 cell with NA or the like read as texts",
        ]
    name = client.post("/jobs", files={"file": ("a.csv", f"text\n{GOOD}\n")}, data={"text": "text"}).json()["id"]
    assert finished(client, name)["notes"] == []


def sleep_long(file, out, **how):
    time.sleep(60)


def test_one_model_is_trained_at_a_time(tmp_path):
    trainings = Trainings(tmp_path / "trained", sleep_long, print)
    trainings.begin(write("x"), name="one", text="text", label="label")
    with pytest.raises(OptionError, match="running already"):
        trainings.begin(write("x"), name="two", text="text", label="label")
    trainings.cancel()
    assert trainings.state()["state"] == "stopped" and trainings.state()["name"] == "one"
    with pytest.raises(OptionError, match="letters, digits"):
        trainings.begin(write("x"), name="../two", text="text", label="label")
    trainings.jobs.stop()


def tell_labels(file, out, *, text, label, kind, written):
    out.mkdir()
    table = read_table(file, text=text, label=label, **asdict(written), **asdict(kind))
    return f"{type(table.kind).__name__}: {' '.join(table.classes)}"


def test_a_training_reads_a_file_as_the_form_says(tmp_path, eventually):
    app = create_app(Models([], threads=1, waiting=10), folder=tmp_path, train=tell_labels)
    content = 'text;label\n"café, fort;süß\nthé;bitter\n'.encode("cp1252")
    asked = {"text": "text", "label": "label", "name": "tea"}
    with TestClient(app) as client:
        how = {"encoding": "cp1252", "delimiter": ";", "quoting": ""}
        assert client.post("/trainings", files={"file": ("a.csv", content)}, data={**asked, **how}).status_code == 202
        eventually(lambda: client.get("/trainings").json()["state"] != "running", seconds=60)
        log = client.get("/trainings").json()["log"]
        assert "bitter süß" in log and "input.csv: quotation marks are part of the texts" in log
        wrong = client.post("/trainings", files={"file": ("a.csv", content)}, data={**asked, "encodings": "cp1252"})
        assert wrong.status_code == 422 and "encoding, delimiter, quoting, sheet" in wrong.json()["detail"]


@pytest.mark.parametrize(
    ("content", "how", "said"),
    [
        ("text,label\na,1\nb,3\nc,5\n", {"label": "label", "ratings": "true"}, "Ratings: 1 to 5"),
        ("text,label\na,x|y\nb,y\n", {"label": "label", "label_delimiter": "|"}, "Tags: x y"),
        ("text,x,y\na,1,1\nb,0,1\n", {"label": ["x", "y"]}, "Tags: x y"),
        ("text,label\na,x;y\nb,z\n", {"label": "label", "label_delimiter": ""}, "Classes: x;y z"),
    ],
)
def test_a_training_reads_labels_as_the_form_says(tmp_path, content, how, said):
    def begin(write_to, *, name, text, label, kind, file, written):
        write_to(tmp_path / file)
        table = read_table(tmp_path / file, text=text, label=label, **asdict(kind), **asdict(written))
        found.append(f"{type(table.kind).__name__}: {' '.join(table.classes)}")

    found, app = [], FastAPI()
    app.include_router(training_routes(SimpleNamespace(begin=begin, state=dict)))
    client = TestClient(app)
    sent = client.post("/trainings", files={"file": ("a.csv", content)}, data={"text": "text", "name": "one", **how})
    assert (sent.status_code, found) == (202, [said])


def test_labels_that_are_numbers_and_tags_at_once_are_refused_before_a_training_begins(tmp_path):
    trainings = Trainings(tmp_path, sleep_long, print)
    with pytest.raises(OptionError, match="a label is a number or several names, not both"):
        trainings.begin(write("x"), name="one", text="text", label="label", kind=KindOptions(True, ";"))
    assert trainings.state() == {"state": "none"}
    trainings.jobs.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_that_is_trained_from_a_file_is_served(lm_folder, fruit, tmp_path, eventually):
    models = Models([], threads=1, waiting=10)
    train = partial(fit_file, base=str(lm_folder), strategy="linear-probe")
    rows = io.StringIO()
    csv.writer(rows).writerows([("text", "label"), *zip(fruit.texts, fruit.labels, strict=True)])
    with TestClient(create_app(models, folder=tmp_path, train=train)) as client:
        asked = {"text": "text", "label": "label", "name": "fruit"}
        assert client.post("/trainings", files={"file": ("a.csv", rows.getvalue())}, data=asked).status_code == 202
        eventually(lambda: client.get("/trainings").json()["state"] != "running", seconds=240)
        state = client.get("/trainings").json()
        assert state["state"] == "done" and "fruit as" in state["log"] and str(tmp_path) not in state["log"], state
        said = client.post("/predict", json={"texts": [GOOD], "model": "fruit"}).json()
        assert said["predictions"][0]["label"] == "positive"


def test_metrics_count_and_hold_no_text(serve):
    client = serve()
    client.post("/predict", json={"texts": [GOOD, BAD]})
    said = client.get("/metrics").text
    assert "ulmfit_texts_total 2.0" in said and 'route="/predict",status="200"' in said and "film" not in said


def test_the_page_asks_nobody_else(serve):
    client = serve()
    for path in ("/", "/page/page.js", "/page/style.css"):
        answer = client.get(path)
        assert answer.status_code == 200 and "http://" not in answer.text and "https://" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.slow
def test_a_stopped_server_finishes_what_it_accepted(model, tmp_path):
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
        str(model),
        "--port",
        str(port),
        "--folder",
        str(tmp_path),
    ]
    import httpx

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                httpx.get(f"{address}/health")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        answers = []
        asked = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{address}/predict", json={"texts": [GOOD] * 1000}, timeout=60))
        )
        asked.start()
        time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        asked.join()
        server.wait(30)
    assert answers[0].status_code == 200 and len(answers[0].json()["predictions"]) == 1000


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(ulmfit, model, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = ulmfit("serve", model, "--folder", tmp_path / "file")
    assert code == 2 and "name another --folder" in err and "Traceback" not in err


def test_wider_than_this_machine_needs_a_token(ulmfit, model):
    code, _, err = ulmfit("serve", model, "--host", "0.0.0.0")
    assert code == 2 and "--token or ULMFIT_TOKEN" in err
    code, _, err = ulmfit("serve")
    assert code == 2 and "--train" in err


def test_what_is_wrong_with_a_request_is_said_and_no_field_is_left_out_in_silence(serve):
    client = serve()
    for body, said in (
        ('{"texts": ["a"], "min_precision": NaN}', "min_precision"),
        ('{"texts": ["a"], "top_k": 2}', "top_k"),
        ('{"texts": [5]}', "['body', 'texts', 0]"),
        ('{"texts": ["a"', "this is no JSON"),
        ("[" * 100_000, "this is no JSON"),
        (b'{"texts": ["\xff"]}', "this is no JSON"),
        ("5", "body"),
    ):
        answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422 and said in str(answer.json()["detail"])
    answer = client.post("/predict", content='{"texts": ["a"]}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422 and "application/json is needed" in str(answer.json()["detail"])
    assert client.post("/predict", json={"texts": ["a"]}, headers={"Accept": "*/*"}).status_code == 200
    odd = r'{"texts": ["the film was great \ud800"]}'
    assert client.post("/predict", content=odd, headers={"Content-Type": "application/json"}).status_code == 200
    odd = r'{"text": "the film was great \ud800"}'
    assert client.post("/explain", content=odd, headers={"Content-Type": "application/json"}).status_code == 200
    answer = client.post("/jobs", files={"file": ("a.csv", b"text\na\n")}, data={"text": "text", "delimeter": ";"})
    assert (
        answer.status_code == 422 and "no field is called 'delimeter'; there are file, text" in answer.json()["detail"]
    )
    for path in ("/health", "/ready", "/"):
        assert client.head(path).status_code == 200


def test_the_document_tells_what_calls_answer(serve):
    client = serve()
    calls = client.get("/openapi.json").json()["paths"]
    for path, method in (
        ("/predict/lines", "post"),
        ("/jobs", "post"),
        ("/jobs/{name}", "get"),
        ("/jobs/{name}/result", "get"),
    ):
        assert "404" in calls[path][method]["responses"]
    assert list(calls["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
    refused = client.post("/predict", json={"texts": []}), client.post("/explain", json={"text": "a", "label": "no"})
    assert [type(answer.json()["detail"]) for answer in refused] == [list, str]
    schema = calls["/explain"]["post"]["responses"]["422"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("/Refusal")
    for path, allowed in (("/jobs/0", "DELETE, GET"), ("/health", "GET, HEAD"), ("/predict", "POST")):
        answer = client.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_file_of_a_header_alone_is_refused_and_blank_texts_get_no_label(serve, eventually):
    client = serve()
    answer = client.post("/jobs", files={"file": ("a.csv", b"text,id\n")}, data={"text": "text"})
    assert answer.status_code == 422 and "input.csv: the file has column names but no rows" in answer.json()["detail"]
    content = f"text,id\n{GOOD},1\n ,2\n\n".encode()
    name = client.post("/jobs", files={"file": ("a.csv", content)}, data={"text": "text"}).json()["id"]
    eventually(lambda: client.get(f"/jobs/{name}").json()["state"] == "done")
    rows = list(csv.reader(io.StringIO(client.get(f"/jobs/{name}/result").text)))
    assert [row[:3] for row in rows[1:]] == [[GOOD, "1", "positive"], [" ", "2", ""]]
    assert client.post("/predict", json={"texts": [" "]}).json()["predictions"][0]["label"] == ""


def test_the_columns_of_any_file_are_told(serve, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (("id", "review"), (1, GOOD)):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    client = serve()
    for name, content, *sheets in (
        ("a.xlsx", (tmp_path / "a.xlsx").read_bytes(), "Sheet"),
        ("a.csv", "id;review\n1;a, b\n".encode("utf-16")),
        ("a.json", b'[{"id": 1, "review": "a"}]'),
    ):
        assert client.post("/columns", files={"file": (name, content)}).json() == {
            "columns": ["id", "review"],
            "sheets": sheets,
        }
    answer = client.post("/columns", files={"file": ("a.csv", b"")})
    assert answer.status_code == 422 and answer.json()["detail"] == "input.csv: the file is empty"


@pytest.mark.parametrize("cut_off", [True, False])
def test_the_page_and_the_calls_work_under_the_prefix_of_a_proxy(serve, cut_off):
    client = serve(prefix="/tools/ulmfit", token="secret")
    seen = "" if cut_off else "/tools/ulmfit"
    for page in ("/", "/docs"):
        content = client.get(seen + page).text
        links = set(re.findall(r'(?:href|src)="([^"#]+)"', content)) - {"data:,"}
        assert links and not any(link.startswith("/") for link in links)
        for link in links:
            assert client.get(seen + urljoin(page, link)).status_code == (401 if link == "models" else 200), link
    asked = {"json": {"texts": [GOOD]}, "headers": {"Authorization": "Bearer secret"}}
    assert client.post(f"{seen}/predict", **asked).status_code == 200
    assert client.post(f"{seen}/predict", json={"texts": [GOOD]}).status_code == 401
    assert "http://testserver/tools/ulmfit/predict" in client.get(f"{seen}/docs").text


def test_another_site_may_ask_only_where_it_is_named(serve):
    site = {"Origin": "https://intranet.example", "Access-Control-Request-Method": "POST"}
    named = serve(origins=["https://intranet.example"], token="secret")
    answer = named.options("/predict", headers=site)
    assert answer.headers["access-control-allow-origin"] == "https://intranet.example"
    assert (
        "access-control-allow-origin" not in named.options("/predict", headers={**site, "Origin": "https://x"}).headers
    )


def test_any_number_of_texts_is_answered_line_by_line(serve, model):
    client = serve(waiting=70, limits=Limits(texts=10))
    texts = [f"{GOOD if i % 2 else BAD} {i}" for i in range(150)]
    lines = "\n".join(json.dumps({"text": text, "id": 1} if i % 3 else text) for i, text in enumerate(texts)) + "\n\n"
    response = client.post("/predict/lines", content=lines)
    found = [json.loads(line) for line in response.text.splitlines()]
    assert response.status_code == 200 and response.headers["content-type"].startswith("application/x-ndjson")
    assert [one["label"] for one in found] == TextClassifier.load(model).predict(texts)
    assert found[:10] == client.post("/predict", json={"texts": texts[:10]}).json()["predictions"]
    assert client.served.under_way == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('"fine"\n{"txt": 1}', "line 2 holds no text"),
        ('"fine"\nfine', "line 2 is no JSON"),
        (json.dumps("a" * 60), "60 characters"),
    ],
)
def test_a_line_that_is_none_is_named_before_any_is_answered(serve, content, said):
    response = serve(limits=Limits(characters=50)).post("/predict/lines", content=content)
    assert response.status_code == 422 and said in response.json()["detail"]


def test_lines_are_refused_where_too_much_waits(serve):
    client = serve(waiting=100)
    client.served.under_way = 100
    assert client.post("/predict/lines", content='"a"').status_code == 429
    client.served.under_way = 0
    assert client.post("/predict/lines?model=nobody", content='"a"').status_code == 404


def test_an_exported_model_is_explained_as_the_classifier_is(serve, model, tmp_path):
    classifier = TextClassifier.load(model)
    Predictor.of(classifier).save(tmp_path / "exported")
    said = serve(models=[tmp_path / "exported"]).post("/explain", json={"text": GOOD}).json()
    expected = classifier.explain(GOOD)
    assert said["label"] == expected.label and [word["word"] for word in said["words"]] == expected.words
    assert [word["contribution"] for word in said["words"]] == pytest.approx(expected.contributions, abs=1e-3)
