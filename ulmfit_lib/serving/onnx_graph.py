"""An encoder as an ONNX graph of one window of tokens: ids and state in, every layer's outputs and state out."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.artifact.architecture import LAYER_WEIGHTS, Architecture
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError

OPSET, IR_VERSION = 17, 8
LARGEST = 64  # of weights of 8 bits: products of larger ones overflow in pairs on CPUs without VNNI
GATES = (0, 3, 1, 2)  # ONNX wants input, output, forget, cell; PyTorch has input, forget, cell, output
GRAPH_PRECISIONS = ("float32", "int8")


def build_graph(architecture: Architecture, weights: Tensors, *, precision: str = "float32") -> bytes:
    """A graph that ONNX Runtime runs anywhere: ``ids`` (batch, time) and ``hidden_i``, ``cell_i`` (1, batch, width) in.

    Out come ``output_0``, the embedded tokens, and ``output_i``, each layer's outputs, (batch, time, width), and the
    new ``hidden_i`` and ``cell_i`` as ``hidden_i_after`` and ``cell_i_after``.

    Args:
        architecture: sizes.
        weights: tensors by name.
        precision: ``float32``, or ``int8``: a quarter of the size and faster, and not the same to the last digit on
            every CPU. Inputs are rounded by the largest of them, so that texts must be read one by one.

    Raises:
        OptionError: an unknown precision, or the package onnx is missing.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise OptionError(
            "making an ONNX graph needs the package onnx: pip install onnx, or use a folder that `export` wrote"
        ) from error
    if precision not in GRAPH_PRECISIONS:
        raise OptionError(f"precision {precision!r}; known are {', '.join(GRAPH_PRECISIONS)}")
    nodes: list[Any] = []
    constants: list[Any] = []

    def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def constant(name: str, array: npt.NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    embedding = weights["encoder.weight"]
    if precision == "float32":
        node("Gather", [constant("embedding", embedding), "ids"], ["output_0"])
    else:
        numbers, scale = _bytes(embedding, 127)
        node("Gather", [constant("embedding", numbers), "ids"], ["bytes"])
        node("Gather", [constant("scale", scale[:, None]), "ids"], ["scales"])
        node("Cast", ["bytes"], ["numbers"], to=TensorProto.FLOAT)
        node("Mul", ["numbers", "scales"], ["output_0"])
    read = node("Transpose", ["output_0"], ["read_0"], perm=[1, 0, 2])
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "time"])]
    outputs = [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, ["batch", "time", architecture.embedding])]
    for layer, width in enumerate(architecture.widths):
        number = layer + 1
        into, before, *biases = (_gates(weights[f"rnns.{layer}.{name}"], width) for name in LAYER_WEIGHTS)
        bias = constant(f"bias_{number}", np.concatenate(biases)[None])
        state_in, state_out = ([f"{part}_{number}{after}" for part in ("hidden", "cell")] for after in ("", "_after"))
        made = [f"wide_{number}", *state_out]
        if precision == "float32":
            matrices = [constant(f"into_{number}", into[None]), constant(f"before_{number}", before[None])]
            node("LSTM", [read, *matrices, bias, "", *state_in], made, hidden_size=width)
        else:
            matrices, scales = [], []
            for name, matrix in (("into", into), ("before", before)):
                numbers, scale = _bytes(matrix, LARGEST)
                matrices.append(constant(f"{name}_{number}", numbers.T[None]))
                scales.append(constant(f"{name}_scale_{number}", scale[None]))
                scales.append(constant(f"{name}_zero_{number}", np.zeros_like(scale, np.int8)[None]))
            node(
                "DynamicQuantizeLSTM",
                [read, *matrices, bias, "", *state_in, "", *scales],
                made,
                hidden_size=width,
                domain="com.microsoft",
            )
        second = constant(f"second_{number}", np.array([1], np.int64))
        read = node("Squeeze", [made[0], second], [f"read_{number}"])
        node("Transpose", [read], [f"output_{number}"], perm=[1, 0, 2])
        sizes: list[int | str] = [1, "batch", width]
        inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in state_in]
        outputs.append(helper.make_tensor_value_info(f"output_{number}", TensorProto.FLOAT, ["batch", "time", width]))
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in state_out]
    graph = helper.make_graph(nodes, "encoder", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="ulmfit_lib", ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def _gates(matrix: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """(4 * width, ...) rows of PyTorch's gates -> in ONNX's order."""
    return np.concatenate([matrix[gate * width : (gate + 1) * width] for gate in GATES])


def _bytes(matrix: npt.NDArray[np.float32], largest: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """(rows, n) numbers as whole ones up to ``largest``, and what each row was divided by, (rows,)."""
    scale = (np.maximum(np.abs(matrix).max(1), 1e-12) / largest).astype(np.float32)
    return np.round(matrix / scale[:, None]).astype(np.int8), scale
