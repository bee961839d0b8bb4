"""Where to compute, and in what precision."""

import os
from functools import cache, partial

import torch

from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.cpu_products import has_bfloat16


def find_device(name: str = "auto") -> torch.device:
    """``auto`` takes a GPU that CUDA sees, else the CPU; any other name is PyTorch's, or an OptionError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"device {name!r} is unknown; take auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device {name!r}: PyTorch sees no GPU here; take auto or cpu")
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is memory that PyTorch, on the CPU or a GPU, or NumPy did not get."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(sign in str(error) for sign in ("can't allocate memory", "not enough memory", "ALLOC_FAILED"))


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are faster than float32 ones there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and has_bfloat16()


@cache
def compute_in_forked_children() -> None:
    """With one thread: those of OpenMP, which PyTorch uses, do not survive a fork, and a child would wait for them."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))
