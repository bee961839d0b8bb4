"""Commands that help to understand a model and its texts: explain, doctor, diagnose."""

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ulmfit_lib.cli.options import (
    AsJson,
    Base,
    Classifier,
    FileFormat,
    Label,
    LabelKind,
    LabelledFile,
    Quiet,
    SeededCompute,
    Text,
)
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, find_folder, load_classifier, load_text_classifier, read, show
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.progress import note, quietly

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.insight.findings import Diagnosis


@dataclass(frozen=True)
class LookedAt:
    """Rows that ``diagnose`` looks at: of the file that it is given, or of the one that the classifier learnt."""

    file: FileFormat
    kind: LabelKind
    learnt: Annotated[
        Path | None,
        Option(help="File that the classifier was trained on, to see how much better it does on training rows."),
    ] = None
    text: Text = field(default_factory=list)
    label: Label = field(default_factory=list)


@command("explain", example='explain models/reviews "A wonderful film with a weak ending."')
def explain_command(
    model: Classifier,
    text: Annotated[str, Argument(help="The text to explain.")],
    label: Annotated[
        str | None, Option(help="Label to explain; by default the one that the classifier finds likeliest.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show which words and phrases of a text speak for a label (green, +) and which against it (red, -)."""
    from ulmfit_lib.tokens.rules import well_formed

    found = load_classifier(model).explain(well_formed(text), label=label)
    print(json.dumps(found.as_dict()) if as_json else found.as_text(colour=sys.stdout.isatty()))


@command("doctor", example="doctor examples/reviews.csv --text review --label sentiment")
def doctor(
    source: LabelledFile, compute: SeededCompute, kind: LabelKind, base: Base = "auto", as_json: AsJson = False
) -> None:
    """Look for what is wrong with texts and labels before any training, and forecast time and memory."""
    from ulmfit_lib.insight.doctor import forecast

    table = read(source, kind)
    found = _diagnose_file(source, table, base, compute)
    try:
        needed = forecast(table, base=base, seed=compute.seed)
    except DataError as error:
        note(f"No forecast of time and memory: {error}")
        needed = None
    if as_json:
        print(json.dumps({**found.as_dict(), "forecast": asdict(needed) if needed else None}))
        return
    print("\n".join([*found.sentences(), *([str(needed)] if needed else [])]))


@command("diagnose", example="diagnose models/reviews --learnt examples/reviews.csv --text review --label sentiment")
def diagnose(
    target: Annotated[
        str,
        Argument(help="Folder of a classifier, or a file of texts and labels, which is then looked at as by `doctor`."),
    ],
    looked_at: LookedAt,
    compute: SeededCompute,
    base: Base = "auto",
    as_json: AsJson = False,
) -> None:
    """Say what is at fault when a classifier is poor: the data, the base, or a stage of the training."""
    from ulmfit_lib.insight.diagnosis import diagnose_model, with_label_budget

    path, learnt, columns = find_folder(target), looked_at.learnt, (looked_at.text, looked_at.label, looked_at.file)
    is_model = (path / "config.json").is_file()
    if (learnt or not is_model) and not (looked_at.text and looked_at.label):
        raise OptionError("to look at a file, name its columns with --text and --label")
    if is_model:
        rows = read(LabelledFile(learnt, *columns)) if learnt else None
        found = diagnose_model(load_text_classifier(path), rows)
    else:
        source = LabelledFile(path, *columns)
        table = read(source, looked_at.kind)
        found = with_label_budget(_diagnose_file(source, table, base, compute), table, base=base, seed=compute.seed)
    show(found, as_json=as_json)


def _diagnose_file(source: LabelledFile, table: "TextTable", base: str, compute: SeededCompute) -> "Diagnosis":
    """``diagnose_data``, which also sees the first rows of the other columns."""
    from ulmfit_lib.data.reading import read_parts
    from ulmfit_lib.insight.doctor import diagnose_data
    from ulmfit_lib.rows.batch import is_missing

    with quietly():  # what there is to say of the file was said when the table was read
        rows, _ = next(read_parts(source.data, text=source.text, label=source.label, file=source.file))
    others = {
        name: [str(cell) for cell in cells if not is_missing(cell)]
        for name, cells in zip(rows.names, rows.columns, strict=True)
        if name not in (*source.text, *source.label)
    }
    return diagnose_data(table, base=base, columns=others, seed=compute.seed, device=compute.device)
