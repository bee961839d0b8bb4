"""The plots that commands write with --plots: one file each, named after what it shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ulmfit_lib.cli.parsing import Option

if TYPE_CHECKING:
    from ulmfit_lib.artifact.record import TrainingRecord
    from ulmfit_lib.evaluation.certainty import Certainty
    from ulmfit_lib.evaluation.metrics import Scores
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.training.phases import Phase
    from ulmfit_lib.training.range_test import LearningRates
    from ulmfit_lib.training.recipes import Recipe

Plots = Annotated[
    Path | None, Option("--plots", help="Folder to write plots into, as PNG; it is made where there is none.")
]


def plot_language_model(folder: Path, model: "LanguageModel", recipe: "Recipe", epochs: int | None) -> None:
    """The losses and the learning rates of stage 2."""
    from ulmfit_lib.training.language_modelling import language_model_phases
    from ulmfit_lib.training.recipes import override

    layers = model.architecture.layers
    groups = [*(f"LSTM layer {number}" for number in range(1, layers + 1)), "embedding and decoder"]
    plot_training(folder, model.training)
    _plot_schedule(folder, language_model_phases(override(recipe.fit_lm, epochs=epochs), layers), groups, "fit-lm")


def plot_classifier(folder: Path, classifier: "TextClassifier", recipe: "Recipe") -> None:
    """The losses and the learning rates of stage 3, where the encoder learnt, and the scores where there are some."""
    from ulmfit_lib.training.classifying import classifier_phases

    last, layers = classifier.training.last, classifier.architecture.layers
    plot_training(folder, classifier.training)
    if last.strategy == "fine-tune":
        used = recipe.fit_classifier.for_texts(last.labelled_texts or 0)
        groups = ["embedding", *(f"LSTM layer {number}" for number in range(1, layers + 1)), "head"]
        _plot_schedule(folder, classifier_phases(used, layers + 2), groups, "fit-classifier")
    if report := classifier.training.report:
        plot_scores(folder, report.ensemble, report.certainty)


def plot_training(folder: Path, training: "TrainingRecord") -> None:
    """The losses of each stage that took several epochs."""
    from ulmfit_lib.evaluation.plots import plot_history, save_plot

    for number, stage in enumerate(training.stages):
        if any(len(rows) > 1 for rows in stage.history.values()):
            save_plot(plot_history(training, number), _file(folder, f"history-{number + 1}-{stage.name}"))


def plot_scores(folder: Path, scores: "Scores", certainty: "Certainty | None" = None) -> None:
    """Confusion and reliability, and what is gained by leaving some texts unsure."""
    from ulmfit_lib.evaluation.plots import plot_confusion, plot_coverage, plot_reliability, save_plot

    save_plot(plot_confusion(scores.confusion, scores.classes), _file(folder, "confusion"))
    save_plot(plot_reliability(scores.reliability), _file(folder, "reliability"))
    if certainty:
        save_plot(plot_coverage(certainty), _file(folder, "coverage"))


def plot_rates(folder: Path, found: "LearningRates") -> None:
    """The loss as the rate grows, with what fastai suggests and what the recipe takes."""
    from ulmfit_lib.evaluation.plots import plot_lr_find, save_plot

    marked = {"the recipe": found.recipe, **found.suggestions}
    save_plot(plot_lr_find(found.rates, found.losses, marked), _file(folder, "lr-find"))


def _plot_schedule(folder: Path, phases: "Sequence[Phase]", groups: Sequence[str], name: str) -> None:
    from ulmfit_lib.evaluation.plots import plot_schedule, save_plot

    save_plot(plot_schedule(phases, groups), _file(folder, f"schedule-{name}"))


def _file(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"
