"""Texts that are like nothing that was labelled, told by their vectors."""

from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints, Vectors, of_length_1
from ulmfit_lib.errors import OptionError

NONE_OF_THESE = "none of these"
FEWEST_OTHERS = 20  # texts beside which the labelled ones are looked at
MOST_KNOWN = 1000  # scores that are kept
NEIGHBOURS = 0.02  # share of the other texts that a text is compared with, and at least ...
FEWEST_NEIGHBOURS = 3
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
KEPT = 0.95  # share of texts that is kept while the weight is chosen


@dataclass(frozen=True, eq=False)
class Scope:
    """How like the labelled texts a text must be.

    A text's score is its cosine with the nearest class, less a part of its mean cosine with those of some other texts
    that are most like it. These are texts without a label, among which are such of no class, or examples of these: a
    text that has more in common with them than with any class is none of the classes (a ratio of densities).
    """

    means: Vectors  # (n_classes, width) the mean vector of each class, of length 1
    others: Vectors  # (n_others, width) vectors of the other texts, of length 1; there may be none
    weight: float  # of the cosine with these, in [0, 1]
    known: Floats  # scores of labelled texts, each without itself in its class's mean, from low to high
    label: str = NONE_OF_THESE  # that is said of texts out of scope
    keep: float | None = None  # share of texts to keep where none is asked for; None: all of them
    # Share of the other texts that are out of scope, each measured without itself, where `KEPT` of the labelled ones
    # are kept.
    told_apart: float = 0.0

    @classmethod
    def fit(
        cls,
        vectors: Vectors,
        targets: Ints,
        others: Vectors,
        *,
        held_out: Floats | None = None,
        label: str = NONE_OF_THESE,
        keep: float | None = None,
    ) -> "Scope":
        """From labelled texts, measured one by one without themselves, and from other texts; all vectors have length 1.

        Where the encoder has learnt from the labelled texts, what ``nearness`` says of ``held_out`` ones, (n, 2), is
        needed, too: it has put its own texts nearer to their classes than new ones come.

        The weight is the one that tells most of the other texts apart while ``KEPT`` of the labelled ones are kept. So
        it is 0 where the other texts are like the labelled ones, and nothing can be learnt from them.

        >>> corners = np.eye(3, dtype=np.float32)
        >>> scope = Scope.fit(np.repeat(corners[:2], 50, axis=0), np.repeat([0, 1], 50), corners[:0])
        >>> scope.outside(corners, 0.95).tolist()
        [False, False, True]
        """
        sums = _sums(vectors, targets)
        means, others = of_length_1(sums), _enough(others)
        if held_out is None:
            cosines = vectors @ means.T
            cosines[np.arange(len(targets)), targets] = (vectors * of_length_1(sums[targets] - vectors)).sum(1)
            near, dense = cosines.max(1), _density(vectors, others)
        else:
            near, dense = held_out.T
        dense_others = _density(others, others, without_itself=True)
        near_others = (others @ means.T).max(1, initial=-1)
        told_apart = []
        for weight in WEIGHTS:
            known = np.sort(near - weight * dense)
            told_apart.append(float((near_others - weight * dense_others < _least(known, KEPT)).sum()))
        best = int(np.argmax(told_apart))
        weight, share = WEIGHTS[best], round(told_apart[best] / max(len(others), 1), 4)
        known = np.sort(near - weight * dense).astype(np.float64)
        if len(known) > MOST_KNOWN:
            known = np.quantile(known, np.linspace(0, 1, MOST_KNOWN))
        known = np.floor(known * 1e4) / 1e4  # what rounding to bytes changes puts no copy of a text out of scope
        return cls(means, others, weight, known, label, keep, share)

    def scores(self, vectors: Vectors) -> Floats:
        """(n,) of (n, width) vectors of length 1: the lower, the less like the labelled texts."""
        near = (vectors @ self.means.T).max(1, initial=-1)
        return np.asarray(near - self.weight * _density(vectors, self.others), np.float64)

    def outside(self, vectors: Vectors, keep: float) -> Bools:
        """(n,) whether each text is out of scope where a share of those of the classes, in (0, 1), is to be kept."""
        if not 0 < keep < 1:
            raise OptionError(f"scope {keep}: the share of texts to keep must lie between 0 and 1, such as 0.95")
        return np.asarray(self.scores(vectors) < _least(self.known, keep))


def nearness(vectors: Vectors, learnt: Vectors, targets: Ints, others: Vectors) -> Floats:
    """(n, 2) each text's cosine with the nearest class of the texts that were ``learnt``, and its density of others."""
    near = (vectors @ of_length_1(_sums(learnt, targets)).T).max(1)
    return np.stack([near, _density(vectors, _enough(others))], axis=1)


def _sums(vectors: Vectors, targets: Ints) -> Vectors:
    """(n_classes, width) of the vectors of each class."""
    sums = np.zeros((int(targets.max()) + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, targets, vectors)
    return sums


def _enough(others: Vectors) -> Vectors:
    """The other texts' vectors; none where they are too few to say anything."""
    return others if len(others) >= FEWEST_OTHERS else others[:0]


def _least(known: Floats, keep: float) -> float:
    """The score that so large a share of new texts like these reach, by their number, as in conformal prediction."""
    left_out = int(np.floor((len(known) + 1) * (1 - keep) + 1e-9))
    return float(known[left_out - 1]) if left_out else -np.inf


def _density(vectors: Vectors, others: Vectors, *, without_itself: bool = False) -> Floats:
    """(n,) the mean cosine of each vector with those of the others that are most like it; 0 where there are none."""
    if not len(others):
        return np.zeros(len(vectors))
    count = max(FEWEST_NEIGHBOURS, round(NEIGHBOURS * len(others)))
    cosines = vectors @ others.T
    if without_itself:
        np.fill_diagonal(cosines, -1)
    return np.asarray(np.partition(cosines, -count, axis=1)[:, -count:].mean(1), np.float64)
