"""Tensors in a safetensors file: as floats, or rounded to bytes with a scale a row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ulmfit_lib.errors import ArtifactError

Tensors = dict[str, npt.NDArray[np.float32]]
PRECISIONS = ("float32", "float16", "int8")
_SCALES = (".column_scale", ".row_scale")  # by the axis that has one value a scale
MOST_BYTE = np.float32(128)  # the largest that a byte is, without its sign
_TABLE = ".words.weight"  # of word vectors: the largest matrix, of which a text needs some rows
_BY_COLUMN = ("map.weight",)  # its columns differ by orders of magnitude: a scale a row would blur most


class ByteRows:
    """A matrix of bytes with a scale a row, whose rows become floats when they are asked for.

    Args:
        numbers: (rows, width).
        scale: (rows,).
    """

    def __init__(self, numbers: npt.NDArray[np.int8], scale: npt.NDArray[np.float32]) -> None:
        self._numbers, self.scale = numbers, scale
        self.shape, self.ndim = numbers.shape, numbers.ndim

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        return np.asarray(self._numbers[rows] * self.scale[rows][..., None], np.float32)

    def __array__(self, *_: Any, **__: Any) -> npt.NDArray[np.float32]:
        return self[:]


def is_finite(tensor: npt.NDArray[np.float32] | ByteRows) -> bool:
    """Whether all its values are finite numbers; of bytes, whether the largest would be."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(tensor.scale * MOST_BYTE if isinstance(tensor, ByteRows) else tensor).all())


def write_tensors(path: Path, tensors: Tensors, precision: str) -> None:
    """Write float32 tensors by name; ``int8`` rounds matrices alone, and stores the rest as float16."""
    if precision not in PRECISIONS:
        raise ArtifactError(f"precision {precision!r}; known are {', '.join(PRECISIONS)}")
    stored: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if precision == "int8" and tensor.ndim == 2:
            axis = 0 if name.endswith(_BY_COLUMN) else 1
            stored[name], stored[name + _SCALES[axis]] = _in_bytes(tensor, axis)
        else:
            stored[name] = np.ascontiguousarray(tensor, np.float32 if precision == "float32" else np.float16)
    path.write_bytes(save(stored))


def rounded_rows(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A matrix as it is read again after it was stored in bytes with a scale a row."""
    return ByteRows(*_in_bytes(matrix, 1))[:]


def _in_bytes(matrix: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    scale = np.maximum(np.abs(matrix).max(axis), np.float32(1e-12)) / np.float32(127)
    numbers = (matrix / np.expand_dims(scale, axis)).round().astype(np.int8, order="C")  # as files have it
    return numbers, np.asarray(scale, np.float32)


def read_tensors(path: Path, *, table_in_bytes: bool = False) -> Tensors:
    """The float32 tensors that ``write_tensors`` wrote, by name; an ArtifactError where they are missing or damaged.

    Args:
        path: the file.
        table_in_bytes: a table of word vectors that is stored in bytes stays so: it is ``ByteRows``.
    """
    try:
        stored = load_file(path)
        return {name: _restored(name, stored, table_in_bytes) for name in stored if not name.endswith(_SCALES)}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"{path}: damaged or missing ({error})") from error


def _restored(name: str, stored: Mapping[str, npt.NDArray[Any]], table_in_bytes: bool) -> npt.NDArray[np.float32]:
    tensor = stored[name]
    if tensor.dtype != np.int8:
        return tensor.astype(np.float32, copy=False)
    for axis, kind in enumerate(_SCALES):
        scale = stored.get(name + kind)
        if scale is not None and tensor.ndim == 2 and scale.shape == tensor.shape[1 - axis : 2 - axis]:
            if table_in_bytes and axis == 1 and f".{name}".endswith(_TABLE):
                return cast(Any, ByteRows(tensor, scale.astype(np.float32)))
            with np.errstate(over="ignore"):  # what becomes infinite is refused with the name of its file
                return np.multiply(tensor, np.expand_dims(scale, axis), dtype=np.float32)
    raise ValueError(f"tensor {name} lacks one scale per row or column")
