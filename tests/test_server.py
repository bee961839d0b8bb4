import csv
import html
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from ulmfit_lib import OptionError, TextClassifier, fit

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from ulmfit_lib.server.app import Limits, create_app
from ulmfit_lib.server.jobs import Jobs
from ulmfit_lib.server.models import Models, answer
from ulmfit_lib.server.trainings import Trainings

GOOD, BAD = "the film was great great", "the film was terrible terrible"


@pytest.fixture(scope="module")
def model(tiny_lm, fruit, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "films"
    fit(fruit, base=tiny_lm, strategy="features", device="cpu").save(path)
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


def test_more_than_may_wait_is_refused_and_nothing_accepted_is_lost(serve, monkeypatch):
    client = serve(waiting=3)
    go_on = threading.Event()
    monkeypatch.setattr("ulmfit_lib.server.app.answer", lambda *_: go_on.wait(20) and [])
    answers = []
    first = threading.Thread(target=lambda: answers.append(client.post("/predict", json={"texts": [GOOD] * 3})))
    first.start()
    while not client.served.under_way:
        time.sleep(0.01)
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
    path = tmp_path / "films"
    shutil.copytree(model, path)
    client = serve(models=(path,))
    swapped = fit(
        type(fruit).from_lists(fruit.texts, ["yes" if label == "positive" else "no" for label in fruit.labels]),
        base=tiny_lm,
        strategy="features",
        device="cpu",
    )
    swapped.save(path, overwrite=True)
    assert client.post("/predict", json={"texts": [GOOD]}).json()["predictions"][0]["label"] == "yes"


def finished(client, name):
    while (state := client.get(f"/jobs/{name}").json())["state"] in ("waiting", "running"):
        time.sleep(0.02)
    return state


def test_a_file_is_labelled_in_its_order(serve):
    rows = [[str(i), GOOD if i % 3 else f"{BAD}, {i}"] for i in range(150)]
    file = io.StringIO()
    csv.writer(file).writerows([["id", "text"], *rows])
    client = serve()
    name = client.post("/jobs", files={"file": file.getvalue()}, data={"text": "text"}).json()["id"]
    state = finished(client, name)
    assert state["state"] == "done" and state["done"] == state["rows"] == 150
    assert state["labels"] == {"negative": 50, "positive": 100}
    found = list(csv.reader(io.StringIO(client.get(f"/jobs/{name}/result").text)))
    assert found[0] == ["id", "text", "prediction", "confidence", "p_negative", "p_positive"]
    assert [row[:2] for row in found[1:]] == rows
    assert [row[2] for row in found[1:4]] == ["negative", "positive", "positive"]
    assert client.delete(f"/jobs/{name}").status_code == 204 and client.get(f"/jobs/{name}").status_code == 404


@pytest.mark.parametrize(
    ("content", "said"),
    [("a,b\n1,2\n", "no column 'text'; it has 'a', 'b'"), ("text,b\n1\n", "row 1 has 1 cells"), ("", "it has none")],
)
def test_a_file_that_cannot_be_read_is_refused(serve, content, said):
    answer = serve().post("/jobs", files={"file": content}, data={"text": "text"})
    assert answer.status_code == 422 and said in answer.json()["detail"]


def test_jobs_go_on_after_a_restart(model, tmp_path, monkeypatch):
    models = Models([model], threads=1, waiting=10)
    monkeypatch.setattr(Jobs, "_work", lambda self: None)  # the server stops before it begins
    before = Jobs(tmp_path, models)
    name = before.begin(lambda path: path.write_text(f"text\n{GOOD}\n"), model=None, column="text")
    monkeypatch.undo()
    after = Jobs(tmp_path, models)
    while after.state(name)["state"] != "done":
        time.sleep(0.02)
    assert "positive" in after.result(name).read_text()
    after.stop()


def test_a_job_that_a_stop_interrupts_goes_on_after_a_restart(model, tmp_path, monkeypatch):
    models, under_way, go_on = Models([model], threads=1, waiting=10), threading.Event(), threading.Event()

    def slowly(*asked):
        under_way.set()
        go_on.wait(20)
        return answer(*asked)

    monkeypatch.setattr("ulmfit_lib.server.jobs.answer", slowly)
    before = Jobs(tmp_path, models)
    name = before.begin(lambda path: path.write_text("text\n" + f"{GOOD}\n" * 70), model=None, column="text")
    under_way.wait(20)
    stopped = threading.Thread(target=before.stop)
    stopped.start()
    before._stopping.wait(20)
    go_on.set()
    stopped.join()
    assert before.state(name)["state"] == "running" and before.result(name) is None
    after = Jobs(tmp_path, models)
    while after.state(name)["state"] == "running":
        time.sleep(0.02)
    assert after.state(name)["done"] == 70
    after.stop()


def test_one_model_is_trained_at_a_time_and_served(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("sleep"))
    monkeypatch.setattr("ulmfit_lib.server.trainings.subprocess.Popen", _process_of("import time; time.sleep(60)"))
    ready = []
    trainings = Trainings(tmp_path / "trained", ready.append)
    trainings.begin(lambda path: path.write_text("x"), name="one", text="text", label="label")
    with pytest.raises(OptionError, match="running already"):
        trainings.begin(lambda path: path.write_text("x"), name="two", text="text", label="label")
    trainings.cancel()
    assert trainings.state()["state"] == "stopped" and trainings.state()["name"] == "one"
    with pytest.raises(OptionError, match="letters, digits"):
        trainings.begin(lambda path: path.write_text("x"), name="../two", text="text", label="label")
    monkeypatch.setattr("ulmfit_lib.server.trainings.subprocess.Popen", _process_of("print('trained')"))
    trainings.begin(lambda path: path.write_text("x"), name="two", text="text", label="label")
    while trainings.state()["state"] == "running":
        time.sleep(0.02)
    assert ready == [tmp_path / "trained" / "two"] and "trained" in trainings.state()["log"]


def _process_of(code, popen=subprocess.Popen, python=sys.executable):
    return lambda _, **options: popen([python, "-c", code], **options)


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
