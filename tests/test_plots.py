import numpy as np
import pytest

from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.learning_curve import LearningCurve
from ulmfit_lib.evaluation.plots import (
    plot_confusion,
    plot_coverage,
    plot_history,
    plot_learning_curve,
    plot_lr_find,
    plot_reliability,
    plot_schedule,
    plot_trials,
    plot_words,
    save_plot,
)
from ulmfit_lib.training.classifying import classifier_phases
from ulmfit_lib.training.recipes import find_recipe


def lines(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 2]


def test_a_group_of_parameters_has_a_rate_only_while_it_trains():
    axes = plot_schedule(classifier_phases(find_recipe("paper").fit_classifier, 3), ["embedding", "layer", "head"])
    begins = {line.get_label(): line.get_xdata()[0] for line in lines(axes) if not line.get_label().startswith("_")}
    assert begins["head"] == begins["layer"] == 0 < begins["embedding"]  # the head has learnt before


def test_the_learning_rates_that_are_suggested_lie_on_the_curve():
    rates, losses = np.geomspace(1e-5, 1, 50), np.linspace(4, 2, 50)
    axes = plot_lr_find(rates, [*losses[:-1], float("nan")], {"valley": rates[10]})
    (x,), (y,) = axes.lines[-1].get_data()
    assert (x, y) == pytest.approx((rates[10], losses[10]))


def test_coverage_ends_at_the_accuracy_of_all_texts():
    certainty = Certainty.measure(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]))
    x, y = lines(plot_coverage(certainty))[-1].get_data()
    assert (x[-1], y[-1]) == (100, 50) and y[0] == 100


def test_every_other_plot_is_written(tiny_lm, tiny_classifier, fruit, tmp_path):
    scores = tiny_classifier.evaluate(fruit)
    wrong = [np.random.default_rng(0).random((3, 20)) < 0.3 for _ in range(2)]
    plots = [
        plot_history(tiny_lm.training),
        plot_confusion(scores.confusion, scores.classes),
        plot_reliability(scores.reliability),
        plot_words(tiny_classifier.explain(fruit.texts[0])),
        plot_learning_curve(LearningCurve.fit([10, 20, 40], wrong), 50),
    ]
    for number, axes in enumerate(plots):
        save_plot(axes, tmp_path / f"{number}.svg")
        assert axes.get_title(loc="left") and "<svg" in (tmp_path / f"{number}.svg").read_text()


def test_trials_stand_at_whole_numbers_and_those_that_were_given_up_are_crosses():
    losses = [0.5, 0.4, None, 0.45]
    trials = [{"trial": i, "log_loss": loss, "strategy": "linear-probe"} for i, loss in enumerate(losses)]
    axes = plot_trials(trials)
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn["given up"].get_xdata()) == [2] and list(drawn["linear-probe"].get_xdata()) == [0, 1, 3]
    assert list(drawn["lowest so far"].get_ydata()) == [0.5, 0.4, 0.4, 0.4]
    assert all(tick == round(tick) for tick in axes.get_xticks())
