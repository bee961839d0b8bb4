"""Commands on texts that are there: predict, evaluate, label-budget."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.options import (
    AsJson,
    Base,
    Classifier,
    Data,
    Device,
    Directions,
    FileFormat,
    Label,
    Quiet,
    Seed,
    Text,
)
from ulmfit_lib.cli.running import command, read_table, start
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted


@command("predict", example="predict models/reviews examples/tiny-test.csv --text review --out predictions.csv")
def predict(
    model: Classifier,
    data: Data,
    text: Text,
    out: Annotated[
        Path | None, typer.Option(help="File to write (.csv, .tsv, .jsonl, .parquet); by default CSV on stdout.")
    ] = None,
    min_precision: Annotated[
        float | None,
        typer.Option(help="Precision to reach, such as 0.95; rows too uncertain for it are labelled `unsure`."),
    ] = None,
    *,
    file: FileFormat,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Label every row of a file: adds the prediction, its confidence and the probability of each class."""
    start(quiet)
    from ulmfit_lib.data.reading import read_parts
    from ulmfit_lib.data.writing import table_writer, with_predictions
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.progress import note

    blank: list[int] = []
    least, rows, unsure = 0.0, 0, 0
    chosen_device = str(find_device(device))
    with table_writer(out) as write:
        parts = read_parts(data, text=text, encoding=file.encoding, delimiter=file.delimiter)
        first = next(parts)  # what is wrong with the file is said before the model is read
        classifier = TextClassifier.load(model)
        if min_precision is not None:
            least, share = classifier.certainty.threshold(min_precision)
            note(
                f"rows below a confidence of {least:.3f} are labelled unsure; "
                f"{100 * share:.1f} % of the rows held out in training were below it"
            )
        for frame, table in chain([first], parts):
            blank += [row for row, one in zip(table.rows, table.texts, strict=True) if not one]
            probabilities = classifier.predict_proba(table.texts, device=chosen_device)
            rows, unsure = rows + len(table), unsure + int((probabilities.max(1) < least).sum())
            said = classifier.decode(probabilities, least), classifier.kind.confidence(probabilities)
            write(with_predictions(frame, table, classifier.classes, probabilities, *said))
    if min_precision is not None:
        note(f"{unsure:,} of {counted(rows, 'row')} ({100 * unsure / max(rows, 1):.1f} %) labelled unsure")
    if blank:
        have = "has" if len(blank) == 1 else "have"
        note(f"{data}: {counted(len(blank), 'row')} {have} no text, so no prediction was made (first: row {blank[0]})")


@command("evaluate", example="evaluate models/reviews examples/tiny-test.csv --text review --label sentiment")
def evaluate(
    model: Classifier,
    data: Data,
    text: Text,
    label: Label,
    plot: Annotated[Path | None, typer.Option(help="Plot accuracy against confidence (.png, .svg, .pdf).")] = None,
    *,
    file: FileFormat,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on labelled rows that it has not seen in training."""
    start(quiet)
    from ulmfit_lib.evaluation.plots import check_plot_name, plot_reliability, save_plot
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.devices import find_device

    if plot:
        check_plot_name(plot)
    table = read_table(data, text=text, label=label, file=file)
    classifier = TextClassifier.load(model)
    if plot and not classifier.kind.one_class_per_text:
        raise OptionError("--plot: reliability can be plotted only where each text has one class; leave --plot out")
    parts = classifier.evaluate_parts(table, device=str(find_device(device)))
    scores = parts["delivered"]
    if plot:
        save_plot(plot_reliability(scores.reliability), plot)
    others = {part: other for part, other in parts.items() if part != "delivered" and len(parts) > 2}
    if as_json:
        by_part = {part: other.as_dict() for part, other in others.items()}
        print(json.dumps({**scores.as_dict(), **({"parts": by_part} if by_part else {})}))
        return
    print(f"{counted(scores.n, 'row')}: {scores}")
    for part, other in others.items():
        print(f"{part} alone: {other}")


@command("label-budget", example="label-budget examples/reviews.csv --text review --label sentiment --more 200")
def label_budget_command(
    data: Data,
    text: Text,
    label: Label,
    base: Base = "auto",
    direction: Directions = None,
    more: Annotated[
        list[int], typer.Option(min=1, help="Number of additional labels to forecast for; may be repeated.")
    ] = [],  # noqa: B006 (typer needs a list here)
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Fine-tune the network for every point of the curve, which takes hours.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Plot the learning curve (.png, .svg, .pdf).")] = None,
    *,
    file: FileFormat,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Forecast, from the labels that you have, how many points of accuracy more labels would bring."""
    start(quiet)
    from ulmfit_lib.evaluation.plots import check_plot_name, plot_learning_curve, save_plot
    from ulmfit_lib.pipeline.label_budget import label_budget

    if plot:
        check_plot_name(plot)
    table = read_table(data, text=text, label=label, file=file)
    budget = label_budget(table, base=base, direction=direction, thorough=thorough, seed=seed, device=device)
    if plot:
        save_plot(plot_learning_curve(budget.curve, budget.labels), plot)
    print(json.dumps(budget.as_dict(more)) if as_json else "\n".join(budget.sentences(more)))
