"""Commands that make classifiers: fit-classifier, fit."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ulmfit_lib.cli.options import (
    AsJson,
    Base,
    ClassWeights,
    Directions,
    Label,
    LabelKind,
    LabelledFile,
    Out,
    Recipe,
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


@dataclass(frozen=True)
class ClassifierOptions:
    """How stage 3 trains."""

    direction: Directions = None
    strategy: Annotated[
        Literal["fine-tune", "linear-probe", "features"],
        typer.Option(help="`fine-tune` trains the whole network; `linear-probe` trains only the head, in seconds."),
    ] = "fine-tune"
    class_weights: ClassWeights = None
    label_smoothing: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Label smoothing in fine-tuning, instead of the recipe's.")
    ] = None


@dataclass(frozen=True)
class FitLabels:
    """Where the labels of ``fit`` are."""

    label: Label = field(default_factory=list)
    classes: Annotated[
        str | None, typer.Option(help="Names of the classes, with commas between, where no text has a label yet.")
    ] = None
    describe: Annotated[
        list[str],
        typer.Option(help='What a label is about, such as "refund: the customer wants money back"; may be repeated.'),
    ] = field(default_factory=list)
    also: Annotated[
        list[Path],
        typer.Option(
            help="Another file with the same columns, such as new or corrected labels. Where a text is in both, the "
            "label of this file counts."
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class FitOptions:
    """How ``fit`` trains."""

    base: Base = "auto"
    teacher: Annotated[
        list[str],
        typer.Option(
            help="Sentence transformer to distil into the base on the file's texts first: its folder, or the Python "
            "package that holds it; may be repeated. It reads no label, takes time beyond --minutes, and is not "
            "needed again."
        ),
    ] = field(default_factory=list)
    direction: Directions = None
    recipe: Recipe = "cpu"
    settings: Annotated[
        list[str],
        typer.Option("--set", help="Change one value of the recipe, such as fit_lm.lr=0.002; may be repeated."),
    ] = field(default_factory=list)
    strategy: Annotated[
        Literal["auto", "fine-tune", "linear-probe", "features"] | None,
        typer.Option(
            help="`fine-tune` trains the whole network, `linear-probe` (formerly `features`) only the head; `auto` "
            "does what pays within the time. By default the recipe decides."
        ),
    ] = None
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Time to spend. By default 1 minute for a hundred short texts, 2 for five hundred, and 10 for 1,000 "
            "labelled reviews and 4,000 without a label."
        ),
    ] = None
    lm_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the language model over your texts, however long they take.")
    ] = None
    class_weights: ClassWeights = None


@dataclass(frozen=True)
class ScoringOptions:
    """How ``fit`` finds out what its classifier is worth."""

    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the labelled rows to hold out for scoring. By default up to 2,000 rows are cross-validated, "
            "and a fifth of more is held out."
        ),
    ] = None
    folds: Annotated[int | None, typer.Option(min=2, help="Cross-validate in this many folds.")] = None
    with_baseline: Annotated[
        bool, typer.Option("--with-baseline/--no-baseline", help="Train TF-IDF + logistic regression, too.")
    ] = True
    transductive: Annotated[
        bool, typer.Option("--transductive", help="Let the language model read the held-out texts, too.")
    ] = False
    decide_for: Annotated[
        str,
        typer.Option(
            help="What labels are chosen for: `accuracy`, `macro-f1`, `balanced` (all classes found alike), or "
            "`cost:FILE` with the columns label, predicted and cost. `auto`: macro F1 where it costs at most about 2 "
            "points of accuracy."
        ),
    ] = "auto"


@dataclass(frozen=True)
class FitOutput:
    """What ``fit`` writes."""

    out: Out
    precision: Annotated[
        Literal["auto", "float32", "float16", "int8"],
        typer.Option(help="How weights are stored; `auto` takes int8, a quarter of the size, where it costs nothing."),
    ] = "auto"
    report: Annotated[
        Path | None,
        typer.Option(help="Page to write (.html) on the classifier's scores and the texts on which it fails."),
    ] = None
    plots: Plots = None
    as_json: AsJson = False


@command(
    "fit-classifier",
    example="fit-classifier examples/reviews.csv --text review --label sentiment "
    "--lm models/reviews-lm --out models/reviews",
)
def fit_classifier_command(
    source: LabelledFile,
    lm: Annotated[
        str, typer.Option(help="Language model: a folder (see `fit-lm`), a name (see `models`) or `hf:user/name`.")
    ],
    out: Out,
    choice: RecipeChoice,
    options: ClassifierOptions,
    kind: LabelKind,
    run: TrainingRun,
    plots: Plots = None,
) -> None:
    """Stage 3: train a classifier on your labels, from a language model."""
    from ulmfit_lib.data.table import check_file_labels, mention_odd_labels
    from ulmfit_lib.models.language_model import LanguageModel
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
            lm=LanguageModel.from_pretrained(lm).only(options.direction),
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
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.data.table import check_file_labels
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
        first, *others = (read_csv(path, **columns, label_delimiter=kind.label_delimiter) for path in files)
        table = join_tables(first, others)
        table = table.with_kind(asked) if kind.ratings else table
        check_file_labels(table)
        classifier = fit(
            table,
            base=_distilled_base(table, options, run) if options.teacher else options.base,
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


def _distilled_base(table: "TextTable", options: FitOptions, run: TrainingRun) -> "LanguageModel":
    """The base after its distillation on the texts of a table."""
    from ulmfit_lib.pipeline.bases import distill_base
    from ulmfit_lib.training.run import Run
    from ulmfit_lib.training.teachers import find_teacher

    teachers = [find_teacher(one, device=run.device) for one in options.teacher]
    return distill_base(options.base, table.texts, teachers, Run(seed=run.seed, device=run.device))


def _fit_by_names(source: TextFile, classes: list[str], options: FitOptions, run: TrainingRun, out: Path) -> None:
    """``fit`` without labels."""
    from ulmfit_lib.pipeline.zero_labels import fit_by_names
    from ulmfit_lib.training.run import Run

    table = read(source)
    classifier = fit_by_names(
        table.texts,
        classes,
        base=options.base,
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
    print(f"{saved}; the saved classifier was trained on all {labelled}")
