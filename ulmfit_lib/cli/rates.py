"""The command that tries learning rates: lr-find."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from ulmfit_lib.cli.options import AsJson, Base, Data, FileFormat, LabelKind, Recipe, SeededCompute, Text
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.cli.plotting import Plots, plot_rates
from ulmfit_lib.cli.running import command, read_table
from ulmfit_lib.progress import note


@dataclass(frozen=True)
class Examples:
    """The texts that rates are tried on, with labels where the rates are for a classifier."""

    data: Data
    text: Text
    file: FileFormat
    kind: LabelKind
    label: Annotated[
        list[str],
        Option("--label", help="Column that holds the labels: try rates for fit-classifier; without it, for fit-lm."),
    ] = field(default_factory=list)


@command("lr-find", example="lr-find examples/reviews.csv --text review --label sentiment --plots plots")
def lr_find(
    source: Examples,
    compute: SeededCompute,
    base: Base = "auto",
    direction: Annotated[
        Literal["forward", "backward"] | None,
        Option(help="Direction in which the model reads; by default the first that its base has."),
    ] = None,
    recipe: Recipe = "cpu",
    plots: Plots = None,
    as_json: AsJson = False,
) -> None:
    """Try learning rates for stage 2, or for stage 3 where there are labels, and show them beside the recipe's."""
    from ulmfit_lib.models.bases import load_base
    from ulmfit_lib.stages.lr_find import lr_find_classifier, lr_find_lm
    from ulmfit_lib.training.recipes import find_recipe

    chosen = find_recipe(recipe)
    label = source.label
    table = read_table(
        source.data, text=source.text, label=label, file=source.file, kind=source.kind if label else None
    )
    model, why = load_base(base, table.texts, direction=direction, seed=compute.seed)
    note(why)
    run = compute.run()
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
