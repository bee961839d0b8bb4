"""A classifier that was exported, predicting without torch: numpy, ONNX Runtime and the tokenizer are all it needs."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.format import PREDICTOR, read_config
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.serving.explanations import Explanation, explain
from ulmfit_lib.serving.onnx_encoder import OnnxEncoder
from ulmfit_lib.serving.onnx_graph import build_graph
from ulmfit_lib.serving.stored_classifier import MAP, StoredClassifier, blend_parts, graph_file
from ulmfit_lib.tokens.documents import Documents, encode_texts

BATCH_NORM_EPS = 1e-5  # PyTorch's


def build_graphs(stored: StoredClassifier, *, precision: str = "float32") -> dict[str, bytes]:
    """Each direction's encoder as an ONNX graph (``onnx_graph.build_graph``).

    Raises:
        OptionError: an unknown precision, or the package onnx is missing.
    """
    return {
        way: build_graph(stored.architecture, weights, precision=precision) for way, weights in stored.weights.items()
    }


@dataclass(frozen=True, eq=False)
class Predictor:
    """What ``models.classifier.TextClassifier`` says, without torch.

    Attributes:
        stored: everything but the encoders.
        encoders: by direction.
        threads: that read texts side by side; 0: one a core; 1: the caller's own.
    """

    stored: StoredClassifier
    encoders: dict[str, OnnxEncoder]
    threads: int = 0

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 0) -> "Predictor":
        """Read an exported folder (``models.exporting``), or a classifier's own, whose graphs are then built in memory.

        Args:
            path: the folder.
            threads: that read texts side by side; 0: one a core.

        Raises:
            ArtifactError: names the file at fault.
            OptionError: the package onnxruntime is missing.
        """
        if read_config(Path(path))["kind"] != PREDICTOR:
            stored = StoredClassifier.load(path)
            return cls.of(stored, build_graphs(stored), threads=threads)
        stored = StoredClassifier.load(path, kind=PREDICTOR)
        files = {way: Path(path) / graph_file(way) for way in stored.weights}
        try:
            return cls.of(stored, {way: file.read_bytes() for way, file in files.items()}, threads=threads)
        except OptionError:
            raise
        except Exception as error:  # ONNX Runtime has a dozen exceptions for a graph that is none
            raise ArtifactError(f"{path}: its graphs cannot be run ({error})") from error

    @classmethod
    def of(cls, stored: StoredClassifier, graphs: Mapping[str, bytes], *, threads: int = 0) -> "Predictor":
        """From what a folder holds, and a graph a direction."""
        encoders = {}
        for way, weights in stored.weights.items():
            mapped = (weights[f"{MAP}weight"], weights[f"{MAP}bias"]) if stored.architecture.taught else None
            encoders[way] = OnnxEncoder(graphs[way], stored.architecture, mapped)
        return cls(stored, encoders, threads)

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of every column of probabilities."""
        return self.stored.classes

    @property
    def kind(self) -> LabelKind:
        """What a label is."""
        return self.stored.kind

    @property
    def training(self) -> dict[str, Any]:
        """JSON-ready record of how the classifier came to be."""
        return self.stored.training

    @property
    def tfidf(self) -> Mapping[str, TfidfClassifier]:
        """The linear parts, by name."""
        return self.stored.tfidf

    @property
    def blend(self) -> Blend:
        """How much each part counts."""
        return self.stored.blend

    @property
    def direction(self) -> str:
        """``forward``, ``backward`` or ``both``."""
        return "both" if len(self.encoders) == 2 else next(iter(self.encoders))

    @property
    def certainty(self) -> Certainty:
        """How often predictions of some confidence were right (``TextClassifier.certainty``).

        Raises:
            OptionError: that was not measured.
        """
        if not self.kind.one_class_per_text:
            raise OptionError("a precision needs one class a text: leave it out for ratings and several labels")
        return Certainty.from_report(self.training.get("report"))

    def predict(self, texts: Sequence[str], *, min_precision: float | None = None) -> list[str]:
        """The likeliest label of each text, in order (``TextClassifier.predict``)."""
        least = 0.0 if min_precision is None else self.certainty.threshold(min_precision)[0]
        return self.decode(self.predict_proba(texts), least)

    def decode(self, probabilities: Floats, least: float = 0.0) -> list[str]:
        """(n, n_classes) probabilities as labels; "unsure" where the likeliest class has less than ``least``."""
        return self.kind.decode(probabilities, self.classes, least)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes) probabilities, columns in the order of ``classes``.

        Raises:
            DataError: a single string instead of a list, or something that is no string.
        """
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts, and got a single string: put it in [brackets]")
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"text {number} (from 0) is a {type(text).__name__}, not a string")
        if not len(texts):
            return np.zeros((0, len(self.classes)))
        return self.probabilities(texts)["delivered"]

    def probabilities(self, texts: Sequence[str]) -> dict[str, Floats]:
        """What is ``delivered``, and what it is made of: ``ulmfit``, ``baseline``, ``topics``, (n_texts, n_classes)."""
        stored = self.stored
        documents = encode_texts(texts, stored.tokenizer, stored.vocabulary)
        places = range(len(documents))
        each = map if self.threads == 1 else self._readers.map
        scored = {way: each(partial(self._scores, way, documents), places) for way in self.encoders}
        said = [stored.kind.link(np.array(list(some), np.float64)) for some in scored.values()]
        parts = {"ulmfit": np.asarray(np.mean(said, axis=0), np.float64), **stored.tfidf_proba(texts)}
        return {"delivered": blend_parts(parts, stored.blend, stored.kind), **parts}

    def _scores(self, way: str, documents: Documents, place: int) -> Any:
        """One text's, (n_classes,), from one direction: of several at once the last digits would differ."""
        ids = np.asarray(documents[place], np.int64)
        ids = ids if ids.size else np.full(1, self.stored.vocabulary.pad_id, np.int64)
        ids = ids[::-1] if way == "backward" else ids
        return head_scores(self.stored.heads[way], self.encoders[way].pool(self.stored.pooling, ids[None]))

    @cached_property
    def _readers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads or cores(), thread_name_prefix="reader")

    def explain(self, text: str, *, label: str | None = None) -> Explanation:
        """Which words of a text speak for a label (``explanations.explain``)."""
        return explain(self, text, label=label)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def head_scores(head: Tensors, pooled: Any) -> Any:
    """A pooled text, (width,) -> (n_classes,) scores: ``models.head.Head`` in evaluation."""
    numbers = (pooled - head["mean"]) / head["scale"]
    if "layers.1.weight" in head:
        numbers = head["layers.1.weight"] @ numbers + head["layers.1.bias"]
        spread = np.sqrt(head["layers.2.running_var"] + BATCH_NORM_EPS)
        numbers = (numbers - head["layers.2.running_mean"]) / spread * head["layers.2.weight"] + head["layers.2.bias"]
        numbers = np.maximum(numbers, 0)
    return head["output.weight"] @ numbers + head["output.bias"]
