"""PyTorch's random numbers from a seed, while a training draws them."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch

_turn = RLock()  # the numbers are one sequence for all threads


@contextmanager
def leaves_random_numbers() -> Iterator[None]:
    """The caller's sequence goes on as if nothing had been drawn within it; making a network draws, too.

    Threads take turns, so that each gets the numbers that it would get alone. A function may be decorated with it.
    """
    with _turn, torch.random.fork_rng():
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While it lasts, PyTorch draws from ``seed``; the caller's own sequence goes on afterwards."""
    with leaves_random_numbers():
        torch.manual_seed(seed)
        yield
