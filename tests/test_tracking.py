from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ulmfit_lib import fit_classifier
from ulmfit_lib.errors import OptionError
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tracking import track, tracked_part


def scalars(folder):
    """What TensorBoard shows of a training: name -> steps and values."""
    events = EventAccumulator(str(folder)).Reload()
    return {
        name: ([one.step for one in events.Scalars(name)], [one.value for one in events.Scalars(name)])
        for name in events.Tags()["scalars"]
    }


def test_a_tracked_training_writes_losses_and_settings_and_no_text(ulmfit, lm_folder, write_csv, fruit, tmp_path):
    data = write_csv(zip([f"{text} unmistakable" for text in fruit.texts], fruit.labels, strict=True))
    runs = tmp_path / "runs"
    arguments = ["--text", "review", "--base", lm_folder, "--direction", "forward", "--epochs", 2]
    code, _, stderr = ulmfit("fit-lm", data, *arguments, "--out", tmp_path / "lm", "--track", f"tensorboard:{runs}")
    assert code == 0, stderr
    assert {path.name for path in runs.iterdir() if path.is_dir()} == {
        "fine-tune forward, last group",
        "fine-tune forward, all groups",
    }
    found = scalars(runs / "fine-tune forward, all groups")
    steps, losses = found["train_loss"]
    assert steps == list(range(1, len(steps) + 1)) and losses[-1] < losses[0] and len(found["valid_loss"][0]) == 2
    assert {"lr_0", "lr_2"} <= found.keys()
    written = b"".join(path.read_bytes() for path in runs.rglob("*") if path.is_file())
    assert b"batch_size" in written and b"perplexity" in written and b"unmistakable" not in written


def test_a_tracked_fit_writes_its_scores_and_the_verdict(ulmfit, lm_folder, write_csv, fruit, tmp_path):
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    arguments = ["--text", "review", "--label", "sentiment", "--base", lm_folder, "--strategy", "linear-probe"]
    place = f"tensorboard:{tmp_path / 'fit'}"
    assert ulmfit("fit", data, *arguments, "--out", tmp_path / "classifier", "--track", place)[0] == 0
    found = scalars(tmp_path / "fit")
    assert found["delivered/accuracy"][1][0] > 0.9 and "verdict/p_value" in found


def test_a_training_that_goes_on_is_tracked_from_where_it_was(tiny_lm, fruit, tmp_path, killed_often):
    def train(name):
        with track(f"tensorboard:{tmp_path / name}"):
            kept = Checkpoints(tmp_path / "kept" / name)
            fit_classifier(
                fruit,
                lm=tiny_lm.only("forward"),
                run=Run(device="cpu", checkpoints=kept),
                recipe=CLASSIFY.with_epochs(4),
            )

    train("whole")
    kills, _ = killed_often(lambda: train("killed"))
    (training,) = (path.name for path in (tmp_path / "whole").iterdir())
    whole, killed = (scalars(tmp_path / name / training)["train_loss"][0] for name in ("whole", "killed"))
    assert kills > 1 and len(killed) > len(whole) and sorted(set(killed)) == whole  # a few steps are told twice


@pytest.mark.parametrize("where", ["tensorboard", "mlflow:", "elsewhere:runs"])
def test_a_place_that_nobody_knows_is_refused_before_any_training(ulmfit, lm_folder, write_csv, where, tmp_path):
    data = write_csv([("a fine film", "good")])
    options = ["--text", "review", "--base", lm_folder, "--out", tmp_path / "lm", "--track", where]
    code, _, stderr = ulmfit("fit-lm", data, *options)
    assert code == 2 and "tensorboard:FOLDER" in stderr


def test_a_folder_that_cannot_be_written_is_refused_before_any_training(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OptionError, match="cannot be written"), track(f"tensorboard:{tmp_path / 'file' / 'runs'}"):
        pass


def test_trainings_of_a_part_are_named_after_it(tmp_path, tiny_lm, fruit):
    with track(f"tensorboard:{tmp_path}"):
        for name in ("trial 1", "trial 2"):
            with tracked_part(name):
                fit_classifier(fruit, lm=tiny_lm.only("forward"), run=Run(device="cpu"), recipe=CLASSIFY.with_epochs(1))
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {
        "trial 1, classifier forward, 4 of 4 groups",
        "trial 2, classifier forward, 4 of 4 groups",
    }


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(OptionError, match=r"pip install 'ulmfit-lib\[mlflow\]'"), track(f"mlflow:{Path(tmp_path)}"):
        pass
