"""The command line: each command parses, calls one function, reports. Results to stdout, progress to stderr."""

import codecs
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import TextIOWrapper

import click

from ulmfit_lib.cli.running import app
from ulmfit_lib.errors import Interrupted, OptionError, UlmfitError

ON_PROCESSES = ("pretrain", "fit-lm", "fit-classifier")


def main() -> None:
    """Run the command line; errors made on purpose become one sentence and exit code 2, Ctrl-C one and 130."""
    before = signal.signal(signal.SIGINT, _interrupt)
    _write_all_letters()
    try:
        with _processes():
            app(sys.argv[1:] or ["--help"], prog_name="ulmfit", standalone_mode=False)
    except Interrupted:
        print(
            "\nStopped. If a model was being trained, or files were scored on an engine, the same command goes on.",
            file=sys.stderr,
        )
        sys.exit(130)
    except click.ClickException as error:
        print(f"Error: {_sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except UlmfitError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        print(f"Error: {_missing(error)}", file=sys.stderr)
        sys.exit(2)
    finally:
        signal.signal(signal.SIGINT, before)


def _write_all_letters() -> None:
    """UTF-8 where the locale knows ASCII alone, in which most texts cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
            stream.reconfigure(encoding="utf-8")


def _sentence(error: click.ClickException) -> str:
    """What is wrong with a command line, and where its options are listed, in one line."""
    said = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{said[:1].lower()}{said[1:]} (see `{context.command_path if context else 'ulmfit'} --help`)"


def _missing(error: ModuleNotFoundError) -> str:
    """What to install for a module that is not there."""
    if find_spec("ulmfit_lib.training") is None:
        return "ulmfit-predict only predicts; this needs the whole library: pip install ulmfit-lib"
    package = (error.name or "").partition(".")[0]
    if package == "ulmfit_lib":
        raise error
    return f"ulmfit-lib needs {package}, which is not installed: run pip install ulmfit-lib again"


@contextmanager
def _processes() -> Iterator[None]:
    """Join those that ``accelerate launch`` or ``torchrun`` has started with this one; alone, do nothing."""
    by_accelerate = {"ACCELERATE_USE_CPU", "MASTER_PORT"} <= os.environ.keys()  # and perhaps without the others
    if not by_accelerate and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read by torch's import: no C++ traces for what we explain
    from ulmfit_lib.training.processes import joined

    before = signal.signal(signal.SIGTERM, _interrupt)  # the launcher ends the others by it when one has ended
    try:
        with joined():
            if sys.argv[1:2] and sys.argv[1] not in ON_PROCESSES:
                raise OptionError(
                    f"`{sys.argv[1]}` runs in one process: start it without `accelerate launch`, which is for "
                    f"{', '.join(ON_PROCESSES)}"
                )
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise Interrupted
