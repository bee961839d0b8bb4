"""Commands on texts that are there: predict, evaluate, label-budget."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.shared import (
    AsJson,
    Base,
    Data,
    Delimiter,
    Device,
    Direction,
    Encoding,
    Label,
    Quiet,
    Seed,
    Text,
    app,
    read_table,
    start,
)
from ulmfit_lib.errors import OptionError


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a classifier.")],
    data: Data,
    text: Text,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv, .tsv, .jsonl, .parquet.")] = None,
    min_precision: Annotated[
        float | None, typer.Option(help="Say unsure where so large a share of right labels is not to be had.")
    ] = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Label every row of a file: its columns, then prediction, confidence, and a probability per class."""
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
        parts = read_parts(data, text=text, encoding=encoding, delimiter=delimiter)
        first = next(parts)  # what is wrong with the file is said before the model is read
        classifier = TextClassifier.load(model)
        if min_precision is not None:
            least, share = classifier.certainty.threshold(min_precision)
            note(f"unsure below a confidence of {least:.3f}: when it was fitted, {100 * share:.1f} % of the rows were")
        for frame, table in chain([first], parts):
            blank += [row for row, one in zip(table.rows, table.texts, strict=True) if not one]
            probabilities = classifier.predict_proba(table.texts, device=chosen_device)
            rows, unsure = rows + len(table), unsure + int((probabilities.max(1) < least).sum())
            said = classifier.decode(probabilities, least), classifier.kind.confidence(probabilities)
            write(with_predictions(frame, table, classifier.classes, probabilities, *said))
    if min_precision is not None:
        note(f"{unsure:,} of {rows:,} rows ({100 * unsure / max(rows, 1):.1f} %) are unsure")
    if blank:
        note(f"{data}: {len(blank)} rows have no text (first row {blank[0]}): their label stays empty")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a classifier.")],
    data: Data,
    text: Text,
    label: Label,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    device: Device = "auto",
    plot: Annotated[Path | None, typer.Option(help="Draw confidence against accuracy (.png, .svg, .pdf).")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on labelled rows that it has not seen."""
    start(quiet)
    from ulmfit_lib.evaluation.plots import check_plot_name, plot_reliability, save_plot
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.devices import find_device

    if plot:
        check_plot_name(plot)
    table = read_table(data, text=text, label=label, encoding=encoding, delimiter=delimiter)
    classifier = TextClassifier.load(model)
    if plot and not classifier.kind.one_class_per_text:
        raise OptionError("--plot: only one class a text has a reliability to draw; leave it out")
    parts = classifier.evaluate_parts(table, device=str(find_device(device)))
    scores = parts["delivered"]
    if plot:
        save_plot(plot_reliability(scores.reliability), plot)
    others = {part: other for part, other in parts.items() if part != "delivered" and len(parts) > 2}
    if as_json:
        by_part = {part: other.as_dict() for part, other in others.items()}
        print(json.dumps({**scores.as_dict(), **({"parts": by_part} if by_part else {})}))
        return
    print(f"{scores.n} rows: {scores}")
    for part, other in others.items():
        print(f"{part} alone: {other}")


@app.command("label-budget")
def label_budget_command(
    data: Data,
    text: Text,
    label: Label,
    base: Base = "auto",
    direction: Direction = None,
    more: Annotated[list[int], typer.Option(min=1, help="So many more labels; may be repeated.")] = [],  # noqa: B006
    thorough: Annotated[bool, typer.Option("--thorough", help="Fine-tune for every point; hours.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the curve into this file (.png, .svg, .pdf).")] = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """How many points more labels would bring, with an interval, from the labels that you have."""
    start(quiet)
    from ulmfit_lib.evaluation.plots import check_plot_name, plot_learning_curve, save_plot
    from ulmfit_lib.pipeline.label_budget import label_budget

    if plot:
        check_plot_name(plot)
    table = read_table(data, text=text, label=label, encoding=encoding, delimiter=delimiter)
    budget = label_budget(table, base=base, direction=direction, thorough=thorough, seed=seed, device=device)
    if plot:
        save_plot(plot_learning_curve(budget.curve, budget.labels), plot)
    print(json.dumps(budget.as_dict(more)) if as_json else "\n".join(budget.sentences(more)))
