"""Trainings written down as they run, for TensorBoard or MLflow: losses, settings, scores, the model; never a text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from fastai.callback.core import Callback

from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import OptionError

Values = dict[str, Any]


class Tracker(Protocol):
    """Where trainings are written down."""

    every_batch: bool  # it shows batches, too

    def run(self, name: str) -> AbstractContextManager[None]:
        """All within it belongs together."""

    def log(self, training: str, values: Values, *, batch: int, epoch: int | None = None) -> None:
        """Numbers of a training of this name after so many batches; with ``epoch``, of a whole epoch."""

    def log_model(self, settings: Values, scores: Values, folder: Path) -> None:
        """What a model was made with, what it is worth, and the model."""


_tracker: ContextVar[Tracker | None] = ContextVar("tracker", default=None)
_part: ContextVar[str] = ContextVar("part", default="")
_titles: ContextVar[Counter[str]] = ContextVar("titles")


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
        tracker = _make(kind, place)
    except ModuleNotFoundError as error:
        raise OptionError(f"--track {kind} needs more packages: pip install 'ulmfit-lib[{kind}]'") from error
    token, titles = _tracker.set(tracker), _titles.set(Counter())
    try:
        with tracker.run(name):
            yield
    finally:
        _tracker.reset(token)
        _titles.reset(titles)


def _make(kind: str, place: str) -> Tracker:
    if kind == "tensorboard":
        return TensorBoardTracker(Path(place))
    from ulmfit_lib.training.mlflow_tracker import MLflowTracker

    return MLflowTracker(place)


@contextmanager
def tracked_part(name: str) -> Iterator[None]:
    """The names of trainings within the block begin with ``name``, such as a trial's."""
    token = _part.set(f"{name}, ")
    try:
        yield
    finally:
        _part.reset(token)


def tracking_callbacks(training: str) -> Sequence[Callback]:
    """What writes down a training of this name; nothing outside of ``track``."""
    tracker = _tracker.get()
    return [TrackedLosses(tracker, _numbered(_part.get() + training))] if tracker else []


def _numbered(title: str) -> str:
    """With a number where it comes again, such as the trainings of several folds."""
    seen = _titles.get()
    seen[title] += 1
    return title if seen[title] == 1 else f"{title} {seen[title]}"


def track_model(folder: str | Path) -> None:
    """Within ``track``, write down a saved model: its last stage's settings, its scores and, in MLflow, itself."""
    tracker = _tracker.get()
    if not tracker:
        return
    folder = Path(folder)
    record = TrainingRecord.load(folder)
    stage = record.last.as_json()
    scores = record.report.as_json() if record.report else stage.get("validation", {})
    tracker.log_model(_plain({**stage, "validation": {}}), _numbers(scores), folder)


class TrackedLosses(Callback):
    """Hands losses and learning rates of a training of this ``title`` to a tracker."""

    order = 56  # after a checkpoint has restored history and progress

    def __init__(self, tracker: Tracker, title: str) -> None:
        super().__init__()
        self.tracker, self.title, self.epochs = tracker, title, 0

    def after_batch(self) -> None:
        """The mean loss of the last batches, and the rate of each group."""
        if self.learn.training and self.tracker.every_batch:
            batches, recent = self.learn.n_epoch * len(self.learn.dls.train), self.learn.history.recent
            rates = {f"lr_{group}": settings["lr"] for group, settings in enumerate(self.learn.opt.hypers)}
            losses = {"train_loss": sum(recent) / len(recent), **rates}
            self.tracker.log(self.title, losses, batch=round(self.learn.pct_train * batches))

    def after_epoch(self) -> None:
        """The losses of epochs that are new; a validation loss only where there are validation batches."""
        kinds = ("train_", "valid_") if len(self.learn.dls.valid) else ("train_",)
        rows = self.learn.history.rows[self.epochs :]
        self.epochs += len(rows)
        for row in rows:
            epoch, losses = int(row["epoch"]), {kind: mean for kind, mean in row.items() if kind.startswith(kinds)}
            self.tracker.log(self.title, losses, batch=epoch * len(self.learn.dls.train), epoch=epoch)


class TensorBoardTracker:
    """Trainings in TensorBoard: a folder for each, in one that must be writable, of losses and learning rates."""

    every_batch = True

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.make_writer = folder, SummaryWriter
        self.writers: dict[str, Any] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(f"--track tensorboard:{folder}: cannot be written ({error.strerror})") from error

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """The folder is the run."""
        try:
            yield
        finally:
            for writer in self.writers.values():
                writer.close()

    def log(self, training: str, values: Values, *, batch: int, epoch: int | None = None) -> None:
        """As curves over batches; of an epoch, those of validation."""
        if training not in self.writers:
            self.writers[training] = self.make_writer(str(self.folder / training))
        for name, value in values.items():
            if epoch is None or name.startswith("valid_"):
                self.writers[training].add_scalar(name, value, batch)
        if epoch is not None:
            self.writers[training].flush()

    def log_model(self, settings: Values, scores: Values, folder: Path) -> None:
        """As hyperparameters, which TensorBoard shows beside the scores; the model stays where it is."""
        with self.make_writer(log_dir=str(self.folder)) as writer:
            writer.add_hparams({**settings, "model": str(folder)}, scores, run_name=".")


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
