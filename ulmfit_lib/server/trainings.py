"""Training from the page: one `fit` at a time, in a process of its own, which a restart of the server goes on with."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import read_json, write_file
from ulmfit_lib.progress import note

NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
SHOWN_CHARACTERS = 4000  # of what the process says


class Trainings:
    """The one training that runs, or the last one.

    Args:
        folder: where uploaded files, the state and the trained models are kept.
        done: is told the folder of each model that is ready.
    """

    def __init__(self, folder: Path, done: Callable[[Path], object]) -> None:
        self.folder, self._done = folder, done
        self._process: subprocess.Popen[bytes] | None = None
        self._lock, self._watcher, self._leaving = threading.Lock(), threading.Thread(), False
        folder.mkdir(parents=True, exist_ok=True)
        if self.state()["state"] == "running":
            note("goes on with a training that was running when the server stopped")
            self._start()

    def begin(self, content: Callable[[Path], None], *, name: str, text: str, label: str) -> None:
        """Train on a CSV file.

        Args:
            content: writes the file.
            name: of the model.
            text: the column of the texts.
            label: the column of the labels.

        Raises:
            OptionError: a training runs already, or the name is taken or none.
        """
        with self._lock:
            if self.state()["state"] == "running":
                raise OptionError("a training is running already: wait for it, or stop it")
            if not NAME.fullmatch(name):
                raise OptionError(f"the name {name!r}: use letters, digits, - and _")
            if (self.folder / name).exists():
                raise OptionError(f"there is a model called {name!r} already: choose another name")
            file = self.folder / f"{name}.csv"
            content(file)
            self._tell({"state": "running", "name": name, "file": file.name, "text": text, "label": label})
            (self.folder / "log.txt").unlink(missing_ok=True)
            self._start()

    def state(self) -> dict[str, Any]:
        """``state``: none, running, done, failed or stopped; the model's ``name``, and what the process said last."""
        found: dict[str, Any] = {"state": "none"}
        with suppress(Exception):
            found = dict(read_json(self.folder / "state.json"))
            said = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
            lines = [line.split("\r")[-1] for line in said.splitlines()]
            found["log"] = "\n".join(lines)[-SHOWN_CHARACTERS:]
        return found

    def cancel(self) -> None:
        """Stop what runs."""
        with self._lock:
            if self._process and self._process.poll() is None:
                self._tell({**self._facts(), "state": "stopped"})
                self._process.kill()

    def leave(self) -> None:
        """The server stops: the process ends too, and goes on from its checkpoints at the next start."""
        self._leaving = True
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _start(self) -> None:
        facts = self._facts()
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "ulmfit_lib.cli",
            "fit",
            str(self.folder / facts["file"]),
            "--text",
            facts["text"],
            "--label",
            facts["label"],
            "--out",
            str(self.folder / facts["name"]),
        ]
        log = (self.folder / "log.txt").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._watcher = threading.Thread(target=self._watch, args=(self._process,), daemon=True)
        self._watcher.start()

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        with self._lock:  # else one that was stopped would speak for the one that began after it
            facts = self._facts()
            if self._leaving or process is not self._process or facts["state"] == "stopped":
                return
            if code == 0:
                self._done(self.folder / facts["name"])
            self._tell({**facts, "state": "failed" if code else "done"})

    def _facts(self) -> dict[str, Any]:
        return dict(read_json(self.folder / "state.json"))

    def _tell(self, facts: dict[str, Any]) -> None:
        write_file(self.folder / "state.json", json.dumps(facts).encode())
