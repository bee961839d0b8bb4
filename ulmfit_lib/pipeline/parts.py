"""ULMFiT, TF-IDF + logistic regression, and topics of unlabelled texts: fitted together and weighed together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ulmfit_lib.arrays import Features, Floats, Ints
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.models.classifier import TextClassifier, heads_proba
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.stages.fit_classifier import fit_classifier
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.classifying import ClassifierRecipe
from ulmfit_lib.training.heads import fit_head
from ulmfit_lib.training.regression import folds
from ulmfit_lib.training.tfidf import fit_tfidf
from ulmfit_lib.training.topics import Topics, learn_topics

MOST_FOLDS = 5


class Unseen(NamedTuple):
    """What each part says of rows that no part has learnt from, as decisions (``labels.kind.LabelKind.decisions``).

    Attributes:
        parts: (n, n_choices) probabilities, by part.
        targets: (n,) numbers of the right choices.
    """

    parts: dict[str, Floats]
    targets: Ints

    def nats(self, blend: Blend) -> float:
        """Mean log loss of all parts weighed together."""
        right = blend.apply(self.parts)[np.arange(len(self.targets)), self.targets]
        return float(-np.log(np.clip(right, 1e-12, 1)).mean())


@dataclass(frozen=True)
class PartsFitter:
    """Fits all parts to any labelled table out of those whose texts it knows.

    Attributes:
        lm: the language model under ULMFiT.
        recipe: the classifier's hyperparameters.
        strategy: ``features`` or ``fine-tune``.
        with_baseline: off, ULMFiT stands alone.
        seed: of all that is random.
        device: where to compute.
        features: what the language model's frozen encoders make of the texts, read once.
        places: of each row in ``features``.
        topics: of the texts that the language model has read, where most of these have no label.
        checkpoints: of fine-tuning.
        scored_folds: of five, those that ``out_of_fold`` holds out; each costs as much as the whole classifier.
    """

    lm: LanguageModel
    recipe: ClassifierRecipe
    strategy: str
    with_baseline: bool
    seed: int
    device: torch.device
    features: Features
    places: dict[int, int]
    topics: Topics | None = None
    checkpoints: Checkpoints | None = None
    scored_folds: int = MOST_FOLDS

    @classmethod
    def read(
        cls, table: TextTable, *, lm: LanguageModel, recipe: ClassifierRecipe, strategy: str, with_baseline: bool,
        seed: int, device: str, texts: Sequence[str] = (), checkpoints: Checkpoints | None = None,
        scored_folds: int = MOST_FOLDS,
    ) -> "PartsFitter":  # fmt: skip
        """One that knows the texts of ``table``; ``texts`` are those that the language model has read."""
        topics = learn_topics(texts, labelled=len(table), seed=seed) if with_baseline else None
        new = cls(
            lm, recipe, strategy, with_baseline, seed, find_device(device), {}, {}, topics, checkpoints, scored_folds
        )  # fmt: skip
        return new.knowing(table, new.read_features(table))

    @property
    def pooling(self) -> str:
        """How the outputs of the encoders become one vector."""
        return self.recipe.pooling_for(self.strategy, taught=self.lm.architecture.taught)

    def read_features(self, table: TextTable) -> Features:
        """What the language model's frozen encoders make of a table's texts."""
        return self.lm.features(table.texts, pooling=self.pooling, device=self.device)

    def knowing(self, table: TextTable, features: Features) -> "PartsFitter":
        """One that knows another table's texts, too."""
        known = self.features
        joined = {way: np.concatenate([known[way], new]) if known else new for way, new in features.items()}
        places = {row: len(self.places) + place for place, row in enumerate(table.rows)}
        return replace(self, features=joined, places=self.places | places)

    def frozen(self, table: TextTable) -> "PartsFitter":
        """One whose encoder does not learn the labels; its head sees other numbers, so ``table`` is read again."""
        new = replace(self, strategy="features", features={}, places={})
        return new.knowing(table, new.read_features(table))

    def fit(self, table: TextTable, blend: Blend) -> TextClassifier:
        """All parts, weighed by ``blend``."""
        return replace(self._ulmfit(table), tfidf=self._tfidf(table), blend=blend)

    def weigh(self, unseen: Unseen | None) -> Blend:
        """By what each part said of unseen rows; evenly where there are none."""
        if unseen:
            return Blend.fit(*unseen)
        return Blend(ulmfit=0.5, baseline=0.5) if self.with_baseline else Blend()

    def out_of_fold(self, table: TextTable) -> Unseen | None:
        """Predictions for a table by cross-validation, of the rows that can be held out; None where none can."""
        kind, targets = table.kind, table.class_numbers()
        splits = folds(targets, kind=kind, most=MOST_FOLDS, seed=self.seed)[: self.scored_folds]
        if not splits:
            return None
        said = [self.predict_parts(table.select(train), table.select(test)) for train, test in splits]
        places = np.concatenate([test for _, test in splits])
        together = {name: kind.decisions(np.concatenate([one[name] for one in said])) for name in said[0]}
        return Unseen(together, kind.decided(targets[places]))

    def predict_parts(self, train: TextTable, test: TextTable) -> dict[str, Floats]:
        """Probabilities for ``test``, (n_texts, n_classes), from each part that has learnt from ``train``."""
        others = {name: part.predict_proba(test.texts) for name, part in self._tfidf(train).items()}
        return {"ulmfit": self._predict_ulmfit(train, test), **others}

    def known(self, table: TextTable) -> Features:
        """The features of a table's texts."""
        places = [self.places[row] for row in table.rows]
        return {way: vectors[places] for way, vectors in self.features.items()}

    def _ulmfit(self, table: TextTable) -> TextClassifier:
        return fit_classifier(
            table, lm=self.lm, strategy=self.strategy, recipe=self.recipe, features=self.known(table), seed=self.seed,
            device=str(self.device), checkpoints=self.checkpoints,
        )  # fmt: skip

    def _predict_ulmfit(self, train: TextTable, test: TextTable) -> Floats:
        if self.strategy == "fine-tune":
            trial = self._ulmfit(train)
            return trial.ulmfit_proba(trial.features(test.texts, device=self.device))
        return predict_by_heads(
            self.known(train), train.class_numbers(), self.known(test), self.recipe, kind=train.kind, seed=self.seed,
            taught=self.lm.architecture.taught_width(self.pooling),
        )  # fmt: skip

    def _tfidf(self, table: TextTable) -> dict[str, TfidfClassifier]:
        """The linear parts, by name."""
        options: dict[str, Any] = {"kind": table.kind, "class_weights": self.recipe.class_weights}
        texts, targets, found = table.texts, table.class_numbers(), {}
        if self.with_baseline:
            found["baseline"] = fit_tfidf(texts, targets, **options)
        if self.topics:
            found["topics"] = self.topics.classifier(texts, targets, seed=self.seed, **options)
        return found


def predict_by_heads(
    train: Features, targets: Ints, test: Features, recipe: ClassifierRecipe, *, kind: LabelKind, seed: int,
    taught: int = 0,
) -> Floats:  # fmt: skip
    """Probabilities for pooled texts, (n_texts, n_classes), from heads that learnt other pooled texts' classes.

    A head per direction; their probabilities are averaged. The first ``taught`` numbers are a taught vector.
    """
    learn = partial(fit_head, targets=targets, recipe=recipe, kind=kind, seed=seed, taught=taught)
    heads = {way: learn(vectors) for way, vectors in train.items()}
    return heads_proba(heads, test, kind)
