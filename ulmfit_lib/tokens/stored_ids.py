"""Numbers in a file, a stretch of which is read when it is asked for, so that memory does not grow with it."""

import weakref
from pathlib import Path

import numpy as np
import numpy.typing as npt

ITEM = np.dtype(np.int32)


class StoredIds:
    """(n,) int32 as they lie in a file. A mapped file would count as memory once all of it has been read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        self._length = path.stat().st_size // ITEM.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, places: slice) -> npt.NDArray[np.int32]:
        start, stop, _ = places.indices(self._length)
        self._file.seek(start * ITEM.itemsize)
        return np.frombuffer(self._file.read(max(0, stop - start) * ITEM.itemsize), ITEM)
