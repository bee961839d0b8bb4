from dataclasses import replace

import pytest

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.awd_lstm import Encoder, LanguageModelNet
from ulmfit_lib.models.head import ClassifierNet, Head
from ulmfit_lib.training.classifying import unfreezing
from ulmfit_lib.training.language_modelling import layer_lrs
from ulmfit_lib.training.recipes import CPU, RECIPES, SCRIPTS, find_recipe, with_settings, with_stage_settings
from ulmfit_lib.training.schedules import find_schedule, one_cycle


def language_model_lrs(recipe, n_layers=3):
    return [*layer_lrs(recipe, n_layers), recipe.lr * recipe.tied_share]


def triangle(t, total, *, lr, cut_frac=0.1, ratio=32):
    """Equation 3 of the paper, word for word."""
    cut = int(total * cut_frac)
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
    return lr * (1 + p * (ratio - 1)) / ratio


def test_the_papers_rates_and_unfreezing():
    recipe = find_recipe("paper")
    assert language_model_lrs(recipe.fit_lm) == pytest.approx([0.004 / 2.6**2, 0.004 / 2.6, 0.004, 0.004])
    assert recipe.fit_lm.betas == recipe.fit_classifier.betas == (0.7, 0.99) and recipe.fit_lm.window == 70
    phases = unfreezing(recipe.fit_classifier, 5)
    assert [phase.groups for phase in phases] == [2, 3, 4, 5, 5] and {phase.epochs for phase in phases[:-1]} == {1}
    for phase in phases:
        schedule = find_schedule(recipe.fit_classifier.schedule, cut_frac=phase.cut_frac, ratio=phase.ratio)
        for t in range(101):
            assert 0.01 * schedule(t / 100) == pytest.approx(triangle(t, 100, lr=0.01))


def test_the_scripts_rates_and_slants():
    lm, classifier = SCRIPTS.fit_lm, SCRIPTS.fit_classifier
    assert language_model_lrs(lm) == pytest.approx([lm.lr / 6, lm.lr / 3, lm.lr, lm.lr / 2])
    assert language_model_lrs(lm, 2) == pytest.approx([lm.lr / 3, lm.lr, lm.lr / 2])
    assert language_model_lrs(lm, 4) == pytest.approx([lm.lr / 6, lm.lr / 6, lm.lr / 3, lm.lr, lm.lr / 2])
    phases = unfreezing(classifier, 5)
    assert [(p.groups, p.ratio, round(1 / p.cut_frac)) for p in phases] == [(2, 8, 3), (5, 8, 8)]
    for phase, total in zip(phases, (300, 800), strict=True):
        schedule = find_schedule(classifier.schedule, cut_frac=phase.cut_frac, ratio=phase.ratio)
        for t in range(total + 1):
            expected = triangle(t, total, lr=1, cut_frac=phase.cut_frac, ratio=8)
            assert schedule(t / total) == pytest.approx(expected)
    assert (lm.clip, classifier.clip, lm.betas[0]) == (0.3, 25, 0.8)


def test_fastais_rates_fall_while_more_groups_join():
    recipe = find_recipe("fastai").fit_classifier
    phases = unfreezing(recipe, 5)
    assert [(p.groups, p.epochs) for p in phases] == [(2, 1), (3, 1), (5, 2)]
    assert [recipe.lr * p.share for p in phases] == pytest.approx([1e-2, 5e-3, 1e-3])
    assert find_schedule(recipe.schedule) is one_cycle
    assert [p.groups for p in unfreezing(recipe, 2)] == [2, 2, 2]


def test_multifit_trains_all_layers_at_once_on_smoothed_labels():
    recipe = find_recipe("multifit").fit_classifier
    phases = [phase for phase in unfreezing(recipe, 4) if phase.epochs]
    assert [phase.groups for phase in phases] == [4] and recipe.label_smoothing == 0.1
    assert find_recipe("multifit").fit_lm.schedule == recipe.schedule == "one-cycle"


@pytest.mark.parametrize("name", RECIPES)
def test_rates_belong_to_the_groups_that_the_nets_have(name):
    recipe, sizes = RECIPES[name], Architecture(8, 8, 2)
    net = LanguageModelNet(sizes, 30, recipe.fit_lm.dropouts)
    assert len(language_model_lrs(recipe.fit_lm, 2)) == len(net.layer_groups())
    head = Head(24, 2, hidden=recipe.fit_classifier.head_hidden)
    classifier = ClassifierNet(Encoder(sizes, 30, recipe.fit_classifier.dropouts), "concat", head)
    assert unfreezing(recipe.fit_classifier, len(classifier.layer_groups()))[-1].groups == 4


def test_a_value_is_changed_and_a_wrong_one_is_said():
    changed = with_settings(CPU.fit_lm, ["batch_size=12", "lr=0.001"])
    assert changed == replace(CPU.fit_lm, batch_size=12, lr=0.001)
    wrong = [("batch_size=a", "not a whole number"), ("batchsize=3", "batch_size"), ("lr", "not a number")]
    for setting, said in wrong:
        with pytest.raises(OptionError, match=said):
            with_settings(CPU.fit_lm, [setting])
    with pytest.raises(OptionError, match="'magic'; known are cpu, paper"):
        find_recipe("magic")


@pytest.mark.slow
def test_a_recipe_from_the_command_line(ulmfit, tiny_lm, fruit, write_csv, tmp_path):
    tiny_lm.save(tmp_path / "lm")
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    options = ["--text", "review", "--recipe", "paper"]
    lm, out = tmp_path / "mine", tmp_path / "model"
    command = ["fit-lm", data, *options, "--base", tmp_path / "lm", "--set", "epochs=1", "--out", lm]
    assert ulmfit(*command)[0] == 0
    labels = ["--label", "sentiment"]
    command = ["fit-classifier", data, *options, *labels, "--lm", lm, "--set", "epochs=1", "--set", "lr=0.02"]
    assert ulmfit(*command, "--out", out)[0] == 0
    from ulmfit_lib import TextClassifier

    read, classified = TextClassifier.load(out).training.stages[-2:]
    assert read.recipe["betas"] == [0.7, 0.99] and read.recipe["epochs"] == 1
    assert classified.strategy == "fine-tune" and classified.recipe["lr"] == 0.02
    code, _, err = ulmfit("fit", data, *options[:2], *labels, "--recipe", "magic", "--out", tmp_path / "no")
    assert code == 2 and "'magic'" in err


def test_single_values_of_both_stages_are_changed_in_one_recipe():
    changed = with_stage_settings(CPU, ["fit_lm.lr=0.002", "fit_classifier.lr=0.001", "fit_classifier.batch_size=8"])
    assert changed.fit_lm == replace(CPU.fit_lm, lr=0.002) and changed.epochs_by_length
    assert changed.fit_classifier == replace(CPU.fit_classifier, lr=0.001, batch_size=8)
    own = with_stage_settings(CPU, ["fit_lm.epochs=7"])
    assert own.fit_lm.epochs == 7 and not own.epochs_by_length


@pytest.mark.parametrize("setting", ["lr=0.1", "fit.lr=0.1", "fit_lm.lr=fast", "fit_classifier.rate=1"])
def test_a_setting_that_names_no_value_of_a_stage_is_refused(setting):
    with pytest.raises(OptionError, match="--set"):
        with_stage_settings(CPU, [setting])
