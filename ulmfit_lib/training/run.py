"""What all steps of one training share: the seed, the device, and where the checkpoints are."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn

from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.training.checkpoints import Checkpoints, run_facts
from ulmfit_lib.training.processes import own_device

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


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
        """The same run, whose checkpoints are refused where it starts otherwise.

        Args:
            net: the weights that it starts from.
            settings: hyperparameters.
            data: makes a hash of what it is trained on.
        """
        if not self.checkpoints:
            return self
        facts = run_facts(net, {**settings, "seed": self.seed}, data())
        return replace(self, checkpoints=self.checkpoints.of(facts))


def with_former_keywords(
    **moved: str | tuple[str, Callable[[Any, Any], Any]],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Accept, with a DeprecationWarning, keywords that are attributes of another argument now.

    ``seed``, ``device`` and ``checkpoints`` are the run's; ``direction`` selects the weights of a language model.

    Args:
        moved: former keywords -> the keyword-only argument that holds them now, a dataclass or a language model. Where
            one is more than an attribute of that, also a function of the argument and the value that gives it anew.
    """
    changes = {name: place[1] for name, place in moved.items() if not isinstance(place, str)}
    homes = {name: place if isinstance(place, str) else place[0] for name, place in moved.items()}
    homes |= {"seed": "run", "device": "run", "checkpoints": "run"}

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        defaults = {name: parameter.default for name, parameter in signature(function).parameters.items()}

        @wraps(function)
        def call(*args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
            given: dict[str, Any] = {**keywords}
            for name in homes.keys() & given.keys() - defaults.keys():
                home, value = homes[name], given.pop(name)
                warnings.warn(
                    f"{function.__name__}({name}=...) is deprecated: {_advice(name, home)}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                if value is not None:
                    owner: Any = given.get(home, defaults[home]) or Run()
                    if name in changes:
                        given[home] = changes[name](owner, value)
                    elif isinstance(owner, LanguageModel):
                        given[home] = owner.only(value)
                    else:
                        given[home] = replace(owner, **{name: value})
            return function(*args, **given)

        return call

    return decorate


def _advice(name: str, home: str) -> str:
    if home == "run":
        return f"give run=Run({name}=...)"
    if home in ("base", "lm"):
        return f"give {home}={home}.only({name})"
    return f"give {home} with this {name}, as dataclasses.replace makes it"
