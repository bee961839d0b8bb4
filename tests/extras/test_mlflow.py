import pytest

pytest.importorskip("mlflow", reason="the extra [mlflow] is not installed")

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


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


def test_tags_of_any_name_are_written_with_scores_and_model_and_nothing_is_printed(
    ulmfit, lm_folder, write_csv, fruit, tmp_path, place
):
    data = write_csv((text, "so-so, or/worse?" if i % 3 else "très bien;(x)") for i, text in enumerate(fruit.texts))
    options = ["--text", "review", "--label", "sentiment", "--label-delimiter", ";", "--base", lm_folder, "--quiet"]
    where = ["--out", tmp_path / "tags", "--track", f"mlflow:{place}", "--json"]
    code, stdout, stderr = ulmfit("fit", data, *options, "--strategy", "linear-probe", *where)
    assert code == 0 and stderr == "" and stdout.startswith("{")
    client, run = only_run(place)
    assert {"tags/delivered/f1/so-so or/worse_", "tags/delivered/f1/_x_"} <= run.data.metrics.keys()
    assert client.list_artifacts(run.info.run_id, "model")


def test_losses_that_a_server_missed_are_sent_with_the_model(
    ulmfit, lm_folder, write_csv, fruit, tmp_path, place, monkeypatch
):
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    options = ["--text", "review", "--base", lm_folder, "--direction", "forward", "--epochs", 2]
    log_metrics, calls = mlflow.log_metrics, []

    def away(*some, **named):
        calls.append(some)
        if len(calls) == 2:
            raise MlflowException("nobody answers")
        return log_metrics(*some, **named)

    monkeypatch.setattr(mlflow, "log_metrics", away)
    code, _, stderr = ulmfit("fit-lm", data, *options, "--out", tmp_path / "lm", "--track", f"mlflow:{place}")
    assert code == 0 and stderr.count("training goes on, and losses are sent again when the model is saved") == 1
    client, run = only_run(place)
    losses = client.get_metric_history(run.info.run_id, "fine-tune forward all groups/valid_loss")
    assert [one.step for one in losses] == [1, 2] and run.info.status == "FINISHED"


def test_a_server_that_is_gone_at_the_end_leaves_a_note_and_the_model(
    ulmfit, lm_folder, write_csv, fruit, tmp_path, place, monkeypatch
):
    def away(*_, **__):
        raise MlflowException("nobody answers")

    end_run = mlflow.end_run
    for name in ("log_metrics", "log_params", "log_artifacts"):
        monkeypatch.setattr(mlflow, name, away)
    monkeypatch.setattr(mlflow, "end_run", lambda status: (end_run(status), away()))
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    options = ["--text", "review", "--base", lm_folder, "--direction", "forward", "--epochs", 1]
    code, stdout, stderr = ulmfit("fit-lm", data, *options, "--out", tmp_path / "lm", "--track", f"mlflow:{place}")
    assert code == 0 and "saved in" in stdout and (tmp_path / "lm" / "config.json").is_file()
    assert stderr.count("nobody answers") == 2  # in training, and at its end
