"""TF-IDF of words and word pairs, weighed linearly: what logistic regression on it predicts, with numpy alone."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ulmfit_lib.arrays import Floats, Ints, Vectors
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind

WORD, NO_SPACE = r"(?u)\b\w\w+\b", r"\S+"  # scikit-learn's word; and what texts without one are cut into


@dataclass(frozen=True, eq=False)
class TermScorer:
    """Scores that are weighted sums of the TF-IDF of a text's terms (1- and 2-grams, sublinear counts)."""

    terms: list[str]  # the vocabulary, by column
    idf: Floats  # (n_terms,) inverse document frequencies
    coefficients: Floats  # (n_scores, n_terms)
    intercepts: Floats  # (n_scores,)

    def scores(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_scores)."""
        rows, columns, values = self._tfidf(texts)
        products = (values * line[columns] for line in self.coefficients)
        return np.stack([np.bincount(rows, product, len(texts)) for product in products], axis=1) + self.intercepts

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {term: column for column, term in enumerate(self.terms)}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(WORD if any(map(re.compile(WORD).search, self.terms)) else NO_SPACE)

    def _tfidf(self, texts: Sequence[str]) -> tuple[Ints, Ints, Floats]:
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

    def contributions(self, text: str) -> tuple[Ints, Floats]:
        """What each word of a text adds to its scores, exactly: a sum is all there is to a linear model.

        A term's part is shared evenly by its occurrences, and that of a pair by both of its words.

        Returns:
            (n,) where in the text each word starts, words that are no terms left out; (n, n_scores) what it adds. With
            the intercepts, the sum is the text's ``scores``.
        """
        lowered = "".join(low if len(low := one.lower()) == 1 else one for one in text)
        found = [(one.group(), one.start()) for one in self._pattern.finditer(lowered)]
        places: dict[int, list[int]] = {}
        for word, start in found:
            if (column := self._columns.get(word)) is not None:
                places.setdefault(column, []).append(start)
        for (word, start), (after, second) in itertools.pairwise(found):
            if (column := self._columns.get(f"{word} {after}")) is not None:
                places.setdefault(column, []).extend([start, second])
        _, columns, values = self._tfidf([lowered])
        added = dict(zip(columns.tolist(), values[:, None] * self.coefficients[:, columns].T, strict=True))
        parts = [(start, added[column] / len(some)) for column, some in places.items() for start in some]
        starts, order = np.unique(np.array([start for start, _ in parts], np.int64), return_inverse=True)
        total = np.zeros((len(starts), len(self.coefficients)))
        np.add.at(total, order, np.array([part for _, part in parts]).reshape(-1, total.shape[1]))
        return starts, total

    def numbers(self) -> dict[str, Vectors]:
        """The arrays to save, by name."""
        arrays = {"idf": self.idf, "coefficients": self.coefficients, "intercepts": self.intercepts}
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    def terms_json(self) -> bytes:
        """The terms to save."""
        return json.dumps(self.terms).encode()


@dataclass(frozen=True, eq=False)
class TfidfClassifier(TermScorer):
    """A linear classifier of TF-IDF terms."""

    kind: LabelKind = field(default_factory=Classes)  # what turns its scores into probabilities

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes) probabilities."""
        return self.kind.link(self.scores(texts))

    def as_saved(self) -> "TfidfClassifier":
        """The same with its numbers as they are after saving, so that what is scored is what is saved."""
        numbers = {name: array.astype(np.float64) for name, array in self.numbers().items()}
        return TfidfClassifier(self.terms, **numbers, kind=self.kind)
