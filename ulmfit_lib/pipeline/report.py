"""What a classifier is worth: scores on rows that it has not seen, and one sentence about them."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import Z95, Scores, score
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.progress import counted

SIGNIFICANT = 0.05  # chance below which a difference counts as one
NAMES = {"ulmfit": "ULMFiT", "baseline": "TF-IDF + logistic regression", "topics": "topics of the unlabelled texts"}


@dataclass(frozen=True)
class Verdict:
    """What is delivered beside the baseline, on the same decisions (McNemar 1947).

    Attributes:
        ahead: decisions that only what is delivered has right.
        behind: that only the baseline has right.
        p_value: how likely a difference as large as this is by chance.
    """

    ahead: int
    behind: int
    p_value: float

    @classmethod
    def of(cls, delivered: npt.NDArray[np.bool_], baseline: npt.NDArray[np.bool_]) -> "Verdict":
        """From which decisions are right, (n,) each."""
        ahead, behind = int((delivered & ~baseline).sum()), int((~delivered & baseline).sum())
        chance = binomtest(min(ahead, behind), ahead + behind).pvalue if ahead + behind else 1.0
        return cls(ahead, behind, float(chance))

    def sentence(self, delivered: str) -> str:
        """For people, without a stop at its end."""
        by = f"by {counted(abs(self.ahead - self.behind), 'row')}"
        if self.ahead == self.behind:
            return f"{delivered} ties with {NAMES['baseline']} alone, which is the simpler choice"
        doubt = "" if self.p_value < SIGNIFICANT else "; a difference this small may be chance"
        beats = "beats" if self.ahead > self.behind else "loses to"
        return f"{delivered} {beats} {NAMES['baseline']} alone {by} (McNemar's test: p = {self.p_value:.2g}{doubt})"


@dataclass(frozen=True)
class Report:
    """What a classifier is worth, and what was done to find out.

    Attributes:
        sentence: all of it, for people.
        held_out_rows: decisions that were scored; one a row unless labels are tags.
        majority: how often the commonest label of the rows that were learnt from is right for those.
        scores: JSON-ready, of what is ``delivered`` and of each of its parts.
        certainty: how far confidence can be trusted.
        verdict: what is delivered beside the baseline; None without one.
        by_kind: entries that only this kind of label has (``labels.kind.LabelKind.report_entries``).
        base: which language model reads the texts, and why.
        base_has_read: where the texts are from that this one had read before.
        copies: rows that are copies or near copies of others.
        transductive: the language model has read the texts of the held-out rows.
        blend: how much each part counts.
        labelled_rows: that were learnt from when the scores were taken.
        folds: of cross-validation; 0 without it.
        out_of_fold: what is delivered says of each scored row, by what had not learnt its label; JSON-ready.
        tried: what was tried within the time and what it brought, a sentence each.
        minutes: the time that there was.
    """

    sentence: str
    held_out_rows: int
    majority: float
    scores: dict[str, dict[str, Any]]
    certainty: Certainty
    verdict: Verdict | None
    by_kind: dict[str, Any]
    base: str = ""
    base_has_read: tuple[str, ...] = ()
    copies: int = 0
    transductive: bool = False
    blend: Blend = field(default_factory=Blend)
    labelled_rows: int = 0
    folds: int = 0
    out_of_fold: dict[str, Any] | None = None
    tried: tuple[str, ...] = ()
    minutes: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the scores of each part stand under its name."""
        told = " The language model had read these rows' texts, without their labels (transductive)."
        found = {
            "base": self.base,
            "base_has_read": list(self.base_has_read),
            "copies": self.copies,
            "transductive": self.transductive,
            "held_out_rows": self.held_out_rows,
            "majority": self.majority,
            **self.scores,
            "verdict": asdict(self.verdict) if self.verdict else None,
            "certainty": asdict(self.certainty),
            **self.by_kind,
            "sentence": self.sentence + (told if self.transductive else ""),
            "tried": list(self.tried),
            "minutes": self.minutes,
        }
        if self.folds:
            found |= {"folds": self.folds}
        if self.out_of_fold:
            found |= {"out_of_fold": self.out_of_fold}
        return {**found, "blend": asdict(self.blend), "labelled_rows": self.labelled_rows}


def report_on(
    probabilities: dict[str, Floats],
    test: TextTable,
    classes: list[str],
    *,
    learnt: TextTable,
    also_unseen: tuple[Floats, Ints] | None = None,
    folds: int = 0,
) -> Report:
    """Scores on rows that were held out, what they mean in one sentence, and how far confidence can be trusted.

    Args:
        probabilities: ``TextClassifier.probabilities`` of those rows.
        test: those rows.
        classes: the classifier's classes.
        learnt: the labelled rows that were learnt from.
        also_unseen: decisions on further rows that were not learnt from, and the right choices: they help to tell how
            far confidence can be trusted.
        folds: in which each row was held out in its turn, to be learnt from now; 0: the rows stay unseen. What learns
            in one fold shares rows with what learns in another, so that their mistakes go together: the variance of
            accuracy counts for 1 + 1 / (folds - 1) times as much (after Nadeau & Bengio 2003).
    """
    kind, targets = test.kind, test.class_numbers(classes)
    decided, choices = kind.decided(targets), kind.choices(classes)
    decisions = {name: kind.decisions(p) for name, p in probabilities.items()}
    z = Z95 * (1 + 1 / (folds - 1)) ** 0.5 if folds > 1 else Z95
    scores = {name: score(p, decided, choices, z=z) for name, p in decisions.items()}
    correct = {name: p.argmax(1) == decided for name, p in decisions.items()}
    majority = kind.majority_share(learnt.class_numbers(classes), targets)
    confidence, right = decisions["delivered"].max(1), correct["delivered"]
    if also_unseen:
        more, more_decided = also_unseen
        confidence = np.concatenate([confidence, more.max(1)])
        right = np.concatenate([right, more.argmax(1) == more_decided])
    verdict = Verdict.of(correct["delivered"], correct["baseline"]) if "baseline" in correct else None
    truth, _ = kind.truth(test, classes)
    by_kind = kind.report_entries(probabilities, truth, classes, learnt=learnt, part_names=NAMES)
    return Report(
        sentence=by_kind.pop("sentence", "") or _sentence(scores, verdict, majority, folds > 0),
        held_out_rows=len(decided),
        majority=majority,
        scores={name: s.as_dict() for name, s in scores.items()},
        certainty=Certainty.measure(confidence, right),
        verdict=verdict,
        by_kind=by_kind,
    )


def _sentence(scores: dict[str, Scores], verdict: Verdict | None, majority: float, in_folds: bool) -> str:
    def shown(name: str) -> str:
        s = scores[name]
        return f"{100 * s.accuracy:.1f} % ({100 * s.low:.1f} to {100 * s.high:.1f})"

    always = f"always answering with the commonest label would be right for {100 * majority:.1f} %"
    rows = counted(scores["ulmfit"].n, "labelled row" if in_folds else "held-out row")
    by = ", each scored by classifiers that had not learnt its label" if in_folds else ""
    start = f"On {rows}{by}, ULMFiT is right for {shown('ulmfit')}"
    if verdict is None:
        doubt = " ULMFiT is not clearly better than that." if scores["ulmfit"].low <= majority else ""
        return f"{start}; {always}.{doubt}"
    together = "both" if "topics" not in scores else "all"
    start += "".join(f", {NAMES[part]} for {shown(part)}" for part in ("baseline", "topics") if part in scores)
    start += f", {together} weighed together for {shown('delivered')}; {always}. "
    said = verdict.sentence(f"What is delivered ({together} together)")
    if scores["delivered"].low <= majority:
        said += ". It is not clearly better than always answering with the commonest label"
    return start + said + "."
