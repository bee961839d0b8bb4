"""Commands about models that are here: models, info."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import click

from ulmfit_lib.cli.options import AsJson, Out, Overwrite, Quiet
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command


@command("models", example="models --json", has_commands=True)
def models(as_json: AsJson = False) -> None:
    """List the language models that are here or can be downloaded, or add one with a command below."""
    if click.get_current_context().invoked_subcommand:
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


@command("models add", example="models add models/reviews-lm --name reviews")
def add_model_command(
    folder: Annotated[Path, Argument(help="Folder of a language model.")],
    name: Annotated[str | None, Option(help="Name of the model; by default the folder's name.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a language model of yours into the cache, so that its name is enough to use it."""
    from ulmfit_lib.artifact.catalogue import add_model

    path = add_model(folder, name=name, overwrite=overwrite)
    print(f"added {path.name}; use it as --base {path.name}")


@command("models download", example="models download wt103")
def download_command(
    name: Annotated[
        Literal["wt103"], Argument(help="Which models: `wt103` is fastai's pair trained on WikiText-103.")
    ] = "wt103",
    from_file: Annotated[
        Sequence[Path],
        Option(
            help="Archive that you have already, instead of a download: wt103-fwd.tgz; repeat it for wt103-bwd.tgz."
        ),
    ] = (),
    sha256: Annotated[
        Sequence[str],
        Option(help="SHA-256 that the downloaded file must have; give the forward one first, then the backward."),
    ] = (),
    quiet: Quiet = False,
) -> None:
    """Download fastai's WikiText-103 models, or read them from files, and keep them in this library's safe format."""
    from ulmfit_lib.models.wt103 import download_wt103

    print(f"saved {name} in {download_wt103(files=from_file, sha256=sha256)}")


@command("models import", example="models import lstm_fwd.pth itos_wt103.pkl --out models/wt103")
def import_command(
    weights: Annotated[Path, Argument(help="The .pth file of weights that fastai saved.")],
    vocabulary: Annotated[Path, Argument(help="The .pkl file of tokens that fastai saved.")],
    out: Out,
    direction: Annotated[
        Literal["forward", "backward"], Option(help="Direction in which the model reads.")
    ] = "forward",
    language: Annotated[str, Option(help="spaCy's code for the language of the tokens.")] = "en",
    overwrite: Overwrite = False,
) -> None:
    """Convert a language model that fastai saved, without running any code that its pickle may hold."""
    from ulmfit_lib.files import refuse_existing
    from ulmfit_lib.models.loading import import_fastai

    refuse_existing(out, overwrite=overwrite)
    model = import_fastai(weights, vocabulary, direction=direction, language=language, name=out.name)
    model.save(out, overwrite=overwrite)
    print(f"saved a language model of {len(model.vocabulary):,} tokens in {out}")


@command("info", example="info wiki-en-small")
def info(
    model: Annotated[str, Argument(help="Folder of a model, a name (see `models`) or `hf:user/name`.")],
    as_json: AsJson = False,
) -> None:
    """Show what a saved model is and how it was trained."""
    from ulmfit_lib.artifact.catalogue import describe_model
    from ulmfit_lib.hub.fetching import find_named

    path = find_named(model)
    if path is None:
        from ulmfit_lib.models.wt103 import download_wt103

        path = download_wt103()
    description = describe_model(path)
    print(json.dumps(description) if as_json else (path / "README.md").read_text(encoding="utf-8").rstrip())
