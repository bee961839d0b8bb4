"""Commands on what texts are like: drift, embed, similar."""

import json
from pathlib import Path
from typing import Annotated

from ulmfit_lib.cli.options import AsJson, Compute, Known, NoveltyBase, SeededCompute, TextFile
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, read, read_table, show

Model = Annotated[
    str, Argument(help="Folder of a classifier or language model, a name (see `models`) or `hf:user/name`.")
]


@command("drift", example="drift models/reviews examples/reviews.csv --text review")
def drift(
    model: Model,
    new: TextFile,
    compute: SeededCompute,
    known: Known = None,
    base: NoveltyBase = "auto",
    out: Annotated[
        Path | None,
        Option(help="File to write (.csv, .parquet ...): for each new text how surprising and how unlike it is."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether new texts have drifted from those that a model was trained on, by their words and their vectors."""
    from ulmfit_lib.insight.drift import Novelty, find_drift, likeness, with_novelty
    from ulmfit_lib.insight.readers import find_known, load_reader
    from ulmfit_lib.models.devices import find_device
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.rows.batch import Rows
    from ulmfit_lib.rows.writer import row_writer

    before = read_table(known, text=new.text, file=new.file).texts if known else None
    after = read(new)
    seed, device = compute.seed, str(find_device(compute.device))
    reader = load_reader(model, device=device)
    itself = reader if isinstance(reader, LanguageModel) else None
    compared, lm = find_known(reader.training, before, base=base, itself=itself, seed=seed)
    found = find_drift(compared, after.texts, lm=lm, reader=reader, seed=seed, device=device)
    if out is not None:
        novelty = Novelty.measure(lm, compared, seed=seed, device=device)
        rows = Rows.of({"row": list(after.rows), "text": list(after.texts)})
        rows = with_novelty(rows, after.texts, novelty, device=device)
        if before is not None:
            like = likeness(reader, before, after.texts, seed=seed, device=device)
            rows = rows.adding({"cosine with the nearest known text": like.astype(float).round(4).tolist()})
        with row_writer(out) as write:
            write(rows)
    show(found, as_json=as_json)


@command("embed", example="embed models/reviews examples/reviews.csv --text review --out vectors.parquet")
def embed(
    model: Model,
    source: TextFile,
    out: Annotated[Path, Option(help="File to write: .npy for the vectors alone, .parquet beside row and text.")],
    compute: Compute,
) -> None:
    """Write a vector for each text: texts that mean the same lie close together."""
    from ulmfit_lib.insight.readers import check_vectors_name, load_reader, write_vectors

    check_vectors_name(out)
    table = read(source)
    vectors = load_reader(model, device=compute.device).embed(table.texts)
    write_vectors(out, table, vectors)
    print(f"wrote {len(vectors):,} vectors of {vectors.shape[1]:,} numbers to {out}")


@command("similar", example='similar models/reviews examples/reviews.csv --text review --to "The waiter was rude."')
def similar(
    model: Model,
    source: TextFile,
    to: Annotated[str, Option(help="The text that others are compared with.")],
    compute: Compute,
    n: Annotated[int, Option("--n", min=1, help="Number of texts to show.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the texts of a file that are most like another text, the most similar first."""
    from ulmfit_lib.insight.readers import load_reader, most_similar

    found = most_similar(load_reader(model, device=compute.device), read(source), to, n=n)
    if as_json:
        print(json.dumps([one.__dict__ for one in found]))
        return
    for one in found:
        print(f"{one.cosine:.3f}  row {one.row}: {' '.join(one.text.split())[:100]}")
