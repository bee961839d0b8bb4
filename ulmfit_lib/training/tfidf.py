"""The yardstick learns: TF-IDF of words and word pairs under logistic regression."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.tfidf import NO_SPACE, WORD, TfidfClassifier
from ulmfit_lib.training.regression import solve

C = 10.0  # scikit-learn's


def fit_tfidf(
    texts: Sequence[str],
    targets: Sequence[str] | npt.NDArray[Any],
    *,
    kind: LabelKind | None = None,
    class_weights: str | None = None,
) -> TfidfClassifier:
    """Learn from texts and their targets, (n_texts,) classes, or (n_texts, n_tags) of 0 and 1.

    Columns of probabilities follow the sorted classes.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    pattern = WORD if any(map(re.compile(WORD).search, texts)) else NO_SPACE
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=pattern)
    matrix = vectorizer.fit_transform(texts)
    found = solve(matrix, np.asarray(targets), c=C, class_weights=class_weights)
    terms = vectorizer.get_feature_names_out().tolist()
    return TfidfClassifier(terms, vectorizer.idf_, *found, kind or Classes()).as_saved()
