"""Training that does not fit into memory begins again with half as many tokens a step."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from ulmfit_lib.errors import TrainingError
from ulmfit_lib.models.devices import is_out_of_memory
from ulmfit_lib.progress import note
from ulmfit_lib.training.processes import my_share
from ulmfit_lib.training.run import Run

Result = TypeVar("Result")


def train_within_memory(
    net: nn.Module,
    train: Callable[[int, Run], Result],
    run: Run,
    *,
    max_size: int,
    min_size: int,
    unit: str,
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
