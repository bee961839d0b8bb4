"""The classifier that a user holds: predict, evaluate, save, load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.arrays import Features, Floats
from ulmfit_lib.artifact.architecture import Architecture, is_taught
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.models.frozen import FrozenEncoder, freeze, pool_documents
from ulmfit_lib.models.head import Head, build_head
from ulmfit_lib.models.packing import PicklesSafely
from ulmfit_lib.models.tensors import Weights, as_tensors
from ulmfit_lib.serving.explanations import Explanation, explain
from ulmfit_lib.serving.stored_classifier import StoredClassifier, blend_parts
from ulmfit_lib.tokens.documents import encode_texts
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class TextClassifier(PicklesSafely):
    """A fine-tuned encoder and head per direction, and the linear classifiers beside them if ``fit`` made some.

    Attributes:
        classes: the labels, in the order of every column of probabilities.
        architecture: sizes of the encoder.
        vocabulary: tokens by id.
        tokenizer: what splits texts for it.
        weights: by direction, the encoder's tensors by name.
        heads: by direction, the head's tensors by name.
        pooling: how an encoder's outputs become one vector (``pooling.pool``).
        kind: what a label is: one class a text, a rating, or several tags.
        tfidf: the linear parts, by name: ``baseline``, TF-IDF + logistic regression on the same labels; ``topics``,
            the same on topics of texts without a label, where there were many.
        blend: how much each part counts in predictions.
        training: JSON-ready record of how it came to be.
        base: name and sha256 of the language model under it.
    """

    classes: list[str]
    architecture: Architecture
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    weights: dict[str, Weights]
    heads: dict[str, Weights]
    pooling: str
    kind: LabelKind = field(default_factory=Classes)
    tfidf: dict[str, TfidfClassifier] = field(default_factory=dict)
    blend: Blend = field(default_factory=Blend)
    training: dict[str, Any] = field(default_factory=dict)
    base: dict[str, str] | None = None
    _encoders: dict[tuple[str, str], FrozenEncoder] = field(default_factory=dict, init=False, repr=False)

    @property
    def direction(self) -> str:
        """``forward``, ``backward`` or ``both``."""
        return "both" if len(self.weights) == 2 else next(iter(self.weights))

    def predict(self, texts: Sequence[str], *, min_precision: float | None = None, device: str = "cpu") -> list[str]:
        """The likeliest label of each text, in order; where labels are ratings, the expected one.

        Args:
            texts: the texts.
            min_precision: in (0, 1): where one cannot be sure that so large a share of the labels is right, the answer
                is "unsure". For classifiers made by ``fit``.
            device: where to compute.

        Raises:
            OptionError: a precision that this classifier cannot reach.
        """
        least = 0.0 if min_precision is None else self.certainty.threshold(min_precision)[0]
        return self.decode(self.predict_proba(texts, device=device), least)

    def decode(self, probabilities: Floats, least: float = 0.0) -> list[str]:
        """(n, n_classes) probabilities as labels; "unsure" where the likeliest class has less than ``least``."""
        return self.kind.decode(probabilities, self.classes, least)

    def predict_ratings(self, texts: Sequence[str], *, device: str = "cpu") -> Floats:
        """(n_texts,) ratings, where labels are ratings.

        Raises:
            OptionError: they are not.
        """
        return self.kind.expected(self.predict_proba(texts, device=device))

    @property
    def certainty(self) -> Certainty:
        """How often predictions of some confidence were right, on rows that had not been learnt from.

        Raises:
            OptionError: ``fit`` did not make this classifier, or its labels are ratings or tags.
        """
        if not self.kind.one_class_per_text:
            raise OptionError("a precision needs one class a text: leave it out for ratings and several labels")
        return Certainty.from_report(self.training.get("report"))

    def predict_proba(self, texts: Sequence[str], *, device: str = "cpu") -> Floats:
        """(n_texts, n_classes) probabilities, columns in the order of ``classes``.

        A text's probabilities do not depend on the texts beside it.

        Raises:
            DataError: something that is no string.
        """
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts, and got a single string: put it in [brackets]")
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"text {number} (from 0) is a {type(text).__name__}, not a string")
        if not len(texts):
            return np.zeros((0, len(self.classes)))
        return self.probabilities(texts, device=device)["delivered"]

    def probabilities(
        self, texts: Sequence[str], *, features: Features | None = None, device: str = "cpu"
    ) -> dict[str, Floats]:
        """What is ``delivered``, and what it is made of: ``ulmfit`` and, if there are, ``baseline`` and ``topics``.

        Args:
            texts: the texts.
            features: what ``features`` gives for them, where that is known.
            device: where to compute.
        """
        parts = {"ulmfit": self.ulmfit_proba(features or self.features(texts, device=device))}
        parts |= {name: part.predict_proba(texts) for name, part in self.tfidf.items()}
        return {"delivered": blend_parts(parts, self.blend, self.kind), **parts}

    def ulmfit_proba(self, features: Features) -> Floats:
        """From the neural part alone, for texts by their ``features``: the directions' probabilities, averaged."""
        return heads_proba(self._built_heads, features, self.kind)

    def explain(self, text: str, *, label: str | None = None) -> Explanation:
        """What each word of a text adds to the log odds of its likeliest label, or of ``label``.

        A notebook shows the result in colours; ``print`` shows the strongest words and phrases.

        Raises:
            DataError: a text without a word.
            OptionError: a label that this classifier does not know.
        """
        return explain(self, text, label=label)

    def embed(self, texts: Sequence[str], *, device: str = "cpu") -> npt.NDArray[np.float32]:
        """A vector a text, (n_texts, width), of length 1: texts that the encoder takes for similar lie close together.

        Where a teacher has taught the encoder (``stages.teach``), it is the taught vector, else all that the heads see.
        """
        found = self.features(texts, pooling="taught" if is_taught(self.pooling) else self.pooling, device=device)
        vectors = np.concatenate(list(found.values()), axis=1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)

    def features(
        self, texts: Sequence[str], *, pooling: str | None = None, device: str | torch.device = "cpu"
    ) -> Features:
        """By direction, one pooled vector a text, (n_texts, width): what the heads see, unless ``pooling`` is given."""
        documents, pad_id = encode_texts(texts, self.tokenizer, self.vocabulary), self.vocabulary.pad_id
        return {
            way: pool_documents(self._encoder(way, str(device)), pooling or self.pooling, documents, way, pad_id)
            for way in self.weights
        }

    @cached_property
    def _built_heads(self) -> dict[str, Head]:
        return {direction: build_head(weights) for direction, weights in self.heads.items()}

    def _encoder(self, direction: str, device: str) -> FrozenEncoder:
        """Made when first asked for, and kept."""
        if (direction, device) not in self._encoders:
            self._encoders[direction, device] = freeze(self.architecture, self.weights[direction], device)
        return self._encoders[direction, device]

    def evaluate(
        self, data: TextTable | Sequence[str], labels: Sequence[str] | None = None, *, device: str = "cpu"
    ) -> Any:
        """Score predictions against true labels.

        Args:
            data: a table, whose rows without a label are left out, or texts.
            labels: the texts' labels, if ``data`` is no table.
            device: where to compute.

        Returns:
            ``Scores``; ``RatingScores`` where labels are ratings; ``TagScores`` where a text has several.

        Raises:
            DataError: no labels, or none that the classifier knows; a row with one that it does not is wrong.
        """
        table = data if isinstance(data, TextTable) else TextTable.from_lists(data, labels)
        return self.evaluate_parts(table, device=device)["delivered"]

    def evaluate_parts(self, data: TextTable, *, device: str = "cpu") -> dict[str, Any]:
        """The scores of what is ``delivered`` and of its parts, on a table's labelled rows."""
        table = data.labelled().with_kind(self.kind)
        if not len(table):
            raise DataError(f"{table.source}: no row has a label, so there is nothing to score against")
        truth, classes = self.kind.truth(table, self.classes)
        found = self.probabilities(table.texts, device=device)
        return {part: self.kind.score(p, truth, classes) for part, p in found.items()}

    def save(self, path: str | Path, *, precision: str = "float32", overwrite: bool = False) -> None:
        """Write this classifier to a folder, whole or not at all.

        Args:
            path: the folder to make.
            precision: ``float32``, ``float16``, or ``int8`` (a quarter of the size).
            overwrite: replace a model that is there.

        Raises:
            ArtifactError: the place is taken or cannot be written.
        """
        arrays = {name: _arrays_by_direction(getattr(self, name)) for name in ("weights", "heads")}
        shared = {one.name: getattr(self, one.name) for one in fields(StoredClassifier)}
        StoredClassifier(**{**shared, **arrays}).save(Path(path), precision=precision, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> "TextClassifier":
        """Read a classifier's folder; safe with folders from strangers.

        Raises:
            ArtifactError: names the file at fault.
        """
        stored = StoredClassifier.load(path)
        tensors = {
            name: {way: as_tensors(arrays) for way, arrays in getattr(stored, name).items()}
            for name in ("weights", "heads")
        }
        return cls(**{**{one.name: getattr(stored, one.name) for one in fields(stored)}, **tensors})


def heads_proba(heads: Mapping[str, Head], features: Features, kind: LabelKind) -> Floats:
    """(n_texts, n_classes) probabilities of pooled texts: each direction's head gives some, which are averaged."""
    parts = []
    for direction, pooled in features.items():
        with torch.inference_mode():
            scores = heads[direction](torch.from_numpy(pooled))
        parts.append(kind.link(scores.double().numpy()))
    return np.asarray(np.mean(parts, axis=0), np.float64)


def _arrays_by_direction(weights: Mapping[str, Weights]) -> dict[str, dict[str, Any]]:
    return {way: {name: tensor.numpy() for name, tensor in some.items()} for way, some in weights.items()}
