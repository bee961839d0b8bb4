"""Training on several processes: each reads its rows of every batch, and all take the same steps.

The gradients of all processes are added up before each step, so that every copy of the model stays what one process
would make of the whole batch. ``accelerate launch`` or ``torchrun`` starts the processes, and torch.distributed adds.
fastai's ``distrib_ctx`` is not used: its DistributedSampler deals out texts, which tears a token stream apart, and
fills the last batch up with rows that were there before; its DistributedDataParallel averages processes where rows
should count, and hides the model's state.
"""

import os
import platform
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from fastai.callback.core import Callback
from torch import Tensor, nn

from ulmfit_lib.errors import OptionError, TrainingError
from ulmfit_lib.models.devices import is_out_of_memory
from ulmfit_lib.tokens.workers import end_with_parent

TIMEOUT = timedelta(minutes=30)  # that a process waits for the others; one that is killed is noticed at once
Value = TypeVar("Value")


@dataclass(frozen=True)
class Share:
    """The rows of a batch that are one process's: every ``of``-th from ``rank`` on.

    >>> list(range(5))[Share(1, 2).rows]
    [1, 3]
    """

    rank: int = 0
    of: int = 1

    @property
    def rows(self) -> slice:
        """Among all rows of a batch."""
        return slice(self.rank, None, self.of)

    def seed(self, seed: int) -> int:
        """One for each process, so that their dropout differs; the first one's is ``seed``."""
        return seed if self.rank == 0 else int(np.random.SeedSequence([seed, self.rank]).generate_state(1)[0])


_share = Share()


def my_share() -> Share:
    """This process's; everything outside ``joined``."""
    return _share


@contextmanager
def joined() -> Iterator[None]:
    """Meet the processes that were started with this one; all but the first are silent from then on.

    Where several end with an error, the first to do so lets it pass, and the others exit without a word. On Linux, a
    launcher that is killed takes its processes along. An OptionError says if it started one process where several were
    asked for.
    """
    global _share
    if "WORLD_SIZE" not in os.environ:
        raise OptionError(
            "accelerate has started one process only: give it --multi_gpu, which works without a GPU, too, and leave "
            "out --cpu; in its configuration file that is `distributed_type: MULTI_GPU` and `use_cpu: false`"
        )
    end_with_parent(signal.SIGTERM)
    store, rank, count = next(dist.rendezvous("env://", timeout=TIMEOUT))
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % gpus)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if gpus else "gloo",
        store=dist.PrefixStore("group", store),
        rank=rank,
        world_size=count,
        timeout=TIMEOUT,
    )
    _share = Share(rank, count)
    try:
        with ExitStack() as silence:
            if rank:
                nowhere = silence.enter_context(open(os.devnull, "w"))  # noqa: PTH123
                silence.enter_context(redirect_stdout(nowhere))
                silence.enter_context(redirect_stderr(nowhere))
            yield
    except BaseException:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # it is ending, and the launcher will say so to all
        if not _first_to_end(store):
            time.sleep(1)  # a launcher ends all processes when one ends: let the first one speak
            sys.exit(2)
        raise
    finally:
        _share = Share()
    dist.destroy_process_group()


def is_main() -> bool:
    """Whether this is the first process, which writes and speaks for all."""
    return _share.rank == 0


def all_reduce(tensor: Tensor) -> Tensor:
    """The tensor itself, holding the sum over all processes' now."""
    if _share.of > 1:
        with _collective():
            dist.all_reduce(tensor)
    return tensor


def all_gather(value: Value) -> list[Value]:
    """Every process's value, by rank."""
    if _share.of == 1:
        return [value]
    found: list[Any] = [None] * _share.of
    with _collective():
        dist.all_gather_object(found, value)
    return found


def broadcast(value: Value) -> Value:
    """The first process's value."""
    found = [value]
    if _share.of > 1:
        with _collective():
            dist.broadcast_object_list(found)
    return found[0]


def check_equal(facts: Callable[[], object]) -> None:
    """Raise a TrainingError unless all processes train on the same: hashes, recipes and the like."""
    if _share.of > 1 and len(set(all_gather(repr(facts())))) > 1:
        raise TrainingError("the processes have not read the same files, or were not given the same options")


def own_device(device: torch.device) -> torch.device:
    """The same, which is a GPU of this process's own if it is one: NCCL wants no two processes on one."""
    if _share.of > 1 and device.type == "cuda":
        number = torch.cuda.current_device() if device.index is None else device.index
        places = all_gather((platform.node(), os.environ.get("CUDA_VISIBLE_DEVICES"), number))
        if len(set(places)) < len(places):
            raise OptionError(
                f"device {str(device)!r}: several processes would train on one GPU; start as many as there are GPUs, "
                f"and take cuda or auto, which give each its own"
            )
    return device


def share_model(net: nn.Module) -> None:
    """Begin with the first process's weights, and let batch normalisation see the rows of all processes."""
    if _share.of == 1:
        return
    with _collective():
        for tensor in net.state_dict().values():
            dist.broadcast(tensor, src=0)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm1d:
                shared = SharedBatchNorm(child.num_features, eps=child.eps, momentum=child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared)


class SharedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the rows of all processes; torch's own, SyncBatchNorm, needs GPUs."""

    def forward(self, input: Tensor) -> Tensor:
        """(rows, width) -> the same shape."""
        if not self.training:
            return super().forward(input)
        count = float(all_reduce(torch.tensor(float(len(input)))))
        mean = _Sum.apply(input.sum(0)) / count
        variance = _Sum.apply((input - mean).square().sum(0)) / count
        with torch.no_grad():
            cast(Tensor, self.num_batches_tracked).add_(1)
            cast(Tensor, self.running_mean).lerp_(mean, cast(float, self.momentum))
            cast(Tensor, self.running_var).lerp_(variance * count / (count - 1), cast(float, self.momentum))
        return (input - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias


class _Sum(torch.autograd.Function):
    """A sum over processes: each one's loss depends on every one's rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return all_reduce(tensor.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return all_reduce(gradients[0].clone())


class SharedSteps(Callback):
    """Each process's loss counts by its share of the batch, and the gradients are added up.

    Clipping and weight decay come afterwards, on what is the same in all processes. ``weigh`` says, by its targets,
    over how much the loss is a mean, such as their number.
    """

    def __init__(self, weigh: Callable[[Tensor], float]) -> None:
        super().__init__()
        self.weigh = weigh

    def before_backward(self) -> None:
        """Scale the loss that is derived, and show that of the whole batch."""
        weight = self.weigh(self.learn.yb[0])
        loss = weight * float(self.learn.loss.detach())
        total, loss = all_reduce(torch.tensor([weight, loss], dtype=torch.float64)).tolist()
        self.learn.loss_grad = self.learn.loss_grad * (weight / total)
        self.learn.loss = torch.tensor(loss / total)

    def after_backward(self) -> None:
        """Add up, all tensors in one piece."""
        gradients = [parameter.grad for parameter in self.learn.model.parameters() if parameter.grad is not None]
        sums = all_reduce(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, piece in zip(gradients, sums.split([one.numel() for one in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))


def _first_to_end(store: dist.Store) -> bool:
    try:
        return store.add("ended", 1) == 1
    except RuntimeError:  # the store has ended, too: with the launcher or, where it has none, with the first process
        return is_main() or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"


@contextmanager
def _collective() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        reason = re.sub(r"^\[[^]]*\] ", "", str(error)).split(". ")[0]  # gloo says where in its source, and more
        raise TrainingError(
            f"process {_share.rank + 1} of {_share.of} has lost another one, which may have been killed ({reason}); "
            f"the same command continues from the last checkpoint"
        ) from error
