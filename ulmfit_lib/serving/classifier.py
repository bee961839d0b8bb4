"""One classifier, whatever runs its encoders: what it predicts, embeds and explains."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Bools, Features, Floats, Vectors, products, side_by_side
from ulmfit_lib.artifact.architecture import is_distilled
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.certainty import Precision
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.serving.deciding import DecidingClassifier
from ulmfit_lib.serving.explanations import Explanation, explain
from ulmfit_lib.serving.packing import PicklesSafely
from ulmfit_lib.serving.texts import read_texts
from ulmfit_lib.tokens.documents import Documents, encode_texts

BATCH_NORM_EPS = 1e-5  # PyTorch's


@dataclass(frozen=True, eq=False)
class Classifier(PicklesSafely, DecidingClassifier, ABC):
    """An ensemble: an encoder and a head per direction, and the linear classifiers beside them if ``fit`` made some.

    A subclass says what runs the encoders: ``models.classifier.TextClassifier`` PyTorch,
    ``serving.predictor.Predictor`` ONNX Runtime.
    """

    _encoders: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def build_encoder(self, direction: str) -> Any:
        """A new one, ready to read texts in a direction."""

    @abstractmethod
    def read_documents(self, documents: Documents, pooling: str) -> Features:
        """By direction, one pooled vector a text, (n_texts, ``Architecture.pooled_width(pooling)``), in order.

        A text's vector does not depend on the texts beside it.
        """

    def predict(
        self,
        texts: Sequence[str],
        *,
        min_precision: Precision | None = None,
        by_class: bool = False,
        scope: float | None = None,
    ) -> list[str]:
        """The label of each text, in order, by the classifier's ``rule``.

        Args:
            texts: a list of strings, a series, or an array or frame of one column.
            min_precision: in (0, 1): where one cannot be sure that so large a share of the labels is right, the answer
                is "unsure". By label: only where that label would be said. For classifiers made by ``fit``.
            by_class: reach it by the answers with each label, not by all together.
            scope: in (0, 1): the answer is "none of these" where a text is like nothing that was labelled; so large a
                share of the texts of the classes is kept.

        Raises:
            DataError: what ``predict_proba`` raises.
            OptionError: a precision that this classifier cannot reach.
        """
        threshold = 0.0 if min_precision is None else self.thresholds(min_precision, by_class=by_class)
        probabilities, outside = self.judge(texts, scope)
        return self.decode(probabilities, threshold, outside)

    def judge(self, texts: Sequence[str], scope: float | None = None) -> tuple[Floats, Bools]:
        """(n_texts, n_classes) probabilities, and (n_texts,) whether each text is out of scope, read once.

        Args:
            texts: as for ``predict``.
            scope: share of the texts of the classes to keep; by default what the classifier was made for, mostly all.

        Raises:
            DataError: what ``predict_proba`` raises.
            OptionError: a share out of range, or nothing was measured.
        """
        if scope is not None and self.scope is None:
            raise OptionError(
                "this classifier does not know which texts are like none of its classes: `fit` measures that where a "
                "text has one class, with `--strategy contrast` or `linear-probe`"
            )
        keep = scope if scope is not None or self.scope is None else self.scope.keep
        texts = read_texts(texts)
        if keep is None or self.scope is None or not texts:
            return self.predict_proba(texts), np.zeros(len(texts), bool)
        features = self.features(texts)
        outside = self.scope.outside(self.scope_vectors(features), keep)
        return self.probabilities(texts, features=features)[ENSEMBLE], outside

    def scope_vectors(self, features: Features) -> Vectors:
        """(n_texts, width) vectors of length 1 that ``scope`` compares: the distilled ones, where there are such."""
        width = self.architecture.distilled_width(self.pooling) or None
        return side_by_side({way: pooled[:, :width] for way, pooled in features.items()})

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

    def probabilities(self, texts: Sequence[str], *, features: Features | None = None) -> dict[str, Floats]:
        """(n_texts, n_classes) of the ``ensemble``, and of each member alone: ``ulmfit``, ``baseline``, ``topics``.

        Where they are known, what ``features`` gives for the texts need not be made again.
        """
        members = {"ulmfit": self.ulmfit_proba(features or self.features(texts))}
        members |= {name: member.predict_proba(texts) for name, member in self.tfidf.items()}
        return {ENSEMBLE: blend_parts(members, self.blend, self.kind), **members}

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

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector a text, (n_texts, width), of length 1: texts that the encoder takes for similar lie close together.

        Where the encoder was distilled from a teacher (``stages.distill``), it is the vector projected onto the
        teacher's, else all that the heads see.
        """
        pooling = self.pooling.partition("+")[0] if is_distilled(self.pooling) else self.pooling
        return side_by_side(self.features(texts, pooling=pooling))

    def features(self, texts: Sequence[str], *, pooling: str | None = None) -> Features:
        """By direction, one pooled vector a text, (n_texts, width): what the heads see, unless ``pooling`` is given.

        Raises:
            OptionError: a pooling for which an LSTM would have to be read, and there is none.
        """
        pooling = pooling or self.pooling
        if pooling != self.pooling and not self.architecture.layers:
            raise OptionError(f"pooling {pooling!r}: this classifier reads words in context alone, and keeps no LSTM")
        mend = self.architecture.mends(pooling)
        documents = encode_texts(read_texts(texts), self.tokenizer, self.vocabulary, mend=mend)
        return self.read_documents(documents, pooling)

    def encoder(self, direction: str) -> Any:
        """What reads texts in a direction: built when first asked for, and kept."""
        if direction not in self._encoders:
            self._encoders[direction] = self.build_encoder(direction)
        return self._encoders[direction]


def blend_parts(members: dict[str, Floats], blend: Blend, kind: LabelKind) -> Floats:
    """(n, n_classes) probabilities of the ensemble, from those of its members."""
    decided = blend.apply({name: kind.decisions(member) for name, member in members.items()})
    return kind.from_decisions(decided, members["ulmfit"].shape[1])


def head_scores(head: Tensors, pooled: Vectors) -> Floats:
    """Pooled texts, (n_texts, width) -> (n_texts, n_classes) scores: ``models.head.Head`` in evaluation."""
    numbers = (pooled - head["mean"]) / head["scale"]
    if "layers.1.weight" in head:
        numbers = products(head["layers.1.weight"], numbers) + head["layers.1.bias"]
        spread = np.sqrt(head["layers.2.running_var"] + BATCH_NORM_EPS)
        numbers = (numbers - head["layers.2.running_mean"]) / spread * head["layers.2.weight"] + head["layers.2.bias"]
        numbers = np.maximum(numbers, 0)
    return np.asarray(products(head["output.weight"], numbers) + head["output.bias"], np.float64)
