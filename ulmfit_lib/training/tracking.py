"""Trainings written down as they run, for TensorBoard or MLflow: losses, settings, scores, the model; never a text."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from fastai.callback.core import Callback
from fastai.learner import Recorder

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import read_json
from ulmfit_lib.progress import note

Values = dict[str, Any]


class Tracker(Protocol):
    """Where trainings are written down."""

    def run(self, name: str) -> AbstractContextManager[None]:
        """All within it belongs together."""

    def callbacks(self, name: str, *, measured: bool) -> Sequence[Callback]:
        """What fastai's Learner needs for a training of this name, and with validation batches or without."""

    def write(self, settings: Values, scores: Values, folder: Path) -> None:
        """What a model was made with, what it is worth, and the model."""


_tracker: ContextVar[Tracker | None] = ContextVar("tracker", default=None)


@contextmanager
def track(where: str, *, name: str = "ulmfit") -> Iterator[None]:
    """Write down every training within the block: ``with track("tensorboard:runs/1"): fit_lm(...)``.

    Args:
        where: ``tensorboard:FOLDER``, a folder for each run; or ``mlflow:URI``, such as ``mlflow:sqlite:///runs.db`` or
            a server's address.
        name: of the run in MLflow.

    Raises:
        OptionError: neither of them, or its package is not installed.
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


def tracking_callbacks(name: str, *, measured: bool) -> Sequence[Callback]:
    """What writes down a training of this name; nothing outside of ``track``.

    Args:
        name: of the training and its phase.
        measured: whether there are validation batches.
    """
    tracker = _tracker.get()
    return tracker.callbacks(name, measured=measured) if tracker else ()


def track_model(folder: str | Path) -> None:
    """Within ``track``, write down a saved model: its last stage's settings, its scores and, in MLflow, itself."""
    tracker = _tracker.get()
    if not tracker:
        return
    folder = Path(folder)
    training = read_json(folder / "training.json")
    stage = training["stages"][-1]
    scores = _numbers(training.get("report") or stage.get("validation") or {})
    tracker.write(_plain({**stage, "validation": {}}), scores, folder)


class _TensorBoard:
    """fastai's own callback, a folder for each training and phase."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        from ulmfit_lib.training.tensorboard import TensorBoardLosses

        self.folder, self.losses, self.writer, self.named = folder, TensorBoardLosses, SummaryWriter, _Names()

    def run(self, name: str) -> AbstractContextManager[None]:
        """The folder is the run."""
        return nullcontext()

    def callbacks(self, name: str, *, measured: bool) -> Sequence[Callback]:
        """fastai's recorder, which has the losses, and its callback."""
        recorder = Recorder(valid_metrics=measured)
        recorder.logger = lambda _: None  # else it prints
        return [recorder, self.losses(str(self.folder / self.named(name)))]

    def write(self, settings: Values, scores: Values, folder: Path) -> None:
        """As hyperparameters, which TensorBoard shows beside the scores; the model stays where it is."""
        with self.writer(log_dir=str(self.folder)) as writer:
            writer.add_hparams({**settings, "model": str(folder)}, scores, run_name=".")


class _MLflow:
    """Losses after each epoch, and the model's folder as an artifact."""

    def __init__(self, uri: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine but to that address
        import mlflow

        self.mlflow, self.uri, self.named = mlflow, uri, _Names()

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """One of MLflow's, which fails if what is within it does."""
        before = self.mlflow.get_tracking_uri()
        self.mlflow.set_tracking_uri(self.uri)
        try:
            try:
                run = self.mlflow.start_run(run_name=name, nested=self.mlflow.active_run() is not None)
            except self.mlflow.MlflowException as error:
                raise OptionError(f"--track mlflow:{self.uri}: {str(error).splitlines()[0]}") from error
            with run:
                yield
        finally:
            self.mlflow.set_tracking_uri(before)

    def callbacks(self, name: str, *, measured: bool) -> Sequence[Callback]:
        """One callback, after the history's."""
        return [_EpochLosses(self, self.named(name.replace(",", "")))]

    def write(self, settings: Values, scores: Values, folder: Path) -> None:
        """As parameters, metrics and artifact."""
        with self.forgiving():
            self.mlflow.log_params(settings)
            self.mlflow.log_metrics(scores)
            self.mlflow.log_artifacts(str(folder), artifact_path="model")

    @contextmanager
    def forgiving(self) -> Iterator[None]:
        """A server that does not answer stops no training."""
        try:
            yield
        except self.mlflow.MlflowException as error:
            note(f"MLflow at {self.uri} did not take this, and training goes on: {str(error).splitlines()[0]}")


class _EpochLosses(Callback):
    order = 51  # after ``training.learner.History``

    def __init__(self, tracker: _MLflow, name: str) -> None:
        super().__init__()
        self.tracker, self.training, self.epochs = tracker, name, 0

    def after_epoch(self) -> None:
        """The losses of epochs that are new."""
        rows = self.learn.history.rows[self.epochs :]
        self.epochs += len(rows)
        with self.tracker.forgiving():
            for row in rows:
                means = {kind: mean for kind, mean in row.items() if kind.startswith(("train_", "valid_"))}
                named = {f"{self.training}/{kind}": mean for kind, mean in means.items()}
                self.tracker.mlflow.log_metrics(named, step=int(row["epoch"]))


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
