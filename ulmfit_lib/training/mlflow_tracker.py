"""Trainings in MLflow: losses after each epoch, and the model's folder as an artifact."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import OptionError, first_line
from ulmfit_lib.progress import note, quietly

# MLflow's own defaults let each call to a server that is gone wait for five minutes, tell the world of each run, and
# print an address among the results.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MLflowTracker:
    """A run of MLflow's. What a server does not take, as it no longer answers, waits until the model is written."""

    every_batch = False

    def __init__(self, uri: str) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.mlflow, self.uri, self.gone = mlflow, uri, False
        self.waiting: list[tuple[dict[str, Any], int | None]] = []

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """One of MLflow's, which fails if what is within it does."""
        before = self.mlflow.get_tracking_uri()
        self.mlflow.set_tracking_uri(self.uri)
        try:
            try:
                self.mlflow.start_run(run_name=name, nested=self.mlflow.active_run() is not None)
            except Exception as error:  # of MLflow, of its database, of the network
                raise OptionError(f"--track mlflow:{self.uri}: {first_line(error)}") from error
            status = "FAILED"
            try:
                yield
                status = "FINISHED"
            finally:
                gone, self.gone = self.gone, False
                with quietly(gone):  # it was said already
                    self.attempt(lambda: self.mlflow.end_run(status))
        finally:
            self.mlflow.set_tracking_uri(before)

    def log(self, training: str, values: dict[str, Any], *, batch: int, epoch: int | None = None) -> None:
        """Write an epoch's losses down."""
        losses = {f"{training}/{kind}": mean for kind, mean in values.items()}
        self.waiting.append((_renamed(losses), epoch))
        self.attempt(self._send, later="; training goes on, and losses are sent again when the model is saved")
        if not self.gone:  # sent, or refused
            self.waiting.clear()

    def log_model(self, settings: dict[str, Any], scores: dict[str, Any], folder: Path) -> None:
        """As parameters, metrics and artifact."""
        self.gone = False
        self.attempt(self._send)
        self.attempt(lambda: self.mlflow.log_params(_renamed(settings)))
        self.attempt(lambda: self.mlflow.log_metrics(_renamed(scores)))
        self.attempt(lambda: self.mlflow.log_artifacts(str(folder), artifact_path="model"))

    def attempt(self, send: Callable[[], object], *, later: str = "") -> None:
        """Send something, unless the server is gone: what goes wrong with it stops no training."""
        if self.gone:
            return
        try:
            send()
        except Exception as error:  # of MLflow, of its database, of the network, of the disk
            answered = isinstance(error, self.mlflow.exceptions.RestException)
            self.gone = not answered and getattr(error, "error_code", "") == "INTERNAL_ERROR"
            note(f"MLflow at {self.uri} did not take this ({first_line(error)}){later}")

    def _send(self) -> None:
        while self.waiting:
            losses, epoch = self.waiting[0]
            self.mlflow.log_metrics(losses, step=epoch)
            self.waiting.pop(0)


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The same under names that MLflow takes, which those of labels may not be.

    >>> _renamed({"f1/so-so, or/worse?/": 0.5})
    {'f1/so-so or/worse_': 0.5}
    """
    names = (re.sub("/[./]*", "/", re.sub(r"[^\w./ -]", "_", name.replace(",", ""))).strip("/") for name in values)
    seen: Counter[str] = Counter()
    found: dict[str, Any] = {}
    for name, value in zip(names, values.values(), strict=True):
        seen[name] += 1  # two labels may come to one name
        found[name if seen[name] == 1 else f"{name} {seen[name]}"] = value
    return found
