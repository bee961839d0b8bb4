"""Anything that makes vectors of texts: a classifier or a language model, from a folder or by its name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ulmfit_lib.artifact.catalogue import describe_model
from ulmfit_lib.artifact.format import CLASSIFIER
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.wt103 import find_pretrained


class Reader(Protocol):
    """What makes vectors of texts."""

    def embed(self, texts: Sequence[str], *, device: str = "cpu") -> npt.NDArray[np.float32]:
        """(n_texts, width), of length 1."""


def load_reader(model: str | Path) -> TextClassifier | LanguageModel:
    """A classifier's folder, or a language model's folder or name.

    Raises:
        ArtifactError: no such model, or one that cannot be read.
    """
    path = find_pretrained(model)
    if describe_model(path)["kind"] == CLASSIFIER:
        return TextClassifier.load(path)
    return LanguageModel.from_pretrained(model)


def nearest(vectors: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n,) the cosine of each vector with the one among ``others``, (m, width), that is most like it."""
    parts = [(vectors[i : i + 1024] @ others.T).max(1) for i in range(0, len(vectors), 1024)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
