"""Commands that put a classifier to work: export, serve."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ulmfit_lib.cli.options import Classifier, Out, Overwrite, Quiet
from ulmfit_lib.cli.running import command, start
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted

if TYPE_CHECKING:
    from ulmfit_lib.server.training import Train

LOCAL = "127.0.0.1"
LOOPBACK = (LOCAL, "localhost", "::1")


@command("export", example="export models/reviews --out models/reviews-onnx")
def export_command(
    model: Classifier,
    out: Out,
    precision: Annotated[
        Literal["float32", "int8"],
        typer.Option(help="`int8` is a quarter of the size and faster, and may change a label now and then."),
    ] = "float32",
    check: Annotated[
        Path | None, typer.Option(help="File whose first 200 texts the result is checked on; by default invented ones.")
    ] = None,
    text: Annotated[list[str], typer.Option("--text", help="Column of that file that holds the texts.")] = [],  # noqa: B006 (typer needs a list here)
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write a classifier as ONNX graphs, which predict without PyTorch, and check that they say the same."""
    start(quiet, out, overwrite)
    from ulmfit_lib.hub.fetching import find_folder
    from ulmfit_lib.models.exporting import check_texts, export_checked

    found = export_checked(
        find_folder(model), out, precision=precision, texts=check_texts(check, text), overwrite=overwrite
    )
    print(
        f"compared on {counted(found.texts, 'text')}: no probability differs by more than {found.largest:.2g} from the "
        f"classifier's own, and {counted(found.changed, 'label')} changed"
    )
    print(f"saved in {out} ({found.megabytes:.0f} MB)")


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and to whom."""

    host: Annotated[str, typer.Option(help="Address to listen on; one beyond this machine needs --token.")] = LOCAL
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000
    token: Annotated[str | None, typer.Option(envvar="ULMFIT_TOKEN", help="Token that every request must bring.")] = (
        None
    )

    root_path: Annotated[
        str, typer.Option(help="Path under which a proxy serves this, such as /ulmfit; the page needs no such option.")
    ] = ""
    allow_origin: Annotated[
        list[str],
        typer.Option(help="Another site whose pages may ask, such as https://intranet.example; may be repeated."),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """How much a server does at a time."""

    waiting: Annotated[int, typer.Option(min=1, help="Texts that may wait; more are refused (429).")] = 5000
    threads: Annotated[int | None, typer.Option(min=1, help="Requests that are answered at a time.")] = None


@command("serve", example="serve models/reviews --port 8000")
def serve_command(
    models: Annotated[
        list[Path] | None, typer.Argument(help="Folders of classifiers, or `hf:user/name`; exported ones start faster.")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Let the page train models from CSV files.")] = False,
    folder: Annotated[
        Path, typer.Option(help="Folder for files that are being labelled and for trained models.")
    ] = Path("ulmfit-server"),
    quiet: Quiet = False,
    *,
    listening: Listening,
    load: Load,
) -> None:
    """Answer by HTTP, and serve a page to try a classifier, label files, and train (--train)."""
    start(quiet)
    try:
        import uvicorn

        from ulmfit_lib.server.app import create_app
    except ImportError as error:
        raise OptionError(
            f"serve needs more packages ({error.name}): pip install 'ulmfit-lib[serve]' (or 'ulmfit-predict[serve]')"
        ) from error
    from ulmfit_lib.hub.fetching import find_folder
    from ulmfit_lib.progress import note
    from ulmfit_lib.server.models import Models

    if not models and not train:
        raise OptionError("name a classifier's folder, or give --train to make one from the page")
    host, port, token = listening.host, listening.port, listening.token
    if host not in LOOPBACK and not token:
        raise OptionError(f"--host {host} lets other machines in: choose a token for them (--token or ULMFIT_TOKEN)")
    threads = load.threads or os.cpu_count() or 1
    served = Models([find_folder(model) for model in models or []], threads=threads, waiting=load.waiting)
    app = create_app(
        served,
        folder=folder,
        train=_fit_file() if train else None,
        token=token,
        prefix=_prefix(listening.root_path),
        origins=listening.allow_origin,
    )
    note(f"serving on http://{host}:{port} (Ctrl-C stops it)")
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=60)


def _prefix(given: str) -> str:
    """A path with a slash before it and none behind it; "" for none."""
    path = given.strip("/")
    return f"/{path}" if path else ""


def _fit_file() -> "Train":
    """What trains, which the small distribution lacks."""
    from ulmfit_lib.pipeline.fit_file import fit_file

    return fit_file
