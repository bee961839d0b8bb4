"""What ``make dist`` built works in an environment that holds what it requires, without a network."""

import email
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from clean_environment import applies, make_environment, required_by
from packaging.requirements import Requirement

DIST = Path(__file__).parent.parent.parent / "dist"
MOST = 72e6  # bytes; two embedded models, one of them with word vectors and blocks of context, are nearly all of it
WHOLE, SMALL = "ulmfit_lib", "ulmfit_predict"
OFFLINE = ["unshare", "--map-root-user", "--net"]
pytestmark = pytest.mark.skipif(not DIST.is_dir(), reason="`make dist` builds what is tried here")


@pytest.fixture(autouse=True)
def only_what_is_installed(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)  # which may name this clone


def wheel_of(name):
    (path,) = DIST.glob(f"{name}-*.whl")
    return path


def files_of(name):
    """What a wheel and an sdist hold of the package, and what else."""
    (sdist,) = DIST.glob(f"{name}-*.tar.gz")
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()}
    with zipfile.ZipFile(wheel_of(name)) as archive:
        in_wheel = set(archive.namelist())
    return in_wheel, in_sdist


@pytest.mark.parametrize("name", [WHOLE, SMALL])
def test_a_wheel_and_an_sdist_hold_the_package_its_licence_and_no_tests(name):
    in_wheel, in_sdist = files_of(name)
    package = {file for file in in_wheel if file.startswith("ulmfit_lib/")}
    assert package == {file for file in in_sdist if file.startswith("ulmfit_lib/")}
    assert {"ulmfit_lib/py.typed", "ulmfit_lib/server/page/index.html"} <= package
    assert {file.split("/")[0].partition("-")[0] for file in in_wheel - package} == {name}
    assert any(file.endswith("licenses/LICENSE") for file in in_wheel) and "LICENSE" in in_sdist
    assert not any(file.startswith("tests/") for file in in_sdist)
    assert wheel_of(name).stat().st_size < MOST


def install(name, folder, *extras):
    """A clean environment with a wheel and what it requires; returns the folder of its commands."""
    with zipfile.ZipFile(wheel_of(name)) as archive:
        (about,) = (file for file in archive.namelist() if file.endswith("dist-info/METADATA"))
        needed = email.message_from_bytes(archive.read(about)).get_all("Requires-Dist")
    wanted = [one for one in map(Requirement, needed) if applies(one, set(extras))]
    python = make_environment(folder, list(required_by([*map(str, wanted), "pip"]).values()))
    pip = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel_of(name)]
    subprocess.run(pip, check=True)
    return python.parent


def run(command, **options):
    """Without a network, where this machine allows to take it away; returns what it prints."""
    able = shutil.which("unshare") and subprocess.run([*OFFLINE, "true"], check=False).returncode == 0
    done = subprocess.run(
        [*OFFLINE, *command] if able else command, capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_trains_and_predicts_offline_with_its_own_base_and_reviews(tmp_path):
    ulmfit = install(WHOLE, tmp_path / "env") / "ulmfit"
    (package,) = (tmp_path / "env").glob("lib/*/site-packages/ulmfit_lib")
    rows = (package / "embedded" / "reviews.csv").read_text(encoding="utf-8").splitlines()
    labelled = [row for row in rows if not row.endswith(",")]
    (tmp_path / "reviews.csv").write_text("\n".join(labelled[:41]), encoding="utf-8")
    options = ["--text", "review", "--label", "sentiment", "--base", "wiki-en-small", "--strategy", "linear-probe"]
    run([ulmfit, "fit", "reviews.csv", *options, "--out", "model", "--quiet"], cwd=tmp_path)
    assert "%" in run([ulmfit, "predict", "model", "A wonderful meal."], cwd=tmp_path)


def test_the_small_wheel_predicts_with_each_tier(tmp_path, exported, static):
    light = install(SMALL, tmp_path / "light") / "ulmfit"
    (packages,) = (tmp_path / "light").glob("lib/*/site-packages")
    assert not [name for name in ("torch", "onnxruntime", "spacy", "pandas") if (packages / name).exists()]
    (tmp_path / "texts.csv").write_text("text\nthe film was great great\nterrible\n")
    assert " %" in run([light, "predict", static, "the film was great great"], cwd=tmp_path)
    assert "prediction" in run([light, "predict", static, "texts.csv", "--text", "text"], cwd=tmp_path)
    refused = subprocess.run([light, "predict", exported, "great"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "ulmfit-predict[network]" in refused.stderr
    network = install(SMALL, tmp_path / "network", "network") / "ulmfit"
    for folder in (exported, exported.parent / "model"):
        assert " %" in run([network, "predict", folder, "the film was great great"], cwd=tmp_path)


def test_the_small_wheel_serves_and_ends_when_it_is_told_to(tmp_path, exported):
    (extras,) = re.findall(r"/packaging/predict\[(.+)\]", (DIST.parent / "Dockerfile").read_text(encoding="utf-8"))
    commands = install(SMALL, tmp_path / "env", *extras.split(","))
    assert not list((tmp_path / "env").glob("lib/*/site-packages/torch*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [commands / "ulmfit", "serve", "--host", "0.0.0.0", "--port", str(port), exported]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert refused.returncode == 2 and "ULMFIT_TOKEN" in refused.stderr
    server = subprocess.Popen(command, env={**os.environ, "ULMFIT_TOKEN": "secret"}, cwd=tmp_path)
    try:
        for _ in range(300):
            try:
                urlopen(f"{address}/health").close()
                break
            except OSError:
                time.sleep(0.1)
        asked = Request(f"{address}/predict", json.dumps({"texts": ["great"]}).encode())
        asked.add_header("Content-Type", "application/json")
        asked.add_header("Authorization", "Bearer secret")
        assert json.load(urlopen(asked))["predictions"][0]["label"] in ("negative", "positive")
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in (0, -signal.SIGTERM)
    finally:
        server.kill()
