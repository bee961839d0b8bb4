"""What all steps of one training share: the seed, the device, and where the checkpoints are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ulmfit_lib.models.devices import find_device
from ulmfit_lib.training.checkpoints import Checkpoints, run_facts
from ulmfit_lib.training.processes import own_device


@dataclass(frozen=True, init=False)
class Run:
    """One training run; every stage takes it as ``run``.

    >>> Run(seed=1, device="cpu").device
    device(type='cpu')

    Args:
        seed: of weights, order, dropout and folds. The same seed gives the same weights.
        device: ``auto``, ``cpu``, ``cuda`` or another of PyTorch's; settled once, here.
        checkpoints: where to keep them; a run that was stopped continues from there.

    Raises:
        OptionError: an unknown device, or one that another process of this run uses.
    """

    seed: int
    device: torch.device
    checkpoints: Checkpoints | None

    def __init__(
        self, *, seed: int = 42, device: str | torch.device = "auto", checkpoints: Checkpoints | None = None
    ) -> None:
        settled = own_device(find_device(device)) if isinstance(device, str) else device
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "device", settled)
        object.__setattr__(self, "checkpoints", checkpoints)

    def within(self, name: str) -> "Run":
        """The same run with its checkpoints in a subfolder."""
        return replace(self, checkpoints=self.checkpoints.within(name)) if self.checkpoints else self

    def next_training(self) -> "Run":
        """The same run with the checkpoints of its next training."""
        return replace(self, checkpoints=self.checkpoints.next_training()) if self.checkpoints else self

    def of(self, net: nn.Module, settings: dict[str, Any], data: Callable[[], str]) -> "Run":
        """The same run, whose checkpoints are refused where weights, settings or the hash of the ``data`` differ."""
        if not self.checkpoints:
            return self
        facts = run_facts(net, {**settings, "seed": self.seed}, data())
        return replace(self, checkpoints=self.checkpoints.of(facts))
