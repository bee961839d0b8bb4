"""The command line: each command parses, calls one function, reports. Results to stdout, progress to stderr."""

import sys

from ulmfit_lib.cli import language_models, classifiers, catalogue  # isort: skip  (the order of --help)
from ulmfit_lib.cli.shared import app
from ulmfit_lib.errors import UlmfitError

__all__ = ["app", "catalogue", "classifiers", "language_models", "main"]


def main() -> None:
    """Run the command line; errors made on purpose become one sentence and exit code 2."""
    try:
        app()
    except UlmfitError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
