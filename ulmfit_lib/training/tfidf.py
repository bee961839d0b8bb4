"""What learns from the words of texts alone: TF-IDF under logistic regression, the yardstick; and topics.

Topics are learnt from many texts without a label: latent semantic analysis (Deerwester et al. 1990).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.data.stored_texts import Selection
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.linear.tfidf import NO_SPACE, WORD, TermScorer, TfidfClassifier
from ulmfit_lib.progress import track
from ulmfit_lib.training.regression import cross_validated_loss, solve

C = 10.0  # scikit-learn's
FEWEST_TEXTS, MOST_TEXTS = 1000, 20_000  # that topics are learnt from
MOST_CHARACTERS = 40_000_000  # that these hold together
FEWEST_TERMS, MOST_TERMS = 100, 30_000
RARE, COMMON = 5, 0.5  # terms in fewer texts, or in a larger share of them, say little
COUNTS = (5, 10, 20, 50)  # of topics, the strongest first, to choose from
C_VALUES = (1e-3, 1e-2, 1e-1, 1.0)  # of logistic regression, to choose from


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


@dataclass(frozen=True, eq=False)
class Topics:
    """The strongest directions in which the TF-IDF of many texts varies."""

    axes: TermScorer  # gives each topic a score, which over those texts has mean 0 and variance 1

    @classmethod
    def learn(cls, texts: Sequence[str], *, seed: int) -> "Topics | None":
        """From texts, of very many from a random part; None where they are too few or share too few words."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        if len(texts) < FEWEST_TEXTS:
            return None
        drawn = np.random.default_rng(seed).permutation(len(texts))[:MOST_TEXTS]
        average = np.mean([len(texts[place]) for place in drawn[:200]])
        drawn = drawn[: max(FEWEST_TEXTS, int(MOST_CHARACTERS / (average + 1)))]
        read = track(Selection(texts, np.sort(drawn)), total=len(drawn), description="learning topics", unit="text")
        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=RARE, max_df=COMMON, max_features=MOST_TERMS
        )
        try:
            matrix = vectorizer.fit_transform(read)
        except ValueError:  # no term is left
            return None
        if matrix.shape[1] < FEWEST_TERMS:
            return None
        decomposition = TruncatedSVD(COUNTS[-1], random_state=seed)
        scores = decomposition.fit_transform(matrix)
        spread = scores.std(0) + 1e-12
        terms = vectorizer.get_feature_names_out().tolist()
        axes = decomposition.components_ / spread[:, None]
        return cls(TermScorer(terms, vectorizer.idf_, axes, -scores.mean(0) / spread))

    def classifier(
        self, texts: Sequence[str], targets: Ints, *, kind: LabelKind, class_weights: str | None, seed: int
    ) -> TfidfClassifier:
        """Logistic regression on texts' topics, their number and C chosen by cross-validated log loss.

        A sum of topics is a sum of TF-IDF terms, so that the result is a classifier of these. Targets are (n_texts,)
        classes, or (n_texts, n_tags) of 0 and 1.
        """
        scores = self.axes.scores(texts)
        losses = {
            (loss, count, c)
            for count in COUNTS
            for c, loss in cross_validated_loss(
                scores[:, :count], targets, C_VALUES, kind=kind, class_weights=class_weights, seed=seed
            ).items()
        }
        _, count, c = min(losses, default=(0.0, COUNTS[0], C_VALUES[0]))
        weights, biases = solve(scores[:, :count], targets, c=c, class_weights=class_weights)
        axes, center = self.axes.coefficients[:count], self.axes.intercepts[:count]
        found = TfidfClassifier(self.axes.terms, self.axes.idf, weights @ axes, biases + weights @ center, kind)
        return found.as_saved()


def learn_topics(texts: Sequence[str], *, labelled: int, seed: int) -> Topics | None:
    """Topics of texts of which most have no label: where most have one, TF-IDF learns what matters from these."""
    return Topics.learn(texts, seed=seed) if mostly_unlabelled(texts, labelled) else None


def mostly_unlabelled(texts: Sequence[str], labelled: int) -> bool:
    """Whether ``labelled`` are less than half of the texts."""
    return len(texts) > 2 * labelled
