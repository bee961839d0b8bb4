"""Commands that make classifiers: fit-classifier, fit."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ulmfit_lib.cli.fitting_options import ClassifierOptions, FitLabels, FitOptions, FitOutput, ScoringOptions
from ulmfit_lib.cli.options import (
    LabelKind,
    LabelledFile,
    Out,
    RecipeChoice,
    TextFile,
    TrainingRun,
)
from ulmfit_lib.cli.plotting import Plots, plot_classifier
from ulmfit_lib.cli.running import command, read, training
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.language_model import LanguageModel


@command(
    "fit-classifier",
    example="fit-classifier examples/reviews.csv --text review --label sentiment "
    "--lm models/reviews-lm --out models/reviews",
)
def fit_classifier_command(
    source: LabelledFile,
    lm: Annotated[
        str,
        typer.Option(
            help="Language model: a folder (see `fit-lm`), a name (see `models`) or `hf:user/name`; or a classifier's "
            "folder, to start from its encoder."
        ),
    ],
    out: Out,
    choice: RecipeChoice,
    options: ClassifierOptions,
    kind: LabelKind,
    run: TrainingRun,
    plots: Plots = None,
) -> None:
    """Stage 3: train a classifier on your labels, from a language model."""
    from ulmfit_lib.data.label_checks import check_file_labels, mention_odd_labels
    from ulmfit_lib.models.loading import load_base_model
    from ulmfit_lib.stages.fit_classifier import fit_classifier
    from ulmfit_lib.training.processes import is_main
    from ulmfit_lib.training.recipes import find_recipe, override, with_settings
    from ulmfit_lib.training.run import Run

    with training(run, out) as checkpoints:
        chosen = find_recipe(choice.recipe)
        changed = override(
            with_settings(chosen.fit_classifier, choice.settings),
            lr=choice.lr,
            class_weights=options.class_weights,
            label_smoothing=options.label_smoothing,
        )
        if choice.epochs is not None:
            changed = changed.with_epochs(choice.epochs)
        table = read(source, kind)
        check_file_labels(table)
        mention_odd_labels(table)
        classifier = fit_classifier(
            table,
            lm=load_base_model(lm).only(options.direction),
            recipe=changed,
            strategy=options.strategy,
            run=Run(seed=run.seed, device=run.device, checkpoints=checkpoints),
        )
        if is_main():
            classifier.save(out, overwrite=run.overwrite)
        if is_main() and plots:
            plot_classifier(plots, classifier, replace(chosen, fit_classifier=changed))
    classes, labelled = counted(len(classifier.classes), "class"), counted(len(table.labelled()), "labelled text")
    print(f"trained a classifier of {classes} on {labelled}")
    print(f"saved in {out}")


@command("fit", example="fit examples/reviews.csv --text review --label sentiment --out models/reviews")
def fit_command(
    source: TextFile,
    labels: FitLabels,
    options: FitOptions,
    scoring: ScoringOptions,
    output: FitOutput,
    kind: LabelKind,
    run: TrainingRun,
) -> None:
    """Train a classifier from one file, and compare it with TF-IDF + logistic regression on held-out rows."""
    from ulmfit_lib.data.joining import join_tables
    from ulmfit_lib.data.label_checks import check_file_labels
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.labels.stored import kind_of
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.pipeline.experiment import Scoring
    from ulmfit_lib.pipeline.fit import fit
    from ulmfit_lib.training.recipes import find_recipe, with_stage_settings
    from ulmfit_lib.training.run import Run

    if output.report:
        from ulmfit_lib.models.classifier import TextClassifier
        from ulmfit_lib.reporting.page import check_report_name, write_report

        check_report_name(output.report)
    if bool(labels.label) == (labels.classes is not None):
        raise OptionError("name the column of the labels with --label or, where there is none, the --classes")
    with training(run, output.out) as checkpoints:
        if labels.classes is not None:
            _fit_by_names(source, labels.classes.split(","), options, run, output.out)
            return
        changed = with_stage_settings(find_recipe(options.recipe), options.settings).changed(
            lm_epochs=options.lm_epochs,
            class_weights=options.class_weights,
            with_baseline=scoring.with_baseline,
            descriptions=_descriptions(labels.describe),
        )
        asked = kind_of(kind.ratings, kind.label_delimiter)
        columns: dict[str, Any] = {"text": source.text, "label": labels.label, **asdict(source.file)}
        files = (source.data, *labels.also)
        columns |= {"label_delimiter": kind.label_delimiter, "time": scoring.time_column}
        first, *others = (read_csv(path, **columns) for path in files)
        table = join_tables(first, others)
        table = table.with_kind(asked) if kind.ratings else table
        table = table if labels.other is None else table.set_apart(labels.other)
        check_file_labels(table)
        classifier = fit(
            table,
            base=_base(table, options, run),
            direction=options.direction,
            recipe=changed,
            strategy=options.strategy,
            minutes=options.minutes,
            scoring=Scoring(scoring.test_fraction, scoring.folds, scoring.transductive, scoring.decide_for),
            run=Run(seed=run.seed, device=run.device, checkpoints=checkpoints),
        )
        saved = save_classifier(classifier, output.out, table, precision=output.precision, overwrite=run.overwrite)
    if output.plots:
        plot_classifier(output.plots, classifier, changed)
    if output.report:
        device = str(find_device(run.device))
        write_report(TextClassifier.load(output.out), output.report, data=table, seed=run.seed, device=device)
    print_fit(classifier, output.out, saved, output.as_json)


def _descriptions(given: list[str]) -> dict[str, str]:
    """What each label is about, by the label."""
    found = {}
    for one in given:
        label, colon, words = (part.strip() for part in one.partition(":"))
        if not (label and colon and words):
            raise OptionError(
                f'--describe {one!r}: write LABEL: WORDS, such as "refund: the customer wants money back"'
            )
        found[label] = words
    return found


def _base(table: "TextTable", options: FitOptions, run: TrainingRun) -> "str | LanguageModel":
    """The base that was asked for, after its distillation on the texts of a table where there is a teacher."""
    if not options.teacher:
        return options.base
    from ulmfit_lib.pipeline.bases import distill_base
    from ulmfit_lib.training.run import Run
    from ulmfit_lib.training.teachers import find_teacher

    teachers = [find_teacher(one, device=run.device) for one in options.teacher]
    settings = Run(seed=run.seed, device=run.device)
    return distill_base(options.base, table.texts, teachers, direction=options.direction, run=settings)


def _fit_by_names(source: TextFile, classes: list[str], options: FitOptions, run: TrainingRun, out: Path) -> None:
    """``fit`` without labels."""
    from ulmfit_lib.pipeline.zero_labels import fit_by_names
    from ulmfit_lib.training.run import Run

    table = read(source)
    classifier = fit_by_names(
        table.texts,
        classes,
        base=_base(table, options, run),
        direction=options.direction,
        source=table.source,
        run=Run(seed=run.seed, device=run.device),
    )
    classifier.save(out, overwrite=run.overwrite)
    print(f"saved in {out}. It was made from the names of its classes alone, so its accuracy is not known.")
    print("Label some texts in a column of their own, and run `fit` with --label; `suggest-labels` chooses them.")


def save_classifier(
    classifier: "TextClassifier", out: Path, table: "TextTable", *, precision: str, overwrite: bool
) -> str:
    """Save, and a sentence about it."""
    if precision == "auto":
        from ulmfit_lib.models.precision import save_smallest

        return save_smallest(classifier, out, table, overwrite=overwrite)
    classifier.save(out, precision=precision, overwrite=overwrite)
    return f"saved in {out}"


def print_fit(classifier: "TextClassifier", out: Path, saved: str, as_json: bool) -> None:
    """What ``fit`` found, and where it is."""
    report = classifier.training.report
    assert report is not None  # `fit` makes one
    if as_json:
        print(json.dumps({**report.as_json(), "saved": str(out)}))
        return
    print(report.sentence)
    labelled = counted(classifier.training.last.labelled_texts or 0, "labelled row")
    print(f"{saved}; the saved classifier was trained on {labelled}")
