"""A fitted classifier distilled into scores of words and pairs of words (``serving.static_classifier``).

The scores of words start from the classifier's vectors of single words, so that words that its texts lack are scored by
those that mean the same; what is left to explain is learnt for each word and pair by itself, both by ridge regression.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Vectors
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.labels.links import log_odds
from ulmfit_lib.progress import note
from ulmfit_lib.serving.classifier import Classifier
from ulmfit_lib.serving.static_classifier import StaticClassifier, find_terms, find_words

FEWEST = 20  # texts to learn from
MOST_TEXTS = 50_000
MOST_WORDS, MOST_PAIRS = 40_000, 60_000
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
VALIDATION = 0.15  # of the texts that are learnt from, by which the penalties are chosen


@dataclass(frozen=True)
class Loss:
    """What a static classifier loses beside the one that it was distilled from, on held-out rows."""

    rows: int  # that were compared
    changed: float  # share of the labels that differ
    teacher_accuracy: float | None = None  # share of the classifier's labels that are right; None without labels
    student_accuracy: float | None = None  # the same of the static one

    @property
    def lost(self) -> float:
        """Accuracy; without labels at most so much, since a label that does not change loses nothing."""
        if self.teacher_accuracy is None or self.student_accuracy is None:
            return self.changed
        return self.teacher_accuracy - self.student_accuracy

    def sentence(self) -> str:
        """For people."""
        differ = f"{100 * self.changed:.1f} % of the labels of {self.rows:,} held-out rows change"
        if self.teacher_accuracy is None or self.student_accuracy is None:
            return f"{differ}, so at most as much accuracy is lost"
        return (
            f"accuracy {self.student_accuracy:.4f} instead of {self.teacher_accuracy:.4f}, a loss of {self.lost:.4f}; "
            f"{differ}"
        )


def distil_static(classifier: Classifier, texts: Sequence[str], *, seed: int = 42) -> StaticClassifier:
    """A static classifier that gives the answers of another one, which labels the texts itself.

    The ``seed`` draws texts from many, and those that the penalties are chosen by.
    """
    from scipy.sparse import csr_matrix

    if len(texts) < FEWEST:
        raise DataError(f"{len(texts)} texts to distil with: {FEWEST} are needed, and thousands are better")
    order = np.random.default_rng(seed).permutation(len(texts))[:MOST_TEXTS]
    learnt = [texts[i] for i in order.tolist()]
    targets = _targets(classifier, learnt)
    found = [find_terms(text) for text in learnt]
    terms, n_words = _choose_terms(classifier, found)
    place = {term: at for at, term in enumerate(terms)}
    rows = [[at for at in map(place.get, some) if at is not None] for some in found]
    lengths = np.array([len(row) for row in rows])
    columns = np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(lengths.sum()))
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    sparse = csr_matrix((values, columns, np.append(0, np.cumsum(lengths))), shape=(len(rows), len(terms)))
    note(f"distilling: {len(learnt):,} texts, {n_words:,} words and {len(terms) - n_words:,} pairs of words")
    vectors = classifier.embed(terms[:n_words])
    vectors = vectors - vectors.mean(0)
    held = max(1, round(VALIDATION * len(learnt)))
    intercepts = targets[held:].mean(0)
    left = targets - intercepts
    dense = sparse[:, :n_words] @ vectors
    by_vector = _ridge(dense, left, held)
    scores = np.zeros((len(terms), targets.shape[1]))
    scores[:n_words] = vectors @ by_vector
    scores += _ridge(sparse, left - dense @ by_vector, held)
    return StaticClassifier(
        classifier.classes,
        terms,
        _in_bytes(scores),
        intercepts.astype(np.float16).astype(np.float32),  # as they are saved
        classifier.kind,
        classifier.rule,
        replace(classifier.training, report=None, known_texts=None),
    )


def measure_loss(teacher: Classifier, student: StaticClassifier, held_out: TextTable) -> Loss:
    """On rows that the student has not read; those with a label are scored, if there are any."""
    labelled = held_out.labelled()
    rows = labelled if len(labelled) else held_out
    if not len(rows):
        raise DataError(f"{held_out.source}: no row is left to measure the loss of accuracy on")
    theirs, ours = teacher.predict(rows.texts), student.predict(rows.texts)
    changed = float(np.mean([one != other for one, other in zip(theirs, ours, strict=True)]))
    if not len(labelled):
        return Loss(len(rows), changed)
    right = [float(np.mean([one == label for one, label in zip(s, rows.labels, strict=True)])) for s in (theirs, ours)]
    return Loss(len(rows), changed, *right)


def measure_certainty(student: StaticClassifier, held_out: TextTable) -> Certainty | None:
    """How often it is right at each confidence, on rows that no classifier has learnt from; None without labels."""
    rows = held_out.labelled()
    if not (len(rows) and student.kind.one_class_per_text):
        return None
    said = student.predict_proba(rows.texts)
    right = [one == label for one, label in zip(student.decode(said), rows.labels or (), strict=True)]
    return Certainty.measure(student.confidence(said), np.array(right))


def _targets(classifier: Classifier, texts: Sequence[str]) -> Floats:
    """(n, n_classes) scores that give the classifier's probabilities."""
    said = classifier.predict_proba(texts)
    if classifier.kind.exclusive:
        return log_odds(said.clip(1e-4, 1))
    sure = said.clip(1e-4, 1 - 1e-4)
    return np.asarray(np.log(sure) - np.log1p(-sure))


def _choose_terms(classifier: Classifier, found: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """The words of the texts and common ones that the classifier knows, then pairs that occur twice or more."""
    counts = Counter(itertools.chain.from_iterable(found))
    own = [term for term, _ in counts.most_common() if " " not in term]
    known = [token for token in classifier.vocabulary.tokens if find_words(token) == [token]]
    words = list(dict.fromkeys([*own, *known]))[:MOST_WORDS]
    pairs = [term for term, count in counts.most_common() if " " in term and count > 1][:MOST_PAIRS]
    return [*words, *pairs], len(words)


def _in_bytes(scores: Floats) -> Vectors:
    """The scores as they are when they have been saved and read again."""
    scale = (np.maximum(np.abs(scores).max(1, keepdims=True), 1e-12) / 127).astype(np.float32)
    return np.asarray(np.round(scores / scale).astype(np.float32) * scale, np.float32)


def _ridge(inputs: Any, targets: Floats, held: int) -> Floats:
    """(n_inputs, n_targets) coefficients; the penalty is the one that suits the first ``held`` rows best."""
    from sklearn.linear_model import Ridge

    def fitted(penalty: float, start: int) -> Floats:
        model = Ridge(alpha=penalty, fit_intercept=False, solver="sparse_cg", tol=1e-4)
        return np.atleast_2d(model.fit(inputs[start:], targets[start:]).coef_).T

    errors = {one: float(((inputs[:held] @ fitted(one, held) - targets[:held]) ** 2).mean()) for one in PENALTIES}
    return fitted(min(errors, key=errors.__getitem__), 0)
