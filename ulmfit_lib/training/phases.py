"""Training in phases, each with its own groups, rates and schedule: what all stages have in common."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.training.learner import History, Objective, OptimizerSettings, Row, build_learner
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.schedules import Phase
from ulmfit_lib.training.tracking import tracking_callbacks


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

    Args:
        net: a network with ``layer_groups``, ``reset`` and ``mixed_precision`` (``models.awd_lstm``,
            ``models.classifier_net``).
        phases: what trains when.
        batches: the number of a phase -> its training and validation batches.
        objective: what it is trained for.
        settings: of the optimiser.
        run: device and checkpoints.
        description: what the progress bar says.
        patience: of ``History``.

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
