"""The yardstick: TF-IDF of words and word pairs under logistic regression, and how to weigh it with ULMFiT."""

import itertools
import json
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.data.splitting import class_counts

USUAL_SHARE = 0.65  # of ULMFiT in the pair; found with 50 to 500 labels of four kinds of texts
SHARE_PRIOR = 20.0  # nats, times the squared distance, that a share must gain over the usual one
WORD, NO_SPACE = r"(?u)\b\w\w+\b", r"\S+"  # scikit-learn's word; and what texts without one are cut into
Floats = npt.NDArray[np.float64]


def logistic_regression(*, strength: float, class_weights: str | None = None) -> Any:
    """scikit-learn's logistic regression; ``strength`` is its C."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000, class_weight=class_weights)


def solve(
    features: Any, targets: npt.NDArray[Any], *, strength: float, class_weights: str | None = None
) -> tuple[Floats, Floats]:
    """Logistic regression's coefficients, (n_classes, width), and intercepts, (n_classes,); two classes have one row.

    Args:
        features: (n, width), dense or sparse.
        targets: (n,) classes; or (n, n_tags) of 0 and 1, for a regression per tag.
        strength: its C.
        class_weights: ``balanced`` or None.
    """
    columns = targets.T if targets.ndim == 2 else [targets]
    parts = []
    for column in columns:
        if targets.ndim == 2 and column.min() == column.max():  # nothing to tell apart
            odds = (column.sum() + 0.5) / (len(column) - column.sum() + 0.5)
            parts.append((np.zeros((1, features.shape[1])), np.log([odds])))
        else:
            model = logistic_regression(strength=strength, class_weights=class_weights).fit(features, column)
            parts.append((model.coef_, model.intercept_))
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])


def link(scores: Floats, *, tags: bool) -> Floats:
    """(n, n_classes) scores, one column for two classes, -> probabilities; of ``tags`` each for itself."""
    if tags:
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -700, 700))), np.float64)
    return softmax(np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores)


@dataclass(frozen=True, eq=False)
class TfidfBaseline:
    """TF-IDF (1- and 2-grams, sublinear counts) + logistic regression (C = 10), rebuilt from plain numbers.

    Attributes:
        terms: the vocabulary, by column.
        idf: (n_terms,) inverse document frequencies.
        coefficients: (n_classes or 1, n_terms).
        intercepts: (n_classes or 1,).
        tags: a text has several labels: a regression each.
    """

    terms: list[str]
    idf: Floats
    coefficients: Floats
    intercepts: Floats
    tags: bool = False

    @classmethod
    def fit(
        cls, texts: Sequence[str], labels: Sequence[str] | npt.NDArray[np.int64], *, class_weights: str | None = None
    ) -> "TfidfBaseline":  # fmt: skip
        """Learn from texts and their labels; columns of probabilities follow the sorted labels.

        Where a text has several, ``labels`` is (n_texts, n_tags) of 0 and 1.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        pattern = WORD if any(map(re.compile(WORD).search, texts)) else NO_SPACE
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=pattern)
        matrix = vectorizer.fit_transform(texts)
        targets = np.asarray(labels)
        coefficients, intercepts = solve(matrix, targets, strength=10, class_weights=class_weights)
        terms = vectorizer.get_feature_names_out().tolist()
        return cls(terms, vectorizer.idf_, coefficients, intercepts, targets.ndim == 2)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes) probabilities."""
        rows, columns, values = self._tfidf(texts)
        products = (values * line[columns] for line in self.coefficients)
        scores = np.stack([np.bincount(rows, product, len(texts)) for product in products], axis=1) + self.intercepts
        return link(scores, tags=self.tags)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {term: column for column, term in enumerate(self.terms)}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(WORD if any(map(re.compile(WORD).search, self.terms)) else NO_SPACE)

    def _tfidf(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
        """Row, column and value of what is not zero in ``TfidfVectorizer``'s matrix; its import would take a second."""
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        for row, text in enumerate(texts):
            words = self._pattern.findall(text.lower())
            terms = itertools.chain(words, map(" ".join, itertools.pairwise(words)))
            found = Counter(self._columns[term] for term in terms if term in self._columns)
            rows += [row] * len(found)
            columns += found.keys()
            counts += found.values()
        place = np.array(rows, np.int64)
        values = (1 + np.log(counts)) * self.idf[columns] if counts else np.zeros(0)
        norms = np.sqrt(np.bincount(place, values**2, len(texts)))
        return place, np.array(columns, np.int64), values / norms[place]

    def numbers(self) -> dict[str, npt.NDArray[np.float32]]:
        """The arrays to save, by name."""
        arrays = {"idf": self.idf, "coefficients": self.coefficients, "intercepts": self.intercepts}
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    def terms_json(self) -> bytes:
        """The terms to save."""
        return json.dumps(self.terms).encode()


@dataclass(frozen=True)
class Blend:
    """How much ULMFiT and the baseline count: probabilities are multiplied, each to the power of its weight.

    A weight of 0 leaves a part out; both at once also sharpen or soften the result, which calibrates it.
    """

    ulmfit: float = 1.0
    baseline: float = 0.0

    @classmethod
    def fit(cls, ulmfit: Floats, baseline: Floats | None, targets: npt.NDArray[np.int64]) -> "Blend":
        """Weights for probabilities of rows that neither part has learnt from.

        Each part's log odds are brought to the same spread first: with few labels TF-IDF is right more often than it is
        sure. Then come the share of each part and how sure the whole may be, by least log loss. Few rows say little
        about shares, so that these stay near the usual ones unless many rows object.

        Args:
            ulmfit: (n, n_classes) probabilities.
            baseline: likewise; None: only how sure ULMFiT may be is learnt (temperature scaling, Guo et al. 2017).
            targets: (n,) class numbers.
        """
        alone = baseline is None
        parts = [_log_odds(part) for part in (ulmfit, ulmfit if baseline is None else baseline)]
        spreads = [max(float(part.std()), 1e-6) for part in parts]
        same = [part / spread for part, spread in zip(parts, spreads, strict=True)]

        def loss(share: float, sureness: float) -> float:
            probabilities = softmax(sureness * (share * same[0] + (1 - share) * same[1]))
            nats = -np.log(np.clip(probabilities[np.arange(len(targets)), targets], 1e-12, 1)).sum()
            return float(nats) + SHARE_PRIOR * (share - USUAL_SHARE) ** 2

        grid = itertools.product([1.0] if alone else np.linspace(0, 1, 21), np.geomspace(0.1, 10, 25))
        share, sureness = min(grid, key=lambda point: loss(*point))
        weights = sureness * share / spreads[0], sureness * (1 - share) / spreads[1]
        return cls(*(round(float(weight), 4) for weight in weights))

    @classmethod
    def even(cls, ulmfit: Floats, baseline: Floats) -> "Blend":
        """Both brought to the same spread and counted the same."""
        spreads = [max(float(_log_odds(part).std()), 1e-6) for part in (ulmfit, baseline)]
        return cls(0.5 / spreads[0], 0.5 / spreads[1])

    def apply(self, ulmfit: Floats, baseline: Floats | None) -> Floats:
        """(n, n_classes) blended probabilities."""
        if baseline is None:
            return ulmfit if self.ulmfit == 1 else softmax(self.ulmfit * _log_odds(ulmfit))
        return softmax(self.ulmfit * _log_odds(ulmfit) + self.baseline * _log_odds(baseline))


def folds(targets: npt.NDArray[np.int64], *, most: int = 5, seed: int = 0) -> list[tuple[Any, Any]]:
    """Stratified train and test places, ``most`` folds or what the commonest class allows; [] where two cannot be made.

    Every class is among those to learn from, so that its only row is never tested on. Where a text has several labels,
    (n, n_tags), the rows are parted at random.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    tags, counts = targets.ndim == 2, class_counts(targets)
    only = targets[:, counts == 1].any(1) if tags else counts[targets] == 1
    rows = np.flatnonzero(~only)
    count = min(most, len(rows) if tags else int(counts.max()))
    if count < 2:
        return []
    splitter = (KFold if tags else StratifiedKFold)(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # its rows lie in different folds
        tests = [rows[test] for _, test in splitter.split(rows, targets[rows])]
    splits = [(np.setdiff1d(np.arange(len(targets)), test), test) for test in tests]
    return [split for split in splits if class_counts(targets[split[0]], len(counts))[counts > 0].all()]


def _log_odds(probabilities: Floats) -> Floats:
    logs = np.log(np.clip(probabilities, 1e-6, 1))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True), np.float64)


def softmax(scores: Floats) -> Floats:
    """Rows of scores -> rows of probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
