"""Files that are labelled in the background: their state lies in a folder, so that a restart goes on with them."""

import csv
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.files import new_file, read_json, write_file
from ulmfit_lib.progress import note
from ulmfit_lib.server.models import Models, answer

ROWS = 64  # labelled between two looks at whether to stop
csv.field_size_limit(1 << 24)


class _Stopped(Exception):
    """The server stops, or the job was removed."""


class Jobs:
    """A queue of files, one after the other.

    Args:
        folder: where files, results and states are kept.
        models: that label them.

    Raises:
        OptionError: the folder cannot be written.
    """

    def __init__(self, folder: Path, models: Models) -> None:
        self.folder, self.models = folder, models
        self._queue: Queue[str | None] = Queue()
        self._stopping = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".try").touch()
            (folder / ".try").unlink()
        except OSError as error:
            raise OptionError(
                f"{folder}: files to be labelled cannot be kept there ({error.strerror}); name another --folder"
            ) from error
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime):
            if self.state(path.name).get("state") in ("waiting", "running"):
                self._queue.put(path.name)
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    def begin(self, content: Callable[[Path], None], *, model: str | None, column: str) -> str:
        """Take a CSV file and return the job's id.

        Args:
            content: writes the file.
            model: a served model's name; None for the first.
            column: of the texts.

        Raises:
            DataError: the file has no such column.
        """
        name = secrets.token_hex(8)
        path = self.folder / name
        path.mkdir()
        content(path / "input.csv")
        try:
            rows = sum(1 for _ in read_rows(path / "input.csv", column))
        except DataError:
            self.remove(name)
            raise
        self._tell(name, state="waiting", rows=rows, done=0, model=model, column=column)
        self._queue.put(name)
        return name

    def state(self, name: str) -> dict[str, Any]:
        """What is known of a job; empty if there is none."""
        path = self.folder / name / "state.json"
        if not name.isalnum() or not path.is_file():
            return {}
        with suppress(Exception):
            return dict(read_json(path))
        return {}

    def result(self, name: str) -> Path | None:
        """The labelled file, once it is whole."""
        path = self.folder / name / "result.csv"
        return path if name.isalnum() and path.is_file() else None

    def remove(self, name: str) -> None:
        """Forget a job and its files."""
        if name.isalnum() and (path := self.folder / name).is_dir():
            for file in list(path.iterdir()):
                file.unlink()
            path.rmdir()

    def stop(self) -> None:
        """Leave off; what is not done is done after the next start."""
        self._stopping.set()
        self._queue.put(None)
        self._worker.join()

    def _work(self) -> None:
        while (name := self._queue.get()) is not None and not self._stopping.is_set():
            if not self.state(name):  # removed meanwhile
                continue
            try:
                self._label(name, self.state(name))
            except _Stopped:
                continue
            except Exception as error:  # the queue must go on
                note(f"job {name} failed: {type(error).__name__}")
                with suppress(OSError):
                    self._tell(name, **{**self.state(name), "state": "failed", "error": str(error)})

    def _label(self, name: str, state: dict[str, Any]) -> None:
        served = self.models.find(state["model"])
        if served is None:
            raise DataError(f"no model is called {state['model']!r}")
        predictor, path = served.current(), self.folder / name
        self._tell(name, **{**state, "state": "running", "done": 0})
        counts: dict[str, int] = {}
        with new_file(path / "result.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer, done = csv.writer(file), 0
            for header, rows, texts in in_pieces(read_rows(path / "input.csv", state["column"])):
                if self._stopping.is_set() or not path.is_dir():
                    raise _Stopped
                if not done:
                    writer.writerow([*header, "prediction", "confidence", *(f"p_{one}" for one in predictor.classes)])
                for row, said in zip(rows, answer(predictor, texts, None), strict=True):
                    counts[said["label"]] = counts.get(said["label"], 0) + 1
                    writer.writerow([*row, said["label"], said["confidence"], *said["probabilities"].values()])
                done += len(rows)
                self._tell(name, **{**state, "state": "running", "done": done})
        self._tell(name, **{**state, "state": "done", "done": done, "labels": counts})

    def _tell(self, name: str, **state: Any) -> None:
        write_file(self.folder / name / "state.json", json.dumps(state).encode())


def read_rows(path: Path, column: str) -> Iterator[tuple[list[str], list[str], str]]:
    """A CSV file's header, row and text, row by row.

    Raises:
        DataError: no such column, a row of another length, or no text file in UTF-8.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if column not in header:
                raise DataError(f"the file has no column {column!r}; it has {', '.join(map(repr, header)) or 'none'}")
            place = header.index(column)
            for number, row in enumerate(reader, start=1):
                if len(row) != len(header):
                    raise DataError(f"row {number} has {len(row)} cells, and the header {len(header)}")
                yield header, row, row[place]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the file cannot be read as CSV in UTF-8 ({error})") from error


def in_pieces(
    rows: Iterator[tuple[list[str], list[str], str]],
) -> Iterator[tuple[list[str], list[list[str]], list[str]]]:
    """Some rows at a time: their header, the rows, their texts."""
    piece: list[tuple[list[str], list[str], str]] = []
    for one in rows:
        piece.append(one)
        if len(piece) == ROWS:
            yield piece[0][0], [row for _, row, _ in piece], [text for *_, text in piece]
            piece = []
    if piece:
        yield piece[0][0], [row for _, row, _ in piece], [text for *_, text in piece]
