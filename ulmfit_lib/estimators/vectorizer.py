"""A language model's vectors as a scikit-learn transformer."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.estimators.base import TextEstimator, as_seed, check_epochs
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.progress import quietly
from ulmfit_lib.serving.texts import read_column
from ulmfit_lib.stages.fit_lm import fit_lm
from ulmfit_lib.training.run import Run


class UlmfitVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TextEstimator):
    """A scikit-learn transformer: texts -> vectors of length 1, which lie close together where texts mean the same.

    >>> UlmfitVectorizer().fit_transform(["Where is my parcel?", "My order has not come."]).shape    # doctest: +SKIP
    (2, 768)

    Args:
        base: the language model: a name, a folder, a ``LanguageModel``, or ``auto``.
        pooling: how a text becomes one vector (``LanguageModel.embed``); None for what suits the base.
        direction: ``forward``, ``backward`` or ``both``; None for all that it has.
        lm_epochs: epochs in which the language model first reads the texts that it is fitted to; 0 leaves it as it is.
        random_state: a whole number, which gives the same vectors each time; a ``RandomState`` of numpy's, or None.
        device: ``auto``, ``cpu`` or ``cuda``.
        verbose: show notes and progress on stderr.

    Attributes:
        lm_: the language model.
        n_features_in_: 1, the column of texts.
        feature_names_in_: (1,) its name, if ``X`` was a frame.
    """

    lm_: LanguageModel

    def __init__(
        self,
        *,
        base: str | Path | LanguageModel = AUTO,
        pooling: str | None = None,
        direction: str | None = None,
        lm_epochs: int = 0,
        random_state: int | np.random.RandomState | None = 42,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.base = base
        self.pooling = pooling
        self.direction = direction
        self.lm_epochs = lm_epochs
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "UlmfitVectorizer":
        """Choose the language model and, with ``lm_epochs``, let it read the texts; ``y`` is not looked at.

        Raises:
            DataError: something that is no text, or too few texts to read.
            ArtifactError: no such base.
            OptionError: a direction that the base lacks, or an unknown pooling.
        """
        check_epochs(self.lm_epochs, min_epochs=0)
        seed, column = as_seed(self.random_state), read_column(X, called="X")
        with quietly(not self.verbose):
            lm, _ = load_base(self.base, column.texts, direction=self.direction, seed=seed)
            if self.lm_epochs:
                run = Run(seed=seed, device=self.device)
                lm = fit_lm(column.texts, base=lm, epochs=self.lm_epochs, run=run)
            width = self._embed(lm, column.texts[:1] or [""]).shape[1]
        self.lm_, self._n_features_out = lm, width
        self._remember(column)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """(n, width) vectors.

        Raises:
            NotFittedError: before ``fit``.
            DataError: something that is no text, or a frame with another column.
        """
        texts = self._read_again(X)
        if not texts:
            return np.zeros((0, self._n_features_out), np.float32)
        with quietly(not self.verbose):
            return self._embed(self.lm_, texts)

    def _embed(self, lm: LanguageModel, texts: list[str]) -> NDArray[np.float32]:
        return lm.to(self.device).embed(texts, pooling=self.pooling)
