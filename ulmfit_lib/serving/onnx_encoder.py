"""Texts of any length -> one vector each, by ONNX Runtime and numpy: what ``models.pooling`` does with torch.

Texts of like length are read together, which is three times as fast as one by one. A text's vector is the same alone
and among others: a graph of float32 sums each row by itself, one of bytes sums whole numbers, and all else here goes by
each text's own windows.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints, products
from ulmfit_lib.artifact.architecture import PAD_ID, Architecture, is_distilled
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.serving.onnx_graph import build_context
from ulmfit_lib.tokens.documents import Documents

WINDOW = 70  # tokens read at a time; the state goes on
TOGETHER = 32  # texts that are read together at most; more would gain next to nothing
ROUNDS_BY_THE_BATCH = b"DynamicQuantizeLSTM"  # in graphs of bytes until 0.2, which must read texts one by one
Matrix = npt.NDArray[np.float32]


class DistilledVectors:
    """``models.pooling.Projection`` of one text, with numpy.

    Args:
        weights: the tensors behind distilled vectors (``artifact.architecture.DISTILLED``), by name.
        architecture: sizes.
        precision: of the products of word vectors in context (``onnx_graph.build_context``).
    """

    def __init__(self, weights: Tensors, architecture: Architecture, precision: str) -> None:
        self._weights = weights
        graph = build_context(architecture, weights, precision=precision) if architecture.context else None
        self._context = open_graph(graph) if graph else None

    def __call__(self, pooled: Matrix, mean: Matrix | None) -> Matrix:
        """All that is pooled of a text, (width,), and the mean of its word vectors -> (distilled,), of length 1."""
        weights = self._weights
        vector = products(weights["map.weight"], pooled) + weights["map.bias"]
        if mean is not None:
            vector = vector + products(weights["words.projection"], mean)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)

    def mean(self, ids: npt.NDArray[np.int64]) -> Matrix | None:
        """(tokens,) ids of a text -> the weighted mean of its word vectors, (mean_width,); None: there are none."""
        if "words.weight" not in self._weights:
            return None
        vectors, importances = self._weights["words.weight"][ids], self._weights["words.importance"][ids]
        if self._context:
            found: list[Matrix] = self._context.run(["mean"], {"vectors": vectors, "importances": importances})
            return found[0][0]
        factors = np.exp(importances)
        return np.asarray(np.einsum("t,tw->w", factors, vectors) / factors.sum())


class OnnxEncoder:
    """One direction's encoder.

    Args:
        graph: what ``onnx_graph.build_graph`` made.
        architecture: its sizes.
        direction: ``backward`` reads each text from its end.
        distilled: what makes distilled vectors, if the encoder has such.
        threads: that read texts side by side; 0: one a core; 1: the caller's own.

    Raises:
        OptionError: the package onnxruntime is missing.
    """

    def __init__(
        self,
        graph: bytes,
        architecture: Architecture,
        direction: str,
        *,
        distilled: DistilledVectors | None = None,
        threads: int = 0,
    ) -> None:
        self._session = open_graph(graph)
        self.architecture = architecture
        self.direction = direction
        self.threads = threads or cores()
        self._distilled = distilled
        self._together = 1 if ROUNDS_BY_THE_BATCH in graph else TOGETHER
        layers = range(1, architecture.layers + 1)
        self._outputs = [f"output_{layer}" for layer in range(architecture.layers + 1)]
        self._state = [f"{part}_{layer}" for layer in layers for part in ("hidden", "cell")]

    def pool(self, documents: Documents, pooling: str, means: Matrix | None = None) -> Matrix:
        """One vector a text, (n_texts, width), in order. Several threads may call it at a time.

        Args:
            documents: the texts, in the order of reading.
            pooling: how outputs become one vector (``models.pooling.pool``).
            means: what ``word_means`` gave for them, where another direction has the same word vectors.
        """
        documents = documents.in_direction(self.direction)
        read = partial(self._pool_texts, pooling, documents, means)
        return self._read_groups(read, documents, self.architecture.pooled_width(pooling))

    def word_means(self, documents: Documents) -> Matrix:
        """The weighted mean of each text's word vectors, (n_texts, mean_width), in order."""
        assert self._distilled is not None  # whoever asks has looked
        mean, documents = self._distilled.mean, documents.in_direction(self.direction)

        def read(places: Ints) -> Matrix:
            return np.array([mean(ids) for ids in _texts(documents, places)], np.float32)

        return self._read_groups(read, documents, self.architecture.mean_width)

    def _read_groups(self, read: Callable[[Ints], Matrix], documents: Documents, width: int) -> Matrix:
        """What ``read`` makes of texts of like length, by their places, put in order; in several threads."""
        vectors = np.zeros((len(documents), width), np.float32)
        together = min(self._together, -(-len(documents) // self.threads))
        groups = _of_like_length(documents.lengths, max(1, together))
        workers = min(self.threads, len(groups))
        readers = ThreadPoolExecutor(workers, thread_name_prefix="reader") if workers > 1 else None
        try:
            for places, some in zip(groups, readers.map(read, groups) if readers else map(read, groups), strict=True):
                vectors[places] = some
        finally:
            if readers:  # of this call alone: none could outlive a fork
                readers.shutdown(cancel_futures=True)
        return vectors

    def _pool_texts(self, pooling: str, documents: Documents, means: Matrix | None, places: Ints) -> Matrix:
        """One vector for each of the texts at ``places``, the longest of which comes first; (n, width)."""
        texts = _texts(documents, places)
        parts = self._pool_outputs("all" if is_distilled(pooling) else pooling, texts)
        if is_distilled(pooling):
            assert self._distilled is not None  # checked where the folder is read
            pooled = np.concatenate(parts, 1)
            some = map(self._distilled.mean, texts) if means is None else means[places]
            vectors = np.stack([self._distilled(one, mean) for one, mean in zip(pooled, some, strict=True)])
            parts = [vectors, *{"distilled": [], "distilled+layers": parts[:1], "distilled+all": parts}[pooling]]
        return np.concatenate(parts, 1)

    def _pool_outputs(self, pooling: str, texts: Sequence[Ints]) -> list[Matrix]:
        """Mean and, except of ``layers``, maximum and last output; (n, width) each. The longest text comes first."""
        widths, count = self.architecture.widths, len(texts)
        lengths = np.array([len(ids) for ids in texts])
        state = {
            f"{part}_{layer}": np.zeros((1, count, width), np.float32)
            for layer, width in enumerate(widths, start=1)
            for part in ("hidden", "cell")
        }
        names = [*self._outputs, *(f"{name}_after" for name in self._state)]
        averaged = slice(-1, None) if pooling == "concat" else slice(None)
        total = np.zeros((count, sum((self.architecture.embedding, *widths)[averaged])), np.float32)
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
            outputs, state = (
                found[: len(self._outputs)],
                dict(zip(self._state, found[len(self._outputs) :], strict=True)),
            )
            for row, n_read in enumerate(tokens.tolist()):
                total[row] += np.concatenate([one[row, :n_read].sum(0) for one in outputs[averaged]])
                np.maximum(maximum[row], outputs[-1][row, :n_read].max(0), out=maximum[row])
                last[row] = outputs[-1][row, n_read - 1]
        mean = np.asarray(total / lengths[:, None], np.float32)
        return [mean] if pooling == "layers" else [mean, maximum, last]


def _texts(documents: Documents, places: Ints) -> list[Ints]:
    """Ids of some texts; an empty one is a single token of padding."""
    return [np.asarray(ids if ids.size else [PAD_ID], np.int64) for ids in map(documents.__getitem__, places)]


def _of_like_length(lengths: Ints, most: int) -> list[Ints]:
    """The places of texts in groups of ``most`` at most, the longest first; in a window, few read padding only."""
    groups: list[list[int]] = []
    for place in np.argsort(-lengths, kind="stable").tolist():
        if not groups or len(groups[-1]) == most or 2 * lengths[place] < min(lengths[groups[-1][0]], WINDOW):
            groups.append([])
        groups[-1].append(place)
    return [np.array(group, np.int64) for group in groups]


def open_graph(graph: bytes) -> Any:
    """A graph, ready to run in the caller's own thread.

    Raises:
        OptionError: the package onnxruntime is missing.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on, it reports to its makers unless told not to
    try:
        import onnxruntime
    except ImportError as error:
        raise OptionError(
            "a classifier that is not static needs the package onnxruntime: pip install 'ulmfit-predict[network]'"
        ) from error
    onnxruntime.disable_telemetry_events()  # which counts where somebody else had imported it before
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the steps of a recurrence are too small to part
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
