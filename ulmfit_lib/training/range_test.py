"""How the loss answers to the learning rate: one short training while the rate grows (Smith 2017, section 3.3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import minimum, slide, steep, valley
from fastai.learner import AvgSmoothLoss

from ulmfit_lib.errors import DataError
from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.progress import bar
from ulmfit_lib.training.learner import Objective, OptimizerSettings, build_learner
from ulmfit_lib.training.schedules import Phase

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
TOO_HIGH = 4.0  # times the lowest loss: no higher rate is tried
FIRST, LAST, FEWEST = STEPS // 10, 5, 20  # steps that suggestions leave out at both ends, and how many they need
SUGGESTIONS = (valley, slide, steep, minimum)


@dataclass(frozen=True)
class LearningRates:
    """What a range test found."""

    # (n,) that were tried, of the group with the highest one; the other groups' kept their proportion.
    rates: list[float]
    losses: list[float]  # (n,) nats, smoothed
    # Rates by the name of what suggests them in fastai; empty where the loss exploded too early.
    suggestions: dict[str, float]
    recipe: float  # the rate that the recipe takes


def range_test(
    net: Any,
    batches: tuple[Any, Any],
    lrs: Sequence[float],
    *,
    objective: Objective,
    settings: OptimizerSettings,
    device: torch.device,
    description: str,
) -> LearningRates:
    """Train ``net`` for a hundred steps while the rate grows from 1e-7 to 10, and end where the loss explodes.

    It is of no use afterwards. ``batches`` are to train on, and an empty one; ``lrs`` the recipe's rate of each group,
    whose proportion is kept.
    """
    per_epoch, highest = len(batches[0]), max(lrs)
    if not per_epoch:
        raise DataError("too few texts to try learning rates on; give more")
    epochs = math.ceil(STEPS / per_epoch)
    shares = [lr / highest for lr in lrs]
    phase = Phase(description, 0, epochs, shares, lambda progress: _rate(progress * epochs * per_epoch))
    sweep = _Sweep(description)
    net.mixed_precision = fast_bfloat16(device)
    build_learner(
        net, *batches, objective=objective, phase=phase, settings=settings, device=device, callbacks=[sweep]
    ).fit(epochs)
    rates = [_rate(step) for step in range(len(sweep.losses))]
    return LearningRates(rates, sweep.losses, suggest(rates, sweep.losses), highest)


def suggest(rates: Sequence[float], losses: Sequence[float]) -> dict[str, float]:
    """What fastai's functions take from the curve, without its ends."""
    kept = slice(FIRST, len(rates) - LAST)
    tried, found = torch.tensor(rates[kept]), torch.tensor(losses[kept])
    if len(tried) < FEWEST:
        return {}
    return {function.__name__: float(function(tried, found, len(tried))[0]) for function in SUGGESTIONS}


def _rate(step: float) -> float:
    return LOWEST * float((HIGHEST / LOWEST) ** (step / (STEPS - 1)))


class _Sweep(Callback):
    """Writes the smoothed loss of each step down, and ends the training."""

    def __init__(self, description: str) -> None:
        super().__init__()
        self.description, self.smooth = description, AvgSmoothLoss()
        self.losses: list[float] = []

    def before_fit(self) -> None:
        """Open the bar."""
        self.smooth.reset()
        self.bar = bar(total=STEPS, description=self.description, unit="step")

    def after_batch(self) -> None:
        """Stop after the last step, and where the loss explodes."""
        self.smooth.accumulate(self.learn)
        now = float(self.smooth.value)
        if not math.isfinite(now):
            raise CancelFitException
        self.losses.append(now)
        self.bar.update(1)
        if len(self.losses) == STEPS or now > TOO_HIGH * min(self.losses):
            raise CancelFitException

    def after_fit(self) -> None:
        """Close the bar."""
        self.bar.close()
