"""ULMFiT, TF-IDF + logistic regression, and topics of unlabelled texts: fitted together, tried on held-out folds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ulmfit_lib.arrays import Features, Floats
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.unseen import Split, Unseen
from ulmfit_lib.stages.fit_classifier import fit_classifier
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.classifying import ClassifierRecipe
from ulmfit_lib.training.heads import HeadChoice, predict_by_choice
from ulmfit_lib.training.tfidf import fit_tfidf
from ulmfit_lib.training.topics import Topics


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
        topics: of texts without a label, where there were many.
        checkpoints: of fine-tuning.
        features: what the language model's frozen encoders make of the texts, read once.
        places: of each row in ``features``.
    """

    lm: LanguageModel
    recipe: ClassifierRecipe
    strategy: str
    with_baseline: bool
    seed: int
    device: torch.device
    topics: Topics | None
    checkpoints: Checkpoints | None
    features: Features
    places: dict[int, int]

    @classmethod
    def read(
        cls,
        table: TextTable,
        *,
        lm: LanguageModel,
        recipe: ClassifierRecipe,
        strategy: str,
        with_baseline: bool,
        seed: int,
        device: torch.device,
        topics: Topics | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> "PartsFitter":
        """One that knows the texts of ``table``."""
        new = cls(lm, recipe, strategy, with_baseline, seed, device, topics, checkpoints, {}, {})
        return new.knowing(table)

    @property
    def pooling(self) -> str:
        """How the outputs of the encoders become one vector."""
        return self.recipe.pooling_for(self.strategy, distilled=self.lm.architecture.distilled)

    def knowing(self, table: TextTable, features: Features | None = None) -> "PartsFitter":
        """One that knows another table's texts, too; ``features`` are what the frozen encoders make of them."""
        features = features or self.lm.to(self.device).features(table.texts, pooling=self.pooling)
        known = self.features
        joined = {way: np.concatenate([known[way], new]) if known else new for way, new in features.items()}
        places = {row: len(self.places) + place for place, row in enumerate(table.rows)}
        return replace(self, features=joined, places=self.places | places)

    def instead(self, table: TextTable, **changes: Any) -> "PartsFitter":
        """One with another language model or strategy, which reads ``table`` anew."""
        return replace(self, **changes, features={}, places={}).knowing(table)

    def fit(self, table: TextTable, blend: Blend, choice: HeadChoice | None) -> TextClassifier:
        """All parts, weighed by ``blend``."""
        parts = self._linear(table).items()
        counting = {name: part for name, part in parts if blend.weights[name] or name == "baseline"}
        return replace(self._ulmfit(table, choice), tfidf=counting, blend=blend)

    def out_of_fold(
        self, table: TextTable, splits: Sequence[Split], *, beside: Unseen | None = None
    ) -> Iterator[Unseen]:
        """For one split of a table after the other, what each part says of the rows that it has not learnt from.

        ``beside`` holds what the linear parts say of the same splits, where that is known.
        """
        targets = table.class_numbers()
        for number, (train, test) in enumerate(splits):
            learnt, asked = table.select(train.tolist()), table.select(test.tolist())
            if beside is None:
                others = {name: part.predict_proba(asked.texts) for name, part in self._linear(learnt).items()}
            else:
                others = beside.among(np.flatnonzero(beside.fold == number)).others
            fold = np.full(len(test), number)
            yield Unseen(table.kind, test, targets[test], fold, self._predict_ulmfit(learnt, asked), others)

    def predict_parts(self, train: TextTable, test: TextTable) -> dict[str, Floats]:
        """Probabilities for ``test``, (n_texts, n_classes), from each part that has learnt from ``train``."""
        trial = replace(self._ulmfit(train, None), tfidf=self._linear(train)).to(self.device)
        features = self.known(test) if self.strategy == "features" else None
        said = trial.probabilities(test.texts, features=features)
        return {name: part for name, part in said.items() if name != ENSEMBLE}

    def known(self, table: TextTable) -> Features:
        """The features of a table's texts."""
        places = [self.places[row] for row in table.rows]
        return {way: vectors[places] for way, vectors in self.features.items()}

    def _ulmfit(self, table: TextTable, choice: HeadChoice | None) -> TextClassifier:
        return fit_classifier(
            table,
            lm=self.lm,
            strategy=self.strategy,
            recipe=self.recipe,
            features=self.known(table),
            seed=self.seed,
            device=str(self.device),
            checkpoints=self.checkpoints,
            head_choice=choice,
        )

    def _predict_ulmfit(self, train: TextTable, test: TextTable) -> dict[HeadChoice | None, Floats]:
        if self.strategy == "fine-tune":
            trial = self._ulmfit(train, None).to(self.device)
            return {None: trial.ulmfit_proba(trial.features(test.texts))}
        found = predict_by_choice(
            self.known(train),
            train.class_numbers(),
            self.known(test),
            self.recipe,
            kind=train.kind,
            distilled=self.lm.architecture.distilled_width(self.pooling),
        )
        return {choice: p for choice, p in found.items()}

    def _linear(self, table: TextTable) -> dict[str, TfidfClassifier]:
        """The parts beside ULMFiT, by name."""
        options: dict[str, Any] = {"kind": table.kind, "class_weights": self.recipe.class_weights}
        texts, targets, found = table.texts, table.class_numbers(), {}
        if self.with_baseline:
            found["baseline"] = fit_tfidf(texts, targets, **options)
        if self.topics:
            found["topics"] = self.topics.classifier(texts, targets, seed=self.seed, **options)
        return found
