"""Distilled vectors without torch: ``models.word_vectors`` and ``models.pooling.Projection``."""

import numpy as np

from ulmfit_lib.arrays import Ints, of_length_1, products
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.serving.onnx_distilled import build_projection
from ulmfit_lib.serving.onnx_format import open_graph
from ulmfit_lib.serving.plain_context import ReadInContext
from ulmfit_lib.serving.text_groups import Matrix, ids_of, read_groups
from ulmfit_lib.tokens.documents import Documents


class WordMeans:
    """The weighted mean of each text's word vectors, by the tensors of one direction; ``read`` makes that of a text."""

    def __init__(self, weights: Tensors, read: ReadInContext, *, direction: str) -> None:
        self._direction, self._read = direction, read
        self._vectors, self._importances = weights["words.weight"], weights["words.importance"]

    def __call__(self, documents: Documents, threads: int) -> Matrix:
        """Texts, in the order of reading -> (n_texts, mean_width), in order; so many threads may read side by side."""
        documents, places = documents.in_direction(self._direction), np.arange(len(documents))

        def read(some: Ints) -> Matrix:
            return np.array([self._mean(ids) for ids in ids_of(documents, some)], np.float32)

        return read_groups(read, np.array_split(places, max(1, min(threads, len(places)))), threads)

    def _mean(self, ids: Ints) -> Matrix:
        return self._read(self._vectors[ids], self._importances[ids])


def context_by_graph(graph: bytes) -> ReadInContext:
    """What reads a text by a graph (``onnx_distilled.build_context``)."""
    session = open_graph(graph)

    def read(vectors: Matrix, importances: Matrix) -> Matrix:
        found: list[Matrix] = session.run(["mean"], {"vectors": vectors, "importances": importances})
        return found[0][0]

    return read


class Projection:
    """What makes distilled vectors of pooled outputs and of word vectors (``onnx_distilled.build_projection``)."""

    def __init__(self, weights: Tensors, precision: str) -> None:
        self._weights = weights
        graph = build_projection(weights) if precision == "int8" else None
        self._graph = open_graph(graph) if graph else None

    def __call__(self, pooled: Matrix, means: Matrix | None) -> Matrix:
        """All that is pooled of texts, (n, width), and means, (n, mean_width) -> (n, distilled), of length 1."""
        words = {} if means is None else {"mean": means}
        if self._graph:
            vectors: Matrix = self._graph.run(["vector"], {"pooled": pooled, **words})[0]
        else:
            vectors = products(self._weights["map.weight"], pooled) + self._weights["map.bias"]
            for mean in words.values():
                vectors = vectors + products(self._weights["words.projection"], mean)
        return of_length_1(vectors)
