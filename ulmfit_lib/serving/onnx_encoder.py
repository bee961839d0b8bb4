"""Texts of any length -> one vector each, by ONNX Runtime and numpy: what ``models.pooling`` does with torch.

Texts of like length are read together, which is several times as fast as one by one. A text's vector is the same alone
and among others: a graph of float32 sums each row by itself, one of bytes sums whole numbers, and all else here goes by
each text's own windows.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.artifact.architecture import PAD_ID, Architecture, is_distilled
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.serving.distilled_vectors import Projection
from ulmfit_lib.serving.onnx_format import open_graph
from ulmfit_lib.serving.text_groups import WINDOW, cores, ids_of, of_like_length, read_groups
from ulmfit_lib.tokens.documents import Documents

TOGETHER = 32  # texts that are read together at most; more would gain next to nothing
ROUNDS_BY_THE_BATCH = b"DynamicQuantizeLSTM"  # in graphs without ``onnx_graph.BOUNDS``, as until 0.2: one by one
Matrix = npt.NDArray[np.float32]


class OnnxEncoder:
    """One direction's encoder, by what ``onnx_graph.build_graph`` made; ``backward`` reads each text from its end.

    The tensors ``distilled`` are those behind distilled vectors, by name, if the encoder has such. So many threads read
    texts side by side; 0: one a core; 1: the caller's own. An OptionError says if the package onnxruntime is missing.
    """

    def __init__(
        self,
        graph: bytes,
        architecture: Architecture,
        direction: str,
        *,
        distilled: Tensors | None = None,
        threads: int = 0,
    ) -> None:
        self._session = open_graph(graph)
        self.architecture = architecture
        self.direction = direction
        self.threads = threads or cores()
        self._outputs = [f"output_{layer}" for layer in range(architecture.layers + 1)]
        self._state = {one.name: one.shape[-1] for one in self._session.get_inputs() if one.name != "ids"}  # widths
        has_bounds = self._state["hidden_1"] > architecture.widths[0]
        rounds_by_the_batch = not has_bounds and ROUNDS_BY_THE_BATCH in graph
        self._together = 1 if rounds_by_the_batch else TOGETHER
        self.precision = "int8" if has_bounds or rounds_by_the_batch else "float32"
        self._projection = Projection(distilled, self.precision) if distilled else None

    def pool(self, documents: Documents, pooling: str, means: Matrix | None = None) -> Matrix:
        """One vector a text (``models.pooling.pool``), (n_texts, width), in order. Several threads may call it at once.

        The documents are in the order of reading, and ``means`` what ``WordMeans`` makes of them for distilled vectors.
        """
        if not len(documents):
            return np.zeros((0, self.architecture.pooled_width(pooling)), np.float32)
        together = max(1, min(self._together, -(-len(documents) // self.threads)))
        read = partial(self._pool_texts, pooling, documents.in_direction(self.direction), means)
        return read_groups(read, of_like_length(documents.lengths, together), self.threads)

    def _pool_texts(self, pooling: str, documents: Documents, means: Matrix | None, places: Ints) -> Matrix:
        """One vector for each of the texts at ``places``, the longest of which comes first; (n, width)."""
        texts = ids_of(documents, places)
        parts = self._pool_outputs("all" if is_distilled(pooling) else pooling, texts)
        if is_distilled(pooling):
            assert self._projection is not None  # checked where the folder is read
            vectors = self._projection(np.concatenate(parts, 1), None if means is None else means[places])
            parts = [vectors, *{"distilled": [], "distilled+layers": parts[:1], "distilled+all": parts}[pooling]]
        return np.concatenate(parts, 1)

    def _pool_outputs(self, pooling: str, texts: Sequence[Ints]) -> list[Matrix]:
        """Mean and, except of ``layers``, maximum and last output; (n, width) each. The longest text comes first."""
        widths, count = self.architecture.widths, len(texts)
        every_width = (self.architecture.embedding, *widths)
        lengths = np.array([len(ids) for ids in texts])
        state: dict[str, Any] = {name: np.zeros((1, count, width), np.float32) for name, width in self._state.items()}
        names = [*self._outputs, *(f"{name}_after" for name in self._state)]
        averaged = slice(-1, None) if pooling == "concat" else slice(None)
        total = np.zeros((count, sum(every_width[averaged])), np.float32)
        maximum, last = np.full((count, widths[-1]), -np.inf, np.float32), np.zeros((count, widths[-1]), np.float32)
        for left in range(0, int(lengths[0]), WINDOW):
            reading = int((lengths > left).sum())
            tokens = np.minimum(lengths[:reading] - left, WINDOW)
            ids = np.full((reading, tokens[0]), PAD_ID, np.int64)
            for row, text in zip(ids, texts, strict=False):
                part = text[left : left + WINDOW]
                row[: len(part)] = part
            state = {name: array[:, :reading] for name, array in state.items()}
            found: list[Any] = self._session.run(names, {"ids": ids, **state})
            outputs = [one[..., :width] for one, width in zip(found, every_width, strict=False)]  # without bounds
            state = dict(zip(self._state, found[len(outputs) :], strict=True))
            for row, n_read in enumerate(tokens.tolist()):
                total[row] += np.concatenate([one[row, :n_read].sum(0) for one in outputs[averaged]])
                np.maximum(maximum[row], outputs[-1][row, :n_read].max(0), out=maximum[row])
                last[row] = outputs[-1][row, n_read - 1]
        mean = np.asarray(total / lengths[:, None], np.float32)
        return [mean] if pooling == "layers" else [mean, maximum, last]
