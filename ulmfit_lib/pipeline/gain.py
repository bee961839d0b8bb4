"""What a search for settings gained over the defaults, on rows out of fold and on rows that it never saw."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.evaluation.metrics import SIGNIFICANT, McNemar, wilson_interval
from ulmfit_lib.pipeline.candidates import EvaluatedCandidate
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.out_of_fold import HeldOutAnswers
from ulmfit_lib.pipeline.trials import Params
from ulmfit_lib.progress import counted
from ulmfit_lib.training.regression import row_losses


@dataclass(frozen=True)
class Gain:
    """How much lower the log loss of the best is than the defaults', of the same decisions, in nats."""

    mean: float  # of all decisions
    low: float  # lower end of its interval
    high: float  # its upper end

    @classmethod
    def of(cls, default: Floats, best: Floats, *, chance: float, folds: int = 0) -> "Gain":
        """From (n,) losses each; the interval leaves out ``chance`` at either end.

        What learns in one of several folds shares rows with what learns in another, so that the variance counts for
        1 + 1 / (folds - 1) times as much (after Nadeau & Bengio 2003).
        """
        gains = default - best
        error = gains.std(ddof=1) * np.sqrt((1 + 1 / (folds - 1) if folds > 1 else 1) / len(gains))
        spread = float(student.isf(chance, len(gains) - 1) * error)
        return cls(float(gains.mean()), float(gains.mean()) - spread, float(gains.mean()) + spread)


@dataclass(frozen=True)
class HeldOut:
    """The best trial beside the defaults on rows that the search never saw, JSON-ready."""

    rows: int  # that were held out
    decisions: int  # on them; one a row unless labels are tags
    accuracy: dict[str, tuple[float, float, float]]  # of each, with its 95 % interval
    log_loss: dict[str, float]  # of each
    gain: Gain  # in log loss, with its 95 % interval
    verdict: McNemar  # the best beside the defaults

    @classmethod
    def of(cls, experiment: Experiment, answers: dict[str, HeldOutAnswers]) -> "HeldOut":
        """From what each says of the held-out rows, by name."""
        test = experiment.test
        kind, truth = test.kind, test.class_numbers(experiment.train.classes)
        decided = kind.decided(truth)
        right = {name: kind.decided(one.decided) == decided for name, one in answers.items()}
        losses = {
            name: row_losses(kind.decisions(one.probabilities[ENSEMBLE]), decided) for name, one in answers.items()
        }
        return cls(
            len(test),
            len(decided),
            {name: (float(one.mean()), *wilson_interval(int(one.sum()), len(one))) for name, one in right.items()},
            {name: float(one.mean()) for name, one in losses.items()},
            Gain.of(losses["default"], losses["best"], chance=SIGNIFICANT / 2),
            McNemar.of(right["best"], right["default"]),
        )

    def shown(self, name: str) -> str:
        """An accuracy, for people."""
        return f"{100 * self.accuracy[name][0]:.1f} %"

    def sentences(self, kept: str, other: str) -> str:
        """What is kept beside the other one, for people."""
        called = {"best": "the best settings", "default": "the defaults"}
        if self.verdict.ahead == self.verdict.behind:
            doubt = ""
        elif self.verdict.p_value < SIGNIFICANT:
            doubt = ", a difference that chance alone would hardly make"
        else:
            doubt = ", a difference that chance alone may make"
        mean, low, high = (round(nats, 3) + 0 for nats in (self.gain.mean, self.gain.low, self.gain.high))
        change = f"{'better' if mean > 0 else 'worse'} by {abs(mean):.3f}" if mean else "the same"
        return (
            f"{self.where()}, the accuracy of {called[kept]} is {self.shown(kept)}, and that of "
            f"{called[other]} {self.shown(other)}{doubt}. The log loss of the best settings is "
            f"{self.log_loss['best']:.3f} there, and that of the defaults {self.log_loss['default']:.3f}: {change} "
            f"(95 % interval of the gain: {low:+.3f} to {high:+.3f})"
        )

    def where(self) -> str:
        """On how many rows, and on how many decisions if these are more."""
        each = "" if self.decisions == self.rows else f" ({self.decisions:,} decisions, one for each label)"
        return f"On {counted(self.rows, 'row')} that the search never saw{each}"


def gain_sentence(
    params: Params, default: EvaluatedCandidate, found: EvaluatedCandidate, ahead: Gain, others: int, held_out: HeldOut
) -> str:
    """Whether the search gained anything, for people who need not know statistics."""
    alone = f"so the defaults are kept. {held_out.where()}, their accuracy is {held_out.shown('default')}."
    if not others:
        return f"Nothing but the defaults was tried, {alone}"
    tried = counted(others, "other trial")
    if found is default:
        return f"The search gained nothing: of {tried}, none did better than the defaults, {alone}"
    shown = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in params.items()}
    settings = ", ".join(f"{name} {value}" for name, value in shown.items())
    beside = f"(log loss {found.log_loss:.3f}, the defaults' {default.log_loss:.3f}, cross-validated)"
    if ahead.low <= 0:
        return (
            f"The search gained nothing that is certain. The best of {tried} ({settings}) is no further ahead of the "
            f"defaults than the best of so many may be by luck {beside}, so the defaults are kept. "
            f"{held_out.sentences('default', 'best')}."
        )
    if held_out.gain.low > 0:
        confirmed = "which confirms that the search gained something"
    elif held_out.gain.mean > 0:
        confirmed = "which fits, but these rows are too few to be sure by themselves"
    else:
        confirmed = "so that these rows do not confirm what the search gained"
    return (
        f"The search gained something. The best of {tried} ({settings}) is further ahead of the defaults than the "
        f"best of so many is by luck {beside}, so it is kept. {held_out.sentences('best', 'default')}, "
        f"{confirmed}."
    )
