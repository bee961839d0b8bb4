"""The command line: each command parses, calls one function, reports. Results to stdout, progress to stderr."""

import signal
import sys
import warnings

from ulmfit_lib.cli import language_models, fitting, judging, catalogue  # isort: skip  (the order of --help)
from ulmfit_lib.cli.shared import app
from ulmfit_lib.errors import UlmfitError

__all__ = ["app", "catalogue", "fitting", "judging", "language_models", "main"]


def main() -> None:
    """Run the command line; errors made on purpose become one sentence and exit code 2, Ctrl-C one and 130."""
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # fastai's affair, not the user's
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except _Interrupted:
        print("\nStopped. If it was training, the same command goes on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)
    except UlmfitError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        signal.signal(signal.SIGINT, before)


class _Interrupted(BaseException):
    """Ctrl-C; not KeyboardInterrupt, for which the libraries in between have answers of their own."""


def _interrupt(*_: object) -> None:
    raise _Interrupted
