"""Processes that share the work, where the platform forks."""

import multiprocessing
import os
import signal
import sys
from multiprocessing.pool import Pool


def worker_count() -> int:
    """The cores that this process may use; 1 where workers would have to start from nothing."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def worker_pool() -> Pool:
    """That many workers; Ctrl-C is for their parent alone, which ends them."""
    return multiprocessing.get_context("fork").Pool(worker_count(), signal.signal, (signal.SIGINT, signal.SIG_IGN))
