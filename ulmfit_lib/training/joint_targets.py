"""Several teachers' vectors of the same texts as one vector each, which a language model can learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ulmfit_lib.training.teachers import Vectors

PIECE = 16_384  # texts that are turned at a time
LEAST_STRENGTH = 1e-6  # of a component beside the strongest one, for its emphasis
LIFT_RIDGE = 1e-3  # regularisation of ``lift``, as a share of the features' variance
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class JointTargets:
    """The principal components of centred vectors, one teacher's beside the other's.

    Without emphasis, the cosine of two texts' joint vectors is about the mean of the teachers' own centred cosines, so
    that each teacher counts the same, whatever the width of its vectors.
    """

    means: tuple[Matrix, ...]  # (width,) of each teacher's vectors
    basis: Matrix  # (sum of the teachers' widths, joint width), each column multiplied by its emphasis
    emphasis: Matrix  # (joint width,)
    explained: float  # share of the squared length that the components keep

    @classmethod
    def fit(cls, vectors: Sequence[Vectors], width: int, *, emphasis: float = 0.0) -> "JointTargets":
        """The ``width`` strongest components of (n_texts, teacher's width) vectors, each teacher's of length 1.

        Each component is multiplied by its standard deviation to the power of ``emphasis``, relative to the strongest
        one. Classes differ most along strong components, while a small student misses most of the weak ones whatever it
        does; left as large as they are, these would be much of its loss.
        """
        means = tuple(np.asarray(one.mean(0, dtype=np.float32)) for one in vectors)
        gram = np.zeros((sum(map(len, means)),) * 2)
        for start in range(0, len(vectors[0]), PIECE):
            centred = _centred([one[start : start + PIECE] for one in vectors], means)
            gram += centred.T @ centred
        strengths, directions = np.linalg.eigh(gram)
        strongest = strengths[::-1][:width].clip(min=0)
        factors = (strongest / strongest[0]).clip(min=LEAST_STRENGTH) ** (emphasis / 2)
        basis = np.ascontiguousarray(directions[:, ::-1][:, :width] * factors, np.float32)
        return cls(means, basis, factors.astype(np.float32), float(strongest.sum() / strengths.sum()))

    def join(self, vectors: Sequence[Vectors]) -> Vectors:
        """(n_texts, teacher's width) vectors of each teacher -> (n_texts, joint width), of length 1."""
        joined = np.empty((len(vectors[0]), self.basis.shape[1]), np.float16)
        for start in range(0, len(joined), PIECE):
            part = _centred([one[start : start + PIECE] for one in vectors], self.means) @ self.basis
            joined[start : start + PIECE] = part / np.linalg.norm(part, axis=1, keepdims=True).clip(min=1e-6)
        return joined


def _centred(vectors: Sequence[Vectors], means: Sequence[Matrix]) -> Matrix:
    parts = [one.astype(np.float32) - mean for one, mean in zip(vectors, means, strict=True)]
    return np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True).clip(min=1e-6) for part in parts], axis=1)


def lifted_cosine(train: tuple[Matrix, Vectors], held_out: tuple[Matrix, Vectors]) -> float:
    """How close the least-squares image of distilled vectors comes to a teacher's: mean cosine on held-out texts.

    The linear map is solved for the (n_texts, distilled) and (n_texts, teacher's width) vectors of other texts.
    """
    features, vectors = train[0], train[1].astype(np.float32)
    mean, target_mean = features.mean(0), vectors.mean(0)
    centred = features - mean
    gram = centred.T @ centred
    gram += LIFT_RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram), dtype=np.float32)
    lift = np.linalg.solve(gram, centred.T @ (vectors - target_mean))
    found = np.asarray((held_out[0] - mean) @ lift + target_mean, np.float32)
    wanted = held_out[1].astype(np.float32)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(1) / np.maximum(lengths, 1e-12)).mean())
