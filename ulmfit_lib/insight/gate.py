"""Limits that a classifier must keep before it may be put to work."""

from dataclasses import asdict, dataclass

from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.metrics import Scores
from ulmfit_lib.insight.drift import SIGNIFICANCE, Drift


@dataclass(frozen=True)
class Limits:
    """What a classifier must keep; None: anything will do. An OptionError for no limit at all, or one not in [0, 1]."""

    min_accuracy: float | None = None  # least accuracy, in [0, 1]
    # Largest drift, in [0, 1]: of the texts' words by Kolmogorov and Smirnov's distance, and of their vectors by Gini's
    # coefficient, 2 * AUC - 1. 0 means that new texts are like known ones, 1 that they have nothing in common.
    max_drift: float | None = None
    max_calibration_error: float | None = None  # largest calibration error, in [0, 1]

    def __post_init__(self) -> None:
        given = {f"--{name.replace('_', '-')}": limit for name, limit in asdict(self).items() if limit is not None}
        if not given:
            raise OptionError(
                "no limit was given: name at least one of --min-accuracy, --max-drift and --max-calibration-error"
            )
        for option, limit in given.items():
            if not 0 <= limit <= 1:
                raise OptionError(f"{option} {limit}: it must lie between 0 and 1, such as 0.85 for 85 %")

    @property
    def need_labels(self) -> bool:
        """Whether predictions must be scored."""
        return self.min_accuracy is not None or self.max_calibration_error is not None


@dataclass(frozen=True)
class Check:
    """One limit and what was found."""

    name: str  # what was looked at
    found: float
    limit: float  # the least or the largest that is allowed
    passed: bool
    note: str = ""  # what else is to be known


def check_limits(limits: Limits, scores: Scores | None = None, drift: Drift | None = None) -> list[Check]:
    """Every limit whose ``scores`` or ``drift`` are given, beside what was found; a drift that chance explains passes.

    >>> from ulmfit_lib.evaluation.metrics import score
    >>> import numpy as np
    >>> scores = score(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ["bad", "good"])
    >>> [(check.name, check.found, check.passed) for check in check_limits(Limits(min_accuracy=0.8), scores)]
    [('accuracy', 0.5, False)]
    """
    checks = []
    if scores and limits.min_accuracy is not None:
        interval = f"95 % interval {scores.low:.3f} to {scores.high:.3f}"
        kept = scores.accuracy >= limits.min_accuracy
        checks.append(Check("accuracy", scores.accuracy, limits.min_accuracy, kept, interval))
    if scores and limits.max_calibration_error is not None:
        error = scores.calibration_error
        kept = error <= limits.max_calibration_error
        checks.append(Check("calibration error", error, limits.max_calibration_error, kept))
    if drift and limits.max_drift is not None:
        sides = {
            "drift of words": (drift.words_distance, drift.words_chance),
            "drift of vectors": (max(0.0, 2 * drift.told_apart - 1), drift.vectors_chance),
        }
        for name, (found, chance) in sides.items():
            by_chance = chance >= SIGNIFICANCE
            kept = found <= limits.max_drift or by_chance
            note = "chance explains it" if by_chance and found > limits.max_drift else ""
            checks.append(Check(name, found, limits.max_drift, kept, note))
    return checks


def gate_table(checks: list[Check]) -> list[str]:
    """The checks as lines of a table, for a terminal.

    >>> print(*gate_table([Check("accuracy", 0.5, 0.8, False)]), sep="\\n")
    check     found  limit           result
    accuracy  0.500  at least 0.8    FAILED
    """
    rows = [("check", "found", "limit", "result")]
    for check in checks:
        limit = f"at {'least' if check.name == 'accuracy' else 'most'} {check.limit:g}"
        result = "passed" if check.passed else "FAILED"
        rows.append((check.name, f"{check.found:.3f}", limit, f"{result} ({check.note})" if check.note else result))
    width = max(len(row[0]) for row in rows)
    return [f"{name:<{width}}  {found:<5}  {limit:<14}  {result}" for name, found, limit, result in rows]
