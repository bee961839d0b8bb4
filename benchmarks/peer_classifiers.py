"""Classifiers that are measured beside each other: each is fitted to rows and predicts labels with probabilities."""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from labelled_sets import DELIMITER, LabelledSet, Rows

from ulmfit_lib import TextTable, fit
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.progress import quietly

Texts = Sequence[str]
Predictions = tuple[list[str], npt.NDArray[np.float64], list[str]]  # labels, (n, n_classes) probabilities, classes
Encode = Callable[[Texts], npt.NDArray[np.float32]]
GRID = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS = 5


def tfidf() -> Any:
    """TF-IDF of words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)


def vectors(encode: Encode) -> Any:
    """Vectors of texts."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(encode)


def table_of(one: LabelledSet, rows: Rows) -> TextTable:
    """Rows of a set as a table; a delimiter alone says that a text has no tag, an empty label that it has no label."""
    if not one.has_tags:
        return TextTable.from_lists(rows.texts, rows.labels)
    return TextTable.from_lists(rows.texts, [label or DELIMITER for label in rows.labels]).with_kind(Tags(DELIMITER))


class LogisticPeer:
    """Logistic regression on features of texts; of tags, one for each.

    Args:
        one: the set whose labels it learns.
        features: a transformer of texts.
        c: the inverse strength of its penalty; None: that of ``GRID`` with the least cross-validated log loss.
    """

    def __init__(self, one: LabelledSet, features: Any, c: float | None) -> None:
        self.one = one
        self.features = features
        self.c = c

    def fit(self, rows: Rows) -> "LogisticPeer":
        """Learn ``rows``."""
        self.classes = self.one.classes_of(rows.labels)
        indicators = self.one.indicators(rows.labels, self.classes)
        targets = indicators if self.one.has_tags else indicators.argmax(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # classes with fewer rows than folds, tags without a row
            c = self.c or self._cross_validated_c(rows.texts, targets, indicators)
            self.model = self._model(c).fit(rows.texts, targets)
        return self

    def predict(self, texts: Texts) -> Predictions:
        """Labels, their probabilities and the classes."""
        probabilities = np.asarray(self.model.predict_proba(list(texts)), np.float64)
        return self.one.decide(probabilities, self.classes), probabilities, self.classes

    def _model(self, c: float) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline

        head = LogisticRegression(C=c, max_iter=2000)
        return make_pipeline(self.features, OneVsRestClassifier(head) if self.one.has_tags else head)

    def _cross_validated_c(self, texts: list[str], targets: Any, indicators: Any) -> float:
        from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

        kind = KFold if self.one.has_tags else StratifiedKFold
        folds = kind(FOLDS, shuffle=True, random_state=0)
        losses = []
        for c in GRID:
            found = cross_val_predict(self._model(c), texts, targets, cv=folds, method="predict_proba")
            chance = np.where(indicators == 1, found, 1 - found if self.one.has_tags else 1.0)
            losses.append(-np.log(chance.clip(1e-6)).sum())
        return GRID[int(np.argmin(losses))]


class Delivered:
    """What ``ulmfit_lib.fit`` makes of the rows, with its defaults."""

    def __init__(self, one: LabelledSet) -> None:
        self.one = one

    def fit(self, rows: Rows) -> "Delivered":
        """Learn ``rows``."""
        with quietly():
            self.classifier = fit(table_of(self.one, rows))
        return self

    def predict(self, texts: Texts) -> Predictions:
        """Labels, their probabilities and the classes."""
        probabilities = np.asarray(self.classifier.predict_proba(texts), np.float64)
        return self.classifier.predict(texts), probabilities, list(self.classifier.classes)


class SetFit:
    """SetFit: a sentence transformer that is fine-tuned on pairs of the labelled texts; of tags, a head for each."""

    def __init__(self, one: LabelledSet, source: str) -> None:
        self.one = one
        self.source = source

    def fit(self, rows: Rows) -> "SetFit":
        """Learn ``rows``."""
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        self.classes = self.one.classes_of(rows.labels)
        indicators = self.one.indicators(rows.labels, self.classes)
        targets = indicators if self.one.has_tags else indicators.argmax(1)
        strategy = "one-vs-rest" if self.one.has_tags else None
        self.model = SetFitModel.from_pretrained(self.source, multi_target_strategy=strategy)
        data = Dataset.from_dict({"text": rows.texts, "label": targets.tolist()})
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, batch_size=16, num_epochs=1, save_strategy="no", report_to="none", show_progress_bar=False
            )
            Trainer(model=self.model, args=arguments, train_dataset=data).train()
        return self

    def predict(self, texts: Texts) -> Predictions:
        """Labels, their probabilities and the classes."""
        probabilities = np.asarray(self.model.predict_proba(list(texts)), np.float64)
        return self.one.decide(probabilities, self.classes), probabilities, self.classes


def static_vectors(source: str, folder: Path) -> Encode:
    """Vectors of single tokens, distilled from a sentence transformer by model2vec; kept in ``folder``."""
    from model2vec import StaticModel

    if not folder.is_dir():
        from model2vec.distill import distill

        beside = folder.with_name(f"{folder.name}.writing")
        distill(model_name=source, pca_dims=256).save_pretrained(str(beside))
        beside.rename(folder)
    model = StaticModel.from_pretrained(str(folder))

    def encode(texts: Texts) -> npt.NDArray[np.float32]:
        found = np.asarray(model.encode(list(texts)), np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-9)

    return encode
