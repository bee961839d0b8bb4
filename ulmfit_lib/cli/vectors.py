"""Commands on what texts are like: drift, embed, similar."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.options import AsJson, Base, Data, Device, FileFormat, Known, Quiet, Seed, Text
from ulmfit_lib.cli.running import command, read_table, start

Model = Annotated[
    str, typer.Argument(help="Folder of a classifier or language model, a name (see `models`) or `hf:user/name`.")
]


@command("drift", example="drift models/reviews examples/reviews.csv --text review")
def drift(
    model: Model,
    new: Annotated[Path, typer.Argument(help="File of new texts.")],
    text: Text,
    known: Known = None,
    base: Base = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="File to write (.csv, .parquet ...): for each new text how surprising and how unlike it is."),
    ] = None,
    *,
    file: FileFormat,
    seed: Seed = 42,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say whether new texts are still what a model knows, by their words and by their vectors."""
    start(quiet)
    from ulmfit_lib.insight.drift import Novelty, find_drift, likeness, with_novelty
    from ulmfit_lib.insight.readers import find_known, load_reader
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.rows.batch import Rows
    from ulmfit_lib.rows.writer import row_writer

    before = read_table(known, text=text, file=file).texts if known else None
    after = read_table(new, text=text, file=file)
    chosen = str(find_device(device))
    reader = load_reader(model, device=chosen)
    itself = reader if isinstance(reader, LanguageModel) else None
    compared, lm = find_known(reader.training, before, base=base, itself=itself, seed=seed)
    found = find_drift(compared, after.texts, lm=lm, reader=reader, seed=seed, device=chosen)
    if out is not None:
        novelty = Novelty.measure(lm, compared, seed=seed, device=chosen)
        rows = Rows.of({"row": list(after.rows), "text": list(after.texts)})
        rows = with_novelty(rows, after.texts, novelty, device=chosen)
        if before is not None:
            like = likeness(reader, before, after.texts, seed=seed, device=chosen)
            rows = rows.adding({"cosine with the nearest known text": like.astype(float).round(4).tolist()})
        with row_writer(out) as write:
            write(rows)
    print(json.dumps(found.as_dict()) if as_json else "\n".join(found.sentences()))


@command("embed", example="embed models/reviews examples/reviews.csv --text review --out vectors.parquet")
def embed(
    model: Model,
    data: Data,
    text: Text,
    out: Annotated[Path, typer.Option(help="File to write: .npy for the vectors alone, .parquet beside row and text.")],
    *,
    file: FileFormat,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Write a vector for each text: texts that mean the same lie close together."""
    start(quiet)
    from ulmfit_lib.insight.readers import load_reader
    from ulmfit_lib.insight.vectors import check_vectors_name, write_vectors

    check_vectors_name(out)
    table = read_table(data, text=text, file=file)
    vectors = load_reader(model, device=device).embed(table.texts)
    write_vectors(out, table, vectors)
    print(f"wrote {len(vectors):,} vectors of {vectors.shape[1]:,} numbers to {out}")


@command("similar", example='similar models/reviews examples/reviews.csv --text review --to "The waiter was rude."')
def similar(
    model: Model,
    data: Data,
    text: Text,
    to: Annotated[str, typer.Option(help="The text that others are compared with.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Number of texts to show.")] = 10,
    *,
    file: FileFormat,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show the texts of a file that are most like another text, the most similar first."""
    start(quiet)
    from ulmfit_lib.insight.readers import load_reader
    from ulmfit_lib.insight.vectors import most_similar

    table = read_table(data, text=text, file=file)
    found = most_similar(load_reader(model, device=device), table, to, n=n)
    if as_json:
        print(json.dumps([one.__dict__ for one in found]))
        return
    for one in found:
        print(f"{one.cosine:.3f}  row {one.row}: {' '.join(one.text.split())[:100]}")
