"""What makes a distilled vector beside the encoder, as ONNX graphs: word vectors in context, and the projection."""

import numpy as np

from ulmfit_lib.artifact.architecture import CONTEXT_KERNEL, Architecture
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.serving.onnx_format import CONTRIB, Graph
from ulmfit_lib.serving.rounding import STEPS, Matrix, rounded, row_bytes

LEFT = 2 * STEPS  # parts of a step that the second byte of a weight counts
HALF_STEPS = 63  # of an input to ``_fine_product``: 2 * 127 * 127 fits 16 bits, so that weights keep all their steps


def build_context(architecture: Architecture, weights: Tensors, *, precision: str) -> bytes:
    """A graph of ``models.word_vectors`` in context, which reads one text.

    In go ``vectors`` (tokens, words) and ``importances`` (tokens,); out comes ``mean`` (1, mean_width). In ``int8``,
    the inputs of each product are rounded with one scale for the text.
    """
    graph, read = Graph(), "vectors"
    graph.takes(read, "tokens", architecture.words)
    graph.takes("importances", "tokens")
    graph.gives("mean", 1, architecture.mean_width)
    graph.constant("first", np.array([0]))
    graph.constant("outer", np.array([0, 2]))  # ONNX Runtime is fast at convolutions over images, so a text is one
    if architecture.context_width:
        read = graph.node("MatMul", [read, graph.constant("widen", weights["words.widen"].T)], ["widened"])
    for block in range(architecture.context):
        read = _add_context_block(graph, block, read, weights, precision)
    score = graph.constant("score", weights["words.score"][None])
    graph.node("Gemm", [score, read, "importances"], ["logarithms"], transB=1)
    graph.node("Softmax", ["logarithms"], ["shares"], axis=1)
    graph.node("MatMul", ["shares", read], ["mean"])
    return graph.as_bytes("context")


def _add_context_block(graph: Graph, block: int, read: str, weights: Tensors, precision: str) -> str:
    """``models.word_vectors.ContextBlock``; ``read`` names its inputs, (tokens, width). Returns its outputs' name."""

    def name(part: str) -> str:
        return f"{part}_{block}"

    def weight(part: str) -> Matrix:
        return weights[f"words.context.{block}.{part}"]

    def product(inputs: str, part: str, bias: str) -> str:
        matrix = weight(f"{part}.weight")
        if precision == "float32":
            made = graph.node("MatMul", [inputs, graph.constant(name(part), matrix.T)], [name(f"by_{part}")])
            return graph.node("Add", [made, bias], [name(f"plus_{part}")])
        numbers, scale = row_bytes(matrix)
        factors = [graph.constant(name(part), numbers.T), graph.constant(name(f"{part}_scale"), scale), "", bias]
        return graph.node("DynamicQuantizeMatMul", [inputs, *factors], [name(f"by_{part}")], domain=CONTRIB)

    scale, offset = (graph.constant(name(f"norm_{part}"), weight(f"norm.{part}")) for part in ("weight", "bias"))
    normed = graph.node("LayerNormalization", [read, scale, offset], [name("normed")])
    columns = graph.node("Transpose", [normed], [name("columns")], perm=[1, 0])
    image = graph.node("Unsqueeze", [columns, "outer"], [name("image")])
    near = graph.constant(name("near"), weights[f"near.{block}"][:, None, None, :])
    pads = [0, CONTEXT_KERNEL // 2] * 2
    around = graph.node("Conv", [image, near], [name("around")], group=len(weights[f"near.{block}"]), pads=pads)
    around = graph.node("Squeeze", [around, "outer"], [name("around_columns")])
    around = graph.node("Transpose", [around], [name("around_rows")], perm=[1, 0])
    whole = graph.node("ReduceMean", [normed], [name("whole")], axes=[0])
    by_text = product(whole, "of_text", graph.constant(name("of_text_bias"), weight("of_text.bias")))
    by_text = graph.node("Squeeze", [by_text, "first"], [name("for_all")])
    wide = graph.node("Relu", [product(around, "of_words", by_text)], [name("active")])
    narrow = product(wide, "narrow", graph.constant(name("narrow_bias"), weight("narrow.bias")))
    return graph.node("Add", [read, narrow], [name("read_on")])


def build_projection(weights: Tensors) -> bytes:
    """A graph of the matrices behind distilled vectors, whose numbers and inputs are two bytes each.

    One byte would not do: these matrices solve a regression, and what they say is a small difference of large sums.

    In go ``pooled`` (texts, width) and, where there are word vectors, ``mean`` (texts, mean_width); out comes
    ``vector`` (texts, distilled). A text's numbers do not depend on the texts beside it.
    """
    graph = Graph()
    graph.takes("pooled", "texts", weights["map.weight"].shape[1])
    graph.gives("vector", "texts", len(weights["map.weight"]))
    graph.constant("parts", np.array([1]))
    graph.constant("tiny", np.float32(1e-12))
    graph.constant("zero", np.uint8(HALF_STEPS + 1))
    graph.constant("step", np.float32(1 / HALF_STEPS))
    graph.constant("fine_step", np.float32(0.5 / HALF_STEPS**2))
    graph.constant("weigh", np.array([[1], [0.5 / HALF_STEPS]], np.float32))
    made = _fine_product(graph, "pooled", weights["map.weight"])
    if "words.projection" in weights:
        graph.takes("mean", "texts", weights["words.projection"].shape[1])
        made = graph.node("Add", [made, _fine_product(graph, "mean", weights["words.projection"])], ["both"])
    graph.node("Add", [made, graph.constant("bias", weights["map.bias"])], ["vector"])
    return graph.as_bytes("projection")


def _fine_product(graph: Graph, inputs: str, matrix: Matrix) -> str:
    """(rows, n_in) by (n_out, n_in); numbers are rounded by their row's largest, and what is left is rounded, too."""

    def name(part: str) -> str:
        return f"{inputs}_{part}"

    scale = (np.abs(matrix).max(1) / STEPS).clip(1e-12)
    numbers = rounded(matrix, scale[:, None], above=0, kind=np.int8)
    rest = rounded(matrix - numbers * scale[:, None], scale[:, None] / LEFT, above=0, kind=np.int8)
    size = graph.node("ReduceMax", [graph.node("Abs", [inputs], [name("sizes")])], [name("size")], axes=[1])
    size = graph.node("Max", [size, "tiny"], [name("largest")])
    read = graph.node("Div", [inputs, size], [name("shares")])
    coarse = graph.node("QuantizeLinear", [read, "step", "zero"], [name("coarse")])
    known = graph.node("DequantizeLinear", [coarse, "step", "zero"], [name("known")])
    left = graph.node("Sub", [read, known], [name("left")])
    fine = graph.node("QuantizeLinear", [left, "fine_step", "zero"], [name("fine")])
    both = [graph.node("Unsqueeze", [one, "parts"], [f"{one}_part"]) for one in (coarse, fine)]
    both_parts = graph.node("Concat", both, [name("parts")], axis=1)
    weight = graph.constant(name("weight"), np.concatenate([numbers, rest]).T)
    factors = [weight, "step", graph.constant(name("scale"), np.concatenate([scale, scale / LEFT])), "zero"]
    sums = graph.node("MatMulIntegerToFloat", [both_parts, *factors], [name("sums")], domain=CONTRIB)
    sums = graph.node("Mul", [sums, "weigh"], [name("weighed")])
    sums = graph.node("ReduceSum", [sums, "parts"], [name("summed")], keepdims=0)
    graph.node("Split", [sums], [name("sum"), name("rest")], axis=1)
    sums = graph.node("Add", [name("sum"), name("rest")], [name("both")])
    return graph.node("Mul", [sums, size], [name("product")])
