"""How every command is registered, starts and ends."""

import inspect
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from ulmfit_lib.cli.options import FileFormat, LabelKind, LabelledFile, TextFile, TrainingRun
from ulmfit_lib.cli.parsing import Command, Group
from ulmfit_lib.progress import counted, note, set_quiet
from ulmfit_lib.version import __version__

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.training.run import Run

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg")  # of its driver on Linux, and within Windows
Function = TypeVar("Function", bound=Callable[..., None])

COMMANDS = {  # by the module that has them, which is imported when one of them is asked for
    "language_models": ("pretrain", "fit-lm", "generate", "evaluate-lm"),
    "distilling": ("distill",),
    "fitting": ("fit-classifier", "fit", "demo"),
    "tuning": ("tune",),
    "predicting": ("predict",),
    "evaluating": ("evaluate", "label-budget"),
    "gating": ("gate",),
    "labelling": ("suggest-labels", "check-labels"),
    "rates": ("lr-find",),
    "reporting": ("report",),
    "insight": ("explain", "doctor", "diagnose"),
    "vectors": ("drift", "embed", "similar"),
    "deploying": ("export", "serve", "mcp", "push"),
    "catalogue": ("models", "info"),
}
TOPICS = {
    "From a file to predictions": ("demo", "fit", "predict", "evaluate", "report", "tune"),
    "Texts and labels": ("doctor", "suggest-labels", "check-labels", "label-budget"),
    "What a classifier does, and what texts are like": ("explain", "diagnose", "drift", "embed", "similar"),
    "At work": ("export", "serve", "mcp", "gate", "push"),
    "The three stages, one by one": (
        "pretrain",
        "distill",
        "fit-lm",
        "fit-classifier",
        "lr-find",
        "evaluate-lm",
        "generate",
    ),
    "Models that there are": ("models", "info"),
}
app = Group(
    "ulmfit",
    help="Classify texts with few labels by ULMFiT: offline, on a CPU, beside an honest baseline.",
    epilog="Begin with:  ulmfit demo",
    modules={name: f"ulmfit_lib.cli.{module}" for module, names in COMMANDS.items() for name in names},
    topics=TOPICS,
)
click.version_option(__version__)(app)


def command(name: str, *, example: str, has_commands: bool = False) -> Callable[[Function], Function]:
    """Register a command whose help ends with ``example``, given without ``ulmfit``.

    A parameter that is a dataclass of options, such as ``FileFormat``, becomes one option per field; so does a field
    that is one. Where there is an option --quiet, it holds from the start. ``models add`` is a command of ``models``,
    which ``has_commands``.
    """

    def register(function: Function) -> Function:
        *parents, last = name.split()
        kind = partial(Group, invoke_without_command=True) if has_commands else Command
        about: dict[str, Any] = {"help": function.__doc__, "epilog": f"Example:  ulmfit {example}"}
        group = app.commands[parents[0]] if parents else app
        assert isinstance(group, Group)
        group.add_command(kind(last, _options(function), callback=_run(function), **about))
        return function

    return register


def _run(function: Callable[..., None]) -> Callable[..., None]:
    """A command's function, for click to call with the values of all options."""

    def run(**values: Any) -> None:
        values |= {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        if "quiet" in values:
            set_quiet(values["quiet"])
        if isinstance(data := values.get("data"), Path) and not values.get("label_file"):
            from ulmfit_lib.rows.kinds import check_kind

            check_kind(data)  # before imports that take seconds
        function(**_arguments(function, values))

    return run


def _options(command: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """The parameters of a command, or of a group of options, without any group among them."""
    made = {}
    if is_dataclass(command):
        made = {one.name: one.default_factory() for one in fields(command) if one.default_factory is not MISSING}
    for one in inspect.signature(command).parameters.values():
        if isinstance(one.annotation, type) and is_dataclass(one.annotation):
            yield from _options(one.annotation)
        else:
            yield one.replace(default=made.get(one.name, one.default))


def _arguments(command: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """``values`` by the names of options -> arguments, some of them groups."""
    found = {}
    for one in inspect.signature(command).parameters.values():
        if isinstance(one.annotation, type) and is_dataclass(one.annotation):
            found[one.name] = one.annotation(**_arguments(one.annotation, values))
        else:
            found[one.name] = values[one.name]
    return found


def given_options(*groups: Any, but: Sequence[str] = ()) -> Iterator[str]:
    """The names of the options of some groups that have another value than by default, without those of ``but``."""
    for group in groups:
        for one in _options(type(group)):
            names = get_args(one.annotation)[1].names or ["--" + one.name.replace("_", "-")]
            name = names[0].rpartition("/")[2]  # of a switch, that which switches off
            if getattr(group, one.name) != one.default and name not in but:
                yield name


@contextmanager
def training(asked: TrainingRun, out: Path) -> "Iterator[Run]":
    """A command that trains: no other process makes the same model meanwhile, and none is overwritten unasked.

    Its checkpoints lie beside the result, so that the same command run again finds them, until the result is saved.
    Of several processes that train together, the first one writes.
    """
    from ulmfit_lib.files import only_process, refuse_existing
    from ulmfit_lib.training.checkpoints import Checkpoints
    from ulmfit_lib.training.processes import is_main
    from ulmfit_lib.training.run import Run

    folder = out.parent / f".{out.name}.checkpoints"
    with only_process(out) if is_main() else nullcontext():
        refuse_existing(out, overwrite=asked.overwrite)
        if asked.restart and is_main():
            shutil.rmtree(folder, ignore_errors=True)
        checkpoints = Checkpoints(folder, every=asked.checkpoint_every)
        with _tracked(asked.track if is_main() else None, out):
            yield Run(seed=asked.seed, device=asked.device, checkpoints=checkpoints)
        if is_main():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _tracked(where: str | None, out: Path) -> Iterator[None]:
    """Trainings within it, and the model in ``out`` that they end with, are written down, if it is said where."""
    if where is None:
        yield
        return
    from ulmfit_lib.training.tracking import track, track_model

    with track(where, name=str(out)):
        yield
        track_model(out)


def read(source: TextFile | LabelledFile, kind: LabelKind | None = None, time_column: str | None = None) -> "TextTable":
    """A command's file as a table."""
    label = source.label if isinstance(source, LabelledFile) else None
    return read_table(source.data, text=source.text, label=label, file=source.file, kind=kind, time_column=time_column)


def show(found: Any, *, as_json: bool) -> None:
    """Print a finding: its ``as_dict`` as JSON, or its ``sentences``, one a line."""
    print(json.dumps(found.as_dict()) if as_json else "\n".join(found.sentences()))


def find_folder(model: str | Path) -> Path:
    """The folder of a model; one on the hub (``hf:user/name``) is fetched first."""
    from ulmfit_lib.hub import fetching

    return fetching.find_folder(model)


def load_text_classifier(model: Path, *, device: str = "cpu") -> "TextClassifier":
    """A classifier that ``fit`` has made, in a folder or on the hub; no exported one."""
    from ulmfit_lib.models.classifier import TextClassifier

    return TextClassifier.load(find_folder(model), device=device)


def read_table(
    data: Path,
    *,
    text: Sequence[str],
    label: Sequence[str] | None = None,
    file: FileFormat,
    kind: LabelKind | None = None,
    time_column: str | None = None,
) -> "TextTable":
    """``data.reading.read_table`` with the options of the command line; rows that are left out are mentioned."""
    from ulmfit_lib.data import reading

    kind = kind or LabelKind()
    table = reading.read_table(
        data,
        text=text,
        label=label,
        ratings=kind.ratings,
        label_delimiter=kind.label_delimiter,
        time=time_column,
        **asdict(file),
    )
    if table.skipped:
        note(f"{table.source}: {counted(table.skipped, 'row')} without a text left out")
    return table


def load_classifier(model: Path, device: str = "cpu") -> Any:
    """A classifier, or an exported one of either tier, in a folder or on the hub.

    ONNX Runtime runs its encoders, which is ready seconds before PyTorch is, unless they shall run on a GPU.
    """
    from ulmfit_lib.artifact.format import PREDICTOR, STATIC, read_config

    model = find_folder(model)
    kind = read_config(model)["kind"]
    if kind == STATIC:
        from ulmfit_lib.serving.static_classifier import StaticClassifier

        return StaticClassifier.load(model)
    if kind == PREDICTOR or find_spec("torch") is None or device == "cpu" or (device == "auto" and not _has_gpu()):
        from ulmfit_lib.serving.predictor import Predictor

        return Predictor.load(model)
    from ulmfit_lib.models.classifier import TextClassifier

    return TextClassifier.load(model, device=device)


def _has_gpu() -> bool:
    """Whether there may be a GPU; only PyTorch knows, and its import takes seconds."""
    return any(map(os.path.exists, GPU_FILES))
