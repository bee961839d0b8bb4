"""Work on uploaded files, in the background: its state lies in folders, so that a restart continues with it."""

import json
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.files import read_json, write_file
from ulmfit_lib.progress import keeping_notes, note

UNFINISHED = ("waiting", "running")
OPTION = re.compile(r"--(encoding|delimiter|quoting|sheet|text|label|ratings|label-delimiter)(?![\w-])")  # a field, too


def as_fields(said: str) -> str:
    """A sentence that names options of the command line, with fields of a form in their place.

    >>> as_fields("for example --encoding cp1252, or --label-delimiter ';'")
    "for example encoding cp1252, or label_delimiter ';'"
    """
    return OPTION.sub(lambda found: found[1].replace("-", "_"), said)


class Stopped(Exception):
    """The server stops, or somebody has stopped or removed the job."""


class Job:
    """One file and what is to be done with it.

    Attributes:
        folder: of the file, of the result, and of ``state.json``; its name is the job's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stopping, self._lock = threading.Event(), threading.Lock()

    @property
    def name(self) -> str:
        """By which the job is found."""
        return self.folder.name

    @property
    def file(self) -> Path:
        """What was uploaded."""
        return self.folder / self.state.get("file", "input.csv")

    @property
    def result(self) -> Path:
        """What is made of it."""
        return self.folder / "result.csv"

    @property
    def state(self) -> dict[str, Any]:
        """For JSON: ``state`` is waiting, running, done, failed or stopped; empty for a job that was removed."""
        with suppress(Exception):
            return dict(read_json(self.folder / "state.json"))
        return {}

    def tell(self, **changes: Any) -> None:
        """Change what is known; of a job that was stopped or removed, nothing changes any more."""
        with self._lock:
            if not self._stopping.is_set():
                write_file(self.folder / "state.json", json.dumps({**self.state, **changes}).encode())

    def check(self) -> None:
        """Leave off, by raising ``Stopped``, if the job is to stop."""
        if self._stopping.is_set():
            raise Stopped

    def leave(self) -> None:
        """Leave off, to continue after the next start."""
        self._stopping.set()

    def cancel(self) -> None:
        """Leave off for good."""
        self.tell(state="stopped")
        self.leave()

    def remove(self) -> None:
        """Forget the job and its files."""
        self.leave()
        with self._lock:
            shutil.rmtree(self.folder, ignore_errors=True)


class Jobs:
    """A queue of jobs, which are done one after the other in a thread.

    What is done with a job is ``work``; it calls ``job.check`` often, and ``job.tell`` what it has done.
    """

    def __init__(self, folder: Path, work: Callable[[Job], None]) -> None:
        self.folder, self._work = folder, work
        self._queue: Queue[Job | None] = Queue()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".try").touch()
            (folder / ".try").unlink()
        except OSError as error:
            raise OptionError(
                f"{folder}: uploaded files cannot be kept there ({error.strerror}); name another --folder"
            ) from error
        found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        self._jobs = {path.name: Job(path) for path in found if (path / "state.json").is_file()}
        for job in self._jobs.values():
            if job.state.get("state") in UNFINISHED:
                self._queue.put(job)
        self._worker = threading.Thread(target=self._run, daemon=True)
        self._worker.start()

    @property
    def last(self) -> Job | None:
        """The job that began last."""
        return next(reversed(self._jobs.values()), None)

    def find(self, name: str) -> Job | None:
        """The job of a name."""
        return self._jobs.get(name)

    def begin(
        self,
        content: Callable[[Path], None],
        *,
        file: str = "input.csv",
        name: str = "",
        look: Callable[[Path], dict[str, Any]] = lambda _: {},
        **facts: Any,
    ) -> Job:
        """Take a file, which ``content`` writes; by default, nobody can guess the name of its job.

        The file is looked at before the job is accepted; what ``look`` returns is told of the job, too, and its
        ``notes`` are what is said meanwhile. They, and what it raises, name the file in place of where it lies.
        """
        job = Job(self.folder / (name or secrets.token_hex(8)))
        job.folder.mkdir()
        try:
            content(job.folder / file)
            with keeping_notes() as said:
                found = look(job.folder / file)
            notes = [as_fields(one.replace(str(job.folder / file), file)) for one in said]
            job.tell(state="waiting", file=file, notes=notes, **facts, **found)
        except UlmfitError as error:
            job.remove()
            raise type(error)(str(error).replace(str(job.folder / file), file)) from error
        except BaseException:
            job.remove()
            raise
        self._jobs[job.name] = job
        self._queue.put(job)
        return job

    def remove(self, name: str) -> None:
        """Forget a job and its files, if there is one of that name."""
        if job := self._jobs.pop(name, None):
            job.remove()

    def stop(self) -> None:
        """Leave off; what is not done is done after the next start."""
        for job in self._jobs.values():
            job.leave()
        self._queue.put(None)
        self._worker.join()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job.check()
                job.tell(state="running")
                self._work(job)
            except Stopped:
                continue
            except Exception as error:  # the queue must go on
                note(f"job {job.name} failed: {type(error).__name__}")
                with suppress(OSError, UlmfitError):
                    job.tell(state="failed", error=as_fields(str(error).replace(str(job.file), job.file.name)))
