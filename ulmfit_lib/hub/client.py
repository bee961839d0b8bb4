"""huggingface_hub as this library uses it: imported when needed, its errors as sentences."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.progress import is_quiet
from ulmfit_lib.version import __version__

LIBRARY = "ulmfit-lib"


class Unreachable(ArtifactError):
    """The hub gave no answer, or answered that it cannot work now."""


def import_hub() -> ModuleType:
    """The package huggingface_hub.

    Raises:
        OptionError: it is not installed.
    """
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
def asking(repository: Repository) -> Iterator[Any]:
    """Yield huggingface_hub's API, which finds the user's token itself; what it raises becomes a sentence.

    Raises:
        Unreachable: no answer.
        ArtifactError: the hub refuses, or what came is not what was announced.
    """
    hub = import_hub()
    bars, transport = hub.utils, hub.errors.HfHubHTTPError.__mro__[1]  # whichever HTTP library it builds on
    silenced = (is_quiet() or not sys.stderr.isatty()) and not bars.are_progress_bars_disabled()
    if silenced:
        bars.disable_progress_bars()
    try:
        yield hub.HfApi(endpoint=hub_address(), library_name=LIBRARY, library_version=__version__)
    except (transport, OSError, ValueError, RuntimeError) as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        unanswered = isinstance(error, (transport, hub.errors.OfflineModeIsEnabled)) and not status
        said = " ".join((getattr(error, "server_message", None) or str(error) or type(error).__name__).split())[:300]
        if unanswered or status >= 500:
            raise Unreachable(f"{repository}: the hub cannot be reached ({said})") from error
        raise ArtifactError(f"{repository}: {_refusal(error, status) or f'this failed: {said}'}") from error
    finally:
        if silenced:
            bars.enable_progress_bars()


def _refusal(error: Exception, status: int) -> str:
    errors = import_hub().errors
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such branch, tag or commit"
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return (
            "there is no such repository, or your token does not allow this; `hf auth login` stores a token, and "
            "HF_TOKEN gives one"
        )
    return ""
