"""Processes that share the work, where the platform forks."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ulmfit_lib.errors import TrainingError

Item = TypeVar("Item")
Result = TypeVar("Result")
SIGNAL_AT_PARENTS_END = 1  # PR_SET_PDEATHSIG of Linux's prctl


def worker_count() -> int:
    """The cores that this process may use; 1 where workers would have to start from nothing."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def end_with_parent(number: int) -> None:
    """Have Linux send this process a signal when its parent ends, be it that it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SIGNAL_AT_PARENTS_END, number)


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What ``function`` makes of each item, in their order, made by as many workers as there are cores.

    Items are read, and results kept, only a few ahead of what is asked for. A daemonic process, such as one of
    multiprocessing's Pool or of Celery, may start no workers, and makes them itself.

    Raises:
        TrainingError: a worker was killed.
    """
    count = worker_count()
    if count == 1 or multiprocessing.current_process().daemon:
        yield from map(function, items)
        return
    workers = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin, (function,))
    queue = vars(workers)["_call_queue"]
    ahead: deque[Future[Result]] = deque()
    try:
        for item in items:
            ahead.append(workers.submit(_call, item))
            if len(ahead) > 2 * count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process that shared the work was killed, perhaps because memory ran short: run the same command again"
        ) from error
    finally:
        for worker in [*(workers._processes or {}).values()]:  # Python 3.14 has kill_workers for this
            worker.kill()  # nobody wants what it may still be at
        queue._reader.close()  # or else Python before 3.11.5 waits for somebody to read what is queued
        workers.shutdown(cancel_futures=True)


_function: Callable[[Any], Any]


def _begin(function: Callable[[Any], Any]) -> None:
    """In a worker, for which Ctrl-C is its parent's alone."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(signal.SIGKILL)


def _call(item: Any) -> Any:
    return _function(item)
