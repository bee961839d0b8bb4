import json
import os
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ulmfit_lib import LanguageModel, TextClassifier, TextTable, tune
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import ArtifactError, DataError, Interrupted, OptionError, TrainingError
from ulmfit_lib.evaluation.metrics import McNemar
from ulmfit_lib.pipeline.candidates import predict_folds
from ulmfit_lib.pipeline.gain import Gain, HeldOut
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.pipeline.plan import TrainingTime
from ulmfit_lib.pipeline.trials import Space, Trials
from ulmfit_lib.pipeline.tuner import Tuner
from ulmfit_lib.pipeline.tuning import _forgotten_seconds
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run


@pytest.fixture(scope="module")
def base(tiny_lm):
    return tiny_lm.only("forward")


@pytest.fixture
def table(fruit):
    """The last two rows are near copies of the first two."""
    words = ["apple", "pear", "plum", "cherry", "quince", "fig", "grape", "melon", "lemon", "lime", "date", "nut"]
    draw = np.random.default_rng(0)
    texts = [f"{text} {' '.join(draw.choice(words, 9))} number{i}" for i, text in enumerate(fruit.texts)]
    copies = [f"{text} !" for text in texts[:2]]
    return TextTable.from_lists([*texts, *copies, "no label here"], [*fruit.labels, *fruit.labels[:2], None])


@pytest.fixture
def quick(monkeypatch):
    """Few epochs, folds and heads; the recipe."""
    recipe = replace(CLASSIFY, epochs=1, head_epochs=1)
    monkeypatch.setattr("ulmfit_lib.pipeline.tuning.CLASSIFY", recipe)
    monkeypatch.setattr("ulmfit_lib.pipeline.trials.POOLINGS", ("layers", "all"))
    monkeypatch.setitem(stratified_folds.__kwdefaults__, "count", 2)
    return recipe


@pytest.fixture
def trial_tables(monkeypatch):
    """The tables that trials learn from and are scored on."""
    found = []

    def remember(candidate, table, *others, **options):
        found.append(table)
        return predict_folds(candidate, table, *others, **options)

    monkeypatch.setattr("ulmfit_lib.pipeline.tuner.predict_folds", remember)
    return found


@pytest.mark.slow
def test_a_search_that_finds_nothing_keeps_the_defaults_and_says_so(base, table, tmp_path, trial_tables):
    tuned = tune(table, folder=tmp_path, bases=[base], max_trials=2, run=Run(device="cpu"))
    assert not tuned.gained and "The search gained nothing" in tuned.sentence
    assert "kept" in tuned.sentence and "rows that the search never saw" in tuned.sentence
    first, second = tuned.trials
    assert (first["frozen_pooling"], second["frozen_pooling"]) == ("layers", "concat")
    assert tuned.classifier.pooling == "layers" and tuned.classifier.training.stages[-1].labelled_texts == 50
    learnt, held_out = table.split(0.2, seed=42)
    texts = {text for one in trial_tables for text in one.texts}
    assert len(trial_tables) == 2 and texts == set(learnt.labelled().texts) and not texts & set(held_out.texts)
    assert tuned.scores["held_out"]["rows"] == len(held_out) == tuned.classifier.training.report.held_out_rows
    near = [row for row in held_out.rows if row in (1, 2, 49, 50)]
    assert not near  # copies learn, or are held out, together


@pytest.mark.slow
def test_a_search_that_finds_something_delivers_it_and_says_so(base, table, tmp_path, quick, monkeypatch):
    def spoil(candidate, table, *others, **options):
        for one in predict_folds(candidate, table, *others, **options):
            if candidate.lm.training.name == "tiny":
                flat = {choice: np.full_like(p, 0.5) for choice, p in one.ulmfit.items()}
                one = replace(one, ulmfit=flat, linear={name: np.full_like(p, 0.5) for name, p in one.linear.items()})
            yield one

    monkeypatch.setattr("ulmfit_lib.pipeline.tuning.choose_base", lambda bases, *_: bases[0])
    monkeypatch.setattr("ulmfit_lib.pipeline.tuner.predict_folds", spoil)
    other = replace(base, training=TrainingRecord("other"))
    tuned = tune(table, folder=tmp_path, bases=[base, other], max_trials=4, run=Run(device="cpu"))
    assert tuned.gained and "The search gained something" in tuned.sentence and "so it is kept" in tuned.sentence
    assert tuned.settings["base"] == "other" and tuned.scores["default_settings"]["base"] == "tiny"
    assert tuned.classifier.training.report.base.startswith("base other:")
    assert tuned.scores["out_of_fold"]["gain"]["low"] > 0


def test_the_held_out_rows_are_told_as_right_answers_and_as_decisions_where_these_are_more():
    accuracy = {"best": (0.9, 0.8, 0.95), "default": (0.8, 0.7, 0.9)}
    gain = Gain(0.1, 0.02, 0.18)
    rows = HeldOut(100, 100, accuracy, {"best": 0.3, "default": 0.4}, gain, McNemar(12, 2, 0.013))
    said = rows.sentences("best", "default")
    assert "the accuracy of the best settings is 90.0 %, and that of the defaults 80.0 %" in said
    assert "chance alone would hardly make" in said and "better by 0.100 (95 % interval of the gain: +0.020" in said
    doubtful = replace(rows, decisions=300, verdict=McNemar(3, 2, 1.0))
    assert "(300 decisions, one for each label)" in doubtful.where()
    assert "chance alone may make" in doubtful.sentences("default", "best")
    assert "worse by 0.100" in replace(rows, gain=Gain(-0.1, -0.2, 0.0)).sentences("default", "best")


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_stopped_after_two_folds(tiny_lm, base, table, tmp_path, quick, monkeypatch):
    folds = []

    def spoil(candidate, table, *others, **options):
        for one in predict_folds(candidate, table, *others, **options):
            folds.append(candidate.lm.direction)
            flat = {choice: np.full_like(p, 0.5) for choice, p in one.ulmfit.items()}
            yield replace(one, ulmfit=flat) if candidate.lm.direction == "backward" else one

    monkeypatch.setattr("ulmfit_lib.pipeline.tuning.choose_base", lambda bases, *_: bases[0])
    monkeypatch.setitem(stratified_folds.__kwdefaults__, "count", 3)
    monkeypatch.setattr("ulmfit_lib.pipeline.tuner.predict_folds", spoil)
    other = replace(tiny_lm.only("backward"), training=TrainingRecord("other"))
    tuned = tune(table, folder=tmp_path, bases=[base, other], max_trials=4, run=Run(device="cpu"))
    assert [one["given_up"] for one in tuned.trials] == ["", "", "", "behind the median"]
    assert folds == ["forward"] * 6 + ["backward"] * 5 and tuned.trials[3]["log_loss"] is None


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on_with_the_trials_that_it_has(base, table, tmp_path, monkeypatch, capsys):
    def stop(candidate, table, *others, **options):
        for number, one in enumerate(predict_folds(candidate, table, *others, **options)):
            if number == 1 and candidate.recipe.frozen_pooling == "concat":
                raise Interrupted
            yield one

    options = {"folder": tmp_path / "stopped", "bases": [base], "max_trials": 3, "run": Run(device="cpu")}
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr("ulmfit_lib.pipeline.tuner.predict_folds", stop)
        tune(table, **options)
    capsys.readouterr()
    tuned = tune(table, **options)
    said = capsys.readouterr().err
    assert "continues a search that was stopped: it keeps 1 trial, and has" in said
    assert [one["trial"] for one in tuned.trials] == [0, 2, 3]
    whole = tune(table, **{**options, "folder": tmp_path / "whole"})
    losses = [[(one["frozen_pooling"], one["log_loss"]) for one in each.trials] for each in (tuned, whole)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(*(one.classifier.predict_proba(table.texts) for one in (tuned, whole)))
    with pytest.raises(TrainingError, match=r"of another search \(the seed was 42, and is 43\)"):
        tune(table, **{**options, "run": Run(seed=43, device="cpu")})


@pytest.mark.slow
def test_fine_tuning_is_drawn_when_all_heads_are_tried(base, table, tmp_path, quick, monkeypatch):
    seen = []

    def remember(candidate, table, *others, **options):
        seen.append(candidate)
        return predict_folds(candidate, table, *others, **options)

    monkeypatch.setattr("ulmfit_lib.pipeline.tuner.predict_folds", remember)
    tuned = tune(table, folder=tmp_path, bases=[base], max_trials=4, run=Run(device="cpu"))
    assert [one["strategy"] for one in tuned.trials] == ["linear-probe"] * 2 + ["fine-tune"] * 2
    usual, drawn = tuned.trials[2:]
    assert usual["lr"] == quick.lr and usual["dropout"] == 0
    assert quick.lr / 4 <= drawn["lr"] <= 4 * quick.lr and drawn["lr"] != quick.lr and 1 <= drawn["epochs"] <= 2
    assert seen[3].recipe.lr == drawn["lr"] and seen[3].recipe.dropouts.weight == pytest.approx(0.5 * drawn["dropout"])


def test_what_is_drawn_does_not_depend_on_where_a_run_was_stopped(tmp_path):
    def search():
        return Trials(tmp_path, Space(["base"], CLASSIFY), {}, seed=1)

    def ask(trials):
        return trials.ask(lambda *_: 99)[1]

    trials = search()
    for _ in range(12):
        trials.stop(trials.ask(lambda *_: 99)[0], "not scored", seconds=0)
    drawn = ask(trials)
    assert drawn["strategy"] == "fine-tune" and {*drawn} > {"epochs", "dropout"}
    assert ask(search()) == ask(search()) == drawn


def test_contrastive_learning_and_fine_tuning_take_turns_where_a_base_reads_words(tmp_path):
    trials = Trials(tmp_path, Space(["plain", "words"], CLASSIFY, ["words"]), {}, seed=1)
    asked = []
    for _ in range(7 + 5):  # linear probes of both bases first
        trial, params = trials.ask(lambda *_: 99)
        trials.stop(trial, "not scored", seconds=0)
        asked.append(params)
    strategies = [one["strategy"] for one in asked[7:]]
    assert strategies == ["contrast", "fine-tune", "contrast", "fine-tune", "contrast"]
    assert asked[7] == {"base": "words", "strategy": "contrast", "contrast_epochs": 8, "contrast_lr": 4e-4}
    drawn = asked[9]
    assert drawn["base"] == "words" and 2 <= drawn["contrast_epochs"] <= 16 and 1e-4 <= drawn["contrast_lr"] <= 16e-4
    recipe = trials.space.recipe_for(drawn).contrast
    assert (recipe.epochs, recipe.lr) == (drawn["contrast_epochs"], drawn["contrast_lr"])


@pytest.mark.slow
def test_what_contrastive_learning_found_is_fitted_and_has_a_scope(words_lm, table, tmp_path, quick, monkeypatch):
    def spoil(candidate, table, *others, **options):
        for one in predict_folds(candidate, table, *others, **options):
            flat = {choice: np.full_like(p, 0.5) for choice, p in one.ulmfit.items()}
            one = replace(one, linear={name: np.full_like(p, 0.5) for name, p in one.linear.items()})
            yield replace(one, ulmfit=flat) if candidate.strategy == "linear-probe" else one

    monkeypatch.setattr("ulmfit_lib.pipeline.tuning.choose_base", lambda bases, *_: bases[0])
    monkeypatch.setattr("ulmfit_lib.pipeline.tuner.predict_folds", spoil)
    tuned = tune(table, folder=tmp_path, bases=[words_lm], max_trials=5, run=Run(device="cpu"))
    assert [one["strategy"] for one in tuned.trials] == ["linear-probe"] * 4 + ["contrast"]
    assert tuned.gained and tuned.settings["contrast_epochs"] == 8
    assert "contrast" in [stage.name for stage in tuned.classifier.training.stages]
    assert tuned.classifier.scope is not None


def test_where_time_is_short_fewer_epochs_are_drawn_but_a_trial_that_was_begun_stays_as_it_was(tmp_path):
    space = Space(["base"], CLASSIFY)
    trials = Trials(tmp_path, space, {}, seed=1)
    for _ in range(3):
        trials.stop(trials.ask(lambda *_: 0)[0], "not scored", seconds=0)
    trial, usual = trials.ask(lambda *_: 3.5)
    assert usual["epochs"] == 3 < CLASSIFY.epochs and usual["lr"] == CLASSIFY.lr
    trials.stop(trial, "not scored", seconds=0)
    _, drawn = trials.ask(lambda *_: 3.5)
    assert 2 <= drawn["epochs"] <= 3
    trial, again = Trials(tmp_path, space, {}, seed=1).ask(lambda *_: 0)
    assert again == drawn and trial.user_attrs


@pytest.mark.slow
def test_what_there_is_no_time_for_is_left_to_a_run_with_more(base, table, tmp_path, quick, monkeypatch, capsys):
    options = {"folder": tmp_path, "bases": [base], "run": Run(device="cpu"), "max_trials": 3}
    with monkeypatch.context() as patch:
        patch.setattr("ulmfit_lib.pipeline.plan.epoch_seconds", lambda *_, **__: 1e4)
        tuned = tune(table, minutes=5, **options)
    assert [one["strategy"] for one in tuned.trials] == ["linear-probe", "linear-probe"]
    assert "no time for another trial" in capsys.readouterr().err
    assert [one["strategy"] for one in tune(table, **options).trials] == ["linear-probe", "linear-probe", "fine-tune"]
    alone = tune(table, **{**options, "folder": tmp_path / "alone", "max_trials": 1})
    assert alone.sentence.startswith("Nothing but the defaults was tried, so the defaults are kept.")


def test_a_trial_that_turns_out_too_long_gives_way_to_one_with_fewer_epochs():
    guessed = TrainingTime(epoch=1.0, joining=2, share=0.8, fits=6)
    experiment: Any = None
    tuner = Tuner(experiment, {}, Space(["base"], CLASSIFY), Run(device="cpu"), times={("base", "fine-tune"): guessed})
    settings = {"base": "base", "strategy": "fine-tune", "epochs": 8}
    trial, left = SimpleNamespace(number=7, params=settings, user_attrs={}), []
    trials = SimpleNamespace(discard=left.append)
    tuner.measure(trial, 16.0)  # of 2 + 8 epochs over 0.8 of the table, each of the whole table takes 2 seconds
    assert tuner.training_time("base", "fine-tune").seconds(8) == 120
    assert tuner.gives_way(trial, trials, SimpleNamespace(left=lambda: 75.0)) and left == [7]
    assert not tuner.gives_way(trial, trials, SimpleNamespace(left=lambda: 40.0)) and left == [7]  # none has so few


def test_the_time_of_a_fold_that_was_killed_counts(tmp_path):
    kept = Checkpoints(tmp_path / "kept")
    assert _forgotten_seconds(tmp_path, kept) == 0
    for file, at in ((tmp_path / "trials.db", 1000), (kept.folder / "a" / "phase-0.pt", 1090)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (at, at))
    assert _forgotten_seconds(tmp_path, kept) == 90 and _forgotten_seconds(tmp_path, None) == 0
    os.utime(tmp_path / "trials.db", (2000, 2000))  # written since
    assert _forgotten_seconds(tmp_path, kept) == 0


def test_the_best_of_many_trials_must_be_further_ahead():
    draw = np.random.default_rng(0)
    default = draw.random(100)
    best = default - 0.02 + 0.1 * draw.standard_normal(100)
    one, hundred = (Gain.of(default, best, chance=0.05 / tries) for tries in (1, 100))
    assert one.mean == hundred.mean > 0 and one.low > 0 > hundred.low
    assert Gain.of(default, best, chance=0.05, folds=5).low < one.low  # folds learn from the same rows


@pytest.fixture
def tune_command(ulmfit, lm_folder, table, write_csv):
    """``tune`` on a file, with more options; what the command line gives."""
    data = write_csv([(text, label or "") for text, label in zip(table.texts, table.labels, strict=True)])
    options = ["--text", "review", "--label", "sentiment", "--base", lm_folder, "--direction", "forward"]
    return lambda *more: ulmfit("tune", data, *options, *more)


@pytest.mark.slow
def test_the_command_leaves_a_model_a_table_and_a_plot(tune_command, tmp_path):
    out = tmp_path / "tuned"
    code, stdout, _ = tune_command("--out", out, "--trials", 2, "--json")
    assert code == 0
    assert json.loads(stdout)["sentence"] == json.loads((out / "tuning.json").read_text())["sentence"]
    assert sorted(path.name for path in out.iterdir()) == ["model", "study", "trials.csv", "trials.png", "tuning.json"]
    assert pd.read_csv(out / "trials.csv")["frozen_pooling"].tolist() == ["layers", "concat"]
    assert TextClassifier.load(out / "model").predict(["the film was great great"]) == ["positive"]
    assert tune_command("--out", out)[0] == 2  # the place is taken
    (out / "study" / "trials.db").write_bytes(b"SQLite format 3\x00 and then nothing")
    code, _, stderr = tune_command("--out", out, "--overwrite")
    assert code == 2 and "these trials cannot be read" in stderr and "Traceback" not in stderr


@pytest.mark.slow
def test_a_command_that_was_killed_keeps_its_trials_and_a_longer_one_keeps_them_too(
    tune_command, tmp_path, monkeypatch
):
    out = tmp_path / "tuned"

    def kill(*_, **__):
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("ulmfit_lib.models.precision.save_smallest", kill)
        assert tune_command("--out", out, "--trials", 2)[0] == 130
    assert (out / "tuning.json").exists() and not (out / "model").exists()  # which is what the same command goes by
    code, _, stderr = tune_command("--out", out, "--trials", 2)
    assert code == 0 and "it keeps 2 trials" in stderr
    code, stdout, stderr = tune_command("--out", out, "--trials", 3, "--overwrite")
    assert code == 0 and "it keeps 2 trials" in stderr and "trials.csv" in stdout


def test_a_search_without_optuna_names_the_extra(tune_command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, stderr = tune_command("--out", tmp_path / "tuned")
    assert code == 2 and "pip install 'ulmfit-lib[tune]'" in stderr


def test_no_time_at_all_and_too_few_rows_are_refused(table, tmp_path):
    with pytest.raises(DataError, match="30 labelled rows; a search needs 40"):
        tune(table.select(range(30)), folder=tmp_path)
    for minutes in (0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="more than 0"):
            tune(table, folder=tmp_path, minutes=minutes)


@pytest.mark.slow
def test_heads_are_judged_by_what_they_take_and_not_by_what_reading_the_texts_takes(
    base, table, tmp_path, quick, monkeypatch
):
    clock, read = [0.0], LanguageModel.features

    def slow(self, *some, **options):
        clock[0] += 60
        return read(self, *some, **options)

    monkeypatch.setitem(stratified_folds.__kwdefaults__, "count", 5)
    monkeypatch.setattr(LanguageModel, "features", slow)
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + clock[0])
    tuned = tune(table, folder=tmp_path, bases=[base], minutes=6, max_trials=2, run=Run(device="cpu"))
    assert [one["frozen_pooling"] for one in tuned.trials] == ["layers", "all"]


def test_what_is_wrong_with_the_file_of_trials_is_said_in_a_sentence(tmp_path, fruit, monkeypatch):
    def trials(folder):
        return Trials(folder, Space(["base"], CLASSIFY), {}, seed=1)

    begun = trials(tmp_path / "ô 1?a#%20")
    trial, _ = begun.ask(lambda *_: 9)
    begun.stop(trial, "not scored", seconds=0)
    (begun.folder / f"{trial.number}.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(TrainingError, match="missing or damaged; --restart"):
        begun.predictions(trial, fruit.kind)
    monkeypatch.setattr("ulmfit_lib.pipeline.trials.LOCKED_SECONDS", 0.1)
    with closing(sqlite3.connect(begun.folder / "trials.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrainingError, match="another program keeps these trials locked"):
            trials(begun.folder)
    whole = (begun.folder / "trials.db").read_bytes()
    (begun.folder / "trials.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="cannot be read or written"), (cut := trials(begun.folder)).in_a_sentence():
        cut.ask(lambda *_: 9)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArtifactError, match="cannot be written"):
        trials(tmp_path / "file" / "study")
