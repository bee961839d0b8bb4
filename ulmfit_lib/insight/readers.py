"""Anything that makes vectors of texts: a classifier or a language model, from a folder or by its name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Vectors
from ulmfit_lib.artifact.catalogue import describe_model
from ulmfit_lib.artifact.format import CLASSIFIER
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import KnownTexts
from ulmfit_lib.models.known_texts import Reader as Reader
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.wt103 import find_pretrained


def load_reader(model: str | Path, *, device: str = "cpu") -> TextClassifier | LanguageModel:
    """A classifier's folder, a language model's folder or name, or either on the hub."""
    path = find_pretrained(model)
    if describe_model(path)["kind"] == CLASSIFIER:
        return TextClassifier.load(path, device=device)
    return LanguageModel.from_pretrained(path).to(device)


def find_known(
    training: TrainingRecord,
    texts: Sequence[str] | None,
    *,
    base: str,
    itself: LanguageModel | None = None,
    seed: int = 42,
) -> tuple[Sequence[str] | KnownTexts, LanguageModel]:
    """What new texts are compared with, and the language model that finds their words likely or not.

    Args:
        training: the model's record.
        texts: of the kind that it was made from; None: what its folder keeps of them, or an OptionError.
        base: of a classifier: a language model's name or folder, or ``auto``.
        itself: the model, if it is a language model.
        seed: of the sample by which ``auto`` chooses.
    """
    if texts is None:
        known = KnownTexts.from_record(training)
        return known, itself or known.language_model(base)
    return texts, itself or load_base(base, texts, seed=seed)[0]


def nearest(vectors: Vectors, others: Vectors) -> Vectors:
    """(n,) the cosine of each vector with the one among ``others``, (m, width), that is most like it."""
    parts = [(vectors[i : i + 1024] @ others.T).max(1) for i in range(0, len(vectors), 1024)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
