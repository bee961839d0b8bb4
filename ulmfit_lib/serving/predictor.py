"""A classifier that predicts without torch: numpy, ONNX Runtime and the tokenizer are all it needs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Features, projected
from ulmfit_lib.artifact.architecture import DISTILLED, IN_TABLE, WORDS, is_distilled
from ulmfit_lib.artifact.format import CLASSIFIER, PREDICTOR, load_artifact, read_config
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.serving.classifier import Classifier
from ulmfit_lib.serving.distilled_vectors import WordMeans, context_by_graph
from ulmfit_lib.serving.onnx_distilled import build_context
from ulmfit_lib.serving.onnx_encoder import OnnxEncoder
from ulmfit_lib.serving.onnx_format import has_onnxruntime
from ulmfit_lib.serving.onnx_graph import build_graph, check_precision, usual_precision
from ulmfit_lib.serving.plain_context import ReadInContext, plain_context
from ulmfit_lib.serving.stored_classifier import StoredClassifier
from ulmfit_lib.serving.text_groups import Matrix, cores
from ulmfit_lib.tokens.documents import Documents


@dataclass(frozen=True, eq=False)
class Predictor(Classifier):
    """A classifier whose encoders are ONNX graphs; ``save`` writes them, so that they need not be built again.

    Where it reads words in context alone, the graph is that of words in context. Without the package onnxruntime, there
    is none, and NumPy reads them, several times slower.

    Attributes:
        threads: that read texts side by side; 0: one a core; 1: the caller's own.
    """

    threads: int = 0

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 0) -> "Predictor":
        """Read an exported folder (``models.exporting``), or a classifier's own, whose graphs are then built in memory.

        So many threads read texts side by side; 0: one a core.

        Raises:
            ArtifactError: names the file at fault.
            OptionError: the package onnxruntime is missing.
        """
        kind = PREDICTOR if read_config(Path(path))["kind"] == PREDICTOR else CLASSIFIER
        stored = StoredClassifier.from_artifact(load_artifact(Path(path), kind=kind, table_in_bytes=True))
        try:
            return cls.of(stored, threads=threads)
        except OptionError:
            raise
        except Exception as error:  # ONNX Runtime has a dozen exceptions for a graph that is none
            raise ArtifactError(f"{path}: its graphs cannot be run ({error})") from error

    @classmethod
    def of(cls, stored: StoredClassifier, *, precision: str | None = None, threads: int = 0) -> "Predictor":
        """From what a folder holds; graphs that it lacks are built in ``precision`` (``onnx_graph.build_graph``).

        By default, that is the one in which PyTorch's encoder predicts on a CPU: bytes, unless the layers are narrow.

        Raises:
            OptionError: an unknown precision, or the package onnxruntime is missing.
        """
        content = {one.name: getattr(stored, one.name) for one in fields(StoredClassifier)}
        by_numpy = not (stored.architecture.layers or precision or has_onnxruntime())
        if not (stored.graphs or by_numpy):
            precision = precision or usual_precision(stored.architecture)
            check_precision(precision)
            network = build_graph if stored.architecture.layers else build_context
            kept = DISTILLED if stored.architecture.layers else IN_TABLE
            build = partial(network, stored.architecture, precision=precision)
            with ThreadPoolExecutor(thread_name_prefix="graph") as builders:
                content["graphs"] = dict(zip(stored.weights, builders.map(build, stored.weights.values()), strict=True))
            content["weights"] = {
                way: {name: array for name, array in weights.items() if name.startswith(kept)}
                for way, weights in stored.weights.items()
            }
        predictor = cls(**content, threads=threads)
        for way in predictor.graphs if stored.architecture.layers else ():
            predictor.encoder(way)  # what is wrong with a graph is said here
        predictor._word_means  # noqa: B018 (likewise)
        if not stored.architecture.layers:
            predictor.features([""])  # likewise
        return predictor

    def build_encoder(self, direction: str) -> OnnxEncoder:
        """One direction's graph, ready to run."""
        graph, weights = self.graphs[direction], self.weights[direction]
        distilled = weights if self.architecture.distilled else None
        return OnnxEncoder(graph, self.architecture, direction, distilled=distilled, threads=self.threads)

    @cached_property
    def _word_means(self) -> dict[str, WordMeans]:
        """By direction; both share what their weights do, for a text's words say the same from either end."""
        found: dict[str, WordMeans] = {}
        for way, weights in self.weights.items():
            if "words.weight" in weights:
                first = next(iter(found), way)
                if first in found and weights["words.weight"] is self.weights[first]["words.weight"]:
                    found[way] = found[first]
                else:
                    found[way] = WordMeans(weights, self._context(way), direction=way)
        return found

    def _context(self, direction: str) -> ReadInContext:
        """What reads words in context: a graph, which is built anew beside an encoder; else NumPy."""
        weights, graph = self.weights[direction], self.graphs.get(direction)
        if self.architecture.layers:
            precision = self.encoder(direction).precision
            in_context = bool(self.architecture.context)
            graph = build_context(self.architecture, weights, precision=precision) if in_context else None
        return context_by_graph(graph) if graph else plain_context(weights, self.architecture)

    def encoder(self, direction: str) -> OnnxEncoder:
        """What reads texts in a direction: built when first asked for, and kept."""
        encoder = super().encoder(direction)
        assert isinstance(encoder, OnnxEncoder)  # as built above
        return encoder

    def read_documents(self, documents: Documents, pooling: str) -> Features:
        """By direction, one pooled vector a text; a single text is read in both directions side by side."""
        threads, means = self.threads or cores(), dict[WordMeans, Matrix]()
        if pooling == WORDS:
            way, words = next(iter(self._word_means.items()))
            none = np.zeros((0, self.architecture.mean_width), np.float32)
            read_means = words(documents, threads) if len(documents) else none
            return {way: projected(self.weights[way]["words.projection"], read_means)}
        if is_distilled(pooling) and len(documents):
            means = {one: one(documents, threads) for one in dict.fromkeys(self._word_means.values())}

        def read(way: str) -> Matrix:
            words = self._word_means.get(way)
            return self.encoder(way).pool(documents, pooling, means.get(words) if words else None)

        first, *others = self.heads
        if len(documents) != 1 or not others or threads == 1:
            return {way: read(way) for way in self.heads}
        with ThreadPoolExecutor(len(others), thread_name_prefix="direction") as readers:
            beside = readers.map(read, others)
            return {first: read(first), **dict(zip(others, beside, strict=True))}

    def load_options(self) -> dict[str, Any]:
        """The number of threads."""
        return {"threads": self.threads}
