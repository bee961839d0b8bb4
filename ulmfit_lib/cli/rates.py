"""The command that tries learning rates: lr-find."""

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from ulmfit_lib.cli.options import AsJson, Base, Data, Device, FileFormat, LabelKind, Quiet, Recipe, Seed, Text
from ulmfit_lib.cli.plotting import Plots, plot_rates
from ulmfit_lib.cli.running import command, read_table, start


@command("lr-find", example="lr-find examples/reviews.csv --text review --label sentiment --plots plots")
def lr_find(
    data: Data,
    text: Text,
    label: Annotated[
        str | None,
        typer.Option(help="Column that holds the labels: try rates for fit-classifier; without it, for fit-lm."),
    ] = None,
    base: Base = "auto",
    direction: Annotated[
        Literal["forward", "backward"] | None,
        typer.Option(help="Direction in which the model reads; by default the first that its base has."),
    ] = None,
    recipe: Recipe = "cpu",
    plots: Plots = None,
    as_json: AsJson = False,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
    *,
    file: FileFormat,
    kind: LabelKind,
) -> None:
    """Try learning rates for stage 2, or for stage 3 where there are labels, and show them beside the recipe's."""
    from ulmfit_lib.models.bases import load_base
    from ulmfit_lib.progress import note
    from ulmfit_lib.stages.lr_find import lr_find_classifier, lr_find_lm
    from ulmfit_lib.training.recipes import find_recipe
    from ulmfit_lib.training.run import Run

    start(quiet)
    chosen = find_recipe(recipe)
    table = read_table(data, text=text, label=label, file=file, kind=kind if label else None)
    model, why = load_base(base, table.texts, direction=direction, seed=seed)
    note(why)
    run = Run(seed=seed, device=device)
    if label:
        found = lr_find_classifier(table, lm=model, recipe=chosen.fit_classifier, run=run)
    else:
        found = lr_find_lm(table.texts, base=model, recipe=chosen.fit_lm, run=run)
    if plots:
        plot_rates(plots, found)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    stage = "fit-classifier" if label else "fit-lm"
    print(f"{'the recipe takes':<18}{found.recipe:.2g}")
    for name, rate in found.suggestions.items():
        print(f"{name + ' suggests':<18}{rate:.2g}")
    if not found.suggestions:
        print(f"The loss exploded after {len(found.rates)} steps, too early to suggest a rate.")
        return
    print(
        f"Where the curve is flat (see --plots), a suggestion means little.\n"
        f"To take one of these rates: ulmfit {stage} ... --lr RATE"
    )
