"""Commands that make classifiers: fit-classifier, fit, demo."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ulmfit_lib.cli.fitting_options import ClassifierOptions, FitLabels, FitOptions, FitOutput, ScoringOptions
from ulmfit_lib.cli.options import LabelKind, LabelledFile, Out, RecipeChoice, SeededCompute, TextFile, TrainingRun
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.cli.plotting import Plots, plot_classifier
from ulmfit_lib.cli.running import command, given_options, read, training
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.kinds import FileFormat

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.training.run import Run

FOR_NAMES = ("--classes", "--base", "--teacher", "--direction", "--out", "--precision")  # what needs no labels
ACCURACY_UNKNOWN = (
    "It was made from the names of its classes alone, so its accuracy is not known.\n"
    "Label some texts in a column of their own, and run `fit` with --label; `suggest-labels` chooses them."
)


@command(
    "fit-classifier",
    example="fit-classifier examples/reviews.csv --text review --label sentiment "
    "--lm models/reviews-lm --out models/reviews",
)
def fit_classifier_command(
    source: LabelledFile,
    lm: Annotated[
        str,
        Option(
            help="Language model: a folder (see `fit-lm`), a name (see `models`) or `hf:user/name`; or a classifier's "
            "folder, to start from its encoder."
        ),
    ],
    out: Out,
    choice: RecipeChoice,
    options: ClassifierOptions,
    kind: LabelKind,
    asked: TrainingRun,
    plots: Plots = None,
) -> None:
    """Stage 3: train a classifier on your labels, from a language model."""
    from ulmfit_lib.data.label_checks import check_file_labels, mention_odd_labels
    from ulmfit_lib.models.loading import load_base_model
    from ulmfit_lib.stages.fit_classifier import fit_classifier
    from ulmfit_lib.training.processes import is_main
    from ulmfit_lib.training.recipes import find_recipe, override, with_settings

    with training(asked, out) as run:
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
            table, lm=load_base_model(lm).only(options.direction), recipe=changed, strategy=options.strategy, run=run
        )
        if is_main():
            classifier.save(out, overwrite=asked.overwrite)
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
    asked: TrainingRun,
) -> None:
    """Train a classifier from one file, and compare it with TF-IDF + logistic regression on held-out rows."""
    from ulmfit_lib.data.label_checks import check_file_labels
    from ulmfit_lib.labels.stored import kind_of
    from ulmfit_lib.pipeline.experiment import Scoring
    from ulmfit_lib.pipeline.fit import fit
    from ulmfit_lib.training.recipes import find_recipe, with_stage_settings

    if output.report:
        from ulmfit_lib.models.classifier import TextClassifier
        from ulmfit_lib.reporting.page import check_report_name, write_report

        check_report_name(output.report)
    if bool(labels.label) == (labels.classes is not None):
        raise OptionError("name the column of the labels with --label or, where there is none, the --classes")
    if labels.classes is not None:
        useless = given_options(labels, options, scoring, kind, output, but=FOR_NAMES)
        if name := next(useless, None):
            raise OptionError(f"{name} needs labels: leave it out, or name their column with --label, not --classes")
    with training(asked, output.out) as run:
        if labels.classes is not None:
            named = _fit_by_names(source, labels.classes.split(","), options, run)
            precision = "float32" if output.precision == "auto" else output.precision
            named.save(output.out, precision=precision, overwrite=asked.overwrite)
            print(f"saved in {output.out}. {ACCURACY_UNKNOWN}")
            return
        changed = with_stage_settings(find_recipe(options.recipe), options.settings).changed(
            lm_epochs=options.lm_epochs,
            class_weights=options.class_weights,
            with_baseline=scoring.with_baseline,
            descriptions=_descriptions(labels.describe),
        )
        table = _read_all(source, labels, kind, scoring)
        table = table.with_kind(kind_of(kind.ratings, kind.label_delimiter)) if kind.ratings else table
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
            run=run,
        )
        saved = save_classifier(classifier, output.out, table, precision=output.precision, overwrite=asked.overwrite)
    if output.plots:
        plot_classifier(output.plots, classifier, changed)
    if output.report:
        saved_one = TextClassifier.load(output.out)
        write_report(saved_one, output.report, data=table, seed=run.seed, device=str(run.device))
    print_fit(classifier, output.out, saved, output.as_json)


def _read_all(source: TextFile, labels: FitLabels, kind: LabelKind, scoring: ScoringOptions) -> "TextTable":
    """The file and those of --also as one table; where others have the labels, it may be without their column."""
    from ulmfit_lib.data.joining import join_tables
    from ulmfit_lib.data.reading import read_table
    from ulmfit_lib.rows.columns import MissingColumn
    from ulmfit_lib.rows.reader import format_beside

    def read_one(path: Path, file: FileFormat, text: Sequence[str], label: Sequence[str] | None) -> "TextTable":
        how = {"label_delimiter": kind.label_delimiter, "time": scoring.time_column, **asdict(file)}
        return read_table(path, text=text, label=label, **how)

    def read_another(path: Path) -> "TextTable":
        file = format_beside(path, source.file)
        try:
            return read_one(path, file, source.text, labels.label)
        except MissingColumn as missing:
            try:
                return read_one(path, file, ["text"], ["label"])  # as the server's page keeps corrections
            except MissingColumn:
                raise missing from None

    others = list(map(read_another, labels.also))
    try:
        first = read_one(source.data, source.file, source.text, labels.label)
    except MissingColumn:
        if not others:
            raise
        first = read_one(source.data, source.file, source.text, None)
        note(f"{source.data}: no column of labels, so its texts have those alone that other files give them")
    return join_tables(first, others)


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


def _base(table: "TextTable", options: FitOptions, run: "Run") -> "str | LanguageModel":
    """The base that was asked for, after its distillation on the texts of a table where there is a teacher."""
    if not options.teacher:
        return options.base
    from ulmfit_lib.pipeline.bases import distill_base
    from ulmfit_lib.training.teachers import find_teacher

    teachers = [find_teacher(one, device=str(run.device)) for one in options.teacher]
    return distill_base(options.base, table.texts, teachers, direction=options.direction, run=run)


def _fit_by_names(source: TextFile, classes: list[str], options: FitOptions, run: "Run") -> "TextClassifier":
    """``fit`` without labels."""
    from ulmfit_lib.pipeline.zero_labels import fit_by_names

    table = read(source)
    base = _base(table, options, run)
    return fit_by_names(table.texts, classes, base=base, direction=options.direction, source=table.source, run=run)


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


@command("demo", example="demo --out demo-model")
def demo(compute: SeededCompute, out: Out = Path("demo-model")) -> None:
    """Train a classifier on 400 invented reviews and try it on five more; takes a few minutes on a CPU."""
    from ulmfit_lib.artifact.catalogue import EMBEDDED
    from ulmfit_lib.data.reading import read_table
    from ulmfit_lib.files import refuse_existing
    from ulmfit_lib.pipeline.fit import fit

    refuse_existing(out, overwrite=True)
    table = read_table(EMBEDDED / "reviews.csv", text="review", label="sentiment")
    classifier = fit(table, run=compute.run())
    saved = save_classifier(classifier, out, table, precision="auto", overwrite=True)
    print_fit(classifier, out, saved, as_json=False)
    print("\nFive reviews that it was not trained on:")
    probabilities = classifier.predict_proba(DEMO_REVIEWS)
    labels, sure = classifier.decode(probabilities), classifier.confidence(probabilities)
    for text, label, confidence in zip(DEMO_REVIEWS, labels, sure, strict=True):
        print(f"  {label:8} {100 * confidence:3.0f} %  {text}")
    print(f"\nTo label your own texts: ulmfit predict {out} YOUR.csv --text COLUMN")


DEMO_REVIEWS = [
    "A wonderful film with a great cast, funny and warm. Loved every minute.",
    "The food was cold, the waiter was rude and we waited an hour. Never again.",
    "Great little speaker, the sound is excellent and the battery lasts for days.",
    "It broke after a week and they refused a refund. A useless product.",
    "Terrible acting, a stupid plot and a horrible ending. I was bored.",
]
