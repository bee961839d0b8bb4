import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray", reason="the extra [ray] is not installed")
import psutil
from nasty_files import OF_EACH_READER, write_nasty

from ulmfit_lib.engines.ray import predict_on_ray
from ulmfit_lib.engines.ray_files import _read, predict_files_on_ray
from ulmfit_lib.engines.sources import Source
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.rows.kinds import FileFormat

TEXT, WORKER = ["--text", "review"], "ray::MapWorker"
RUN = (
    "import sys; from pathlib import Path; from ulmfit_lib.engines.ray_files import predict_files_on_ray;"
    "predict_files_on_ray(*map(Path, sys.argv[1:]), text=['prediction'], workers=2)"
)


@pytest.fixture(scope="module")
def cluster():
    """One on this machine, for all tests that kill nothing."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def rows():
    texts = [f"number {i} : the film was {'great' if i % 3 else 'terrible'} " * 60 for i in range(300)]
    return pd.DataFrame({"id": [f"row {i}" for i in range(302)], "review": [*texts, "", " "]})


def test_ray_scores_every_row_once_as_predict_does(cluster, ulmfit, exported, rows, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    rows.to_csv(data / "a.csv", index=False)
    rows.to_json(data / "b.jsonl", orient="records", lines=True)
    rows.to_parquet(data / "c.parquet", row_group_size=70)
    code, _, said = ulmfit("predict", exported, data, *TEXT, "--engine", "ray", "--workers", 2, "--out", out)
    assert code == 0 and "906 rows scored" in said and "6 rows without a text" in said
    scored = pd.read_parquet(out).sort_values(["source_file", "source_row"])
    assert len(list(out.glob("*.parquet"))) >= 3
    for name, some in scored.groupby("source_file"):
        assert ulmfit("predict", exported, data / name, *TEXT, "--out", tmp_path / "one.parquet")[0] == 0
        assert some["source_row"].tolist() == list(range(1, 303))
        here = some.drop(columns=["source_file", "source_row"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(here, pd.read_parquet(tmp_path / "one.parquet"))


@pytest.mark.parametrize("name", OF_EACH_READER)
def test_ray_makes_of_nasty_files_what_predict_does(cluster, ulmfit, exported, tmp_path, name):
    data, out = write_nasty(tmp_path, name), tmp_path / "out"
    predict_files_on_ray(exported, data, out, text=["text"], workers=1)
    assert ulmfit("predict", exported, data, "--text", "text", "--out", tmp_path / "one.parquet")[0] == 0
    scored = pq.read_table(out).sort_by("source_row").drop_columns(["source_file", "source_row"])
    assert scored.equals(pq.read_table(tmp_path / "one.parquet"))


def test_a_ray_dataset_gets_the_same_columns(cluster, ulmfit, exported, rows, tmp_path):
    import ray

    rows.to_parquet(tmp_path / "rows.parquet")
    data = ray.data.read_parquet(str(tmp_path / "rows.parquet"))
    predict_on_ray(data, exported, text="review", workers=1).write_parquet(str(tmp_path / "out"))
    assert ulmfit("predict", exported, tmp_path / "rows.parquet", *TEXT, "--out", tmp_path / "one.parquet")[0] == 0
    scored = pd.read_parquet(tmp_path / "out").set_index("id").loc[rows["id"]].reset_index()
    pd.testing.assert_frame_equal(scored, pd.read_parquet(tmp_path / "one.parquet"))
    with pytest.raises(DataError, match="no column 'text'"):
        predict_on_ray(data, exported, text="text")


def test_what_cannot_be_scored_is_said_before_a_cluster_starts(ulmfit, exported, rows, tmp_path, monkeypatch):
    monkeypatch.setattr("ray.init", None)
    data, out = tmp_path / "rows.csv", tmp_path / "out"
    rows.to_csv(data, index=False)
    with pytest.raises(DataError, match="no column 'text'"):
        predict_files_on_ray(exported, data, out, text=["text"])
    with pytest.raises(ArtifactError, match="no such folder"):
        predict_files_on_ray(tmp_path / "nowhere", data, out, text=["review"])
    rows.rename(columns={"id": "source_row"}).to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(DataError, match="column 'source_row'"):
        predict_files_on_ray(exported, tmp_path / "odd.csv", out, text=["review"])
    with pytest.raises(ArtifactError, match="lies among the files"):
        predict_files_on_ray(exported, tmp_path, out, text=["review"])
    (out / "something").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="holds no scored rows"):
        predict_files_on_ray(exported, data, out, text=["review"])
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(OptionError, match=r"ulmfit-lib\[ray\]"):
        predict_files_on_ray(exported, data, out, text=["review"])
    code, _, said = ulmfit("predict", exported, data, *TEXT, "--engine", "ray")
    assert code == 2 and "--out" in said


def test_a_bad_row_ends_the_run_with_its_sentence(cluster, exported, rows, tmp_path):
    data = tmp_path / "rows.csv"
    rows.sample(21_000, replace=True).assign(review="good").to_csv(data, index=False)
    with data.open("a") as file:
        file.write("one,two,three\n")
    with pytest.raises(DataError, match="line 21002 has 3 fields"):
        predict_files_on_ray(exported, data, tmp_path / "out", text=["review"], workers=1)
    for asked, said in ({"workers": 8}, "room for 8 workers of 1 core each"), ({"cores": 3}, "for 1 worker of 3 cores"):
        with pytest.raises(OptionError, match=said):
            predict_files_on_ray(exported, data, tmp_path / "out", text=["review"], **asked)
    rows.to_csv(tmp_path / f"{'r' * 240}.csv", index=False)  # whose parts get names that no disk takes
    with pytest.raises(ArtifactError, match="cannot be written"):
        predict_files_on_ray(exported, tmp_path / f"{'r' * 240}.csv", tmp_path / "other", text=["review"], workers=1)


def test_a_reader_that_is_started_again_finds_the_same_rows(rows, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    source = Source.find(tmp_path / "rows.csv", ["review"], FileFormat())
    read = partial(_read, {"name": ["rows.csv"]}, source, source.look()[0])
    (whole,), (again,), (later,) = read({}), read({}), read({"rows.csv": np.arange(11, 31)})
    assert again.equals(whole)
    assert later["source_row"].to_pylist() == [*range(1, 11), *range(31, 303)]


def test_every_row_is_scored_once_though_the_run_and_then_a_worker_are_killed(
    ulmfit, exported, rows, tmp_path, monkeypatch
):
    data, out, folder = tmp_path / "rows.parquet", tmp_path / "out", Path(tempfile.mkdtemp(prefix="r"))  # short enough
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    rows = rows.rename(columns={"review": "prediction"})  # beside which predictions get another name
    rows.to_parquet(data)
    stopped, processes = started(exported, data, out, beyond=0)
    stopped.kill()
    for one in processes:  # workers outlive the run for a while, and Ray's agents stay on
        with suppress(psutil.NoSuchProcess):
            if not one.name().startswith(WORKER):
                one.kill()
    before = {part: part.stat().st_mtime_ns for part in out.glob("*.parquet")}
    run, processes = started(exported, data, out, beyond=len(before))
    next(one for one in processes if one.name().startswith(WORKER)).kill()
    assert run.wait() == 0
    assert {part: part.stat().st_mtime_ns for part in before} == before and len(before) < 10
    assert len(list(folder.rglob("session_2*"))) == 1  # of the run that was killed
    shutil.rmtree(folder)
    assert ulmfit("predict", exported, data, "--text", "prediction", "--out", tmp_path / "one.parquet")[0] == 0
    scored = pd.read_parquet(out).sort_values("source_row", ignore_index=True)
    pd.testing.assert_frame_equal(
        scored.drop(columns=["source_file", "source_row"]), pd.read_parquet(tmp_path / "one.parquet")
    )
    other = tmp_path / "rows.csv"
    rows.to_csv(other)
    with pytest.raises(ArtifactError, match=r"begun with another file rows\.csv"):
        predict_files_on_ray(exported, other, out, text=["prediction"])


def started(exported, data, out, *, beyond):
    """A run of its own, with workers, where there are more than ``beyond`` parts by now; and all its processes."""
    run = subprocess.Popen([sys.executable, "-c", RUN, exported, data, out])
    while True:
        assert run.poll() is None
        processes = psutil.Process(run.pid).children(recursive=True)
        at_work = any(one.name().startswith(WORKER) for one in processes if one.is_running())
        if at_work and len(list(out.glob("*.parquet"))) > beyond:
            return run, processes
        time.sleep(0.05)


def test_the_benchmark_of_engines_runs_in_its_quick_form(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent / "benchmarks"))
    import quick

    quick.run("engines", tmp_path)
    result = json.loads(capsys.readouterr().out)
    assert [side["engine"] for side in result["short"]["sides"]] == ["none", "ray"]
