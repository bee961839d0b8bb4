"""Trainings in TensorBoard: a folder for each, with the losses and learning rates of batches and epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from ulmfit_lib.errors import OptionError


class TensorBoardTracker:
    """A folder of event files; an OptionError where it cannot be written."""

    every_batch = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, SummaryWriter] = {}
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

    def log(self, training: str, values: dict[str, Any], *, batch: int, epoch: int | None = None) -> None:
        """As curves over batches; of an epoch, those of validation."""
        if training not in self.writers:
            self.writers[training] = SummaryWriter(str(self.folder / training))
        for name, value in values.items():
            if epoch is None or name.startswith("valid_"):
                self.writers[training].add_scalar(name, value, batch)
        if epoch is not None:
            self.writers[training].flush()

    def log_model(self, settings: dict[str, Any], scores: dict[str, Any], folder: Path) -> None:
        """As hyperparameters, which TensorBoard shows beside the scores; the model stays where it is."""
        with SummaryWriter(log_dir=str(self.folder)) as writer:
            writer.add_hparams({**settings, "model": str(folder)}, scores, run_name=".")
