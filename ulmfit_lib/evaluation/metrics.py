"""Scores of predicted probabilities against the truth, and whether one classifier is better than another."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints
from ulmfit_lib.progress import counted

Z95 = 1.96  # standard deviations to either side that hold 95 % of a normal distribution
SIGNIFICANT = 0.05  # chance below which a difference counts as one


@dataclass(frozen=True, eq=False)
class Scores:
    """How good predictions are."""

    n: int  # rows scored
    accuracy: float  # share of rows of which the true class is said
    low: float  # lower end of accuracy's 95 % interval (Wilson)
    high: float  # its upper end
    macro_f1: float  # mean over classes of the F1 score
    log_loss: float  # mean negative logarithm of the true class's probability
    calibration_error: float  # mean gap between confidence and accuracy over 10 bins of confidence, weighted by rows
    confusion: list[list[int]]  # (n_classes, n_classes) rows by true class, then by predicted class
    classes: list[str]  # their names, in order
    reliability: list[dict[str, float]]  # per bin of confidence its `rows`, mean `confidence` and accuracy (`right`)

    def __post_init__(self) -> None:
        if [len(row) for row in self.confusion] != len(self.classes) * [len(self.classes)]:
            raise ValueError("the confusion matrix needs a row and a column for each class")
        if not all({"rows", "confidence", "right"} <= one.keys() for one in self.reliability):
            raise ValueError("each bin of reliability needs rows, confidence and right")

    @property
    def recalls(self) -> Floats:
        """(n_classes,) share of each class's rows that are found; 0 for a class without rows."""
        counts = np.array(self.confusion)
        return np.asarray(counts.diagonal() / np.maximum(counts.sum(1), 1), np.float64)

    @property
    def rarest(self) -> int:
        """The number of the class with the fewest rows, among those that have any."""
        rows = np.array(self.confusion).sum(1)
        return int(np.where(rows > 0, rows, self.n + 1).argmin())

    @property
    def always(self) -> str | None:
        """The class that is said of every row, of more classes; None where there is no such class."""
        said, there = (np.array(self.confusion).sum(axis) for axis in (0, 1))
        constant = said.max() == self.n and there.max() < self.n
        return self.classes[int(said.argmax())] if constant else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "n": self.n,
            "accuracy_95": [self.low, self.high],
            "calibration_error": self.calibration_error,
            "classes": self.classes,
            "confusion": self.confusion,
            "reliability": self.reliability,
        }

    def __str__(self) -> str:
        return (
            f"accuracy {self.accuracy:.4f} (95 % interval {self.low:.4f} to {self.high:.4f}), macro F1 "
            f"{self.macro_f1:.4f}, log loss {self.log_loss:.4f}, calibration error {self.calibration_error:.4f}"
        )


def score(
    probabilities: Floats, targets: Ints, classes: list[str], *, predicted: Ints | None = None, z: float = Z95
) -> Scores:
    """Score (n, n_classes) probabilities against (n,) class numbers; n must be at least 1.

    What is said is ``predicted``, (n,), by default the likeliest class; accuracy's interval spans ``z`` standard
    deviations to either side.
    """
    n = len(targets)
    predicted = probabilities.argmax(1) if predicted is None else predicted
    confidence = probabilities[np.arange(n), predicted]
    correct = predicted == targets
    low, high = wilson_interval(int(correct.sum()), n, z=z)
    true_probability = np.clip(probabilities[np.arange(n), targets], 1e-12, 1)
    confusion = confusion_matrix(targets, predicted, len(classes))
    return Scores(
        n=n,
        accuracy=float(correct.mean()),
        low=low,
        high=high,
        macro_f1=float(f1_scores(confusion)[np.unique(targets)].mean()),
        log_loss=float(-np.log(true_probability).mean()),
        calibration_error=calibration_error(confidence, correct),
        confusion=confusion.tolist(),
        classes=classes,
        reliability=reliability(confidence, correct),
    )


@dataclass(frozen=True)
class TagScores:
    """How good predictions are where a text has several labels."""

    n: int  # rows scored
    micro_f1: float  # F1 score over all decisions for a label
    macro_f1: float  # mean over labels of their F1 scores
    exact: float  # share of rows whose labels are all correct
    f1: dict[str, float]  # by label

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"micro F1 {self.micro_f1:.4f}, macro F1 {self.macro_f1:.4f}, all labels correct {self.exact:.4f}"


def score_tags(probabilities: Floats, targets: Ints, classes: list[str], *, predicted: Ints | None = None) -> TagScores:
    """Score (n, n_tags) chances against (n, n_tags) of 0 and 1; n must be at least 1.

    The tags that are given are ``predicted``, (n, n_tags) of 0 and 1, by default those from a probability of 0.5 on.
    """
    predicted = (probabilities >= 0.5).astype(np.int64) if predicted is None else predicted

    def f1(truth: Ints, found: Ints) -> float:
        return float(f1_scores(confusion_matrix(truth, found, 2))[1])

    each = [f1(*pair) for pair in zip(targets.T, predicted.T, strict=True)]
    micro = f1(targets.reshape(-1), predicted.reshape(-1))
    exact = float((predicted == targets).all(1).mean())
    return TagScores(len(targets), micro, float(np.mean(each)), exact, dict(zip(classes, each, strict=True)))


@dataclass(frozen=True)
class RatingScores:
    """How good predicted ratings are."""

    n: int  # rows scored
    mean_absolute_error: float  # mean distance between prediction and truth, in the ratings' unit
    spearman: float  # rank correlation of expected and true ratings; 0 where all of one kind are equal

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"off by {self.mean_absolute_error:.4g} on average, rank correlation {self.spearman:.4f}"


def score_ratings(predicted: Floats, truth: Floats, expected: Floats | None = None) -> RatingScores:
    """Score (n,) ``predicted`` ratings, ranked by the ``expected`` ones if there are such; n must be at least 1."""
    from scipy.stats import spearmanr

    ranked = predicted if expected is None else expected
    varied = np.ptp(ranked) > 0 and np.ptp(truth) > 0
    correlation = float(spearmanr(ranked, truth).statistic) if varied else 0.0
    return RatingScores(len(truth), float(np.abs(predicted - truth).mean()), correlation)


@dataclass(frozen=True)
class LanguageModelScore:
    """How well a language model predicts some texts, by the full softmax."""

    perplexity: float  # exp(log loss per token), an unknown word counting as one token
    perplexity_per_word: float  # exp(log loss per whitespace-separated word), comparable between tokenizers
    unknown_share: float  # tokens outside the vocabulary, in [0, 1]
    tokens: int  # how many were predicted
    words: int  # how many the texts hold


def confusion_matrix(targets: Ints, predicted: Ints, n_classes: int) -> Ints:
    """(n_classes, n_classes) rows by true class, then by predicted class, from (n,) class numbers each."""
    return np.bincount(targets * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def f1_scores(confusion: Ints) -> Floats:
    """(n_classes,) the F1 score of each class; 0 for one that is neither there nor predicted.

    >>> f1_scores(np.array([[2, 0], [1, 1]])).round(2).tolist()
    [0.8, 0.67]
    """
    found, there = confusion.sum(0), confusion.sum(1)
    return np.asarray(2 * confusion.diagonal() / np.maximum(found + there, 1))


def wilson_interval(successes: int, n: int, *, z: float = Z95) -> tuple[float, float]:
    """The 95 % interval of a share, sensible for few rows too (Wilson 1927)."""
    share = successes / n
    middle = share + z * z / (2 * n)
    spread = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def calibration_error(confidence: Floats, correct: Bools, *, bins: int = 10) -> float:
    """Expected calibration error: |confidence - accuracy| per bin of equal width, weighted by rows."""
    gaps = [one["rows"] * abs(one["confidence"] - one["right"]) for one in reliability(confidence, correct, bins=bins)]
    return float(sum(gaps)) / len(confidence)


def reliability(confidence: Floats, correct: Bools, *, bins: int = 10) -> list[dict[str, float]]:
    """Per bin of confidence that has rows: their number, mean confidence and accuracy."""
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    chosen = [places == place for place in np.unique(places)]
    return [
        {"rows": int(one.sum()), "confidence": float(confidence[one].mean()), "right": float(correct[one].mean())}
        for one in chosen
    ]


@dataclass(frozen=True)
class McNemar:
    """Two classifiers on the same decisions (McNemar 1947)."""

    ahead: int  # decisions that only the first one has right
    behind: int  # that only the second one has right
    p_value: float  # how likely a difference as large as this is by chance (exact binomial test)

    @classmethod
    def of(cls, first: Bools, second: Bools) -> "McNemar":
        """From which decisions each has right, (n,) each."""
        from scipy.stats import binomtest

        ahead, behind = int((first & ~second).sum()), int((~first & second).sum())
        chance = binomtest(min(ahead, behind), ahead + behind).pvalue if ahead + behind else 1.0
        return cls(ahead, behind, float(chance))

    def sentence(self, first: str, second: str) -> str:
        """For people, without a full stop.

        >>> McNemar(9, 1, 0.02).sentence("The ensemble", "the baseline")
        "The ensemble beats the baseline by 8 rows (McNemar's test: p = 0.02)"
        """
        if self.ahead == self.behind:
            return f"{first} ties with {second}, which is the simpler choice"
        by = counted(abs(self.ahead - self.behind), "row")
        doubt = "" if self.p_value < SIGNIFICANT else "; a difference this small may be chance"
        beats = "beats" if self.ahead > self.behind else "loses to"
        return f"{first} {beats} {second} by {by} (McNemar's test: p = {self.p_value:.2g}{doubt})"
