"""Training in phases, each with its own groups, rates and schedule: what all stages have in common."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.learner import History, Metric, Row, Weigh, build_learner
from ulmfit_lib.training.schedules import Schedule
from ulmfit_lib.training.tracking import tracking_callbacks


@dataclass(frozen=True)
class Phase:
    """One call of fastai's ``fit``.

    Attributes:
        name: what the progress bar says.
        first_group: the lowest parameter group that trains; those below stay as they are.
        epochs: how long; 0 leaves the phase out.
        lrs: the maximal rate of each group, lowest group first.
        schedule: progress in [0, 1] -> share of the maximal rate.
    """

    name: str
    first_group: int
    epochs: int
    lrs: Sequence[float]
    schedule: Schedule


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


def train_phases(
    net: Any,
    phases: Sequence[Phase],
    batches: Callable[[int], tuple[Any, Any]],
    *,
    loss: Callable[..., Tensor],
    weigh: Weigh = torch.numel,
    settings: OptimizerSettings,
    device: torch.device,
    description: str,
    keep_best: bool,
    patience: int = 0,
    accuracy: Metric | None = None,
    checkpoints: Checkpoints | None = None,
    run: dict[str, str],
) -> list[Row]:
    """Train ``net`` in place, one phase after the other.

    Args:
        net: a network with ``layer_groups``, ``reset`` and ``mixed_precision`` (``models.awd_lstm``,
            ``models.classifier_net``).
        phases: what trains when.
        batches: the number of a phase -> its training and validation batches.
        loss: of the network's output and the targets.
        weigh: targets -> over how much the loss is a mean.
        settings: of the optimiser.
        device: where to train, in bfloat16 if that is faster there.
        description: what the progress bar says.
        keep_best: end each phase with the weights of its best epoch rather than its last.
        patience: epochs without a better validation loss after which a phase stops; 0 never stops.
        accuracy: of the network's output and the targets, which is shown beside the loss.
        checkpoints: where to keep them; a run that was stopped goes on from there.
        run: what tells this run from another (``checkpoints.run_facts``).

    Returns:
        One row an epoch: training and validation loss in nats; the last of a phase has its seconds, too.
    """
    rows: list[Row] = []
    net.mixed_precision = fast_bfloat16(device)
    for number, phase in enumerate(phases):
        if not phase.epochs:
            continue
        history = History(
            f"{description}, {phase.name}", patience=patience, keep_best=keep_best, accuracy=accuracy, weigh=weigh
        )
        train, valid = batches(number)
        tracking = tracking_callbacks(f"{description}, {phase.name}", measured=len(valid) > 0)
        keeper = checkpoints.callbacks(f"phase-{number}", run) if checkpoints else []
        learner = build_learner(
            net,
            train,
            valid,
            loss=loss,
            weigh=weigh,
            groups=type(net).layer_groups,
            lrs=phase.lrs,
            schedule=phase.schedule,
            device=device,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            clip=settings.clip,
            callbacks=[history, *keeper, *tracking],
        )
        learner.create_opt()
        learner.freeze_to(phase.first_group)
        started = time.monotonic()
        learner.fit(phase.epochs)
        rows += [{**row, "epoch": len(rows) + 1 + i} for i, row in enumerate(history.rows)]
        rows[-1]["phase_seconds"] = time.monotonic() - started
    net.mixed_precision = False
    net.reset()
    return rows
