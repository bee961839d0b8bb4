"""The options of fit and fit-classifier."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ulmfit_lib.cli.options import SETTINGS_HELP, AsJson, Base, ClassWeights, Directions, Label, Out, Recipe, TimeColumn
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.cli.plotting import Plots


@dataclass(frozen=True)
class ClassifierOptions:
    """How stage 3 trains."""

    direction: Directions = None
    strategy: Annotated[
        Literal["fine-tune", "contrast", "linear-probe"],
        Option(
            help="`fine-tune` trains the whole network; `linear-probe` trains only the head, in seconds; `contrast` "
            "trains the head and the blocks that read words in context."
        ),
    ] = "fine-tune"
    class_weights: ClassWeights = None
    label_smoothing: Annotated[
        float | None, Option(min=0, max=0.99, help="Label smoothing in fine-tuning, instead of the recipe's.")
    ] = None


@dataclass(frozen=True)
class FitLabels:
    """Where the labels of ``fit`` are."""

    label: Label = field(default_factory=list)
    classes: Annotated[
        str | None, Option(help="Names of the classes, with commas between, where no text has a label yet.")
    ] = None
    describe: Annotated[
        list[str],
        Option(help='What a label is about, such as "refund: the customer wants money back"; may be repeated.'),
    ] = field(default_factory=list)
    other: Annotated[
        str | None,
        Option(
            help="Label of the texts that are of none of the classes: it is no class of its own, but what is said of "
            "texts that are more like these than like any class."
        ),
    ] = None
    also: Annotated[
        list[Path],
        Option(
            help="Another file with the same columns, or with text and label, such as new or corrected labels. Where a "
            "text is in both, the label of this file counts."
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class FitOptions:
    """How ``fit`` trains."""

    base: Base = "auto"
    teacher: Annotated[
        list[str],
        Option(
            help="Sentence transformer to distil into the base on the file's texts first: its folder, or the Python "
            "package that holds it; may be repeated. It reads no label, takes time beyond --minutes, and is not "
            "needed again."
        ),
    ] = field(default_factory=list)
    direction: Directions = None
    recipe: Recipe = "cpu"
    settings: Annotated[list[str], Option("--set", help=SETTINGS_HELP.format("fit_lm.lr=0.002"))] = field(
        default_factory=list
    )
    strategy: Annotated[
        Literal["auto", "fine-tune", "contrast", "linear-probe"] | None,
        Option(
            help="`fine-tune` trains the whole network, `linear-probe` only the head, `contrast` the head and the "
            "blocks that read words in context; `auto` does what pays within the time. By default the recipe decides."
        ),
    ] = None
    minutes: Annotated[
        float | None,
        Option(
            help="Minutes to spend. By default 1 for a hundred short texts, 2 for five hundred or long ones, and "
            "10 for 1,000 labelled reviews and 4,000 without a label."
        ),
    ] = None
    lm_epochs: Annotated[
        int | None,
        Option(
            min=1,
            help="Epochs of the language model over your texts, however long they take; by default it is fine-tuned if "
            "the time allows.",
        ),
    ] = None
    class_weights: ClassWeights = None


@dataclass(frozen=True)
class ScoringOptions:
    """How ``fit`` finds out what its classifier is worth."""

    test_fraction: Annotated[
        float | None,
        Option(
            help="Share of the labelled rows to hold out for scoring, such as 0.2. By default up to 2,000 rows are "
            "cross-validated, and a fifth of more is held out."
        ),
    ] = None
    folds: Annotated[int | None, Option(min=2, help="Cross-validate in this many folds; by default 5.")] = None
    time_column: TimeColumn = None
    with_baseline: Annotated[
        bool, Option("--with-baseline/--no-baseline", help="Train TF-IDF + logistic regression, too.")
    ] = True
    transductive: Annotated[
        bool, Option("--transductive", help="Let the language model and the topics read the held-out texts, too.")
    ] = False
    decide_for: Annotated[
        str,
        Option(
            help="What labels are chosen for: `accuracy`, `macro-f1`, `balanced` (all classes found alike), or "
            "`cost:FILE` with the columns label, predicted and cost. `auto`: macro F1 where it costs at most about 1 "
            "point of accuracy."
        ),
    ] = "auto"


@dataclass(frozen=True)
class FitOutput:
    """What ``fit`` writes."""

    out: Out
    precision: Annotated[
        Literal["auto", "float32", "float16", "int8"],
        Option(help="How weights are stored; `auto` takes int8, a quarter of the size, where it costs nothing."),
    ] = "auto"
    report: Annotated[
        Path | None, Option(help="Page to write (.html) on the classifier's scores and the texts on which it fails.")
    ] = None
    plots: Plots = None
    as_json: AsJson = False
