"""What a search for settings gained over the defaults, on rows out of fold and on rows that it never saw."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from ulmfit_lib.arrays import Floats
from ulmfit_lib.evaluation.metrics import wilson_interval
from ulmfit_lib.pipeline.report import SIGNIFICANT, Verdict
from ulmfit_lib.pipeline.search import Found
from ulmfit_lib.pipeline.task import Task
from ulmfit_lib.pipeline.trials import Params
from ulmfit_lib.progress import counted
from ulmfit_lib.training.regression import row_losses


@dataclass(frozen=True)
class Gain:
    """How much lower the log loss of the best is than the defaults', of the same decisions, in nats.

    Attributes:
        mean: of all decisions.
        low: lower end of its interval.
        high: its upper end.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        mean, low, high = (f"{round(nats, 3) + 0:+.3f}" for nats in (self.mean, self.low, self.high))
        return f"gain in log loss {mean}, 95 % interval {low} to {high}"

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
    """The best trial beside the defaults on rows that the search never saw, JSON-ready.

    Attributes:
        rows: decisions; one a row unless labels are tags.
        accuracy: of each, with its 95 % interval.
        log_loss: of each.
        gain: in log loss, with its 95 % interval.
        verdict: which decisions only one has right.
    """

    rows: int
    accuracy: dict[str, tuple[float, float, float]]
    log_loss: dict[str, float]
    gain: Gain
    verdict: Verdict

    @classmethod
    def of(cls, task: Task, probabilities: dict[str, Floats]) -> "HeldOut":
        """From what each says of the held-out rows, by name."""
        kind, truth = task.data.kind, task.test.class_numbers(task.learnt.classes)
        decided = kind.decided(truth)
        decisions = {name: kind.decisions(p) for name, p in probabilities.items()}
        right = {name: p.argmax(1) == decided for name, p in decisions.items()}
        losses = {name: row_losses(p, decided) for name, p in decisions.items()}
        return cls(
            len(decided),
            {name: (float(one.mean()), *wilson_interval(int(one.sum()), len(one))) for name, one in right.items()},
            {name: float(one.mean()) for name, one in losses.items()},
            Gain.of(losses["default"], losses["best"], chance=SIGNIFICANT / 2),
            Verdict.of(right["best"], right["default"]),
        )

    def shown(self, name: str) -> str:
        """Accuracy and log loss for people."""
        right, low, high = (100 * share for share in self.accuracy[name])
        return f"right for {right:.1f} % ({low:.1f} to {high:.1f}), log loss {self.log_loss[name]:.3f}"


def gain_sentence(params: Params, default: Found, found: Found, ahead: Gain, others: int, held_out: HeldOut) -> str:
    """Whether the search gained anything."""
    rows = f"On {counted(held_out.rows, 'row')} that the search never saw"
    if not others:
        return (
            f"Nothing but the defaults was tried, so they are delivered. {rows}, they are {held_out.shown('default')}."
        )
    if found is default:
        return (
            f"The search gained nothing: of {counted(others, 'other trial')}, none is better than the defaults on rows "
            f"not learnt from (log loss {default.nats:.3f}), so the defaults are delivered. "
            f"{rows}, they are {held_out.shown('default')}."
        )
    shown = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in params.items()}
    settings = ", ".join(f"{name} {value}" for name, value in shown.items())
    start = (
        f"The best of {counted(others, 'other trial')} ({settings}) has a log loss of {found.nats:.3f} on rows not "
        f"learnt from, where the defaults have {default.nats:.3f}"
    )
    beside = (
        f"{rows}, the best trial is {held_out.shown('best')}; the defaults are {held_out.shown('default')} "
        f"(McNemar's test: p = {held_out.verdict.p_value:.2g}; {held_out.gain})"
    )
    if ahead.low <= 0:
        return (
            f"The search gained nothing that is certain. {start}, and the best of so many trials can be that far "
            f"ahead by chance: the default is as good and is delivered. {beside}."
        )
    confirmed = "which does not confirm it"
    if held_out.gain.mean > 0:
        confirmed = "which confirms it" if held_out.gain.low > 0 else "which alone could be chance"
    return (
        f"The search gained something. {start}, further ahead than the best of so many trials is by chance, so it is "
        f"delivered. {beside}, {confirmed}."
    )
