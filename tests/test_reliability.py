"""The short form of the reliability runs (benchmarks/reliability), and what their long form once found."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ulmfit_lib import LanguageModel, TextClassifier, fit_classifier, fit_lm
from ulmfit_lib.errors import ArtifactError, TrainingError, UlmfitError
from ulmfit_lib.files import new_folder, only_process
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.run import Run

RELIABILITY = Path(__file__).parent.parent / "benchmarks" / "reliability"


def run(script, *arguments):
    command = [sys.executable, "-W", "ignore", RELIABILITY / script, *map(str, arguments), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_trainings_end_with_the_weights_of_undisturbed_ones():
    counts = run("kills.py", "--kills", 20)
    assert counts["kills"] == 20 and min(counts["runs"].values()) >= 1
    assert not counts["different"] and counts["broken"] == 0


@pytest.mark.slow
def test_damaged_models_say_the_same_or_are_refused():
    counts = run("corruptions.py", "--cases", 250)
    assert counts["refused"] > 200 and counts["failed"] == 0, counts["examples"]


@pytest.mark.slow
def test_nasty_files_are_predicted_or_refused():
    counts = run("inputs.py", "--cases", 150)
    assert counts["predicted"] > 75 and counts["failed"] == 0, counts["examples"]


@pytest.fixture(scope="module")
def saved(tiny_classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    tiny_classifier.save(path)
    return path


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_in_any_file_change_nothing_or_are_refused(saved, tiny_classifier, tmp_path, data):
    name = data.draw(st.sampled_from(["config.json", "vocab.json", "training.json", "model.safetensors"]))
    content = (saved / name).read_bytes()
    place = data.draw(st.integers(0, len(content)))
    noise = data.draw(st.binary(max_size=20))
    copy = shutil.copytree(saved, tmp_path / "copy", dirs_exist_ok=True)
    (copy / name).write_bytes(content[:place] + noise + content[place + data.draw(st.integers(0, 20)) :])
    try:
        found = TextClassifier.load(copy).predict_proba(["a great film"])
    except UlmfitError as error:
        assert "\n" not in str(error)
    else:
        np.testing.assert_array_equal(found, tiny_classifier.predict_proba(["a great film"]))


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "training.json"])
def test_json_nested_without_end_is_refused(saved, tmp_path, name):
    copy = shutil.copytree(saved, tmp_path / "copy")
    (copy / name).write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match=name):
        TextClassifier.load(copy)


def test_a_claim_of_many_classes_takes_no_memory(saved, tmp_path):
    copy = shutil.copytree(saved, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    sizes = {**config["architecture"], "embedding": 60_000, "hidden": 60_000}
    (copy / "config.json").write_text(json.dumps({**config, "architecture": sizes, "classes": list("abc" * 5)}))
    with pytest.raises(ArtifactError, match="classes"):
        TextClassifier.load(copy)
    names = [str(i) for i in range(200_000)]  # with these sizes a head of hundreds of gigabytes
    (copy / "config.json").write_text(json.dumps({**config, "architecture": sizes, "classes": names}))
    with pytest.raises(ArtifactError, match="shape"):
        TextClassifier.load(copy)


def test_a_model_of_the_first_format_is_read_and_an_unsealed_one_is_not(saved, tmp_path):
    copy = shutil.copytree(saved, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    del config["sha256"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=r"config\.json: it is not as it was written"):
        TextClassifier.load(copy)
    (copy / "config.json").write_text(json.dumps({**config, "format_version": 1}))
    assert TextClassifier.load(copy).classes == config["classes"]


def test_the_card_may_be_edited_and_nothing_else(saved, tmp_path):
    copy = shutil.copytree(saved, tmp_path / "copy")
    (copy / "README.md").write_text("ours now")
    assert TextClassifier.load(copy).classes
    (copy / "training.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"training\.json: it is not as it was written"):
        TextClassifier.load(copy)


def test_a_folder_takes_anothers_place_at_once(tmp_path):
    for content in ("old", "new"):
        with new_folder(tmp_path / "model", overwrite=True) as folder:
            (folder / "config.json").write_text(content)
    assert (tmp_path / "model" / "config.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def hold(path, ready, done):
    with only_process(path):
        ready.set()
        done.wait(60)


@pytest.mark.slow
def test_of_two_processes_one_wins_and_the_other_says_so(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "model", ready, done))
    other.start()
    assert ready.wait(60)
    with pytest.raises(ArtifactError, match="another process"), only_process(tmp_path / "model"):
        pass
    done.set()
    other.join()
    with only_process(tmp_path / "model"):
        pass


def test_a_read_only_folder_is_named(tmp_path, tiny_classifier, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(ArtifactError, match=r"cannot be written \(Permission denied\)"):
        tiny_classifier.save(tmp_path / "model")


def test_a_full_disk_leaves_the_old_model(tmp_path, tiny_classifier, monkeypatch):
    tiny_classifier.save(tmp_path / "model")

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(ArtifactError, match="No space left"):
        patch.setattr("pathlib.Path.write_bytes", refuse)
        tiny_classifier.save(tmp_path / "model", overwrite=True)
    assert TextClassifier.load(tmp_path / "model").classes == tiny_classifier.classes
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_too_little_memory_halves_the_step(tiny_lm, fruit, monkeypatch, capfd):
    sizes = []
    forward = torch.nn.functional.cross_entropy

    def hungry(logits, *arguments, **options):
        sizes.append(len(logits))
        if len(logits) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return forward(logits, *arguments, **options)

    monkeypatch.setattr("ulmfit_lib.training.classifying.F.cross_entropy", hungry)
    monkeypatch.setattr("ulmfit_lib.training.classifying.MIN_TOKENS", 8)
    linear = replace(CLASSIFY, head_hidden=0)  # solved, so that the loss is of fine-tuning alone
    classifier = fit_classifier(
        fruit, lm=tiny_lm.only("forward"), recipe=replace(linear, lr=1e-4).with_epochs(1), run=Run(device="cpu")
    )
    assert max(sizes) > 4 and max(sizes[-6:]) <= 4 and classifier.evaluate(fruit).accuracy > 0.9
    assert "out of memory: training begins again with 8000 tokens a step" in capfd.readouterr().err
    monkeypatch.setattr("ulmfit_lib.training.classifying.MIN_TOKENS", 8000)
    with pytest.raises(TrainingError, match="do not fit into memory"):
        fit_classifier(fruit, lm=tiny_lm.only("forward"), recipe=linear.with_epochs(1), run=Run(device="cpu"))


def test_too_little_memory_for_a_batch_is_enough_for_its_halves(tiny_classifier, fruit, monkeypatch):
    expected = tiny_classifier.predict_proba(fruit.texts)
    from ulmfit_lib.models import frozen

    pool = frozen.pool

    def hungry(encoder, pooling, ids, *arguments, **options):
        if len(ids) > 5:
            raise MemoryError
        return pool(encoder, pooling, ids, *arguments, **options)

    monkeypatch.setattr(frozen, "pool", hungry)
    np.testing.assert_allclose(tiny_classifier.predict_proba(fruit.texts), expected, atol=1e-5)


@pytest.mark.slow
def test_an_exploding_loss_ends_the_training_and_keeps_the_best_epoch(tiny_lm, reviews, monkeypatch, capfd):
    from ulmfit_lib.training.losses import SampledSoftmax

    calls, whole = [], SampledSoftmax.__call__

    def explode(self, *arguments, **options):
        calls.append(1)
        return whole(self, *arguments, **options) * (factor if len(calls) > limit else 1)

    def fit():
        calls.clear()
        return fit_lm(reviews.texts[:150], base=tiny_lm.only("forward"), epochs=6, run=Run(device="cpu"))

    monkeypatch.setattr(SampledSoftmax, "__call__", explode)
    limit, factor = 10**9, 1000.0
    fit()
    limit = len(calls) * 3 // 4
    lm = fit()
    assert "the training loss is" in (said := capfd.readouterr().err) and "are kept" in said
    assert isinstance(lm, LanguageModel)
    limit, factor = 2, float("nan")
    with pytest.raises(TrainingError, match="loss is nan in epoch 1, batch 3; try a lower learning rate"):
        fit()


def test_the_same_seed_gives_the_same_bits(tiny_lm, fruit):
    def weights():
        classifier = fit_classifier(fruit, lm=tiny_lm, run=Run(seed=7, device="cpu"), recipe=CLASSIFY.with_epochs(1))
        record = classifier.training.stages[-1]
        assert record.seed == 7 and record.data_sha256 == fruit.sha256() and record.recipe["epochs"] == 1
        assert record.versions["torch"] == torch.__version__.split("+")[0]
        return {**classifier.weights["forward"], **classifier.heads["backward"]}

    first, second = weights(), weights()
    assert all(np.array_equal(first[name], second[name]) for name in first)
