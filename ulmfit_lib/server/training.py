"""What a job does with a file of texts and labels: a worker process trains a classifier on it."""

import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.labels.options import KindOptions
from ulmfit_lib.labels.stored import kind_of
from ulmfit_lib.progress import tell_notes_to
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.server.jobs import UNFINISHED, Job, Jobs, as_fields

NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
SHOWN_CHARACTERS = 4000  # of what the process says
FAILED = 2  # exit code of a process that says why
SECONDS_A_LOOK = 0.2  # at whether to stop
Train = Callable[..., str]  # (file, out, *, text, label, kind, written) -> what the classifier is worth


class Trainings:
    """Trainings, one at a time, each in a process of its own; a restart of the server continues with it.

    ``train`` is a function of a module (``pipeline.fit_file.fit_file``), or a ``partial`` of one. Models that it makes
    are put in ``folder``, and ``done`` is told of each that is ready, where it is.
    """

    def __init__(self, folder: Path, train: Train, done: Callable[[Path], object]) -> None:
        self.folder, self._train, self._done = folder, train, done
        self._lock = threading.Lock()
        self.jobs = Jobs(folder / ".jobs", self._run)

    def begin(
        self,
        content: Callable[[Path], None],
        *,
        name: str,
        text: str,
        label: str | Sequence[str],
        kind: KindOptions = KindOptions(),  # noqa: B008
        file: str = "input.csv",
        written: FileFormat | None = None,
    ) -> None:
        """Train on a file, which ``content`` writes; by default what it is written in is found.

        An OptionError says if a training runs already, the name is taken or none, or there are no such labels.
        """
        kind_of(kind.ratings, kind.label_delimiter)
        with self._lock:
            if self.state()["state"] == "running":
                raise OptionError("a training is running already: wait for it, or stop it")
            if not NAME.fullmatch(name):
                raise OptionError(f"the name {name!r}: use letters, digits, - and _")
            if (self.folder / name).exists():
                raise OptionError(f"there is a model called {name!r} already: choose another name")
            self.jobs.remove(name)
            facts: dict[str, Any] = {
                "text": text,
                "label": label,
                "kind": asdict(kind),
                "format": asdict(written or FileFormat()),
            }
            self.jobs.begin(content, file=file, name=name, log="", **facts)

    def state(self) -> dict[str, Any]:
        """``state``: none, running, done, failed or stopped; the model's ``name``, and the ``log`` of what is said."""
        job = self.jobs.last
        if job is None:
            return {"state": "none"}
        found = {"name": job.name, **job.state}
        return {**found, "state": "running"} if found["state"] in UNFINISHED else found

    def cancel(self) -> None:
        """Stop what runs."""
        if (job := self.jobs.last) and job.state.get("state") in UNFINISHED:
            job.cancel()

    def _run(self, job: Job) -> None:
        out = self.folder / job.name
        if not out.exists():  # else the server stopped between the two
            _train_in_process(self._train, job, out)
        self._done(out)
        job.tell(state="done")


def _train_in_process(train: Train, job: Job, out: Path) -> None:
    """Train in a process of its own, whose notes become the job's log.

    It raises Stopped, once the process has ended, where the job is to stop, and an UlmfitError that stopped the
    training.
    """
    context, state = get_context("spawn"), job.state
    here, there = context.Pipe(duplex=False)
    how = {
        "text": state["text"],
        "label": state["label"],
        "kind": KindOptions(**state.get("kind", {})),
        "written": FileFormat(**state.get("format", {})),
    }
    arguments = (train, there, job.file, out, how)
    process = context.Process(target=_work, args=arguments, name=f"train {job.name}")
    process.start()
    there.close()
    try:
        while True:
            job.check()
            if here.poll(SECONDS_A_LOOK):
                job.tell(log=f"{job.state.get('log', '')}{here.recv()}\n"[-SHOWN_CHARACTERS:])
    except EOFError:
        process.join()
    finally:
        process.kill()
        process.join()
    if process.exitcode == FAILED:
        raise UlmfitError(job.state["log"].splitlines()[-1])
    if process.exitcode:
        raise UlmfitError(f"the process that trained ended with code {process.exitcode}; was there enough memory?")


def _work(train: Train, parent: Connection, file: Path, out: Path, how: Mapping[str, Any]) -> None:
    """What the process does; a sentence of its own is the last word of a training that fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process

    def send(said: str) -> None:
        for path in (file, out):  # where they lie is nobody's concern
            said = said.replace(str(path), path.name)
        parent.send(as_fields(said))

    tell_notes_to(send)
    try:
        send(train(file, out, **how))
    except UlmfitError as error:
        send(str(error))
        raise SystemExit(FAILED) from None
