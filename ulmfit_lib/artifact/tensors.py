"""Tensors in a safetensors file: as floats, or rounded to bytes with a scale a row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ulmfit_lib.errors import ArtifactError

Tensors = dict[str, npt.NDArray[np.float32]]
PRECISIONS = ("float32", "float16", "int8")
_SCALES = (".column_scale", ".row_scale")  # by the axis that has one value a scale
_BY_COLUMN = ("map.weight",)  # its columns differ by orders of magnitude: a scale a row would blur most


def write_tensors(path: Path, tensors: Tensors, precision: str) -> None:
    """Write float32 tensors by name; ``int8`` rounds matrices alone, and stores the rest as float16."""
    if precision not in PRECISIONS:
        raise ArtifactError(f"precision {precision!r}; known are {', '.join(PRECISIONS)}")
    stored: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if precision == "int8" and tensor.ndim == 2:
            axis = 0 if name.endswith(_BY_COLUMN) else 1
            scale = np.maximum(np.abs(tensor).max(axis), np.float32(1e-12)) / np.float32(127)
            stored[name] = (tensor / np.expand_dims(scale, axis)).round().astype(np.int8, order="C")  # as files have it
            stored[name + _SCALES[axis]] = scale
        else:
            stored[name] = np.ascontiguousarray(tensor, np.float32 if precision == "float32" else np.float16)
    path.write_bytes(save(stored))


def read_tensors(path: Path) -> Tensors:
    """The float32 tensors that ``write_tensors`` wrote, by name; an ArtifactError where they are missing or damaged."""
    try:
        stored = load_file(path)
        return {name: _restored(name, stored) for name in stored if not name.endswith(_SCALES)}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"{path}: damaged or missing ({error})") from error


def _restored(name: str, stored: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    tensor = stored[name].astype(np.float32, copy=False)
    if stored[name].dtype == np.int8:
        for axis, kind in enumerate(_SCALES):
            scale = stored.get(name + kind)
            if scale is not None and tensor.ndim == 2 and scale.shape == tensor.shape[1 - axis : 2 - axis]:
                return np.asarray(tensor * np.expand_dims(scale.astype(np.float32), axis), np.float32)
        raise ValueError(f"tensor {name} lacks one scale per row or column")
    return tensor
