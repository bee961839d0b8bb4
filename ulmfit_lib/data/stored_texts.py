"""Texts in a file, read one at a time, so that memory does not grow with their number."""

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, overload

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.errors import DataError
from ulmfit_lib.files import cache_folder, new_folder
from ulmfit_lib.serving.texts import read_texts

MOST_IN_MEMORY = 200_000_000  # characters


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
    """Texts that lie one after the other in a file, in UTF-8; text i starts at byte ``offsets[i]``, (n_texts + 1,)."""

    def __init__(self, file: BinaryIO, offsets: Ints) -> None:
        self._file, self._offsets = file, offsets

    @classmethod
    def open(cls, folder: Path) -> "StoredTexts":
        """What ``store`` wrote."""
        return cls((folder / "texts.utf8").open("rb"), np.fromfile(folder / "offsets.int64", np.int64))

    @classmethod
    def store(cls, texts: Iterable[str], folder: Path) -> "StoredTexts":
        """Write texts as they come into the new folder, whole or not at all."""
        with new_folder(folder) as temporary, (temporary / "texts.utf8").open("wb") as file:
            _write(texts, file).tofile(temporary / "offsets.int64")
        return cls.open(folder)

    @classmethod
    def temporary(cls, texts: Iterable[str]) -> "StoredTexts":
        """Write texts as they come into a file in the cache folder that is gone when the process is."""
        folder = cache_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as the texts are in use)
            return cls(file, _write(texts, file))
        except OSError as error:
            raise DataError(
                f"{folder}: texts that do not fit into memory are kept in this folder, and it cannot be written "
                f"({error.strerror or error}); choose another folder with ULMFIT_CACHE"
            ) from error

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def _text(self, place: int) -> str:
        start, end = int(self._offsets[place]), int(self._offsets[place + 1])
        self._file.seek(start)
        return self._file.read(end - start).decode("utf-8", "surrogatepass")


def as_texts(given: Any, *, called: str = "texts") -> Sequence[str]:
    """What somebody gives as texts, in memory (``serving.texts.read_texts``) unless it lies in a file."""
    return given if isinstance(given, _LazyTexts) else read_texts(given, called=called)


def collect_texts(texts: Iterable[str]) -> Sequence[str]:
    """A list of texts, or a file of them if they have more than ``MOST_IN_MEMORY`` characters in all."""
    stream = iter(texts)
    collected: list[str] = []
    size = 0
    for text in stream:
        collected.append(text)
        size += len(text)
        if size > MOST_IN_MEMORY:
            return StoredTexts.temporary(chain(collected, stream))
    return collected


def _write(texts: Iterable[str], file: BinaryIO) -> Ints:
    offsets = array("q", [0])
    for text in texts:
        offsets.append(offsets[-1] + file.write(text.encode("utf-8", "surrogatepass")))
    file.flush()
    return np.frombuffer(offsets, np.int64)


class Selection(_LazyTexts):
    """Some of the texts of a sequence, in a given order, without a copy."""

    def __init__(self, texts: Sequence[str], places: npt.ArrayLike) -> None:
        self._texts, self._places = texts, np.asarray(places, np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def _text(self, place: int) -> str:
        return self._texts[int(self._places[place])]
