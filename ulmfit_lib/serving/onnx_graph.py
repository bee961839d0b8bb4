"""An encoder as an ONNX graph of one window of tokens: ids and state in, every layer's outputs and state out."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.artifact.architecture import CONTEXT_KERNEL, LAYER_WEIGHTS, Architecture
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.serving.onnx_format import CONTRIB, INT64, Graph

STEPS = 127  # of a byte on either side of zero
PAIR = 128  # of two weights' steps: CPUs without VNNI add two products within 16 bits, and 2 * 127 * 129 still fits
GATES = (0, 3, 1, 2)  # ONNX wants input, output, forget, cell; PyTorch has input, forget, cell, output
GRAPH_PRECISIONS = ("float32", "int8")
WIDE = 256  # in narrower layers what surrounds a product takes longer than it, so that bytes gain nothing
ROWS = 256  # that are rounded at a time
STATES = ("hidden", "cell")
Matrix = npt.NDArray[np.float32]


def usual_precision(architecture: Architecture) -> str:
    """That of an encoder that is there to predict: what ``models.frozen.freeze`` takes on a CPU, too."""
    return "int8" if architecture.hidden >= WIDE else "float32"


def precision_of(graph: bytes) -> str:
    """That of a graph that ``build_graph`` made."""
    return "int8" if b"QuantizeL" in graph else "float32"


def build_graph(architecture: Architecture, weights: Tensors, *, precision: str = "float32") -> bytes:
    """A graph that ONNX Runtime runs anywhere: ``ids`` (batch, time) and ``hidden_i``, ``cell_i`` (1, batch, width) in.

    Out come ``output_0``, the embedded tokens, and ``output_i``, each layer's outputs, (batch, time, width), and the
    new ``hidden_i`` and ``cell_i`` as ``hidden_i_after`` and ``cell_i_after``.

    Args:
        architecture: sizes.
        weights: tensors by name.
        precision: ``float32``; or ``int8``, a quarter of the size and three times as fast: what an LSTM puts out lies
            between -1 and 1 and is rounded with one scale for all, so that products are sums of whole numbers, and a
            text's vector is the same alone and among others.

    Raises:
        OptionError: an unknown precision.
    """
    if precision not in GRAPH_PRECISIONS:
        raise OptionError(f"precision {precision!r}; known are {', '.join(GRAPH_PRECISIONS)}")
    graph, embedding = Graph(), weights["encoder.weight"]
    graph.takes("ids", "batch", "time", kind=INT64)
    graph.gives("output_0", "batch", "time", architecture.embedding)
    graph.constant("first", np.array([0], np.int64))
    graph.constant("second", np.array([1], np.int64))
    if precision == "float32":
        read = graph.node("Gather", [graph.constant("embedding", embedding), "ids"], ["output_0"])
        largest = np.ones(1, np.float32)
    else:
        largest = np.maximum(embedding.max(0), -embedding.min(0)).clip(1e-12)  # by number: some are much larger
        graph.constant("step", np.float32(1 / STEPS))
        graph.constant("zero", np.uint8(STEPS))
        numbers = _rounded(embedding, largest / STEPS, above=STEPS, kind=np.uint8)
        read = graph.node("Gather", [graph.constant("embedding", numbers), "ids"], ["bytes_0"])
        graph.node("DequantizeLinear", [read, "step", "zero"], ["numbers"])
        graph.node("Mul", ["numbers", graph.constant("largest", largest)], ["output_0"])
    read = graph.node("Transpose", [read], ["read_0"], perm=[1, 0, 2])
    for number, width in enumerate(architecture.widths, start=1):
        into, *others = (_gates(weights[f"rnns.{number - 1}.{name}"], width) for name in LAYER_WEIGHTS)
        for part in STATES:
            graph.takes(f"{part}_{number}", 1, "batch", width)
        graph.gives(f"output_{number}", "batch", "time", width)
        for part in STATES:
            graph.gives(f"{part}_{number}_after", 1, "batch", width)
        add_layer = _add_layer if precision == "float32" else _add_int8_layer
        read = add_layer(graph, number, read, into * largest if number == 1 else into, *others)
    return graph.as_bytes("encoder")


def build_context(architecture: Architecture, weights: Tensors, *, precision: str) -> bytes:
    """A graph of ``models.word_vectors`` in context, which reads one text.

    In go ``vectors`` (tokens, words) and ``importances`` (tokens,); out comes ``mean`` (1, mean_width). In ``int8``,
    each row is rounded with a scale of its own.
    """
    graph, read = Graph(), "vectors"
    graph.constant("step", np.float32(1 / STEPS))
    graph.constant("zero", np.uint8(STEPS))
    graph.constant("tiny", np.float32(1e-12))
    graph.takes(read, "tokens", architecture.words)
    graph.takes("importances", "tokens")
    graph.gives("mean", 1, architecture.mean_width)
    graph.constant("pads", np.array([CONTEXT_KERNEL // 2, 0] * 2))
    for step in range(CONTEXT_KERNEL):
        graph.constant(f"start_{step}", np.array([step]))
        graph.constant(f"end_{step}", np.array([step + 1 - CONTEXT_KERNEL or np.iinfo(np.int64).max]))
    graph.constant("axis", np.array([0]))
    if architecture.context_width:
        read = graph.node("MatMul", [read, graph.constant("widen", weights["words.widen"].T)], ["widened"])
    for block in range(architecture.context):
        read = _add_context_block(graph, block, read, weights, precision)
    graph.node("MatMul", [read, graph.constant("score", weights["words.score"])], ["scores"])
    graph.node("Add", ["importances", "scores"], ["logarithms"])
    graph.node("Softmax", ["logarithms"], ["shares"], axis=0)
    graph.node("Unsqueeze", ["shares", "axis"], ["row"])
    graph.node("MatMul", ["row", read], ["mean"])
    return graph.as_bytes("context")


def _add_context_block(graph: Graph, block: int, read: str, weights: Tensors, precision: str) -> str:
    """``models.word_vectors.ContextBlock``; ``read`` names its inputs, (tokens, width). Returns its outputs' name."""

    def name(part: str) -> str:
        return f"{part}_{block}"

    def weight(part: str) -> Matrix:
        return weights[f"words.context.{block}.{part}"]

    def product(inputs: str, part: str) -> str:
        if precision == "float32":
            return graph.node(
                "MatMul", [inputs, graph.constant(name(part), weight(f"{part}.weight").T)], [name(f"by_{part}")]
            )
        numbers, scale = _bytes(weight(f"{part}.weight"))
        graph.constant(name(part), numbers.T)
        graph.constant(name(f"{part}_scale"), scale)
        size = graph.node(
            "ReduceMax", [graph.node("Abs", [inputs], [name(f"{part}_size")])], [name(f"{part}_max")], axes=[1]
        )
        size = graph.node("Max", [size, "tiny"], [name(f"{part}_largest")])
        read = graph.node("Div", [inputs, size], [name(f"{part}_read")])
        read = graph.node("QuantizeLinear", [read, "step", "zero"], [name(f"{part}_bytes")])
        factors = [name(part), "step", name(f"{part}_scale"), "zero"]
        read = graph.node("MatMulIntegerToFloat", [read, *factors], [name(f"{part}_sums")], domain=CONTRIB)
        return graph.node("Mul", [read, size], [name(f"by_{part}")])

    scale, offset = (graph.constant(name(f"norm_{part}"), weight(f"norm.{part}")) for part in ("weight", "bias"))
    normed = graph.node("LayerNormalization", [read, scale, offset], [name("normed")])
    graph.node("Pad", [normed, "pads"], [name("apart")])
    around = ""
    for step, kernel in enumerate(weights[f"near.{block}"].T):
        some = graph.node("Slice", [name("apart"), f"start_{step}", f"end_{step}", "axis"], [name(f"some_{step}")])
        some = graph.node("Mul", [some, graph.constant(name(f"kernel_{step}"), kernel)], [name(f"times_{step}")])
        around = graph.node("Add", [around, some], [name(f"around_{step}")]) if around else some
    whole = graph.node("ReduceMean", [normed], [name("whole")], axes=[0])
    of_text = graph.constant(name("of_text"), weight("of_text.weight").T)
    by_text = graph.node("MatMul", [whole, of_text], [name("by_text")])
    by_text = graph.node("Add", [by_text, graph.constant(name("bias"), weight("of_text.bias"))], [name("for_all")])
    wide = graph.node(
        "Relu", [graph.node("Add", [product(around, "of_words"), by_text], [name("wide")])], [name("active")]
    )
    narrow = product(wide, "narrow")
    added = graph.node("Add", [narrow, graph.constant(name("narrow_bias"), weight("narrow.bias"))], [name("added")])
    return graph.node("Add", [read, added], [name("read")])


def _add_layer(
    graph: Graph, number: int, read: str, into: Matrix, before: Matrix, bias_into: Matrix, bias_before: Matrix
) -> str:
    """An LSTM; ``read`` names its inputs, (time, batch, n_in). Returns the name of the next one's."""
    constants = {"into": into, "before": before, "bias": np.concatenate([bias_into, bias_before])}
    matrices = [graph.constant(f"{name}_{number}", array[None]) for name, array in constants.items()]
    states = [f"{part}_{number}" for part in STATES]
    made = [f"wide_{number}", *(f"{name}_after" for name in states)]
    graph.node("LSTM", [read, *matrices, "", *states], made, hidden_size=before.shape[1])
    outputs = graph.node("Squeeze", [made[0], "second"], [f"read_{number}"])
    graph.node("Transpose", [outputs], [f"output_{number}"], perm=[1, 0, 2])
    return outputs


def _add_int8_layer(
    graph: Graph, number: int, read: str, into: Matrix, before: Matrix, bias_into: Matrix, bias_before: Matrix
) -> str:
    """The same of bytes: ``read`` and what is returned name bytes, whose products are exact."""
    width = before.shape[1]
    for name, matrix in (("into", into), ("before", before)):
        numbers, scale = _bytes(matrix)
        graph.constant(f"{name}_{number}", numbers.T)
        graph.constant(f"{name}_scale_{number}", scale)
    bias = graph.constant(f"bias_{number}", bias_into + bias_before)
    product = [f"into_{number}", "step", f"into_scale_{number}", "zero", "", bias]
    sums = graph.node("MatMulIntegerToFloat", [read, *product], [f"sums_{number}"], domain=CONTRIB)
    graph.constant(f"gates_{number}", np.array([3 * width, width]))
    graph.constant(f"gate_{number}", np.array([width] * 3))
    states = [graph.node("Squeeze", [f"{part}_{number}", "first"], [f"{part}_{number}_at_first"]) for part in STATES]
    made = [f"hidden_{number}_at_last", f"cell_{number}_at_last", f"outputs_{number}"]
    graph.node("Scan", [*states, sums], made, body=_int8_step(number, width), num_scan_inputs=1)
    for part in STATES:
        graph.node("Unsqueeze", [f"{part}_{number}_at_last", "first"], [f"{part}_{number}_after"])
    graph.node("Transpose", [made[2]], [f"output_{number}"], perm=[1, 0, 2])
    return graph.node("QuantizeLinear", [made[2], "step", "zero"], [f"read_{number}"])


def _int8_step(number: int, width: int) -> Graph:
    """One token of each text: state and sums of the inputs in, state and output out."""
    step = Graph()
    for name, size in (("hidden", width), ("cell", width), ("sums", 4 * width)):
        step.takes(name, "batch", size)
    for name in ("hidden_after", "cell_after", "output"):
        step.gives(name, "batch", width)
    step.node("QuantizeLinear", ["hidden", "step", "zero"], ["bytes"])
    product = ["bytes", f"before_{number}", "step", f"before_scale_{number}", "zero"]
    step.node("MatMulIntegerToFloat", product, ["products"], domain=CONTRIB)
    step.node("Add", ["sums", "products"], ["gates"])
    step.node("Split", ["gates", f"gates_{number}"], ["soft", "new_gate"], axis=1)
    step.node("Sigmoid", ["soft"], ["between"])
    step.node("Split", ["between", f"gate_{number}"], ["into", "out", "keep"], axis=1)
    step.node("Tanh", ["new_gate"], ["new"])
    step.node("Mul", ["into", "new"], ["added"])
    step.node("Mul", ["keep", "cell"], ["kept"])
    step.node("Add", ["kept", "added"], ["cell_after"])
    step.node("Tanh", ["cell_after"], ["said"])
    step.node("Mul", ["out", "said"], ["hidden_after"])
    step.node("Identity", ["hidden_after"], ["output"])
    return step


def _gates(matrix: Matrix, width: int) -> Matrix:
    """(4 * width, ...) rows of PyTorch's gates -> in ONNX's order."""
    return np.concatenate([matrix[gate * width : (gate + 1) * width] for gate in GATES])


def _bytes(matrix: Matrix) -> tuple[npt.NDArray[np.int8], Matrix]:
    """(rows, n) weights as whole numbers, and what each row was divided by, (rows,).

    Of four neighbours, which one instruction multiplies, no two may have so many steps that their products overflow.
    """
    size = np.abs(np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % 4))))
    pairs, larger = size[:, ::2] + size[:, 1::2], np.maximum(size[:, ::2], size[:, 1::2])
    two = np.maximum(pairs.max(1), (larger[:, ::2] + larger[:, 1::2]).max(1))  # the largest sum of two among four
    scale = np.maximum(larger.max(1) / STEPS, two / PAIR).clip(1e-12)
    return _rounded(matrix, scale[:, None], above=0, kind=np.int8), scale


def _rounded(matrix: Matrix, scale: Matrix, *, above: int, kind: type[Any]) -> npt.NDArray[Any]:
    """The nearest whole numbers to ``matrix / scale``, plus ``above``; a few rows at a time, within the cache."""
    numbers, scale = np.empty(matrix.shape, kind), np.broadcast_to(scale, matrix.shape)
    for start in range(0, len(matrix), ROWS):
        some = slice(start, start + ROWS)
        numbers[some] = np.rint(matrix[some] / scale[some] + np.float32(above))
    return numbers
