"""Commands about models that are here: models, info."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.shared import AsJson, Out, Overwrite, Quiet, app, start
from ulmfit_lib.errors import OptionError

models_app = typer.Typer(invoke_without_command=True)
app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the language models that are here or can be downloaded; add one of your own."""
    if context.invoked_subcommand:
        return
    from ulmfit_lib.artifact.catalogue import describe_models

    rows = describe_models()
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        size, perplexity = f"{row['megabytes']:.1f} MB", row["perplexity"]
        shown = f", perplexity {perplexity:.1f} per token" if perplexity else ""
        words = f"{row['tokens']:,} {row['tokenizer']}" if "tokens" in row else row["tokenizer"]
        print(f"{row['name']} ({row['where']}): {row['language']}, {row['direction']}, {words}, {size}{shown}")


@models_app.command("add")
def add_model_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a language model.")],
    name: Annotated[str | None, typer.Option(help="What to call it; default the folder's name.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a language model of yours to where its name finds it."""
    from ulmfit_lib.artifact.catalogue import add_model

    path = add_model(folder, name=name, overwrite=overwrite)
    print(f"{path.name}: added; use it as --base {path.name}")


@models_app.command("download")
def download_command(
    name: Annotated[str, typer.Argument(help="wt103: fastai's models of WikiText-103.")] = "wt103",
    from_file: Annotated[
        list[Path], typer.Option(help="Archive that is here already: wt103-fwd.tgz, and again for wt103-bwd.tgz.")
    ] = [],  # noqa: B006 (typer needs a list here)
    sha256: Annotated[
        list[str], typer.Option(help="Hash that the download must have, forward first, then backward.")
    ] = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fetch fastai's WikiText-103 models, or take them from files, and keep them in our own safe format."""
    start(quiet)
    from ulmfit_lib.artifact.catalogue import WT103
    from ulmfit_lib.models.wt103 import download_wt103

    if name != WT103:
        raise OptionError(f"{name!r}: what can be downloaded is {WT103}")
    print(f"{WT103}: in {download_wt103(files=from_file, sha256=sha256)}")


@models_app.command("import")
def import_command(
    weights: Annotated[Path, typer.Argument(help="The .pth file that fastai saved.")],
    vocabulary: Annotated[Path, typer.Argument(help="The .pkl file with its tokens.")],
    out: Out,
    direction: Annotated[str, typer.Option(help="forward or backward.")] = "forward",
    language: Annotated[str, typer.Option(help="spaCy code of its tokens.")] = "en",
    overwrite: Overwrite = False,
) -> None:
    """Turn a language model that fastai saved into one of ours, without running what is in its pickle."""
    start(True, out, overwrite)
    from ulmfit_lib.models.fastai_import import import_fastai

    model = import_fastai(weights, vocabulary, direction=direction, language=language, name=out.name)
    model.save(out, overwrite=overwrite)
    print(f"{len(model.vocabulary):,} tokens, saved in {out}")


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a name (see `models`).")], as_json: AsJson = False
) -> None:
    """Say what a saved model is and how it came to be."""
    from ulmfit_lib.artifact.catalogue import describe_model
    from ulmfit_lib.models.wt103 import find_pretrained

    path = find_pretrained(model)
    description = describe_model(path)
    print(json.dumps(description) if as_json else (path / "README.md").read_text(encoding="utf-8").rstrip())
