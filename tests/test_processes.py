"""Training on two processes, which are forked from this one, and so start at once."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, redirect_stderr
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed import TCPStore

from ulmfit_lib import LanguageModel, TextClassifier, fit_classifier, pretrain
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.cli import main
from ulmfit_lib.errors import OptionError, TrainingError
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.stages.pretrain import LanguageModelConfig
from ulmfit_lib.tokens import corpus
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.tokens.words import WordTokenizer
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.processes import Share, SharedSteps, all_reduce, joined, own_device
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.streams import ClassifierBatches, LanguageModelStream

EXAMPLES = Path(__file__).parent.parent / "examples"
LM = LanguageModelRecipe(epochs=2, lr=1e-2, batch_size=5, window=16, samples=0, clip=0.1, weight_decay=0.1)
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="these tests need a platform that forks")
LAUNCHED = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
LONG = 60  # seconds that no test comes near


@pytest.fixture
def processes(tmp_path):
    """Run a function in processes that train together; their exit codes, and what they said."""
    context = multiprocessing.get_context("fork")

    def child(job, rank, count, port, arguments):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_PORT": str(port), **LAUNCHED}
        with (tmp_path / f"stderr-{rank}").open("w", buffering=1) as file, redirect_stderr(file):
            job(*arguments)

    def run(job, *arguments, count=2):
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        running = [
            context.Process(target=child, args=(job, rank, count, store.port, arguments), daemon=True)
            for rank in range(count)
        ]
        for one in running:
            one.start()
        for one in running:
            one.join(LONG)
        said = "".join((tmp_path / f"stderr-{rank}").read_text() for rank in range(count))
        return [one.exitcode for one in running], said

    return run


@pytest.fixture
def exact(monkeypatch):
    """float32, in which the order of adding up hardly matters, and no steps along gradients that are but rounding."""
    monkeypatch.setattr("ulmfit_lib.training.phases.fast_bfloat16", lambda _: False)
    monkeypatch.setattr("torch.optim.AdamW", partial(torch.optim.AdamW, eps=1e-3))


def losses(model):
    (rows,) = model.training.stages[-1].history.values()
    return np.array([[row["train_loss"], row["valid_loss"]] for row in rows])


def test_rows_of_all_processes_are_the_whole_batch_in_every_window():
    texts = Documents(np.arange(400) % 50, np.arange(0, 401, 10))
    settings = {"batch_size": 5, "window": 8, "seed": 1}
    whole = list(LanguageModelStream(texts, **settings))
    parts = [list(LanguageModelStream(texts, **settings, share=Share(rank, 2))) for rank in range(2)]
    assert len(whole) == len(parts[0]) == len(parts[1]) > 5
    for (inputs, targets), *halves in zip(whole, *parts, strict=True):
        for rank, (some_inputs, some_targets) in enumerate(halves):
            assert torch.equal(some_inputs, inputs[rank::2]) and torch.equal(some_targets, targets[rank::2])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_text_is_one_processs_and_none_is_read_twice(count):
    lengths = np.random.default_rng(0).integers(1, 60, 101)
    texts = Documents(np.zeros(lengths.sum(), np.int64), np.concatenate([[0], np.cumsum(lengths)]))
    settings = {"batch_size": 7, "batch_tokens": 200, "pad_id": 1, "seed": 3}
    parts = [
        list(ClassifierBatches(texts, np.arange(101), **settings, share=Share(rank, count))) for rank in range(count)
    ]
    assert len({len(part) for part in parts}) == 1 and all(len(batch[2]) for part in parts for batch in part)
    assert sorted(int(i) for part in parts for *_, targets in part for i in targets) == list(range(101))


@pytest.mark.slow
def test_a_language_model_learns_on_two_processes_what_one_does_with_twice_the_batch(
    reviews, processes, exact, tmp_path
):
    config, run, recipe = LanguageModelConfig(Architecture(16, 24, 2)), Run(device="cpu"), replace(LM, min_count=2)

    def train():
        with joined():
            pretrain(reviews.texts[:150], config=config, recipe=recipe, run=run).save(
                tmp_path / f"lm-{os.environ['RANK']}"
            )

    one = pretrain(reviews.texts[:150], config=config, recipe=replace(recipe, batch_size=10), run=run)
    assert processes(train)[0] == [0, 0]
    first, second = (LanguageModel.load(tmp_path / f"lm-{rank}") for rank in range(2))
    assert first.training.stages[-1].processes == 2
    np.testing.assert_allclose(losses(first), losses(one), atol=1e-4)
    for name, weight in first.weights["forward"].items():
        assert torch.equal(weight, second.weights["forward"][name])


@pytest.mark.slow
@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_a_classifier_learns_on_two_processes_what_one_does_with_twice_the_batch(
    tiny_lm, reviews, processes, exact, tmp_path, class_weights
):
    """With a last batch of three, batch normalisation, and classes that do not weigh the same."""
    table = reviews.labelled().select(range(75))
    recipe = replace(CLASSIFY, batch_size=4, dropouts=Dropouts(), head_dropout=0.0, epochs=2, max_steps=0, clip=0.05)
    recipe = replace(recipe, class_weights=class_weights)
    settings = {"lm": tiny_lm.only("forward"), "run": Run(device="cpu"), "valid": table}

    def train():
        with joined():
            fit_classifier(table, recipe=recipe, **settings).save(tmp_path / f"classifier-{os.environ['RANK']}")

    one = fit_classifier(table, recipe=replace(recipe, batch_size=8), **settings)
    assert processes(train)[0] == [0, 0]
    first, second = (TextClassifier.load(tmp_path / f"classifier-{rank}") for rank in range(2))
    assert len(table) % one.training.stages[-1].recipe["batch_size"] == 3
    np.testing.assert_allclose(losses(first), losses(one), atol=1e-4)
    np.testing.assert_allclose(first.predict_proba(table.texts), one.predict_proba(table.texts), atol=1e-3)
    np.testing.assert_array_equal(first.predict_proba(table.texts), second.predict_proba(table.texts))


@pytest.mark.slow
def test_a_killed_process_ends_all_with_a_sentence_and_as_many_go_on_to_the_same_weights(
    lm_folder, processes, tmp_path, ulmfit
):
    def arguments(out):
        return [
            "fit-lm",
            EXAMPLES / "reviews.csv",
            "--text",
            "review",
            "--base",
            lm_folder,
            "--out",
            out,
            "--epochs",
            1,
            "--set",
            "window=28",
            "--set",
            "frozen_epochs=0",
            "--checkpoint-every",
            0,
            "--direction",
            "forward",
        ]

    def train(out, last_step=10**9):
        steps, before_backward = itertools.count(), SharedSteps.before_backward

        def step(self):
            if next(steps) == last_step and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGKILL)
            before_backward(self)

        SharedSteps.before_backward = step
        sys.argv = ["ulmfit", *map(str, arguments(out))]
        main()

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    codes, said = processes(train, whole)
    assert codes == [0, 0]
    assert "2 processes train together: a batch has at most 5 rows, and each process at most 3 of them" in said
    codes, said = processes(train, killed, 20)
    assert codes == [2, -signal.SIGKILL] and said.count("Error: ") == 1
    assert "has lost another one" in said and "continues from the last checkpoint" in said
    code, _, said = ulmfit(*arguments(killed))
    assert code == 2 and "is of a run on 2 processes: start as many again, or --restart begins anew" in said
    assert processes(train, killed)[0] == [0, 0]
    first, second = (LanguageModel.load(path) for path in (whole, killed))
    np.testing.assert_array_equal(losses(first), losses(second))
    weights = second.weights["forward"]
    assert all(torch.equal(first.weights["forward"][name], weight) for name, weight in weights.items())


@pytest.mark.slow
def test_processes_that_read_other_texts_say_so_once(processes, tmp_path):
    def train():
        file = EXAMPLES / ("tiny-train.csv" if os.environ["RANK"] == "0" else "reviews.csv")
        sizes = ["--embedding", "8", "--hidden", "8", "--layers", "1"]
        sys.argv = ["ulmfit", "pretrain", str(file), "--text", "review", "--out", str(tmp_path / "lm"), *sizes]
        main()

    codes, said = processes(train)
    assert codes == [2, 2] and said.count("Error: the processes have not read the same files") == 1


def test_a_process_that_loses_another_and_is_then_told_to_end_leaves_the_word_to_that(processes, monkeypatch):
    def end(*_, **__):
        if os.environ["RANK"] == "0":
            raise TrainingError("the loss explodes")
        with pytest.raises(TrainingError) as lost:
            all_reduce(torch.ones(1))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        raise lost.value

    monkeypatch.setattr("ulmfit_lib.cli.app", end)
    monkeypatch.setattr("sys.argv", ["ulmfit", "fit-lm"])
    assert processes(main) == ([2, 2], "Error: the loss explodes\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes of their parent's end")
def test_a_killed_launcher_takes_its_processes_along_which_say_so_once(
    processes, eventually, runs, tmp_path, monkeypatch
):
    def work(*_, **__):
        (tmp_path / os.environ["RANK"]).write_text(str(os.getpid()))
        time.sleep(LONG)

    monkeypatch.setattr("ulmfit_lib.cli.app", work)
    monkeypatch.setattr("sys.argv", ["ulmfit", "fit-lm"])
    launcher = multiprocessing.get_context("fork").Process(target=processes, args=(main,))
    launcher.start()
    pids = [tmp_path / str(rank) for rank in range(2)]
    eventually(lambda: all(pid.exists() and pid.read_text() for pid in pids))
    launcher.kill()
    eventually(lambda: not any(runs(pid.read_text()) for pid in pids))
    said = "".join((tmp_path / f"stderr-{rank}").read_text() for rank in range(2))
    assert said.count("Stopped.") == 1 and said.strip().endswith("the same command goes on.")


@pytest.mark.slow
def test_a_process_that_hangs_is_not_waited_for_without_end(processes, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.training.processes.TIMEOUT", timedelta(seconds=1))

    def hang(*_, **__):
        if os.environ["RANK"] == "1":
            time.sleep(2)
        else:
            all_reduce(torch.ones(1))

    monkeypatch.setattr("ulmfit_lib.cli.app", hang)
    monkeypatch.setattr("sys.argv", ["ulmfit", "fit-lm"])
    codes, said = processes(main)
    assert codes[0] == 2 and "process 1 of 2 has lost another one" in said


@pytest.mark.parametrize(("device", "refused"), [("cuda", False), ("cuda:0", True), ("cpu", False)])
def test_two_processes_are_not_put_on_one_gpu(processes, monkeypatch, device, refused):
    monkeypatch.setattr("torch.cuda.current_device", lambda: int(os.environ["RANK"]))

    def choose():
        with joined(), pytest.raises(OptionError, match="on one GPU") if refused else nullcontext():
            own_device(torch.device(device))

    codes, _ = processes(choose)
    assert codes == [0, 0]


def test_a_command_that_does_not_train_is_refused_once(processes):
    def run():
        sys.argv = ["ulmfit", "models"]
        main()

    codes, said = processes(run)
    assert codes == [2, 2]
    assert said == (
        "Error: `models` runs in one process: start it without `accelerate launch`, which is for pretrain, fit-lm, "
        "fit-classifier\n"
    )


def test_one_process_where_several_were_asked_for_is_refused(ulmfit, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")
    code, _, said = ulmfit("models")
    assert code == 2 and "give it --multi_gpu, which works without a GPU, too, and leave out --cpu" in said


def test_of_processes_that_tokenise_the_same_texts_one_does(processes, tmp_path, monkeypatch):
    write = corpus._write_corpus

    def count(*arguments):
        with (tmp_path / "times").open("a") as file:
            file.write("once ")
        time.sleep(0.2)
        write(*arguments)

    monkeypatch.setattr(corpus, "_write_corpus", count)
    codes, _ = processes(lambda: corpus.tokenize_corpus(["a film"], WordTokenizer(), cache=tmp_path))
    assert codes == [0, 0] and (tmp_path / "times").read_text() == "once "


@pytest.mark.slow
def test_accelerate_launch_trains_one_classifier_and_says_so_once(lm_folder, tmp_path):
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--main_process_port",
        "0",
        "-m",
        "ulmfit_lib.cli",
        "fit-classifier",
        EXAMPLES / "tiny-train.csv",
        "--text",
        "review",
        "--label",
        "sentiment",
        "--lm",
        lm_folder,
        "--out",
        tmp_path / "classifier",
        "--epochs",
        "1",
        "--track",
        f"tensorboard:{tmp_path / 'runs'}",
    ]
    found = subprocess.run(command, capture_output=True, text=True, timeout=LONG * 3)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("trained a classifier of 2 classes") == 1
    assert found.stderr.count("2 processes train together") == 1
    assert TextClassifier.load(tmp_path / "classifier").training.stages[-1].processes == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier", "runs"]
    trainings = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert trainings and all(len(list(one.iterdir())) == 1 for one in trainings)  # of the first process


@pytest.mark.slow
def test_more_processes_than_rows_are_refused_once(lm_folder, processes, tmp_path):
    def train():
        options = ["--text", "review", "--base", str(lm_folder), "--out", str(tmp_path / "lm"), "--set", "window=600"]
        sys.argv = ["ulmfit", "fit-lm", str(EXAMPLES / "tiny-train.csv"), *options]
        main()

    codes, said = processes(train)
    assert codes == [2, 2] and said.count("Error: ") == 1
    assert "too short for 2 processes: they make 1 row of 600 tokens, and each process needs one; start fewer" in said
