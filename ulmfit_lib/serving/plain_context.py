"""Word vectors in context in NumPy, for the smallest installation: what ``models.word_vectors`` does with torch."""

from collections.abc import Callable

import numpy as np

from ulmfit_lib.artifact.architecture import CONTEXT_KERNEL, Architecture
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.serving.text_groups import Matrix

# The vectors, (n_tokens, words), and the logarithms of the weights, (n_tokens,), of a text's words -> (mean_width,).
ReadInContext = Callable[[Matrix, Matrix], Matrix]
LAYER_NORM_EPS = 1e-5  # PyTorch's


def plain_context(weights: Tensors, architecture: Architecture) -> ReadInContext:
    """What reads a text's words in context and takes their weighted mean; without blocks, the mean alone."""

    def read(vectors: Matrix, importances: Matrix) -> Matrix:
        rows, logarithms = vectors, importances
        if architecture.context_width:
            rows = rows @ weights["words.widen"].T
        for block in range(architecture.context):
            rows = rows + _added(rows, weights, block)
        if architecture.context:
            logarithms = logarithms + rows @ weights["words.score"]
        factors = np.exp(logarithms - logarithms.max())
        return np.asarray(factors @ rows / factors.sum(), np.float32)

    return read


def _added(rows: Matrix, weights: Tensors, block: int) -> Matrix:
    """What a block adds to the vectors of a text's words, (n_tokens, width)."""

    def weight(part: str) -> Matrix:
        return weights[f"words.context.{block}.{part}"]

    spread = np.sqrt(rows.var(1, keepdims=True) + LAYER_NORM_EPS)
    normed = (rows - rows.mean(1, keepdims=True)) / spread * weight("norm.weight") + weight("norm.bias")
    apart = np.pad(normed, ((CONTEXT_KERNEL // 2,) * 2, (0, 0)))
    near = weights[f"near.{block}"]
    around = sum(apart[step : step + len(rows)] * near[:, step] for step in range(CONTEXT_KERNEL))
    by_text = normed.mean(0) @ weight("of_text.weight").T + weight("of_text.bias")
    wide = np.maximum(around @ weight("of_words.weight").T + by_text, 0)
    return np.asarray(wide @ weight("narrow.weight").T + weight("narrow.bias"), np.float32)
