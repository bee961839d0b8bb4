"""PyTorch's random numbers from a seed, while a training draws them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock
from typing import ParamSpec, TypeVar

import torch

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_turn = RLock()  # the numbers are one sequence for all threads


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While it lasts, PyTorch draws from ``seed``; the caller's own sequence goes on afterwards.

    Threads take turns, so that each gets the numbers that it would get alone.
    """
    with _turn, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def leaves_random_numbers(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let the caller's sequence go on as if nothing had been drawn; making a network draws, too. Threads take turns."""

    @wraps(function)
    def call(*args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        with _turn, torch.random.fork_rng():
            return function(*args, **keywords)

    return call
