"""Training in phases, each with its own groups, rates and schedule: what all stages have in common."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from ulmfit_lib.errors import TrainingError
from ulmfit_lib.models.devices import fast_bfloat16, is_out_of_memory
from ulmfit_lib.progress import note
from ulmfit_lib.training.learner import History, Objective, OptimizerSettings, Row, build_learner
from ulmfit_lib.training.processes import my_share
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.schedules import Phase
from ulmfit_lib.training.tracking import tracking_callbacks

Result = TypeVar("Result")


def train_phases(
    net: Any,
    phases: Sequence[Phase],
    batches: Callable[[int], tuple[Any, Any]],
    *,
    objective: Objective,
    settings: OptimizerSettings,
    run: Run,
    description: str,
    patience: int | None = None,
) -> list[Row]:
    """Train ``net`` in place, one phase after the other, in bfloat16 if that is faster on its device.

    It has ``layer_groups``, ``reset`` and ``mixed_precision`` (``models.awd_lstm``, ``models.head``); ``batches``
    gives, by the number of a phase, its training and its validation batches.

    Returns:
        One row an epoch: training and validation loss in nats; the last of a phase has its seconds, too.
    """
    rows: list[Row] = []
    net.mixed_precision = fast_bfloat16(run.device)
    for number, phase in enumerate(phases):
        if not phase.epochs:
            continue
        name = f"{description}, {phase.name}"
        train, valid = batches(number)
        history = History(name, objective, patience=patience)
        keeper = run.checkpoints.callbacks(f"phase-{number}") if run.checkpoints else []
        tracking = tracking_callbacks(name)
        callbacks = [history, *keeper, *tracking]
        learner = build_learner(
            net,
            train,
            valid,
            objective=objective,
            phase=phase,
            settings=settings,
            device=run.device,
            callbacks=callbacks,
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


def train_within_memory(
    net: nn.Module, train: Callable[[int, Run], Result], run: Run, *, max_size: int, min_size: int, unit: str
) -> Result:
    """Call ``train`` with ``max_size``; each time memory does not suffice, put ``net`` back and call it with half.

    Smaller steps keep their checkpoints apart. A TrainingError says if even ``min_size`` does not fit, or one of
    several processes lacks memory; ``unit`` is what the size counts.
    """
    before = {name: tensor.detach().cpu().clone() for name, tensor in net.state_dict().items()}
    run = run.next_training()
    size = max_size
    while True:
        try:
            return train(size, run if size == max_size else run.within(f"{size} {unit}"))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if (share := my_share()).of > 1:
                raise TrainingError(
                    f"process {share.rank + 1} of {share.of} is out of memory with its share of {size} {unit} a step: "
                    f"give a smaller batch, or start fewer processes"
                ) from error
            if size // 2 < min_size:
                raise TrainingError(
                    f"{size} {unit} a step do not fit into memory, and training needs no fewer: "
                    f"close other programs, shorten the texts, or take a smaller model"
                ) from error
        size //= 2
        note(f"out of memory: training begins again with {size} {unit} a step")
        net.zero_grad(set_to_none=True)
        net.load_state_dict(before)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
