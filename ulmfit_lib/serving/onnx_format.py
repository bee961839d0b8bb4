"""ONNX's file format, as far as graphs of encoders need it, and ONNX Runtime, which runs them.

It consists of protocol buffers: numbered fields, each a whole number or a piece of bytes, which may itself be fields.
Writing them takes few lines and no copies. The package onnx, with all that it requires, is as large as ONNX Runtime,
and takes a second to write the graphs of a classifier.
"""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.errors import OptionError

OPSET, IR_VERSION = 17, 8
CONTRIB = "com.microsoft"  # the domain of ONNX Runtime's own operations
FLOAT, INT64 = 1, 7
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int64): INT64}
INT, GRAPH, INTS = 2, 5, 7  # kinds of attributes

Message = list[Any]  # pieces of bytes, to be joined
Value = int | str | npt.NDArray[Any] | Message


def message(fields: Iterable[tuple[int, Value]]) -> Message:
    """Numbered fields as the pieces of one message.

    >>> b"".join(message([(1, 300), (2, "text")])).hex(" ")
    '08 ac 02 12 04 74 65 78 74'
    """
    pieces: Message = []
    for number, value in fields:
        if isinstance(value, int):
            pieces += [_whole(number << 3), _whole(value)]
            continue
        if isinstance(value, str):
            value = [value.encode()]
        elif isinstance(value, np.ndarray):
            value = [np.ascontiguousarray(value).reshape(-1).view(np.uint8).data]
        pieces += [_whole(number << 3 | 2), _whole(sum(map(len, value))), *value]
    return pieces


def _whole(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class Graph:
    """What a graph is made of, as it is added."""

    def __init__(self) -> None:
        self._fields: list[tuple[int, Value]] = []

    def node(self, kind: str, inputs: list[str], outputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        """Add an operation, with attributes that are whole numbers, lists of these, or graphs; its first output."""
        names = [*((1, name) for name in inputs), *((2, name) for name in outputs), (4, kind), (7, domain)]
        self._fields.append((1, message([*names, *((5, _attribute(*one)) for one in attributes.items())])))
        return outputs[0]

    def constant(self, name: str, array: npt.ArrayLike) -> str:
        """Add an array; its name."""
        array = np.asarray(array)
        sizes = [(1, size) for size in array.shape]
        self._fields.append((5, message([*sizes, (2, TYPES[array.dtype]), (8, name), (9, array)])))
        return name

    def takes(self, name: str, *sizes: int | str, kind: int = FLOAT) -> None:
        """Add an input, some of whose sizes may have a name instead."""
        self._fields.append((11, _described(name, sizes, kind)))

    def gives(self, name: str, *sizes: int | str) -> None:
        """Add an output of floats."""
        self._fields.append((12, _described(name, sizes, FLOAT)))

    def named(self, name: str) -> Message:
        """The graph as a part of a model or of another graph."""
        return message([*self._fields, (2, name)])

    def as_bytes(self, name: str) -> bytes:
        """A model of this graph alone, as ONNX Runtime reads it."""
        opsets = [(8, message([(1, domain), (2, number)])) for domain, number in (("", OPSET), (CONTRIB, 1))]
        return b"".join(message([(1, IR_VERSION), (2, "ulmfit_lib"), (7, self.named(name)), *opsets]))


def _attribute(name: str, value: int | list[int] | Graph) -> Message:
    if isinstance(value, Graph):
        return message([(1, name), (6, value.named(name)), (20, GRAPH)])
    if isinstance(value, int):
        return message([(1, name), (3, value), (20, INT)])
    return message([(1, name), *((8, one) for one in value), (20, INTS)])


def _described(name: str, sizes: tuple[int | str, ...], kind: int) -> Message:
    """Name, type and sizes of a tensor."""
    shape = message((1, message([(1 if isinstance(size, int) else 2, size)])) for size in sizes)
    return message([(1, name), (2, message([(1, message([(1, kind), (2, shape)]))]))])


def has_onnxruntime() -> bool:
    """Whether graphs can be run here."""
    return find_spec("onnxruntime") is not None


def open_graph(graph: bytes) -> Any:
    """A graph, ready to run in the caller's own thread; an OptionError where the package onnxruntime is missing."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on, it reports to its makers unless told not to
    try:
        import onnxruntime
    except ImportError as error:
        raise OptionError(
            "to run a classifier as a graph needs the package onnxruntime: pip install 'ulmfit-predict[network]'"
        ) from error
    onnxruntime.disable_telemetry_events()  # which counts where somebody else had imported it before
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the steps of a recurrence are too small to part
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
