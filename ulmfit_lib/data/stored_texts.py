"""Texts in a file, read one at a time, so that memory does not grow with their number."""

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from ulmfit_lib.files import new_folder


class _LazyTexts(Sequence[str]):
    """Texts that are made when they are asked for."""

    @abstractmethod
    def _text(self, place: int) -> str: ...

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        places = range(len(self))[i]
        return self._text(places) if isinstance(places, int) else [self._text(place) for place in places]


class StoredTexts(_LazyTexts):
    """A sequence of texts that lie one after the other in a file.

    Args:
        folder: what ``store`` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "texts.utf8").open("rb")
        self._offsets = np.fromfile(folder / "offsets.int64", np.int64)

    @classmethod
    def store(cls, texts: Iterable[str], folder: Path) -> "StoredTexts":
        """Write texts as they come into the new folder, whole or not at all."""
        with new_folder(folder) as temporary:
            offsets = array("q", [0])
            with (temporary / "texts.utf8").open("wb") as file:
                for text in texts:
                    file.write(text.encode("utf-8", "surrogatepass"))
                    offsets.append(file.tell())
            (temporary / "offsets.int64").write_bytes(offsets.tobytes())
        return cls(folder)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def _text(self, place: int) -> str:
        start, end = int(self._offsets[place]), int(self._offsets[place + 1])
        self._file.seek(start)
        return self._file.read(end - start).decode("utf-8", "surrogatepass")


class Selection(_LazyTexts):
    """Some of the texts of a sequence, in a given order, without a copy."""

    def __init__(self, texts: Sequence[str], places: npt.ArrayLike) -> None:
        self._texts, self._places = texts, np.asarray(places, np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def _text(self, place: int) -> str:
        return self._texts[int(self._places[place])]
