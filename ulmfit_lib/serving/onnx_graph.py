"""An encoder as an ONNX graph of one window of tokens: ids and state in, every layer's outputs and state out."""

import numpy as np

from ulmfit_lib.artifact.architecture import LAYER_WEIGHTS, Architecture
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.serving.onnx_format import CONTRIB, INT64, Graph
from ulmfit_lib.serving.rounding import STEPS, ZERO, Matrix, rounded, row_bytes

BOUNDS = 2  # units of a layer of bytes that always put out -1 and 1, the bounds of what others may
SATURATED = 100.0  # what gates and cells may be given so that they are open, shut, or at their bounds
GATES = (0, 3, 1, 2)  # ONNX wants input, output, forget, cell; PyTorch has input, forget, cell, output
GRAPH_PRECISIONS = ("float32", "int8")
WIDE = 256  # in narrower layers what surrounds a product takes longer than it, so that bytes gain nothing
STATES = ("hidden", "cell")


def usual_precision(architecture: Architecture) -> str:
    """That of an encoder that is there to predict: what ``models.frozen.freeze`` takes on a CPU, too."""
    return "int8" if architecture.hidden >= WIDE else "float32"


def check_precision(precision: str) -> None:
    """An OptionError for one in which there are no graphs."""
    if precision not in GRAPH_PRECISIONS:
        raise OptionError(f"precision {precision!r}; known are {', '.join(GRAPH_PRECISIONS)}")


def build_graph(architecture: Architecture, weights: Tensors, *, precision: str = "float32") -> bytes:
    """A graph that ONNX Runtime runs anywhere: ``ids`` (batch, time) and ``hidden_i``, ``cell_i`` (1, batch, width) in.

    Out come ``output_0``, the embedded tokens, and ``output_i``, each layer's outputs, (batch, time, width), and the
    new ``hidden_i`` and ``cell_i`` as ``hidden_i_after`` and ``cell_i_after``. A text starts with states of zeros. The
    precision is ``float32``; or ``int8``, a quarter of the size and several times as fast.

    In ``int8``, all widths are larger by ``BOUNDS``, which whoever reads the outputs leaves out. ONNX Runtime rounds a
    layer's inputs to bytes by the least and the largest of them; with ``BOUNDS`` among them, these are the same
    whatever is read, so that a text's vector is the same alone and among others.
    """
    graph, embedding, in_bytes = Graph(), weights["encoder.weight"], precision == "int8"
    more = BOUNDS if in_bytes else 0
    graph.takes("ids", "batch", "time", kind=INT64)
    graph.gives("output_0", "batch", "time", architecture.embedding + more)
    graph.constant("second", np.array([1], np.int64))
    if in_bytes:
        largest = np.maximum(embedding.max(0), -embedding.min(0)).clip(1e-12)  # by number: some are much larger
        numbers = rounded(embedding, largest / STEPS, above=ZERO, kind=np.uint8)
        bounds = np.tile(np.array([0, 255], np.uint8), (len(numbers), 1))
        read = graph.node("Gather", [graph.constant("embedding", np.hstack([numbers, bounds])), "ids"], ["bytes_0"])
        graph.constant("step", np.float32(1 / STEPS))
        read = graph.node("DequantizeLinear", [read, "step", graph.constant("zero", np.uint8(ZERO))], ["numbers"])
        graph.node("Mul", [read, graph.constant("largest", np.append(largest, np.ones_like(bounds[0])))], ["output_0"])
    else:
        largest = np.ones(1, np.float32)
        read = graph.node("Gather", [graph.constant("embedding", embedding), "ids"], ["output_0"])
    read = graph.node("Transpose", [read], ["read_0"], perm=[1, 0, 2])
    for number, width in enumerate(architecture.widths, start=1):
        into, *others = (_gates(weights[f"rnns.{number - 1}.{name}"], width) for name in LAYER_WEIGHTS)
        for part in STATES:
            graph.takes(f"{part}_{number}", 1, "batch", width + more)
            graph.gives(f"{part}_{number}_after", 1, "batch", width + more)
        graph.gives(f"output_{number}", "batch", "time", width + more)
        add_layer = _add_int8_layer if in_bytes else _add_layer
        read = add_layer(graph, number, read, into * largest if number == 1 else into, *others)
    return graph.as_bytes("encoder")


def _add_layer(
    graph: Graph, number: int, read: str, into: Matrix, before: Matrix, bias_into: Matrix, bias_before: Matrix
) -> str:
    """An LSTM; ``read`` names its inputs, (time, batch, n_in). Returns the name of the next one's."""
    constants = {"into": into, "before": before, "bias": np.concatenate([bias_into, bias_before])}
    matrices = [graph.constant(f"{name}_{number}", array[None]) for name, array in constants.items()]
    states = [f"{part}_{number}" for part in STATES]
    made = [f"wide_{number}", *(f"{name}_after" for name in states)]
    graph.node("LSTM", [read, *matrices, "", *states], made, hidden_size=before.shape[1])
    return _add_outputs(graph, number, made[0])


def _add_int8_layer(
    graph: Graph, number: int, read: str, into: Matrix, before: Matrix, bias_into: Matrix, bias_before: Matrix
) -> str:
    """The same of bytes; inputs and outputs have ``BOUNDS`` behind them, which no unit heeds."""
    width, zeros = before.shape[1], np.zeros((4, BOUNDS), np.float32)

    def bounded(gates: Matrix, of_bounds: Matrix) -> Matrix:
        """(4 * width, n) and (4, BOUNDS) -> (4 * (width + BOUNDS), n)."""
        parts = gates.reshape(4, width, -1), np.broadcast_to(of_bounds[..., None], (4, BOUNDS, gates[0].size))
        return np.concatenate(parts, 1).reshape(4 * (width + BOUNDS), *gates.shape[1:])

    shut_open_open = np.array([[-SATURATED], [SATURATED], [SATURATED], [0]], np.float32)
    biases = bounded(bias_into + bias_before, np.broadcast_to(shut_open_open, zeros.shape))
    bounds = np.concatenate([np.zeros(width), [-SATURATED, SATURATED]]).astype(np.float32)
    cell = graph.node("Add", [f"cell_{number}", graph.constant(f"bounds_{number}", bounds)], [f"bounded_{number}"])
    matrices, scales = [], []
    for name, matrix in (("into", into), ("before", before)):
        numbers, scale = row_bytes(bounded(np.pad(matrix, ((0, 0), (0, BOUNDS))), zeros))
        matrices.append(graph.constant(f"{name}_{number}", numbers.T[None]))
        scales.append(graph.constant(f"{name}_scale_{number}", scale[None]))
        scales.append(graph.constant(f"{name}_zero_{number}", np.zeros((1, len(scale)), np.int8)))
    bias = graph.constant(f"bias_{number}", np.concatenate([biases, np.zeros_like(biases)])[None])
    states = [f"hidden_{number}", cell]
    made = [f"wide_{number}", *(f"{part}_{number}_after" for part in STATES)]
    inputs = [read, *matrices, bias, "", *states, "", *scales]
    graph.node("DynamicQuantizeLSTM", inputs, made, domain=CONTRIB, hidden_size=width + BOUNDS)
    return _add_outputs(graph, number, made[0])


def _add_outputs(graph: Graph, number: int, made: str) -> str:
    """Of an LSTM's outputs, (time, 1, batch, width), the layer's; returns the name of the next one's inputs."""
    outputs = graph.node("Squeeze", [made, "second"], [f"read_{number}"])
    graph.node("Transpose", [outputs], [f"output_{number}"], perm=[1, 0, 2])
    return outputs


def _gates(matrix: Matrix, width: int) -> Matrix:
    """(4 * width, ...) rows of PyTorch's gates -> in ONNX's order."""
    return np.concatenate([matrix[gate * width : (gate + 1) * width] for gate in GATES])
