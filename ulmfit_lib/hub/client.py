"""huggingface_hub as this library uses it: imported when needed, its errors as sentences."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.progress import is_quiet
from ulmfit_lib.version import __version__

LIBRARY = "ulmfit-lib"
UNREADABLE = (json.JSONDecodeError, KeyError, TypeError, AttributeError, AssertionError)  # what an answer may raise
BUSY = 429


class Unreachable(ArtifactError):
    """The hub gave no answer, or answered that it cannot work now."""


def import_hub() -> ModuleType:
    """The package huggingface_hub; an OptionError where it is not installed."""
    try:
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise OptionError(
            "the hub needs the package huggingface_hub: pip install 'ulmfit-lib[hub]' (or 'ulmfit-predict[hub]')"
        ) from error
    return huggingface_hub


def hub_address() -> str | None:
    """Where ``HF_ENDPOINT`` says that the hub is; huggingface_hub itself reads it only when it is imported."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def offline_by() -> str:
    """The environment variable that forbids the network; empty if none does."""
    if os.environ.get("ULMFIT_OFFLINE"):
        return "ULMFIT_OFFLINE"
    return "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true") else ""


@contextmanager
def hub_api(repository: Repository) -> Iterator[Any]:
    """Yield huggingface_hub's API, which finds the user's token itself; what it raises becomes a sentence.

    Raises:
        Unreachable: no answer.
        ArtifactError: the hub refuses, or what came is not what was announced.
    """
    hub = import_hub()
    transport = hub.errors.HfHubHTTPError.__mro__[1]  # whichever HTTP library it builds on
    try:
        with _without_bars(hub):
            yield hub.HfApi(endpoint=hub_address(), library_name=LIBRARY, library_version=__version__)
    except UNREADABLE as error:
        raise not_a_hub(repository) from error
    except (transport, OSError, ValueError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, hub.errors.LocalEntryNotFoundError) else None
        found = cause if isinstance(cause, Exception) else error
        status = getattr(getattr(found, "response", None), "status_code", 0)
        said = _printable(getattr(found, "server_message", None) or str(found) or type(found).__name__)
        if status >= 500 or status == BUSY:
            raise Unreachable(f"{repository}: the hub cannot answer now ({status}: {said})") from error
        if isinstance(found, (transport, hub.errors.OfflineModeIsEnabled)) and not status:
            raise Unreachable(f"{repository}: the hub cannot be reached ({said})") from error
        raise ArtifactError(f"{repository}: {_explain_refusal(found, status) or f'this failed: {said}'}") from error


def not_a_hub(repository: Repository) -> ArtifactError:
    """The error where an answer came that no hub gives."""
    address = hub_address() or import_hub().constants.ENDPOINT
    return ArtifactError(f"{repository}: what {address} answers is not what a hub answers")


@contextmanager
def _without_bars(hub: ModuleType) -> Iterator[None]:
    """Without huggingface_hub's bars where nobody watches, and without a line for each time that it tries again."""
    bars, logs = hub.utils, hub.utils.logging
    with ExitStack() as after:
        if (is_quiet() or not sys.stderr.isatty()) and not bars.are_progress_bars_disabled():
            bars.disable_progress_bars()
            after.callback(bars.enable_progress_bars)
        if "HF_HUB_VERBOSITY" not in os.environ:
            after.callback(logs.set_verbosity, logs.get_verbosity())
            logs.set_verbosity_error()
        yield


def _printable(said: str) -> str:
    """What a server said, on one line that moves no cursor and shows no token."""
    line = " ".join(said.partition("Bearer")[0].split())
    return "".join(filter(str.isprintable, line))[:300]


def _explain_refusal(error: Exception, status: int) -> str:
    errors = import_hub().errors
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such branch, tag or commit"
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return (
            "there is no such repository, or your token does not allow this; `hf auth login` stores a token, and "
            "HF_TOKEN gives one"
        )
    return ""
