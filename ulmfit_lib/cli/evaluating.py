"""Commands that evaluate: evaluate, label-budget."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from ulmfit_lib.cli.options import (
    AsJson,
    Base,
    Classifier,
    Compute,
    Directions,
    LabelledFile,
    SeededCompute,
    TimeColumn,
)
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.cli.plotting import Plots, plot_scores
from ulmfit_lib.cli.running import command, load_text_classifier, read
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted


@command("evaluate", example="evaluate models/reviews examples/tiny-test.csv --text review --label sentiment")
def evaluate(
    model: Classifier,
    source: LabelledFile,
    compute: Compute,
    plots: Plots = None,
    audit: Annotated[bool, Option("--audit", help="Score only the rows that `suggest-labels` drew at random.")] = False,
    time_column: TimeColumn = None,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on held-out labelled rows."""
    from ulmfit_lib.artifact.report import ENSEMBLE
    from ulmfit_lib.pipeline.report import NAMES
    from ulmfit_lib.pipeline.scoping import scope_scores
    from ulmfit_lib.pipeline.time_order import periods

    table = read(source, time_column=time_column)
    if audit:
        drawn = read(replace(source, label=[_column_of_reasons(source)]))
        table = table.select([place for place, why in enumerate(drawn.labels) if why == "audit"])
    classifier = load_text_classifier(model, device=compute.device)
    if plots and not classifier.kind.one_class_per_text:
        raise OptionError("--plots needs one class a text: `report` shows ratings and texts with several labels")
    parts = classifier.evaluate_members(table)
    scores = parts[ENSEMBLE]
    if plots:
        plot_scores(plots, scores)
    others = {part: other for part, other in parts.items() if part != ENSEMBLE and len(parts) > 2}
    by_time = [(span, classifier.evaluate(part)) for span, part in periods(table)] if time_column else []
    apart = scope_scores(classifier, table)
    if as_json:
        more: dict[str, Any] = {"parts": {part: other.as_dict() for part, other in others.items()}}
        more["scope"] = asdict(apart) if apart else {}
        more["periods"] = [{"times": span, **one.as_dict()} for span, one in by_time]
        print(json.dumps({**scores.as_dict(), **{name: some for name, some in more.items() if some}}))
        return
    print(f"{counted(scores.n, 'row')}: {scores}")
    for part, other in others.items():
        print(f"{NAMES[part]} alone: {other}")
    if apart:
        print(apart)
    for span, one in by_time:
        print(f"{span}, {counted(one.n, 'row')}: {one}")


def _column_of_reasons(source: LabelledFile) -> str:
    """The column in which `suggest-labels` says how it chose a text: the last of the names that it gives to it."""
    from ulmfit_lib.data.reading import read_parts

    rows, _ = next(read_parts(source.data, text=source.text, file=source.file))
    return next((name for name in reversed(rows.names) if re.fullmatch(r"why(_\d+)?", name)), "why")


@command("label-budget", example="label-budget examples/reviews.csv --text review --label sentiment --more 200")
def label_budget_command(
    source: LabelledFile,
    compute: SeededCompute,
    base: Base = "auto",
    direction: Directions = None,
    more: Annotated[
        Sequence[int],
        Option(
            min=1,
            help="Number of additional labels to forecast for; may be repeated. By default about half as many as there "
            "are, as many, and twice as many.",
        ),
    ] = (),
    thorough: Annotated[
        bool, Option("--thorough", help="Fine-tune the network for every point of the curve, which takes hours.")
    ] = False,
    plot: Annotated[Path | None, Option(help="Plot the learning curve (.png, .svg, .pdf).")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast, from the labels that you have, how many points of accuracy more labels would bring."""
    from ulmfit_lib.evaluation.plots import check_plot_name, plot_learning_curve, save_plot
    from ulmfit_lib.pipeline.label_budget import label_budget

    if plot:
        check_plot_name(plot)
    budget = label_budget(read(source), base=base, direction=direction, thorough=thorough, run=compute.run())
    if plot:
        save_plot(plot_learning_curve(budget.curve, budget.labels), plot)
    print(json.dumps(budget.as_dict(more)) if as_json else "\n".join(budget.sentences(more)))
