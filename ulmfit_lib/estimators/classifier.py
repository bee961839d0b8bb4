"""``fit`` as a scikit-learn classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.report import Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.estimators.base import TextEstimator, as_seed, check_epochs
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.fit import fit
from ulmfit_lib.progress import quietly
from ulmfit_lib.serving.texts import read_column, read_texts
from ulmfit_lib.training.recipes import Recipe, find_recipe
from ulmfit_lib.training.run import Run


class UlmfitClassifier(ClassifierMixin, TextEstimator):
    """A scikit-learn classifier of texts: what ``fit`` returns, ULMFiT and TF-IDF weighed together.

    Args:
        base: the language model to start from: a name, a folder, a ``LanguageModel``, or ``auto``.
        recipe: hyperparameters, by name (``cpu``) or a ``Recipe``.
        strategy: ``linear-probe`` (the head alone learns, in seconds), ``contrast`` (words in context, too),
            ``fine-tune`` (the whole network), or ``auto`` (what pays within ``minutes``).
        direction: ``forward``, ``backward`` or ``both``; None for all that the base has.
        minutes: that ``fit`` may take; None for its own default.
        lm_epochs: epochs of the language model over the texts, whatever they take; None for what pays.
        class_weight: ``balanced`` gives rare classes as much weight as common ones; None counts each row once.
        with_baseline: off, ULMFiT stands alone.
        random_state: a whole number, which gives the same classifier each time; a ``RandomState`` of numpy's, or None.
        device: ``auto``, ``cpu`` or ``cuda``.
        verbose: show notes and progress on stderr.

    Attributes:
        classes_: (n_classes,) labels, in the order of the columns of ``predict_proba``.
        model_: the ``TextClassifier``.
        report_: scores on held-out rows, beside those of TF-IDF + logistic regression.
        n_features_in_: 1, the column of texts.
        feature_names_in_: (1,) its name, if ``X`` was a frame.

    Examples:
        >>> labelled = reviews.labelled()
        >>> classifier = UlmfitClassifier(base=lm).fit(labelled.texts, labelled.labels)
        >>> classifier.classes_.tolist(), classifier.predict_proba(["A fine film."]).shape
        (['negative', 'positive'], (1, 2))
    """

    classes_: NDArray[Any]
    model_: TextClassifier
    report_: Report | None

    def __init__(
        self,
        *,
        base: str | Path | LanguageModel = AUTO,
        recipe: str | Recipe = "cpu",
        strategy: str = "linear-probe",
        direction: str | None = None,
        minutes: float | None = None,
        lm_epochs: int | None = None,
        class_weight: str | None = None,
        with_baseline: bool = True,
        random_state: int | np.random.RandomState | None = 42,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.base = base
        self.recipe = recipe
        self.strategy = strategy
        self.direction = direction
        self.minutes = minutes
        self.lm_epochs = lm_epochs
        self.class_weight = class_weight
        self.with_baseline = with_baseline
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, unlabelled: Sequence[str] | None = None, **unsupported: Any) -> "UlmfitClassifier":
        """Learn from texts and labels.

        Args:
            X: (n,) texts: a list, an array, a series, or a frame of one column.
            y: (n,) labels.
            unlabelled: more texts, which the language model and the topics may read.
            unsupported: nothing may be here. ``sample_weight`` is no parameter of its own, since scikit-learn would
                then take it for one that works and, in bagging for instance, count on it.

        Raises:
            DataError: texts or labels that cannot be learnt from.
            OptionError: a parameter out of range, or sample weights.
        """
        self._refuse(unsupported)
        seed, column = as_seed(self.random_state), read_column(X, called="X")
        texts, more = column.texts, read_texts(() if unlabelled is None else unlabelled, called="unlabelled")
        classes, numbers = np.unique(_read_labels(y, len(texts)), return_inverse=True)
        names = [str(one) for one in classes]
        if len(set(names)) < len(names):
            raise DataError("y: two classes have the same name when they are written as text; rename one of them")
        table = TextTable.from_lists([*texts, *more], [*(names[number] for number in numbers), *[None] * len(more)])
        with quietly(not self.verbose):
            model = fit(
                table,
                base=self.base,
                recipe=find_recipe(self.recipe).changed(
                    lm_epochs=self.lm_epochs, class_weights=self.class_weight, with_baseline=self.with_baseline
                ),
                strategy=self.strategy,
                direction=self.direction,
                minutes=self.minutes,
                run=Run(seed=seed, device=self.device),
            )
        self.model_, self.classes_, self.report_ = model, classes, model.training.report
        self._remember(column)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """(n, n_classes) probabilities, columns in the order of ``classes_``.

        Raises:
            NotFittedError: before ``fit``.
            DataError: something that is no text, or a frame with another column.
        """
        texts = self._read_again(X)
        with quietly(not self.verbose):
            found = self.model_.to(self.device).predict_proba(texts)
        return found[:, self._columns()]

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the label of each text, by the classifier's rule; raises what ``predict_proba`` raises."""
        columns = self._columns()
        found = self.model_.decide(self.predict_proba(X)[:, np.argsort(columns)])
        return np.asarray(self.classes_[np.argsort(columns)[found]])

    def _columns(self) -> Ints:
        """The model sorts classes as text, scikit-learn by their own order: 2 before 10."""
        place = {name: number for number, name in enumerate(self.model_.classes)}
        return np.array([place[str(one)] for one in self.classes_], np.int64)

    def _refuse(self, unsupported: dict[str, Any]) -> None:
        if unsupported.pop("sample_weight", None) is not None:
            raise OptionError(
                "sample_weight: UlmfitClassifier counts every row once; for rare classes set class_weight='balanced'"
            )
        if unsupported:
            raise OptionError(f"fit has no parameter {sorted(unsupported)[0]!r}; besides X and y it takes unlabelled")
        if self.class_weight not in (None, "balanced"):
            raise OptionError(f"class_weight={self.class_weight!r}: 'balanced' or None is needed")
        if self.lm_epochs is not None:
            check_epochs(self.lm_epochs, min_epochs=1)


def _read_labels(y: Any, count: int) -> NDArray[Any]:
    """(count,) labels."""
    labels = column_or_1d(y, warn=True)
    if len(labels) != count:
        raise DataError(f"X has {count} texts and y {len(labels)} labels; one label for each text is needed")
    if missing := np.flatnonzero(pd.isna(labels)).tolist():
        raise DataError(
            f"y: row {missing[0]} (from 0) has no label; texts without one go into fit(X, y, unlabelled=texts)"
        )
    check_classification_targets(labels)
    return np.asarray(labels)
