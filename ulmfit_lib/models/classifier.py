"""The classifier that a user holds: predict, evaluate, save, load."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.data.corpus import encode_texts
from ulmfit_lib.data.ratings import with_ratings
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.data.tags import as_decisions
from ulmfit_lib.data.tokenizing import Tokenizer
from ulmfit_lib.data.vocabulary import Vocabulary
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.evaluation.baseline import TfidfBaseline
from ulmfit_lib.evaluation.blending import Blend
from ulmfit_lib.evaluation.certainty import UNSURE, Certainty
from ulmfit_lib.evaluation.metrics import score, score_ratings, score_tags
from ulmfit_lib.evaluation.regression import Floats, link
from ulmfit_lib.files import read_json
from ulmfit_lib.models.architecture import Architecture, Weights
from ulmfit_lib.models.artifacts import Artifact, load_artifact, save_artifact
from ulmfit_lib.models.cards import classifier_card
from ulmfit_lib.models.frozen import Features, FrozenEncoder, freeze, pool_documents
from ulmfit_lib.models.pooling import POOLINGS, Head, build_head, head_tensors, pooled_width
from ulmfit_lib.progress import note

KIND = "classifier"
TFIDF_PARTS = ("baseline", "topics")


@dataclass(frozen=True, eq=False)
class TextClassifier:
    """A fine-tuned encoder and head per direction, and the TF-IDF classifiers beside them if ``fit`` made some.

    Attributes:
        classes: the labels, in the order of every column of probabilities.
        architecture: sizes of the encoder.
        vocabulary: tokens by id.
        tokenizer: what splits texts for it.
        weights: per direction, the encoder's tensors by name.
        heads: per direction, the head's tensors by name.
        pooling: how an encoder's outputs become one vector (``pooling.pool``).
        baseline: TF-IDF + logistic regression on the same labels.
        topics: the same on topics of texts without a label (``evaluation.topics``), where there were many.
        blend: how much each part counts in predictions.
        training: JSON-ready record of how it came to be.
        base: name and sha256 of the language model under it.
        values: where labels are ratings, the number that each class stands for.
        delimiter: where a text has several labels, what parts them.
    """

    classes: list[str]
    architecture: Architecture
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    weights: dict[str, Weights]
    heads: dict[str, Weights]
    pooling: str
    baseline: TfidfBaseline | None = None
    topics: TfidfBaseline | None = None
    blend: Blend = field(default_factory=Blend)
    training: dict[str, Any] = field(default_factory=dict)
    base: dict[str, str] | None = None
    values: tuple[float, ...] | None = None
    delimiter: str | None = None
    _encoders: dict[tuple[str, str], FrozenEncoder] = field(default_factory=dict, init=False, repr=False)

    @property
    def tfidf(self) -> dict[str, TfidfBaseline]:
        """The parts beside ULMFiT, by name."""
        return {name: part for name in TFIDF_PARTS if (part := getattr(self, name)) is not None}

    @property
    def direction(self) -> str:
        """``forward``, ``backward`` or ``both``."""
        return "both" if len(self.weights) == 2 else next(iter(self.weights))

    def predict(
        self, texts: Sequence[str], *, min_precision: float | None = None, device: str = "cpu"
    ) -> list[str]:
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
        return self.say(self.predict_proba(texts, device=device), least)

    def say(self, probabilities: Floats, least: float = 0.0) -> list[str]:
        """(n, n_classes) probabilities as labels; "unsure" where the likeliest class has less than ``least``."""
        if self.delimiter is not None:
            chosen = [np.flatnonzero(row >= 0.5) for row in probabilities]
            return [self.delimiter.join(self.classes[place] for place in places) for places in chosen]
        if self.values is not None:
            return [f"{rating:.4g}" for rating in self.expected(probabilities)]
        return [self.classes[row.argmax()] if row.max() >= least else UNSURE for row in probabilities]

    def confidence(self, probabilities: Floats) -> Floats:
        """(n,) of the likeliest class; with several labels, of the least certain one's being there or not."""
        if self.delimiter is not None:
            return np.asarray(np.maximum(probabilities, 1 - probabilities).min(1), np.float64)
        return np.asarray(probabilities.max(1), np.float64)

    def predict_ratings(self, texts: Sequence[str], *, device: str = "cpu") -> npt.NDArray[np.float64]:
        """(n_texts,) ratings, where labels are ratings.

        Raises:
            OptionError: they are not.
        """
        return self.expected(self.predict_proba(texts, device=device))

    def expected(self, probabilities: Floats) -> npt.NDArray[np.float64]:
        """(n, n_classes) probabilities -> (n,) ratings: the classes' mean by probability."""
        if self.values is None:
            raise OptionError("this classifier's labels are classes; one of ratings is made with `fit --ratings`")
        return np.asarray(probabilities @ np.array(self.values), np.float64)

    @property
    def certainty(self) -> Certainty:
        """How often predictions of some confidence were right, on rows that had not been learnt from.

        Raises:
            OptionError: ``fit`` did not make this classifier.
        """
        if self.values is not None or self.delimiter is not None:
            raise OptionError("a precision is for one class a text, not for ratings or several labels: leave it out")
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
        if self.delimiter is None:
            return {"delivered": self.blend.apply(parts), **parts}
        decided = self.blend.apply({name: as_decisions(part) for name, part in parts.items()})
        return {"delivered": decided[:, 1].reshape(parts["ulmfit"].shape), **parts}

    def ulmfit_proba(self, features: Features) -> Floats:
        """From the neural part alone, for texts by their ``features``: the directions' probabilities, averaged."""
        parts = []
        for direction, pooled in features.items():
            with torch.inference_mode():
                logits = self._built_heads[direction](torch.from_numpy(pooled))
            parts.append(link(logits.double().numpy(), tags=self.delimiter is not None))
        return np.asarray(np.mean(parts, axis=0), np.float64)

    def features(self, texts: Sequence[str], *, device: str | torch.device = "cpu") -> Features:
        """Per direction, one pooled vector per text, (n_texts, width): what the heads see."""
        documents, pad_id = encode_texts(texts, self.tokenizer, self.vocabulary), self.vocabulary.pad_id
        return {
            way: pool_documents(self._encoder(way, str(device)), self.pooling, documents, way, pad_id)
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
        table = data.labelled()
        if not len(table):
            raise DataError(f"{table.source}: no row has a label, so there is nothing to score against")
        if self.values is not None:
            numbers = np.array((table if table.numbers else with_ratings(table)).numbers, np.float64)
            found = self.probabilities(table.texts, device=device)
            return {part: score_ratings(self.expected(p), numbers) for part, p in found.items()}
        if self.delimiter != table.delimiter and self.delimiter is not None:
            table = table.split_labels(self.delimiter)
        classes, new = self.classes, sorted(set(table.classes) - set(self.classes))
        if new and len(new) < len(table.classes):  # else they are other labels altogether, and class_numbers says so
            note(f"{table.source}: the classifier has not learnt {', '.join(map(repr, new[:20]))}: wrong in those rows")
            classes = [*classes, *new]
        targets = table.class_numbers(classes)
        nothing = np.zeros((len(table), len(classes) - len(self.classes)))
        found = self.probabilities(table.texts, device=device)
        scorer = score if self.delimiter is None else score_tags
        return {part: scorer(np.hstack([p, nothing]), targets, classes) for part, p in found.items()}

    def save(self, path: str | Path, *, precision: str = "float32", overwrite: bool = False) -> None:
        """Write this classifier to a folder, whole or not at all.

        Args:
            path: the folder to make.
            precision: ``float32``, ``float16``, or ``int8`` (a quarter of the size).
            overwrite: replace a model that is there.

        Raises:
            ArtifactError: the place is taken or cannot be written.
        """
        tensors = {
            f"{direction}.{part}{name}": tensor
            for part, groups in (("", self.weights), ("head.", self.heads))
            for direction, group in groups.items()
            for name, tensor in group.items()
        }
        for part, tfidf in self.tfidf.items():
            tensors |= {f"{part}.{name}": torch.from_numpy(array) for name, array in tfidf.numbers().items()}
        config = {
            "classes": self.classes, "pooling": self.pooling, "base": self.base, "blend": asdict(self.blend),
            **{f"has_{part}": part in self.tfidf for part in TFIDF_PARTS}, "values": self.values,
            "label_delimiter": self.delimiter,
        }  # fmt: skip
        save_artifact(
            Path(path), kind=KIND, architecture=self.architecture, direction=self.direction,
            vocabulary=self.vocabulary, tokenizer=self.tokenizer, tensors=tensors, training=self.training,
            card=classifier_card(self.training, self.direction, self.classes), config=config,
            files={_terms_file(part): tfidf.terms_json() for part, tfidf in self.tfidf.items()},
            precision=precision, overwrite=overwrite,
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> "TextClassifier":
        """Read a classifier's folder; safe with folders from strangers.

        Raises:
            ArtifactError: names the file at fault.
        """
        return cls.from_artifact(load_artifact(Path(path), kind=KIND))

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "TextClassifier":
        """From a folder that is already read."""
        config, file = artifact.config, artifact.path / "config.json"
        classes, pooling, blend = config.get("classes"), config.get("pooling"), config.get("blend")
        delimiter = config.get("label_delimiter")
        if not (delimiter is None or (isinstance(delimiter, str) and delimiter.strip())):
            raise ArtifactError(f"{file}: label_delimiter {delimiter!r}: a sign is needed")
        fewest = 2 if delimiter is None else 1
        if not (isinstance(classes, list) and len(set(map(str, classes))) == len(classes) >= fewest):
            raise ArtifactError(f"{file}: classes {classes!r}: {fewest} or more different names are needed")
        if not all(isinstance(name, str) for name in classes):
            raise ArtifactError(f"{file}: the classes must be strings")
        if pooling not in POOLINGS:
            raise ArtifactError(f"{file}: pooling {pooling!r}; known are {', '.join(POOLINGS)}")
        parts = ("ulmfit", *(part for part in TFIDF_PARTS if config.get(f"has_{part}")))
        if not (isinstance(blend, dict) and all(_is_weight(blend.get(part)) for part in parts)):
            raise ArtifactError(f"{file}: blend {blend!r}: a weight, not negative, is needed for {', '.join(parts)}")
        values = config.get("values")
        numbers = isinstance(values, list) and len(values) == len(classes) and all(map(_is_number, values))
        if values is not None and not numbers:
            raise ArtifactError(f"{file}: values {values!r}: one number per class is needed")
        directions = artifact.directions()
        shapes = artifact.architecture.weight_shapes(len(artifact.vocabulary))
        del shapes["decoder.bias"]
        expected = {f"{way}.{name}": shape for way in directions for name, shape in shapes.items()}
        width = pooled_width(artifact.architecture, pooling)
        for way in directions:
            hidden = artifact.tensors.get(f"{way}.head.layers.1.bias", torch.zeros(0)).numel()
            with torch.device("meta"):  # shapes alone: a stranger's sizes take no memory
                head = Head(width, len(classes), hidden=hidden)
            expected |= {f"{way}.head.{name}": tuple(tensor.shape) for name, tensor in head_tensors(head).items()}
        terms = {part: _read_terms(artifact.path / _terms_file(part)) for part in parts[1:]}
        rows = 1 if len(classes) == 2 and delimiter is None else len(classes)
        for part, some in terms.items():
            expected |= {
                f"{part}.idf": (len(some),), f"{part}.coefficients": (rows, len(some)), f"{part}.intercepts": (rows,),
            }  # fmt: skip
        artifact.check(expected)
        tfidf = {
            part: TfidfBaseline(
                some, **{name: tensor.double().numpy() for name, tensor in artifact.part(part).items()},
                tags=delimiter is not None,
            )
            for part, some in terms.items()
        }  # fmt: skip
        return cls(
            classes, artifact.architecture, artifact.vocabulary, artifact.tokenizer,
            {way: {name: artifact.part(way)[name] for name in shapes} for way in directions},
            {way: artifact.part(f"{way}.head") for way in directions}, pooling,
            tfidf.get("baseline"), tfidf.get("topics"), Blend(**{part: float(blend[part]) for part in parts}),
            artifact.training, config.get("base"),
            None if values is None else tuple(map(float, values)), delimiter,
        )  # fmt: skip


def _is_weight(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1e6


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -math.inf < value < math.inf


def _terms_file(part: str) -> str:
    return f"{part}_terms.json"


def _read_terms(path: Path) -> list[str]:
    terms = read_json(path)
    if not (isinstance(terms, list) and all(isinstance(term, str) for term in terms) and len(set(terms)) == len(terms)):
        raise ArtifactError(f"{path}: a JSON list of different strings is needed")
    return terms
