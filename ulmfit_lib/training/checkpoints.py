"""Training that was stopped goes on where it was: weights, optimiser, state, random numbers, place in the data."""

import hashlib
import io
import json
import time
from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import Callback, CancelEpochException
from torch import nn

from ulmfit_lib.errors import TrainingError
from ulmfit_lib.files import write_file
from ulmfit_lib.models.tensors import State
from ulmfit_lib.progress import counted
from ulmfit_lib.training.processes import all_gather, all_reduce, broadcast, is_main, my_share


def run_facts(net: nn.Module, settings: dict[str, Any], data: str) -> dict[str, str]:
    """What tells one training run from another, by name: its start, settings, and a hash of what it learns from."""
    digest = hashlib.sha256()
    for parameter in net.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    facts = {name: json.dumps(value) for name, value in settings.items()}
    return {**facts, "the text": data[:12], "the model to start from": digest.hexdigest()[:12]}


class Checkpoints:
    """Where a run keeps its checkpoints: the same run, begun again with the same folder, goes on from them.

    Each training within the run takes the next subfolder; the same run takes them in the same order.

    Args:
        folder: all of them; delete it when the run's result is safe.
        every: seconds between two writes.
        facts: what the run is made of (``run_facts``), by name; checkpoints of another run are refused.

    Examples:
        >>> Checkpoints("models/reviews.checkpoints", every=300).every
        300
    """

    def __init__(self, folder: str | Path, *, every: float = 60, facts: dict[str, str] | None = None) -> None:
        self.folder, self.every, self.facts = Path(folder), every, facts or {}
        self._trainings = 0

    def next_training(self) -> "Checkpoints":
        """Those of the next training."""
        self._trainings += 1
        return self.within(str(self._trainings))

    def within(self, name: str) -> "Checkpoints":
        """Those in a subfolder."""
        return Checkpoints(self.folder / name, every=self.every)

    def of(self, facts: dict[str, str]) -> "Checkpoints":
        """The same of a run that is made of these ``facts``."""
        return Checkpoints(self.folder, every=self.every, facts=facts)

    def callbacks(self, name: str) -> "list[Callback]":
        """What fastai's Learner needs to keep a checkpoint of this name."""
        return [Checkpointer(self.folder / f"{name}.pt", facts=self.facts, every=self.every)]


class Checkpointer(Callback):
    """Save everything every ``every`` seconds and at each epoch; at the start of ``fit``, go on from what is there.

    Of several processes the first one writes and reads, and as many must go on as have been there. A checkpoint of a
    run that is made of other ``facts`` (``run_facts``) is refused.
    """

    order = 55  # after fastai's own bookkeeping and the state's reset, before schedules read the progress

    def __init__(self, path: Path, *, facts: dict[str, str], every: float = 60) -> None:
        super().__init__()
        self.path, self.facts, self.every = path, facts, every
        self.resumed: dict[str, Any] | None = None

    def before_fit(self) -> None:
        """Take over weights and optimiser of an earlier, unfinished run."""
        self.resumed = self._load()
        self.saved_at = time.monotonic()
        if self.resumed is None:
            return
        self.learn.model.load_state_dict(self.resumed["model"])
        self.learn.history.restore(self.resumed["history"])
        torch.set_rng_state(self.resumed["own"][my_share().rank]["rng"])
        if self.resumed["epoch"] < self.learn.n_epoch:
            self.learn.opt.opt.load_state_dict(self.resumed["optimizer"])
            self.learn.dls.train.epoch = self.resumed["epoch"]

    def before_epoch(self) -> None:
        """Skip the epochs that are done."""
        if self.resumed and self.learn.epoch < self.resumed["epoch"]:
            raise CancelEpochException

    def before_train(self) -> None:
        """Skip the batches that are done, and restore the stream's state and the random numbers."""
        if self.resumed is None:
            return
        own = self.resumed["own"][my_share().rank]
        if self.resumed["batch"]:
            self.learn.dls.train.start = self.resumed["batch"]
            self.learn.pct_train = self.resumed["progress"]  # a sum of many steps: one product would round differently
            self.learn.model.state = own["state"] and _moved(own["state"], self.learn.dls.device)
            self.learn.history.restore(own["sums"])
        torch.set_rng_state(own["rng"])
        self.resumed = None

    def after_batch(self) -> None:
        """Save now and then."""
        if not self.learn.training:
            return
        due = is_main() and time.monotonic() - self.saved_at > self.every
        if all_reduce(torch.tensor(int(due))):
            self._save(self.learn.epoch, self.learn.dls.train.position)

    def after_epoch(self) -> None:
        """Save with every epoch, but not those that a resumed run skips."""
        if self.resumed is None:
            self._save(self.learn.epoch + 1, 0)

    def _save(self, epoch: int, batch: int) -> None:
        model, done = self.learn.model, epoch == self.learn.n_epoch
        state = model.state and _moved(model.state, "cpu")
        own = all_gather({"state": state, "rng": torch.get_rng_state(), "sums": self.learn.history.sums()})
        if not is_main():
            return
        buffer = io.BytesIO()
        torch.save(
            {
                "run": self.facts,
                "epoch": epoch,
                "batch": batch,
                "progress": self.learn.pct_train,
                "model": model.state_dict(),
                "optimizer": None if done else self.learn.opt.opt.state_dict(),
                "own": own,
                "history": self.learn.history.snapshot(),
            },
            buffer,
        )
        write_file(self.path, buffer.getvalue())
        self.saved_at = time.monotonic()

    def _load(self) -> dict[str, Any] | None:
        content = broadcast(self.path.read_bytes() if is_main() and self.path.is_file() else None)
        if content is None:
            return None
        anew = f"--restart begins anew, or delete {self.path.parent}"
        try:
            found: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            before: dict[str, str] = found["run"]
            count = len(found["own"])
            other = [name for name in self.facts if before.get(name, self.facts[name]) != self.facts[name]]
        except Exception as error:  # torch names no set of errors for damaged files
            raise TrainingError(f"{self.path}: this checkpoint cannot be read; {anew}") from error
        if count != my_share().of:
            raise TrainingError(
                f"{self.path} is of a run on {counted(count, 'process')}: start as many again, or {anew}"
            )
        if other:
            shown = ", ".join(f"{name} was {before[name]}, and is {self.facts[name]}" for name in other[:3])
            raise TrainingError(f"{self.path} is of a run with other settings ({shown}): give the same ones, or {anew}")
        return found


def _moved(state: State, device: str | torch.device) -> State:
    return [(hidden.to(device), cell.to(device)) for hidden, cell in state]
