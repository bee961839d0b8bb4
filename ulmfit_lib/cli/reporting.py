"""The command that writes a report on a classifier: report."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from ulmfit_lib.cli.options import Base, Classifier, FileFormat, Label, SeededCompute, Text
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, load_text_classifier, read_table
from ulmfit_lib.errors import OptionError


@dataclass(frozen=True)
class ReportedFile:
    """The rows that a report shows, if there are any."""

    file: FileFormat
    data: Annotated[
        Path | None,
        Argument(
            help="A test file, or the file that the classifier was trained on. Without one, the scores are those that "
            "the model's folder keeps, and no text is shown."
        ),
    ] = None
    text: Text = field(default_factory=list)
    label: Label = field(default_factory=list)


@command(
    "report", example="report models/reviews examples/reviews.csv --text review --label sentiment --out report.html"
)
def report_command(
    model: Classifier,
    shown: ReportedFile,
    compute: SeededCompute,
    out: Annotated[Path, Option(help="File to write (.html).")] = Path("report.html"),
    with_texts: Annotated[
        bool, Option("--texts/--no-texts", help="Show texts on the page, or leave out every word of them.")
    ] = True,
    with_budget: Annotated[
        bool, Option("--label-budget", help="Add what more labels would bring, by the labels of the file (minutes).")
    ] = False,
    base: Base = "auto",
) -> None:
    """Write one page that says what a classifier is worth, on which texts it fails, and how it was made."""
    from ulmfit_lib.pipeline.label_budget import label_budget
    from ulmfit_lib.reporting.page import check_report_name, write_report

    check_report_name(out)
    if shown.data is not None and not (shown.text and shown.label):
        raise OptionError(f"{shown.data}: name its columns with --text and --label")
    if shown.data is None and with_budget:
        raise OptionError("--label-budget needs the file with the labels: name it after the model")
    classifier = load_text_classifier(model)
    table = None
    if shown.data is not None:
        table = read_table(shown.data, text=shown.text, label=shown.label, file=shown.file).with_kind(classifier.kind)
    run = compute.run()
    budget = label_budget(table, base=base, run=run) if table is not None and with_budget else None
    write_report(classifier, out, data=table, texts=with_texts, budget=budget, seed=run.seed, device=str(run.device))
    print(f"wrote the report {out} ({out.stat().st_size / 1000:,.0f} kB); open it in any browser")
