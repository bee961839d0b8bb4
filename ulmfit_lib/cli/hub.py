"""The command that sends a model to the Hugging Face hub: push."""

from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.options import Quiet
from ulmfit_lib.cli.running import command


@command("push", example="push models/reviews ada/reviews")
def push(
    model: Annotated[Path, typer.Argument(help="Folder of a classifier, an exported classifier or a language model.")],
    repository: Annotated[str, typer.Argument(help="Where it goes: user/name; it is made where there is none.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody read it; otherwise it is private.")] = False,
    words: Annotated[
        bool,
        typer.Option("--words", help="Let everybody read the words and pairs of words of your texts in TF-IDF, too."),
    ] = False,
    branch: Annotated[str, typer.Option(help="Branch of the repository.")] = "main",
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "",
    licence: Annotated[
        str | None, typer.Option(help="Licence in the hub's words, such as `mit`, if the model's card names none.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Send a saved model to the Hugging Face hub, with a card; others then use it as hf:user/name."""
    from ulmfit_lib.hub.pushing import push_to_hub

    sent = push_to_hub(model, repository, public=public, words=words, branch=branch, message=message, licence=licence)
    print(f"sent {model}; commands take it as {sent}")
