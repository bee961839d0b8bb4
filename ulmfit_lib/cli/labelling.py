"""Commands about labels to come and labels that may be wrong: suggest-labels, check-labels."""

import json
from functools import partial
from itertools import compress
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

from ulmfit_lib.cli.options import AsJson, Base, LabelKind, LabelledFile, SeededCompute
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, read
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted, note

if TYPE_CHECKING:
    from ulmfit_lib.labels.kind import LabelKind as Kind

Table = Annotated[
    Path | None, Option("--out", help="File to write (.csv, .tsv, .jsonl, .parquet); by default CSV on stdout.")
]


@command(
    "suggest-labels",
    example="suggest-labels models/reviews examples/reviews.csv --text review --label sentiment "
    "--n 20 --out to-label.csv",
)
def suggest_labels_command(
    model: Annotated[str, Argument(help="A classifier's folder; or, before the first labels, a language model.")],
    source: LabelledFile,
    compute: SeededCompute,
    n: Annotated[int, Option("--n", min=1, help="Number of texts to suggest.")] = 50,
    audit_share: Annotated[
        float, Option(min=0, max=0.9, help="Share of them that is drawn at random, to score a model on.")
    ] = 0.2,
    out: Table = None,
) -> None:
    """Choose the texts whose labels would help most, as a table to fill in; `fit --also` takes it back."""
    from ulmfit_lib.data.reading import read_parts
    from ulmfit_lib.insight.readers import load_reader
    from ulmfit_lib.insight.suggestions import AUDIT, suggest_labels
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.rows.batch import Rows
    from ulmfit_lib.rows.columns import MissingColumn
    from ulmfit_lib.rows.predictions import free_names
    from ulmfit_lib.rows.texts import is_folder_of_texts
    from ulmfit_lib.rows.writer import row_writer

    parts = partial(read_parts, source.data, text=source.text, file=source.file)
    try:
        found_parts = list(parts(label=source.label))
    except MissingColumn:
        found_parts = list(parts())
        note(f"{source.data}: no column of labels yet, so each of its texts may be chosen")
    kept_rows, texts, labels = [], [], []
    for rows, table in found_parts:
        real = [bool(one) for one in table.texts]
        kept_rows.append(rows.select(compress(range(len(rows)), real)))
        texts += [one for one in table.texts if one]
        labels += [one for one, kept in zip(table.labels, real, strict=True) if kept]
    reader = load_reader(model, device=compute.device)
    said, known = None, None
    if isinstance(reader, TextClassifier):
        said = reader.ruled(reader.predict_proba(texts))
        known = reader.training.last.labelled_texts
    found = suggest_labels(
        reader.embed(texts),
        n=n,
        probabilities=said,
        known=known,
        audit_share=audit_share,
        seed=compute.seed,
        labelled=[i for i, one in enumerate(labels) if one is not None],
    )
    suggested = Rows.joined(kept_rows).select(one.place for one in found)
    if is_folder_of_texts(source.data):  # its columns are called as the options call them, by which --also is read
        suggested = Rows.of({"file": suggested.column("file"), source.text[0]: suggested.column("text")})
    empty = {name: [""] * len(found) for name in source.label}
    (why,) = free_names([*suggested.names, *empty], ["why"])
    suggested = suggested.adding({**empty, why: [one.why for one in found]})
    with row_writer(out) as write:
        write(suggested)
    audited = sum(one.why == AUDIT for one in found)
    named = source.as_arguments()
    kind = _kind_options(reader.kind) if isinstance(reader, TextClassifier) else []
    learn = join(["ulmfit", "fit", str(source.data), "--also", str(out or "FILE"), *named, *kind, "--out", "NEW-MODEL"])
    note(f"{counted(len(found), 'text')} to label: fill in {_columns(source.label)}, then: {learn}")
    if audited:
        scored = str(model) if said is not None else "YOUR-MODEL"
        score = join(["ulmfit", "evaluate", scored, str(out or "FILE"), *named, "--audit"])
        note(
            f"{audited} of them were drawn at random (`{why}` is {AUDIT}). Score a model on these alone, before one "
            f"learns from them, with: {score}. The others were chosen, and a score on them would not be that of most "
            "texts."
        )
    note("To see when more labels stop paying, run `ulmfit label-budget` on the rows that were drawn at random so far.")


@command("check-labels", example="check-labels examples/reviews.csv --text review --label sentiment --out doubtful.csv")
def check_labels_command(
    source: LabelledFile,
    compute: SeededCompute,
    kind: LabelKind,
    base: Base = "auto",
    most: Annotated[int, Option(min=1, help="Number of labels to show, the most doubtful first.")] = 100,
    out: Table = None,
    as_json: AsJson = False,
) -> None:
    """List labels that may be wrong, the most doubtful first, as a table to correct; `fit --also` takes it back."""
    from ulmfit_lib.insight.label_errors import check_label_errors
    from ulmfit_lib.rows.batch import Rows
    from ulmfit_lib.rows.predictions import free_names
    from ulmfit_lib.rows.writer import row_writer

    if len(source.text) > 1:
        raise OptionError("check-labels reads one column of texts, so that its table can be given to `fit --also`")
    run = compute.run()
    table = read(source, kind)
    found = check_label_errors(table, base=base, run=run)[:most]
    if as_json:
        print(json.dumps([one.__dict__ for one in found]))
        return
    number, expected, probability = free_names([*source.text, *source.label], ["row", "expected", "probability"])
    rows = Rows.of(
        {
            number: [one.row for one in found],
            source.text[0]: [one.text for one in found],
            **_label_columns(source.label, [one.label for one in found], table.kind),
            expected: [_as_cell(one.expected, table.kind) for one in found],
            probability: [round(one.probability, 4) for one in found],
        }
    )
    with row_writer(out) as write:
        write(rows)
    if not found:
        note(f"{source.data}: no label is other than the one that is expected")
        return
    files = [str(source.data), "--also", str(out or "FILE")]
    named = [*source.as_arguments(), *_kind_options(table.kind)]
    note(
        f"{source.data}: {counted(len(found), 'label')} may be wrong. Correct {_columns(source.label)} where it is "
        f"wrong, delete the other rows, and run: {join(['ulmfit', 'fit', *files, *named, '--out', 'NEW-MODEL'])}"
    )


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"


def _label_columns(names: list[str], labels: list[str], kind: "Kind") -> dict[str, list[Any]]:
    """Labels as the file had them: in one column, or yes and no in a column for each."""
    if len(names) == 1:
        return {names[0]: [_as_cell(label, kind) for label in labels]}
    return {name: [int(name in kind.names(label)) for label in labels] for name in names}


def _as_cell(label: str, kind: "Kind") -> str:
    """A label as a file holds it: of no tags at all, their delimiter alone, for an empty cell is no label."""
    return label or kind.config()["label_delimiter"]


def _kind_options(kind: "Kind") -> list[str]:
    """The options by which the labels are read as this kind."""
    config = kind.config()
    return LabelKind(config["values"] is not None, config["label_delimiter"]).as_arguments()
