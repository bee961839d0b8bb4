"""Folders that appear whole or not at all, and where the cache lives."""

import ctypes
import glob
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import ArtifactError


def cache_folder() -> Path:
    """Where tokenised corpora and checkpoints are kept: ``$ULMFIT_CACHE``, else the user's cache folder.

    On Linux that is ``~/.cache/ulmfit_lib`` (or below ``$XDG_CACHE_HOME``), on macOS ``~/Library/Caches/ulmfit_lib``.
    """
    if chosen := os.environ.get("ULMFIT_CACHE"):
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("ulmfit_lib", appauthor=False)


def content_hash(texts: Iterable[str], made_by: str) -> str:
    """The name in the cache of what is made of some texts, in their order, by something with this fingerprint."""
    digest = hashlib.sha256(made_by.encode())
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


def refuse_existing(path: Path, *, overwrite: bool = False) -> None:
    """Say early, before hours of training, as an ArtifactError, that a result could not be written to ``path``."""
    if not path.exists():
        return
    if not overwrite:
        raise ArtifactError(f"{path}: exists already; choose another place or pass --overwrite (overwrite=True)")
    if not (path / "config.json").is_file():
        raise ArtifactError(f"{path}: exists and is no saved model, so it is not overwritten; choose another place")


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling to fill; at the end it is synced and takes the place of ``path``.

    If the block fails, the sibling is removed and ``path`` stays as it was.
    """
    refuse_existing(path, overwrite=overwrite)
    temporary = path.parent / f".{path.name}.{os.getpid()}.writing"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        if overwrite and path.exists():
            _exchange(temporary, path)
        else:
            temporary.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(path: Path, *, within: Path | None = None) -> Iterator[Path]:
    """Yield a temporary file to write; at the end it is synced and takes the place of ``path``.

    It lies beside ``path``, or ``within`` another folder on the same disk.
    """
    temporary = (within or path.parent) / f".{path.name}.{os.getpid()}.writing"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # none is there, or its name is too long
            temporary.unlink()


def read_json(path: Path) -> Any:
    """A file's JSON, from whomever it is; an ArtifactError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: missing or damaged ({error})") from error


def write_file(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, sync it, and rename it into place."""
    with new_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def only_process(path: Path, *, wait: bool = False) -> Iterator[None]:
    """While it lasts, no other process of this user does the same for ``path``; one that is killed lets go.

    What a killed one left half-written beside ``path`` is removed. Where another process is at it, ``wait``, or else an
    ArtifactError.
    """
    from filelock import FileLock, Timeout  # which the small distribution lacks, for it writes nothing that takes long

    file = cache_folder() / "locks" / hashlib.sha256(bytes(path.resolve())).hexdigest()[:16]
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise ArtifactError(f"{path}: another process is writing it; wait for that, or choose another place") from error
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be written ({error.strerror or error})") from error
    try:
        for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*.writing"):
            shutil.rmtree(unfinished, ignore_errors=True)
        yield
        file.unlink(missing_ok=True)
    finally:
        lock.release()


def _exchange(new: Path, old: Path) -> None:
    """Let two folders swap their names, in one step where the system can: a kill must not leave neither."""
    swap = {"linux": ("renameat2", -100, 2), "darwin": ("renameatx_np", -2, 2)}.get(sys.platform)
    if swap:
        name, here, flag = swap
        call = getattr(ctypes.CDLL(None), name, None)
        if call and call(here, os.fsencode(new), here, os.fsencode(old), flag) == 0:
            return
    aside = new.with_suffix(".replaced")
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside)


def _sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return  # Windows cannot open a folder for syncing
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
