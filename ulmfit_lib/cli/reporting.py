"""The command that writes a report on a classifier: report."""

from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.options import Base, Classifier, Device, FileFormat, Quiet, Seed
from ulmfit_lib.cli.running import command, read_table, start
from ulmfit_lib.errors import OptionError


@command(
    "report", example="report models/reviews examples/reviews.csv --text review --label sentiment --out report.html"
)
def report_command(
    model: Classifier,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A test file, whose labels the classifier has not learnt; or the file that it was made from. Without "
            "one, the scores are those that the model's folder keeps, and no text is shown."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write (.html).")] = Path("report.html"),
    text: Annotated[
        list[str], typer.Option("--text", help="Column of the file that holds the texts; repeat it to join several.")
    ] = [],  # noqa: B006 (typer needs a list here)
    label: Annotated[str | None, typer.Option("--label", help="Column of the file that holds the labels.")] = None,
    with_texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="Show texts on the page, or leave out every word of them.")
    ] = True,
    with_budget: Annotated[
        bool,
        typer.Option("--label-budget", help="Add what more labels would bring, by the labels of the file (minutes)."),
    ] = False,
    base: Base = "auto",
    *,
    file: FileFormat,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Write one page that says what a classifier is worth, on which texts it fails, and how it was made."""
    start(quiet)
    from ulmfit_lib.hub.fetching import find_folder
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.pipeline.label_budget import label_budget
    from ulmfit_lib.reporting.page import check_report_name, write_report

    check_report_name(out)
    if data is not None and not (text and label):
        raise OptionError(f"{data}: name its columns with --text and --label")
    if data is None and with_budget:
        raise OptionError("--label-budget needs the file with the labels: name it after the model")
    classifier = TextClassifier.load(find_folder(model))
    table = read_table(data, text=text, label=label, file=file).with_kind(classifier.kind) if data else None
    budget = label_budget(table, base=base, seed=seed, device=device) if table is not None and with_budget else None
    write_report(
        classifier, out, data=table, texts=with_texts, budget=budget, seed=seed, device=str(find_device(device))
    )
    print(f"wrote the report {out} ({out.stat().st_size / 1000:,.0f} kB); open it in any browser")
