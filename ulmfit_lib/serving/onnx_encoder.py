"""Texts of any length -> one vector each, by ONNX Runtime and numpy: what ``models.pooling`` does with torch.

Texts are read one by one: ONNX Runtime's LSTM gains next to nothing by reading several, and so a text's vector cannot
depend on the texts beside it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.artifact.architecture import PAD_ID, Architecture, is_distilled
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.tokens.documents import Documents

WINDOW = 70  # tokens read at a time; the state goes on
Matrix = npt.NDArray[np.float32]


class DistilledVectors:
    """``models.pooling.Projection`` of one text, with numpy.

    Args:
        weights: the tensors behind distilled vectors (``artifact.architecture.DISTILLED``), by name.
    """

    def __init__(self, weights: Tensors) -> None:
        self._weights = weights

    def __call__(self, pooled: Matrix, ids: npt.NDArray[np.int64]) -> Matrix:
        """All that is pooled of a text, (width,), and its (tokens,) ids -> (distilled,), of length 1."""
        weights = self._weights
        vector = weights["map.weight"] @ pooled + weights["map.bias"]
        if "words.weight" in weights:
            factors = np.exp(weights["words.importance"][ids])
            mean = factors @ weights["words.weight"][ids] / factors.sum()
            vector = vector + weights["words.projection"] @ mean
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


class OnnxEncoder:
    """One direction's encoder (``serving.classifier.TextEncoder``).

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
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on, it reports to its makers unless told not to
        try:
            import onnxruntime
        except ImportError as error:
            raise OptionError(
                "predicting without PyTorch needs the package onnxruntime: pip install onnxruntime"
            ) from error
        onnxruntime.disable_telemetry_events()  # which counts where somebody else had imported it before
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # the steps of a recurrence are too small to part
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.architecture = architecture
        self.direction = direction
        self.threads = threads or cores()
        self._distilled = distilled
        layers = range(1, architecture.layers + 1)
        self._outputs = [f"output_{layer}" for layer in range(architecture.layers + 1)]
        self._state = [f"{part}_{layer}" for layer in layers for part in ("hidden", "cell")]

    def pool(self, documents: Documents, pooling: str) -> Matrix:
        """One vector a text, (n_texts, width), in order. Several threads may call it at a time."""
        documents = documents.in_direction(self.direction)
        vectors = np.zeros((len(documents), self.architecture.pooled_width(pooling)), np.float32)
        texts = map(documents.__getitem__, range(len(documents)))
        read, workers = partial(self._pool_text, pooling), min(self.threads, len(documents))
        readers = ThreadPoolExecutor(workers, thread_name_prefix="reader") if workers > 1 else None
        try:
            for row, vector in zip(vectors, readers.map(read, texts) if readers else map(read, texts), strict=True):
                row[:] = vector
        finally:
            if readers:  # of this call alone: none could outlive a fork
                readers.shutdown(cancel_futures=True)
        return vectors

    def _pool_text(self, pooling: str, ids: npt.NDArray[np.integer]) -> Matrix:
        """Ids of one text, (tokens,) -> its vector, (width,)."""
        ids = np.asarray(ids if ids.size else [PAD_ID], np.int64)[None]
        parts = self._pool_outputs("all" if is_distilled(pooling) else pooling, ids)
        if is_distilled(pooling):
            assert self._distilled is not None  # checked where the folder is read
            vector = self._distilled(np.concatenate(parts), ids[0])
            parts = [vector, *{"distilled": [], "distilled+layers": parts[:1], "distilled+all": parts}[pooling]]
        return np.concatenate(parts)

    def _pool_outputs(self, pooling: str, ids: npt.NDArray[np.int64]) -> list[Matrix]:
        """Mean and, except of ``layers``, maximum and last output; (width,) each."""
        widths, tokens = self.architecture.widths, ids.shape[1]
        state = {
            f"{part}_{layer}": np.zeros((1, 1, width), np.float32)
            for layer, width in enumerate(widths, start=1)
            for part in ("hidden", "cell")
        }
        names = [*self._outputs, *(f"{name}_after" for name in self._state)]
        totals, maximum, top = [], np.full(widths[-1], -np.inf, np.float32), np.zeros((1, widths[-1]), np.float32)
        for left in range(0, tokens, WINDOW):
            found: list[Any] = self._session.run(names, {"ids": ids[:, left : left + WINDOW], **state})
            outputs, after = [one[0] for one in found[: len(self._outputs)]], found[len(self._outputs) :]
            state, top = dict(zip(self._state, after, strict=True)), outputs[-1]
            averaged = outputs[-1:] if pooling == "concat" else outputs
            totals.append(np.concatenate([one.sum(0) for one in averaged]))
            maximum = np.maximum(maximum, top.max(0))
        mean = np.asarray(np.sum(totals, axis=0) / tokens, np.float32)
        return [mean] if pooling == "layers" else [mean, maximum, top[-1]]


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
