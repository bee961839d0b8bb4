"""A Ray cluster for the time that it is needed, and what goes wrong on it in a sentence."""

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path

from ulmfit_lib.errors import OptionError, UlmfitError, first_line
from ulmfit_lib.progress import counted


@contextmanager
def cluster(workers: int | None, cores: int) -> Iterator[int]:
    """The cluster that this process has joined, or that ``RAY_ADDRESS`` names, or one of this machine's cores.

    Yields how many workers it is to have; by default as many as there is room for, the cores of each on one machine. An
    OptionError says if Ray does not start, or has no room for so many, an UlmfitError what stopped the work on it.
    """
    import ray

    with nullcontext() if ray.is_initialized() else _started(), _in_a_sentence():
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        room = sum(there // cores for there in machines)
        if (workers or 1) > room:
            raise OptionError(
                f"the cluster has no room for {counted(workers or 1, 'worker')} of {counted(cores, 'core')} each; its "
                f"machines have {' + '.join(map(str, machines))}: lower --workers or --cores"
            )
        yield workers or room


@contextmanager
def _started() -> Iterator[None]:
    """One that is started here tells nobody of itself, and leaves nothing behind."""
    import ray

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is said in a sentence, once
    warnings.filterwarnings("ignore", module="ray")  # it would like more blocks than short files have
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ours, folder = "RAY_ADDRESS" not in os.environ, None
    address = "local" if ours else None  # "local" asks for a token that only this user has
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # where Ray tells of each retry
        try:
            with _silence():
                started = ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            folder = started.address_info["session_dir"] if ours else None
        except (ConnectionError, RuntimeError) as error:
            ray.shutdown()
            why = first_line(error)
            raise OptionError(
                f"Ray does not start ({why})"
                if ours
                else f"{why}: is RAY_ADDRESS right, and does the cluster ask for a token (RAY_AUTH_MODE=token)?"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()
            if folder:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing on stderr, where Ray's own processes and its C++ write, too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    from ray.exceptions import ActorDiedError, RayError

    try:
        yield
    except RayError as error:
        cause: BaseException = error
        while inner := getattr(cause, "cause", None):
            cause = inner
        if isinstance(cause, UlmfitError):  # said on purpose, in another process
            raise cause from error
        lines = str(cause).splitlines() or [""]
        why = lines[-1 if isinstance(cause, ActorDiedError) else 0]  # why a worker does not start comes last
        raise UlmfitError(
            f"Ray stopped ({type(cause).__name__}: {why}); what is scored stays, and the same command goes on"
        ) from error
