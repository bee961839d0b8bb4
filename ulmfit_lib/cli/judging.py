"""Commands on texts that are there: predict, evaluate, label-budget."""

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ulmfit_lib.cli.engines import Engine, predict_on_engine
from ulmfit_lib.cli.options import (
    AsJson,
    Base,
    Classifier,
    Data,
    Device,
    Directions,
    FileFormat,
    Known,
    Label,
    Quiet,
    Seed,
    Text,
)
from ulmfit_lib.cli.plotting import Plots, plot_scores
from ulmfit_lib.cli.running import command, load_classifier, read_table, start
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted

if TYPE_CHECKING:
    import pandas as pd


@command("predict", example="predict models/reviews examples/tiny-test.csv --text review --out predictions.csv")
def predict(
    model: Annotated[
        Path,
        typer.Argument(help="Folder of a classifier, or of an exported one; or `hf:user/name` for one on the hub."),
    ],
    data: Annotated[
        str | None, typer.Argument(help="A file as for `fit`, or a text in quotes; by default lines on standard input.")
    ] = None,
    text: Annotated[
        list[str], typer.Option("--text", help="Column of the file that holds the texts; repeat it to join several.")
    ] = [],  # noqa: B006 (typer needs a list here)
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write (.csv, .tsv, .jsonl, .parquet), or with --engine a folder; by default CSV on stdout."
        ),
    ] = None,
    min_precision: Annotated[
        float | None,
        typer.Option(help="Precision to reach, such as 0.95; rows too uncertain for it are labelled `unsure`."),
    ] = None,
    novelty: Annotated[
        bool,
        typer.Option("--novelty", help="Add how surprising each text is beside those that the model was made from."),
    ] = False,
    known: Known = None,
    base: Base = "auto",
    *,
    engine: Engine,
    file: FileFormat,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Label a text, or every row of a file: adds the prediction, its confidence and each class's probability."""
    start(quiet)
    from ulmfit_lib.hub.fetching import find_folder

    if engine != Engine() and not engine.engine:
        raise OptionError("--workers and --cores are for --engine: name one, or leave them out")
    if engine.engine:
        if novelty:
            raise OptionError("--novelty needs the language model, which --engine leaves out: choose one of them")
        predict_on_engine(engine, model, data, out, text=text, file=file, min_precision=min_precision)
        return
    if not text:
        _predict_lines(model, data, out, min_precision)
        return
    if data is None:
        raise OptionError("--text names a column, so name the file that has it, too")
    from ulmfit_lib.data.reading import read_parts
    from ulmfit_lib.data.writing import table_writer, with_predictions
    from ulmfit_lib.progress import note

    blank: list[int] = []
    least, rows, unsure = 0.0, 0, 0
    with table_writer(out) as write:
        parts = read_parts(Path(data), text=text, encoding=file.encoding, delimiter=file.delimiter)
        first = next(parts)  # what is wrong with the file is said before the model is read
        model = find_folder(model)
        classifier = load_classifier(model, device)
        surprise = _surprise(model, known, base, text, file, device) if novelty else None
        if min_precision is not None:
            least, share = classifier.certainty.threshold(min_precision)
            note(
                f"rows below a confidence of {least:.3f} are labelled unsure; "
                f"{100 * share:.1f} % of the rows held out in training were below it"
            )
        for frame, table in chain([first], parts):
            blank += [row for row, one in zip(table.rows, table.texts, strict=True) if not one]
            probabilities = classifier.predict_proba(table.texts)
            rows, unsure = rows + len(table), unsure + int((probabilities.max(1) < least).sum())
            frame = with_predictions(
                frame, table.texts, probabilities, classes=classifier.classes, kind=classifier.kind, least=least
            )
            write(surprise(frame, table.texts) if surprise else frame)
    if min_precision is not None:
        note(f"{unsure:,} of {counted(rows, 'row')} ({100 * unsure / max(rows, 1):.1f} %) labelled unsure")
    if blank:
        have = "has" if len(blank) == 1 else "have"
        note(f"{data}: {counted(len(blank), 'row')} {have} no text, so no prediction was made (first: row {blank[0]})")


def _predict_lines(model: Path, given: str | None, out: Path | None, min_precision: float | None) -> None:
    """A text, or each line on standard input: its label, how likely that is, and the runner-up."""
    from ulmfit_lib.hub.fetching import find_folder

    if out is not None:
        raise OptionError("--out writes the rows of a file: name the column of its texts with --text")
    if given is not None and Path(given).is_file():
        raise OptionError(f"{given} is a file: name the column of its texts with --text")
    light = find_spec("torch") is None or all(map(find_spec, ("onnx", "onnxruntime")))  # the answer comes sooner
    classifier = load_classifier(find_folder(model), "auto", light=light)
    least = 0.0 if min_precision is None else classifier.certainty.threshold(min_precision)[0]
    for line in [given] if given is not None else map(str.rstrip, sys.stdin):
        probabilities = classifier.predict_proba([line])
        label = classifier.kind.decode(probabilities, classifier.classes, least)[0]
        order = probabilities[0].argsort()[::-1]
        names = [f"{classifier.classes[i]} {100 * probabilities[0, i]:.0f} %" for i in order[:2]]
        print(f"{label}  ({', '.join(names)})" + (f"  {line}" if given is None else ""), flush=True)


def _surprise(
    model: Path, known: Path | None, base: str, text: list[str], file: FileFormat, device: str
) -> "Callable[..., pd.DataFrame]":
    """What adds to a table how surprising its texts are beside those that the model was made from."""
    from ulmfit_lib.artifact.record import TrainingRecord
    from ulmfit_lib.insight.drift import Novelty, with_novelty
    from ulmfit_lib.insight.readers import find_known
    from ulmfit_lib.models.devices import find_device

    texts, chosen = read_table(known, text=text, file=file).texts if known else None, str(find_device(device))
    compared, lm = find_known(TrainingRecord.load(model), texts, base=base)
    return partial(with_novelty, novelty=Novelty.measure(lm, compared, device=chosen), device=chosen)


@command("evaluate", example="evaluate models/reviews examples/tiny-test.csv --text review --label sentiment")
def evaluate(
    model: Classifier,
    data: Data,
    text: Text,
    label: Label,
    plots: Plots = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Score only the rows that `suggest-labels` drew at random.")
    ] = False,
    *,
    file: FileFormat,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on labelled rows that it has not seen in training."""
    start(quiet)
    from ulmfit_lib.artifact.report import ENSEMBLE
    from ulmfit_lib.hub.fetching import find_folder
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.pipeline.report import NAMES

    table = read_table(data, text=text, label=label, file=file)
    if audit:
        drawn = read_table(data, text=text, label="why", file=file)
        table = table.select([i for i, why in enumerate(drawn.labels) if why == "audit"])
    classifier = TextClassifier.load(find_folder(model), device=device)
    if plots and not classifier.kind.one_class_per_text:
        raise OptionError("--plots needs one class a text: `report` shows ratings and texts with several labels")
    parts = classifier.evaluate_members(table)
    scores = parts[ENSEMBLE]
    if plots:
        plot_scores(plots, scores)
    others = {part: other for part, other in parts.items() if part != ENSEMBLE and len(parts) > 2}
    if as_json:
        by_part = {part: other.as_dict() for part, other in others.items()}
        print(json.dumps({**scores.as_dict(), **({"parts": by_part} if by_part else {})}))
        return
    print(f"{counted(scores.n, 'row')}: {scores}")
    for part, other in others.items():
        print(f"{NAMES[part]} alone: {other}")


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
