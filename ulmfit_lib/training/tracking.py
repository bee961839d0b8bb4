"""Trainings written down as they run, for TensorBoard or MLflow: losses, settings, scores, the model; never a text."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from fastai.callback.core import Callback

from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import OptionError, first_line
from ulmfit_lib.progress import note, quietly

Values = dict[str, Any]


class Tracker(Protocol):
    """Where trainings are written down."""

    def run(self, name: str) -> AbstractContextManager[None]:
        """All within it belongs together."""

    def callbacks(self, name: str, *, measured: bool) -> Sequence[Callback]:
        """What fastai's Learner needs for a training of this name, and with validation batches or without."""

    def write(self, settings: Values, scores: Values, folder: Path) -> None:
        """What a model was made with, what it is worth, and the model."""


# MLflow's own defaults let each call to a server that is gone wait for five minutes, tell the world of each run, and
# print an address among the results.
MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

_tracker: ContextVar[Tracker | None] = ContextVar("tracker", default=None)
_part: ContextVar[str] = ContextVar("part", default="")


@contextmanager
def track(where: str, *, name: str = "ulmfit") -> Iterator[None]:
    """Write down every training within the block: ``with track("tensorboard:runs/1"): fit_lm(...)``.

    Args:
        where: ``tensorboard:FOLDER``, a folder for each run; or ``mlflow:URI``, such as ``mlflow:sqlite:///runs.db`` or
            a server's address.
        name: of the run in MLflow.

    Raises:
        OptionError: neither of them, its package is not installed, or the place cannot be written.

    Examples:
        >>> with track("tensorboard:runs/1"):
        ...     tuned_lm = fit_lm(reviews.texts, base=lm, epochs=1)    # doctest: +SKIP
    """
    kind, _, place = where.partition(":")
    if kind not in ("tensorboard", "mlflow") or not place:
        raise OptionError(f"--track {where}: give tensorboard:FOLDER or mlflow:URI, such as mlflow:sqlite:///runs.db")
    try:
        tracker: Tracker = _TensorBoard(Path(place)) if kind == "tensorboard" else _MLflow(place)
    except ModuleNotFoundError as error:
        raise OptionError(f"--track {kind} needs more packages: pip install 'ulmfit-lib[{kind}]'") from error
    token = _tracker.set(tracker)
    try:
        with tracker.run(name):
            yield
    finally:
        _tracker.reset(token)


@contextmanager
def tracked_part(name: str) -> Iterator[None]:
    """The names of trainings within the block begin with ``name``, such as a trial's."""
    token = _part.set(f"{name}, ")
    try:
        yield
    finally:
        _part.reset(token)


def tracking_callbacks(name: str, *, measured: bool) -> Sequence[Callback]:
    """What writes down a training of this name; nothing outside of ``track``.

    Args:
        name: of the training and its phase.
        measured: whether there are validation batches.
    """
    tracker = _tracker.get()
    return tracker.callbacks(_part.get() + name, measured=measured) if tracker else ()


def track_model(folder: str | Path) -> None:
    """Within ``track``, write down a saved model: its last stage's settings, its scores and, in MLflow, itself."""
    tracker = _tracker.get()
    if not tracker:
        return
    folder = Path(folder)
    record = TrainingRecord.load(folder)
    stage = record.last.as_json()
    scores = record.report.as_json() if record.report else stage.get("validation", {})
    tracker.write(_plain({**stage, "validation": {}}), _numbers(scores), folder)


class _TensorBoard:
    """fastai's own callback, a folder for each training and phase."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        from ulmfit_lib.training import tensorboard

        self.folder, self.fastai, self.writer, self.named = folder, tensorboard, SummaryWriter, _Names()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(f"--track tensorboard:{folder}: cannot be written ({error.strerror})") from error

    def run(self, name: str) -> AbstractContextManager[None]:
        """The folder is the run."""
        return nullcontext()

    def callbacks(self, name: str, *, measured: bool) -> Sequence[Callback]:
        """fastai's recorder, which has the losses, and its callback."""
        folder = str(self.folder / self.named(name))
        return [self.fastai.quiet_recorder(), self.fastai.TensorBoardLosses(folder, measured=measured)]

    def write(self, settings: Values, scores: Values, folder: Path) -> None:
        """As hyperparameters, which TensorBoard shows beside the scores; the model stays where it is."""
        with self.writer(log_dir=str(self.folder)) as writer:
            writer.add_hparams({**settings, "model": str(folder)}, scores, run_name=".")


class _MLflow:
    """Losses after each epoch, and the model's folder as an artifact.

    What a server does not take, because it no longer answers, waits until the model is written.
    """

    def __init__(self, uri: str) -> None:
        for name, value in MLFLOW_DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.mlflow, self.uri, self.named = mlflow, uri, _Names()
        self.waiting: list[tuple[Values, int]] = []
        self.gone = False

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

    def callbacks(self, name: str, *, measured: bool) -> Sequence[Callback]:
        """One callback, after the history's."""
        return [_EpochLosses(self, self.named(name))]

    def tell(self, losses: Values, *, epoch: int) -> None:
        """Write an epoch's losses down."""
        self.waiting.append((_named_for_mlflow(losses), epoch))
        self.attempt(self._send, later="; training goes on, and losses are sent again when the model is saved")
        if not self.gone:  # sent, or refused
            self.waiting.clear()

    def write(self, settings: Values, scores: Values, folder: Path) -> None:
        """As parameters, metrics and artifact."""
        self.gone = False
        self.attempt(self._send)
        self.attempt(lambda: self.mlflow.log_params(_named_for_mlflow(settings)))
        self.attempt(lambda: self.mlflow.log_metrics(_named_for_mlflow(scores)))
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


class _EpochLosses(Callback):
    order = 51  # after ``training.learner.History``

    def __init__(self, tracker: _MLflow, name: str) -> None:
        super().__init__()
        self.tracker, self.training, self.epochs = tracker, name, 0

    def after_epoch(self) -> None:
        """The losses of epochs that are new."""
        rows = self.learn.history.rows[self.epochs :]
        self.epochs += len(rows)
        for row in rows:
            means = {kind: mean for kind, mean in row.items() if kind.startswith(("train_", "valid_"))}
            losses = {f"{self.training}/{kind}": mean for kind, mean in means.items()}
            self.tracker.tell(losses, epoch=int(row["epoch"]))


class _Names:
    """Numbers what comes again, such as the trainings of several folds."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def __call__(self, name: str) -> str:
        self.seen[name] += 1
        return name if self.seen[name] == 1 else f"{name} {self.seen[name]}"


def _plain(record: Mapping[str, Any]) -> Values:
    """What is no list and no table; of tables within, such as dropouts, each entry.

    >>> _plain({"lr": 0.1, "dropouts": {"input": 0.2}, "history": {"forward": [1]}, "clip": None})
    {'lr': 0.1, 'dropouts.input': 0.2}
    """
    found: Values = {}
    for name, value in record.items():
        inner = _plain(value) if isinstance(value, dict) and name != "versions" else {}
        found |= {f"{name}.{key}": one for key, one in inner.items()}
        if isinstance(value, str | int | float):
            found[name] = value
    return found


def _numbers(record: Mapping[str, Any]) -> Values:
    """The numbers among ``_plain``, named for MLflow and TensorBoard: scores, and no sentence."""
    return {
        name.replace(".", "/"): float(value) for name, value in _plain(record).items() if isinstance(value, int | float)
    }


def _named_for_mlflow(values: Values) -> Values:
    """The same under names that MLflow takes, which those of labels may not be.

    >>> _named_for_mlflow({"f1/so-so, or/worse?/": 0.5})
    {'f1/so-so or/worse_': 0.5}
    """
    names = (re.sub("/[./]*", "/", re.sub(r"[^\w./ -]", "_", name.replace(",", ""))).strip("/") for name in values)
    return dict(zip(map(_Names(), names), values.values(), strict=True))  # two labels may come to one name
