"""Texts are read in groups of like length, several groups at a time."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.artifact.architecture import PAD_ID
from ulmfit_lib.tokens.documents import Documents

WINDOW = 70  # tokens read at a time; the state goes on
Matrix = npt.NDArray[np.float32]


def read_groups(read: Callable[[Ints], Matrix], groups: Sequence[Ints], threads: int) -> Matrix:
    """What ``read`` makes of the texts at some places, (n, width), for all groups, put in order; in several threads."""
    workers = min(threads, len(groups))
    readers = ThreadPoolExecutor(workers, thread_name_prefix="reader") if workers > 1 else None
    try:
        rows = list(readers.map(read, groups) if readers else map(read, groups))
    finally:
        if readers:  # of this call alone: none could outlive a fork
            readers.shutdown(cancel_futures=True)
    found = np.empty((sum(map(len, groups)), rows[0].shape[1]), np.float32)
    for places, some in zip(groups, rows, strict=True):
        found[places] = some
    return found


def ids_of(documents: Documents, places: Ints) -> list[Ints]:
    """Ids of some texts; an empty one is a single token of padding."""
    return [np.asarray(ids if ids.size else [PAD_ID], np.int64) for ids in map(documents.__getitem__, places)]


def of_like_length(lengths: Ints, most: int) -> list[Ints]:
    """The places of texts in groups of ``most`` at most, the longest first; in a window, few read padding only."""
    groups: list[list[int]] = []
    for place in np.argsort(-lengths, kind="stable").tolist():
        if not groups or len(groups[-1]) == most or 2 * lengths[place] < min(lengths[groups[-1][0]], WINDOW):
            groups.append([])
        groups[-1].append(place)
    return [np.array(group, np.int64) for group in groups]


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
