"""One classifier, whatever runs its encoders: what it predicts, embeds and explains."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Features, Floats, Ints, products, side_by_side
from ulmfit_lib.artifact.architecture import is_distilled
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.certainty import UNSURE, Certainty, Precision
from ulmfit_lib.evaluation.conformal import PredictionSets
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.links import softmax
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.serving.explanations import Explanation, explain
from ulmfit_lib.serving.packing import PicklesSafely
from ulmfit_lib.serving.stored_classifier import StoredClassifier
from ulmfit_lib.serving.texts import read_texts
from ulmfit_lib.tokens.documents import Documents, encode_texts

BATCH_NORM_EPS = 1e-5  # PyTorch's


class ByMember(dict[str, Any]):
    """Something of the ``ensemble`` and of each member: ``ulmfit`` and, if there are, ``baseline`` and ``topics``."""

    def __missing__(self, name: str) -> Any:
        if name != "delivered":
            raise KeyError(name)
        warnings.warn("'delivered' is deprecated: it is called 'ensemble'", DeprecationWarning, stacklevel=2)
        return self[ENSEMBLE]


class TextEncoder(Protocol):
    """Reads texts in one direction: all in which classifiers differ from each other."""

    def pool(self, documents: Documents, pooling: str) -> npt.NDArray[np.float32]:
        """One vector a text, (n_texts, ``Architecture.pooled_width(pooling)``), in order.

        A text's vector does not depend on the texts beside it.
        """


@dataclass(frozen=True, eq=False)
class Classifier(PicklesSafely, StoredClassifier):
    """An ensemble: an encoder and a head per direction, and the linear classifiers beside them if ``fit`` made some.

    A subclass says what runs the encoders: ``models.classifier.TextClassifier`` PyTorch,
    ``serving.predictor.Predictor`` ONNX Runtime.
    """

    _encoders: dict[str, TextEncoder] = field(default_factory=dict, init=False, repr=False)

    def build_encoder(self, direction: str) -> TextEncoder:
        """A new one, ready to read texts in a direction."""
        raise NotImplementedError

    def predict(
        self, texts: Sequence[str], *, min_precision: Precision | None = None, by_class: bool = False
    ) -> list[str]:
        """The label of each text, in order, by the classifier's ``rule``.

        Args:
            texts: a list of strings, a series, or an array or frame of one column.
            min_precision: in (0, 1): where one cannot be sure that so large a share of the labels is right, the answer
                is "unsure". By label: only where that label would be said. For classifiers made by ``fit``.
            by_class: reach it by the answers with each label, not by all together.

        Raises:
            DataError: what ``predict_proba`` raises.
            OptionError: a precision that this classifier cannot reach.
        """
        threshold = 0.0 if min_precision is None else self.thresholds(min_precision, by_class=by_class)
        return self.decode(self.predict_proba(texts), threshold)

    def thresholds(self, min_precision: Precision, *, by_class: bool = False) -> Floats:
        """(n_classes,) the confidence below which each label is not said, so that the precision is reached.

        By the rows that were held out from training. It is infinite for a label that cannot reach it for sure.

        Args:
            min_precision: of all answers together, or of those with some labels.
            by_class: of the answers with each label.

        Raises:
            OptionError: what ``certainty`` raises; or a precision that cannot be reached, or of an unknown label.
        """
        certainty, n_classes = self.certainty, len(self.classes)
        if not isinstance(min_precision, Mapping):
            if not by_class:
                return np.full(n_classes, certainty.threshold(min_precision)[0])
            min_precision = dict.fromkeys(self.classes, min_precision)
        if unknown := sorted(min_precision.keys() - set(self.classes)):
            raise OptionError(
                f"precision of {unknown[0]!r}: the classifier knows {', '.join(map(repr, self.classes[:20]))}"
            )
        probabilities, targets = self._held_out()
        said, sure = self.decide(probabilities), self.confidence(probabilities)
        found = np.zeros(n_classes)
        for label, least in min_precision.items():
            number = self.classes.index(label)
            rows = said == number
            found[number] = Certainty.least_confidence(sure[rows], targets[rows] == number, least)
        if np.isinf(found[[self.classes.index(label) for label in min_precision]]).all():
            raise OptionError(
                f"precision {max(min_precision.values())}: of no label are there enough answers among the "
                f"{len(targets):,} rows that were measured to be sure of it; ask for less, or label more rows"
            )
        return found

    def predict_set(self, texts: Sequence[str], *, coverage: float = 0.9, by_class: bool = False) -> list[list[str]]:
        """The labels that each text may have, the likeliest first: a set holds the right one as often as was asked for.

        That holds for texts of the kind that the classifier was made from. An empty set says that no label fits.

        Args:
            texts: as for ``predict``.
            coverage: share of the texts, in (0, 1), whose right label is to be in the set.
            by_class: reach that share for the texts of each label, also of rare ones; sets become larger.

        Raises:
            DataError: what ``predict_proba`` raises.
            OptionError: a share out of range; or nothing was measured on rows held out from training.
        """
        sets = self.prediction_sets(coverage, by_class=by_class)
        return self.named_sets(sets, self.predict_proba(texts))

    def named_sets(self, sets: PredictionSets, probabilities: Floats) -> list[list[str]]:
        """The labels of each row's set, the likeliest first, by (n, n_classes) probabilities."""
        order = np.argsort(-probabilities, axis=1, kind="stable")
        inside = sets.contain(probabilities)
        return [
            [self.classes[one] for one in likeliest if chosen[one]]
            for likeliest, chosen in zip(order.tolist(), inside, strict=True)
        ]

    def prediction_sets(self, coverage: float, *, by_class: bool = False) -> PredictionSets:
        """What makes sets, from what ``fit`` kept of rows that were held out from training; raises OptionError."""
        if not self.kind.one_class_per_text:
            raise OptionError("sets need one class a text: leave them out for ratings and several labels")
        return PredictionSets.measure(*self._held_out(), coverage, by_class=by_class)

    def _held_out(self) -> tuple[Floats, Ints]:
        """(n, n_classes) probabilities of rows that were held out from training, and their targets."""
        kept = self.training.report.out_of_fold if self.training.report else None
        if not kept:
            raise OptionError(
                "this classifier has no record of what was predicted of rows that it had not learnt from; make it with "
                "`fit`, which keeps that"
            )
        return np.array(kept.probabilities, np.float64), np.array(kept.targets, np.int64)

    def predict_ratings(self, texts: Sequence[str]) -> Floats:
        """(n_texts,) ratings, where labels are ratings.

        Raises:
            OptionError: they are not.
        """
        return self.kind.expected(self.predict_proba(texts))

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes) probabilities, columns in the order of ``classes``.

        A text's probabilities do not depend on the texts beside it.

        Raises:
            DataError: a single string, several columns, or something that is no string; it names the row.
        """
        texts = read_texts(texts)
        return self.probabilities(texts)[ENSEMBLE] if texts else np.zeros((0, len(self.classes)))

    def decode(self, probabilities: Floats, threshold: float | Floats = 0.0) -> list[str]:
        """(n, n_classes) probabilities as labels, by ``rule``; "unsure" where the label has less than ``threshold``."""
        return self.kind.decode(probabilities, self.classes, threshold, self.rule)

    def decide(self, probabilities: Floats) -> Ints:
        """The same as numbers: (n,) of classes; of tags (n, n_tags) of 0 and 1."""
        return self.kind.decide(probabilities, self.rule)

    def confidence(self, probabilities: Floats) -> Floats:
        """(n,) the probability of what ``decode`` says of each row; of tags, of the least certain one."""
        return self.kind.confidence(probabilities, self.rule)

    def ruled(self, probabilities: Floats) -> Floats:
        """Probabilities moved by ``rule``: what is said has the highest, and the margin tells how close it was."""
        if not (self.kind.exclusive and self.rule.offsets):
            return probabilities
        return softmax(self.kind.log_odds(probabilities) + np.array(self.rule.offsets))

    @property
    def certainty(self) -> Certainty:
        """How often predictions of some confidence were right, on rows that were held out from training.

        Raises:
            OptionError: ``fit`` did not make this classifier, its labels are ratings or tags, or one is "unsure".
        """
        if not self.kind.one_class_per_text:
            raise OptionError("a precision needs one class a text: leave it out for ratings and several labels")
        if UNSURE in self.classes:
            raise OptionError(
                f"a precision lets uncertain texts be answered {UNSURE!r}, and one of the classes is called so: give "
                "it another name, and train again"
            )
        return self.training.certainty()

    def probabilities(self, texts: Sequence[str], *, features: Features | None = None) -> dict[str, Floats]:
        """(n_texts, n_classes) of the ``ensemble``, and of each member alone: ``ulmfit``, ``baseline``, ``topics``.

        Args:
            texts: the texts.
            features: what ``features`` gives for them, where that is known.
        """
        members = {"ulmfit": self.ulmfit_proba(features or self.features(texts))}
        members |= {name: member.predict_proba(texts) for name, member in self.tfidf.items()}
        return ByMember({ENSEMBLE: blend_parts(members, self.blend, self.kind), **members})

    def ulmfit_proba(self, features: Features) -> Floats:
        """(n_texts, n_classes) from the neural member alone, for texts by their ``features``: the directions' mean."""
        by_direction = [self.kind.link(head_scores(self.heads[way], pooled)) for way, pooled in features.items()]
        return np.asarray(np.mean(by_direction, axis=0), np.float64)

    def explain(self, text: str, *, label: str | None = None) -> Explanation:
        """What each word of a text adds to the log odds of its likeliest label, or of ``label``.

        A notebook shows the result in colours; ``print`` shows the strongest words and phrases.

        Raises:
            DataError: a text without a word.
            OptionError: a label that this classifier does not know.
        """
        return explain(self, text, label=label)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """A vector a text, (n_texts, width), of length 1: texts that the encoder takes for similar lie close together.

        Where the encoder was distilled from a teacher (``stages.distill``), it is the vector projected onto the
        teacher's, else all that the heads see.
        """
        return side_by_side(self.features(texts, pooling="distilled" if is_distilled(self.pooling) else self.pooling))

    def features(self, texts: Sequence[str], *, pooling: str | None = None) -> Features:
        """By direction, one pooled vector a text, (n_texts, width): what the heads see, unless ``pooling`` is given."""
        documents = encode_texts(read_texts(texts), self.tokenizer, self.vocabulary)
        return self.read_documents(documents, pooling or self.pooling)

    def read_documents(self, documents: Documents, pooling: str) -> Features:
        """By direction, one pooled vector a text, (n_texts, width)."""
        return {way: self.encoder(way).pool(documents, pooling) for way in self.heads}

    def encoder(self, direction: str) -> TextEncoder:
        """What reads texts in a direction: built when first asked for, and kept."""
        if direction not in self._encoders:
            self._encoders[direction] = self.build_encoder(direction)
        return self._encoders[direction]


def blend_parts(members: dict[str, Floats], blend: Blend, kind: LabelKind) -> Floats:
    """(n, n_classes) probabilities of the ensemble, from those of its members."""
    decided = blend.apply({name: kind.decisions(member) for name, member in members.items()})
    return kind.from_decisions(decided, members["ulmfit"].shape[1])


def head_scores(head: Tensors, pooled: npt.NDArray[np.float32]) -> Floats:
    """Pooled texts, (n_texts, width) -> (n_texts, n_classes) scores: ``models.head.Head`` in evaluation."""
    numbers = (pooled - head["mean"]) / head["scale"]
    if "layers.1.weight" in head:
        numbers = products(head["layers.1.weight"], numbers) + head["layers.1.bias"]
        spread = np.sqrt(head["layers.2.running_var"] + BATCH_NORM_EPS)
        numbers = (numbers - head["layers.2.running_mean"]) / spread * head["layers.2.weight"] + head["layers.2.bias"]
        numbers = np.maximum(numbers, 0)
    return np.asarray(products(head["output.weight"], numbers) + head["output.bias"], np.float64)
