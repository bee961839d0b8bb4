"""fastai's Learner, put together for our models; for fastai users, the way out of the library."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from fastai.callback.core import Callback, CancelFitException, TrainEvalCallback
from fastai.callback.rnn import ModelResetter
from fastai.callback.schedule import ParamScheduler
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper

from ulmfit_lib.errors import TrainingError
from ulmfit_lib.progress import NotebookBar, bar, note
from ulmfit_lib.training.processes import SharedSteps, all_reduce, my_share
from ulmfit_lib.training.schedules import Phase

Row = dict[str, float]
Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Weigh = Callable[[torch.Tensor], float]
RECENT, EXPLODED = 20, 3.0  # so many batches whose mean loss is so many times that of the first ones


class OptimizerSettings(Protocol):
    """What AdamW takes from a recipe."""

    @property
    def betas(self) -> tuple[float, float]:
        """Its momenta."""

    @property
    def weight_decay(self) -> float:
        """Decoupled."""

    @property
    def clip(self) -> float:
        """The largest gradient norm; 0 clips nothing."""


@dataclass(frozen=True)
class Objective:
    """What a network is trained for."""

    loss: Callable[..., torch.Tensor]  # of the network's output and the targets
    weigh: Weigh = torch.numel  # targets -> over how much the loss is a mean
    # Of the network's output and the targets, which is shown beside the loss; None shows none.
    accuracy: Metric | None = None


class History(Callback):
    """Losses per epoch, the best epoch's weights, early stopping, and the progress bar.

    After ``patience`` epochs without a better validation loss, training stops, and ends with the weights of the best
    one; 0 never stops. None keeps the last weights.
    """

    order = 50

    def __init__(self, description: str, objective: Objective, *, patience: int | None = None) -> None:
        super().__init__()
        self.description, self.objective, self.patience = description, objective, patience
        self.rows: list[Row] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_loss, self.best_epoch = math.inf, -1
        self.recent: list[float] = []  # losses of the last batches
        self.first = math.inf  # their mean when there were enough for the first time

    def before_fit(self) -> None:
        """Open the bar."""
        self.trained = False
        self.bar = bar(total=self.learn.n_epoch * len(self.learn.dls.train), description=self.description, unit="batch")

    def before_train(self) -> None:
        """Start an epoch's sums."""
        self.trained = True
        self._start_sums()

    def before_validate(self) -> None:
        """Keep the training loss, and start the validation's sums."""
        self.training_means = self._means()
        self._start_sums()

    def _start_sums(self) -> None:
        names = ("loss", "accuracy") if self.objective.accuracy else ("loss",)
        self.totals, self.weights = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)

    def _means(self) -> Row:
        """Of all processes; none where there was no batch."""
        sums = torch.tensor([[*self.totals.values()], [*self.weights.values()]], dtype=torch.float64)
        means = zip(self.totals, *all_reduce(sums).tolist(), strict=True)
        return {name: total / weight for name, total, weight in means if weight}

    def after_batch(self) -> None:
        """Add up the loss; a loss that is no number ends the training."""
        truth, loss = self.learn.yb[0], float(self.learn.loss.detach())
        self._add("loss", loss, self.objective.weigh(truth))
        if self.objective.accuracy:
            self._add("accuracy", float(self.objective.accuracy(self.learn.pred.detach(), truth)), truth.numel())
        if self.learn.training:
            self._watch(loss)
            means = {name: f"{total / self.weights[name]:.3f}" for name, total in self.totals.items()}
            self.bar.set_postfix(**means, refresh=False)
            self.bar.update(round(self.learn.pct_train * self.bar.total) - self.bar.n)

    def _add(self, name: str, value: float, weight: float) -> None:
        self.totals[name] += value * weight
        self.weights[name] += weight

    def _watch(self, loss: float) -> None:
        """Stop where the loss is no number, or has grown far beyond what it was at first; keep the best epoch."""
        self.recent = [*self.recent[-RECENT + 1 :], loss]
        average = sum(self.recent) / len(self.recent)
        if len(self.recent) == RECENT and math.isinf(self.first):
            self.first = average
        if math.isfinite(average) and average <= EXPLODED * max(self.first, 1.0):
            return
        said = (
            f"the training loss is {loss:.4g} in epoch {self.learn.epoch + 1}, batch {self.learn.iter + 1}; "
            f"try a lower learning rate (--lr)"
        )
        if not self.best:
            raise TrainingError(said)
        note(f"stopped: {said}; the weights of epoch {self.best_epoch + 1}, the best so far, are kept")
        raise CancelFitException

    def after_epoch(self) -> None:
        """Write the epoch down, unless a resumed run skipped it; keep its weights if it is the best."""
        if not self.trained:
            return
        trained, measured = self.training_means, self._means()
        valid_loss = measured.get("loss", trained.get("loss", 0.0))
        row = {f"train_{name}": mean for name, mean in trained.items()}
        row |= {"valid_loss": valid_loss, **{f"valid_{name}": mean for name, mean in measured.items()}}
        self.rows.append({"epoch": self.learn.epoch + 1, **row})
        if isinstance(self.bar, NotebookBar):
            shown = {f"training_{name}": f"{mean:.4f}" for name, mean in trained.items()}
            shown |= {f"validation_{name}": f"{measured[name]:.4f}" if measured else "–" for name in trained}
            self.bar.add_row(epoch=str(self.learn.epoch + 1), **shown)
        if valid_loss < self.best_loss:
            self.best_loss, self.best_epoch = valid_loss, self.learn.epoch
            if self.patience is not None:
                self.best = {name: tensor.detach().clone() for name, tensor in self.learn.model.state_dict().items()}
        elif self.patience and self.learn.epoch - self.best_epoch >= self.patience:
            raise CancelFitException

    def after_fit(self) -> None:
        """Go back to the best epoch's weights."""
        self.bar.close()
        if self.best:
            self.learn.model.load_state_dict(self.best)

    def snapshot(self) -> dict[str, Any]:
        """For a checkpoint."""
        best = {"best": self.best, "best_loss": self.best_loss, "best_epoch": self.best_epoch}
        return {"rows": self.rows, "recent": self.recent, "first": self.first, **best}

    def sums(self) -> dict[str, Any]:
        """Of this process in this epoch, for a checkpoint."""
        return {"totals": self.totals, "weights": self.weights}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """From a checkpoint."""
        for name, value in snapshot.items():
            setattr(self, name, value)


def build_learner(
    model: Any,
    train: Any,
    valid: Any,
    *,
    objective: Objective,
    phase: Phase,
    settings: OptimizerSettings,
    device: torch.device,
    callbacks: Sequence[Callback] = (),
) -> Learner:
    """A fastai Learner with AdamW, one rate per parameter group and a schedule over the whole run.

    The model's ``reset`` is called where texts start, and its ``layer_groups`` gives its parameters, lowest group
    first. Batches have a length and ``to(device)``; those of validation, measured after each epoch, may be empty.
    """
    scheduler = ParamScheduler({"lr": lambda progress: [lr * phase.schedule(progress) for lr in phase.lrs]})
    clipping = [GradientClip(settings.clip)] if settings.clip else []
    shared = [SharedSteps(objective.weigh)] if my_share().of > 1 else []
    adamw = {"opt": torch.optim.AdamW, "betas": settings.betas, "weight_decay": settings.weight_decay, "fused": True}
    return Learner(
        DataLoaders(train, valid, device=device),
        model.to(device),
        loss_func=objective.loss,
        opt_func=partial(OptimWrapper, **adamw),
        splitter=type(model).layer_groups,
        cbs=[TrainEvalCallback, ModelResetter, scheduler, *shared, *clipping, *callbacks],
        default_cbs=False,
    )
