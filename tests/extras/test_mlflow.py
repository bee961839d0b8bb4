import pytest

pytest.importorskip("mlflow", reason="the extra [mlflow] is not installed")

from mlflow import MlflowClient


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MLflow puts artifacts
    return f"sqlite:///{tmp_path / 'runs.db'}"


def only_run(place):
    client = MlflowClient(tracking_uri=place)
    (run,) = client.search_runs(["0"])
    return client, run


def test_a_tracked_command_is_a_run_with_losses_settings_and_the_model(
    ulmfit, lm_folder, write_csv, fruit, tmp_path, place
):
    data = write_csv(zip([f"{text} unmistakable" for text in fruit.texts], fruit.labels, strict=True))
    options = ["--text", "review", "--base", lm_folder, "--direction", "forward", "--epochs", 2]
    code, _, stderr = ulmfit("fit-lm", data, *options, "--out", tmp_path / "lm", "--track", f"mlflow:{place}")
    assert code == 0, stderr
    client, run = only_run(place)
    assert run.info.run_name == str(tmp_path / "lm") and run.info.status == "FINISHED"
    assert run.data.params["stage"] == "fine-tune" and run.data.params["recipe.epochs"] == "2"
    losses = client.get_metric_history(run.info.run_id, "fine-tune forward all groups/valid_loss")
    assert [one.step for one in losses] == [1, 2] and run.data.metrics["perplexity"] > 1
    assert {file.path for file in client.list_artifacts(run.info.run_id, "model")} >= {"model/training.json"}
    numbers_and_words = f"{run.data.params} {run.data.metrics} {run.data.tags}"
    assert "unmistakable" not in numbers_and_words and "great great" not in numbers_and_words


def test_a_run_that_fails_is_marked_as_failed(ulmfit, lm_folder, write_csv, tmp_path, place):
    data = write_csv([("a fine film", "good")])  # too few texts
    options = ["--text", "review", "--base", lm_folder, "--out", tmp_path / "lm", "--track", f"mlflow:{place}"]
    assert ulmfit("fit-lm", data, *options)[0] == 2
    assert only_run(place)[1].info.status == "FAILED"


def test_a_place_that_mlflow_does_not_take_is_said_in_a_sentence(ulmfit, lm_folder, write_csv, tmp_path):
    options = ["--text", "review", "--base", lm_folder, "--out", tmp_path / "lm", "--track", "mlflow:nosuch://place"]
    code, _, stderr = ulmfit("fit-lm", write_csv([("a fine film", "good")]), *options)
    assert code == 2 and "nosuch" in stderr and "Traceback" not in stderr
