"""Commands that make classifiers: fit-classifier, fit, demo."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ulmfit_lib.cli.shared import (
    AsJson,
    Base,
    CheckpointEvery,
    ClassWeights,
    Data,
    Delimiter,
    Device,
    Direction,
    Encoding,
    Epochs,
    Label,
    LabelDelimiter,
    Out,
    Overwrite,
    Quiet,
    Rate,
    Ratings,
    RecipeName,
    Restart,
    Seed,
    Settings,
    StageSettings,
    Strategy,
    Text,
    app,
    read_table,
    start,
    training,
)
from ulmfit_lib.errors import OptionError

if TYPE_CHECKING:
    from ulmfit_lib.models.classifier import TextClassifier


@app.command("fit-classifier")
def fit_classifier_command(
    data: Data,
    text: Text,
    label: Label,
    lm: Annotated[str, typer.Option(help="Language model: a folder (see fit-lm) or a name (see `models`).")],
    out: Out,
    direction: Direction = None,
    recipe: RecipeName = None,
    settings: Settings = [],  # noqa: B006 (typer needs a list here)
    strategy: Strategy = None,
    epochs: Epochs = None,
    lr: Rate = None,
    class_weights: ClassWeights = None,
    label_smoothing: Annotated[float | None, typer.Option(min=0, max=0.99, help="Of fine-tuning.")] = None,
    ratings: Ratings = False,
    label_delimiter: LabelDelimiter = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
    restart: Restart = False,
    checkpoint_every: CheckpointEvery = 60,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 3: put a classifier head on a language model and let both learn your labels."""
    from ulmfit_lib.data.table import mention_single_labels
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.stages.fit_classifier import fit_classifier
    from ulmfit_lib.training.recipes import find_recipe, with_settings

    with training(quiet, out, overwrite, restart=restart, every=checkpoint_every) as checkpoints:
        chosen = find_recipe(recipe or "cpu")
        changed = with_settings(chosen.fit_classifier, settings)
        table = read_table(
            data, text=text, label=label, encoding=encoding, delimiter=delimiter, ratings=ratings,
            label_delimiter=label_delimiter,
        )  # fmt: skip
        mention_single_labels(table)
        classifier = fit_classifier(
            table, lm=LanguageModel.from_pretrained(lm), direction=direction, recipe=changed,
            strategy=strategy or "fine-tune", epochs=epochs, lr=lr,
            class_weights=class_weights, label_smoothing=label_smoothing, seed=seed, device=device,
            checkpoints=checkpoints,
        )  # fmt: skip
        classifier.save(out, overwrite=overwrite)
    print(f"classifier of {len(classifier.classes)} classes, from {len(table.labelled())} labelled texts")
    print(f"saved in {out}")


@app.command("fit")
def fit_command(
    data: Data,
    text: Text,
    label: Label,
    out: Out,
    base: Base = "auto",
    direction: Direction = None,
    recipe: RecipeName = "cpu",
    settings: StageSettings = [],  # noqa: B006 (typer needs a list here)
    strategy: Strategy = None,
    test_fraction: Annotated[float, typer.Option(help="Share of the labelled rows that is held out.")] = 0.2,
    folds: Annotated[int | None, typer.Option(min=2, help="Hold out each of so many parts in turn instead.")] = None,
    lm_epochs: Epochs = None,
    class_weights: ClassWeights = None,
    with_baseline: Annotated[str, typer.Option(help="no: leave TF-IDF + logistic regression out.")] = "yes",
    transductive: Annotated[
        bool, typer.Option("--transductive", help="The language model reads the held-out texts, too.")
    ] = False,
    ratings: Ratings = False,
    label_delimiter: LabelDelimiter = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
    restart: Restart = False,
    checkpoint_every: CheckpointEvery = 60,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """All three stages from one file, scored beside TF-IDF + logistic regression on held-out rows."""
    if with_baseline not in ("yes", "no"):
        raise OptionError(f"--with-baseline {with_baseline!r}: say yes or no")
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.pipeline.fit import fit
    from ulmfit_lib.training.recipes import find_recipe, with_stage_settings

    with training(quiet, out, overwrite, restart=restart, every=checkpoint_every) as checkpoints:
        changed = with_stage_settings(find_recipe(recipe or "cpu"), settings)
        table = read_csv(
            data, text=text, label=label, encoding=encoding, delimiter=delimiter, ratings=ratings,
            label_delimiter=label_delimiter,
        )  # fmt: skip
        classifier = fit(
            table, base=base, direction=direction, recipe=changed, strategy=strategy,
            test_fraction=test_fraction, folds=folds, lm_epochs=lm_epochs, class_weights=class_weights,
            with_baseline=with_baseline == "yes", transductive=transductive, seed=seed, device=device,
            checkpoints=checkpoints,
        )  # fmt: skip
        classifier.save(out, overwrite=overwrite)
    _print_fit(classifier, out, as_json)


@app.command()
def demo(
    out: Out = Path("demo-model"),
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Run all three stages on 400 made-up reviews; takes a few minutes on a CPU."""
    start(quiet, out, overwrite=True)
    from ulmfit_lib.artifact.catalogue import EMBEDDED
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.pipeline.fit import fit

    table = read_csv(EMBEDDED / "reviews.csv", text="review", label="sentiment")
    classifier = fit(table, seed=seed, device=device)
    classifier.save(out, overwrite=True)
    _print_fit(classifier, out, as_json=False)
    print("\nFive reviews that it has not seen:")
    for text, probabilities in zip(DEMO_REVIEWS, classifier.predict_proba(DEMO_REVIEWS), strict=True):
        best = probabilities.argmax()
        print(f"  {classifier.classes[best]:8} {100 * probabilities[best]:3.0f} %  {text}")
    print(f"\nTry it: python -m ulmfit_lib.cli predict {out} YOUR.csv --text COLUMN")


DEMO_REVIEWS = [
    "A wonderful film with a great cast, funny and warm. Loved every minute.",
    "The food was cold, the waiter was rude and we waited an hour. Never again.",
    "Great little speaker, the sound is excellent and the battery lasts for days.",
    "It broke after a week and they refused a refund. A useless product.",
    "Terrible acting, a stupid plot and a horrible ending. I was bored.",
]


def _print_fit(classifier: "TextClassifier", out: Path, as_json: bool) -> None:
    report = classifier.training["report"]
    if as_json:
        print(json.dumps({**report, "saved": str(out)}))
        return
    print(report["sentence"])
    print(f"saved in {out}, fitted to all {classifier.training['stages'][-1]['labelled_texts']} labelled rows")
