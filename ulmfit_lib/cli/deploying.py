"""Commands that put a classifier to work: export, serve, mcp, push."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ulmfit_lib.cli.options import Classifier, FileFormat, Out, Overwrite, Quiet
from ulmfit_lib.cli.parsing import Argument, Option
from ulmfit_lib.cli.running import command, find_folder, load_text_classifier, read_table
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import counted, note, set_quiet

if TYPE_CHECKING:
    from ulmfit_lib.server.training import Train

HELD_OUT = 5  # every fifth row of --learn, unless --check names others
LOCAL = "127.0.0.1"
LOOPBACK = (LOCAL, "localhost", "::1")


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and to whom."""

    host: Annotated[str, Option(help="Address to listen on; one beyond this machine needs --token.")] = LOCAL
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on.")] = 8000
    token: Annotated[str | None, Option(variable="ULMFIT_TOKEN", help="Token that every request must bring.")] = None

    root_path: Annotated[
        str, Option(help="Path under which a proxy serves this, such as /ulmfit; the page needs no such option.")
    ] = ""
    allow_origin: Annotated[
        list[str], Option(help="Another site whose pages may ask, such as https://intranet.example; may be repeated.")
    ] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """How much a server does at a time."""

    waiting: Annotated[int, Option(min=1, help="Texts that may wait; more are refused (429).")] = 5000
    threads: Annotated[
        int | None, Option(min=1, help="Requests that are answered at a time; by default one a core.")
    ] = None


@dataclass(frozen=True)
class StaticTier:
    """How a static classifier is made."""

    tier: Annotated[
        Literal["network", "static"],
        Option(
            help="`network`: the classifier itself; `static`: scores of words and pairs of words distilled from it, "
            "which need NumPy alone and are much faster."
        ),
    ] = "network"
    learn: Annotated[
        Path | None, Option(help="For the static tier: file of texts that it learns from, with or without labels.")
    ] = None
    label: Annotated[
        list[str], Option("--label", help="Column of labels, by which the loss of accuracy is measured.")
    ] = field(default_factory=list)
    lose: Annotated[
        float,
        Option(
            min=0, max=1, help="Accuracy that the static tier may lose, 0.03 being 3 points; with more, none is made."
        ),
    ] = 0.03
    html: Annotated[
        Path | None, Option(help="Write the static tier as one page, too, which classifies without a network (.html).")
    ] = None


@command("export", example="export models/reviews --out models/reviews-onnx")
def export_command(
    model: Classifier,
    out: Out,
    static: StaticTier,
    precision: Annotated[
        Literal["float32", "int8"],
        Option(help="`int8` is a quarter of the size and faster, and may change a label now and then."),
    ] = "float32",
    check: Annotated[
        Path | None,
        Option(
            help="File whose first 200 texts the result is checked on, by default invented ones; for the static tier, "
            "all rows, by default a fifth of --learn."
        ),
    ] = None,
    text: Annotated[Sequence[str], Option("--text", help="Column of these files that holds the texts.")] = (),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write a classifier so that it predicts without PyTorch, and check that it says the same."""
    from ulmfit_lib.files import refuse_existing

    refuse_existing(out, overwrite=overwrite)
    if static.tier == "static":
        _export_static(find_folder(model), out, static, text=text, check=check, overwrite=overwrite)
        return
    if static.html or static.learn or static.label:
        raise OptionError("--learn, --label and --html are for the static tier: add --tier static")
    from ulmfit_lib.models.exporting import check_texts, export_checked

    found = export_checked(
        find_folder(model), out, precision=precision, texts=check_texts(check, text), overwrite=overwrite
    )
    print(
        f"compared on {counted(found.texts, 'text')}: no probability differs by more than {found.largest:.2g} from the "
        f"classifier's own, and {counted(found.changed, 'label')} changed"
    )
    print(f"saved in {out} ({found.megabytes:.0f} MB)")


def _export_static(
    model: Path, out: Path, static: StaticTier, *, text: Sequence[str], check: Path | None, overwrite: bool
) -> None:
    """Distil, say what is lost, and write only if that is no more than is allowed."""
    from ulmfit_lib.serving.static_page import check_page_name, write_page
    from ulmfit_lib.training.static_student import distil_static, measure_certainty, measure_loss

    if static.learn is None or not text:
        raise OptionError("--tier static learns from texts: name a file with --learn, and its column with --text")
    if static.html:
        check_page_name(static.html)
    teacher = load_text_classifier(model)
    table = read_table(static.learn, text=text, label=static.label or None, file=FileFormat()).with_kind(teacher.kind)
    if check:
        held_out = read_table(check, text=text, label=static.label or None, file=FileFormat()).with_kind(teacher.kind)
    else:
        held_out = table.select(range(0, len(table), HELD_OUT))
    if len(labelled := held_out.labelled()):
        teacher.kind.truth(labelled, teacher.classes)  # refuses labels of which the classifier knows none
    known = set(held_out.texts)
    table = table.select([i for i, one in enumerate(table.texts) if one not in known])
    student = distil_static(teacher, table.texts)
    loss = measure_loss(teacher, student, held_out)
    print(loss.sentence())
    if loss.lost > static.lose:
        raise OptionError(
            f"a loss of {loss.lost:.4f} is more than --lose {static.lose:g} allows, so nothing was written: give more "
            "texts with --learn, rows that the classifier was not trained on with --check, or a larger --lose"
        )
    if check:  # rows of --learn may be known to the classifier, which would make it look surer
        student = replace(student, measured=measure_certainty(student, held_out))
    student.save(out, overwrite=overwrite)
    print(f"saved in {out} ({sum(file.stat().st_size for file in out.iterdir()) / 1e6:.1f} MB)")
    if static.html:
        write_page(student, static.html)
        print(f"wrote the page {static.html} ({static.html.stat().st_size / 1e6:.1f} MB); open it in any browser")


@command("serve", example="serve models/reviews --port 8000")
def serve_command(
    models: Annotated[
        Sequence[Path], Argument(help="Folders of classifiers, or `hf:user/name`; exported ones start faster.")
    ] = (),
    train: Annotated[bool, Option("--train", help="Let the page train models from CSV files.")] = False,
    folder: Annotated[Path, Option(help="Folder for files that are being labelled and for trained models.")] = Path(
        "ulmfit-server"
    ),
    quiet: Quiet = False,
    *,
    listening: Listening,
    load: Load,
) -> None:
    """Answer by HTTP, and serve a page to try a classifier, label files, and train (--train)."""
    try:
        import python_multipart  # noqa: F401 (without it FastAPI fails later, and in its own words)
        import uvicorn

        from ulmfit_lib.server.app import create_app
    except ImportError as error:
        raise OptionError(
            f"serve needs more packages ({error.name}): pip install 'ulmfit-lib[serve]' (or 'ulmfit-predict[serve]')"
        ) from error
    from ulmfit_lib.server.models import Models

    if not models and not train:
        raise OptionError("name a classifier's folder, or give --train to make one from the page")
    host, port, token = listening.host, listening.port, listening.token
    if host not in LOOPBACK and not token:
        raise OptionError(f"--host {host} lets other machines in: choose a token for them (--token or ULMFIT_TOKEN)")
    threads = load.threads or os.cpu_count() or 1
    served = Models([find_folder(model) for model in models], threads=threads, waiting=load.waiting)
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


@command("mcp", example="mcp data")
def mcp_command(
    folder: Annotated[Path, Argument(help="The only folder whose files an agent may read and write.")],
) -> None:
    """Let an agent train and use classifiers in a folder, by the Model Context Protocol over stdin and stdout."""
    try:
        from ulmfit_lib.cli.mcp_tools import build_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise OptionError("mcp needs one more package: pip install 'ulmfit-lib[mcp]'") from error
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder; name the one that holds the files for the agent")
    set_quiet(True)  # what an agent's program shows of standard error is no place for progress bars
    build_server(folder).run("stdio")


@command("push", example="push models/reviews ada/reviews")
def push(
    model: Annotated[Path, Argument(help="Folder of a classifier, an exported classifier or a language model.")],
    repository: Annotated[str, Argument(help="Where it goes: user/name; it is made where there is none.")],
    public: Annotated[bool, Option("--public", help="Let everybody read it; otherwise it is private.")] = False,
    words: Annotated[
        bool, Option("--words", help="Let everybody read the words and pairs of words of your texts in TF-IDF, too.")
    ] = False,
    branch: Annotated[str, Option(help="Branch of the repository.")] = "main",
    message: Annotated[str, Option(help="Message of the commit; by default it says what was sent.")] = "",
    licence: Annotated[
        str | None, Option(help="Licence in the hub's words, such as `mit`, if the model's card names none.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Send a saved model to the Hugging Face hub, with a card; others then use it as hf:user/name."""
    from ulmfit_lib.hub.pushing import push_to_hub

    sent = push_to_hub(model, repository, public=public, words=words, branch=branch, message=message, licence=licence)
    print(f"sent {model}; commands take it as {sent}")
