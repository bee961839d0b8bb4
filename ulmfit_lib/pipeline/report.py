"""What a classifier is worth: scores on rows that it has not seen, and one sentence about them."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import Scores, score
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.progress import counted

SIGNIFICANT = 0.05  # chance below which a difference counts as one
NAMES = {"ulmfit": "ULMFiT", "baseline": "TF-IDF + logistic regression", "topics": "topics of the unlabelled texts"}


@dataclass(frozen=True)
class Report:
    """What a classifier is worth, and what was done to find out.

    Attributes:
        sentence: all of it, for people.
        held_out_rows: decisions that were scored; one a row unless labels are tags.
        majority: how often the commonest label of the rows that were learnt from is right for those.
        scores: JSON-ready, of what is ``delivered`` and of each of its parts.
        certainty: how far confidence can be trusted.
        by_kind: entries that only this kind of label has (``labels.kind.LabelKind.report_entries``).
        base: which language model reads the texts, and why.
        base_has_read: where the texts are from that this one had read before.
        copies: rows that are copies or near copies of others.
        transductive: the language model has read the texts of the held-out rows.
        blend: how much each part counts.
        labelled_rows: that were learnt from when the scores were taken.
        folds: of cross-validation; 0 without it.
        out_of_fold: every row's probabilities in cross-validation, JSON-ready.
    """

    sentence: str
    held_out_rows: int
    majority: float
    scores: dict[str, dict[str, Any]]
    certainty: Certainty
    by_kind: dict[str, Any]
    base: str = ""
    base_has_read: tuple[str, ...] = ()
    copies: int = 0
    transductive: bool = False
    blend: Blend = field(default_factory=Blend)
    labelled_rows: int = 0
    folds: int = 0
    out_of_fold: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the scores of each part stand under its name."""
        told = " The language model had read these rows' texts, without their labels (transductive)."
        found = {
            "base": self.base, "base_has_read": list(self.base_has_read), "copies": self.copies,
            "transductive": self.transductive, "held_out_rows": self.held_out_rows, "majority": self.majority,
            **self.scores, "certainty": asdict(self.certainty), **self.by_kind,
            "sentence": self.sentence + (told if self.transductive else ""),
        }  # fmt: skip
        if self.folds:
            found |= {"folds": self.folds, "out_of_fold": self.out_of_fold}
        return {**found, "blend": asdict(self.blend), "labelled_rows": self.labelled_rows}


def report_on(
    probabilities: dict[str, Floats], test: TextTable, classes: list[str], *, learnt: TextTable,
    also_unseen: tuple[Floats, Ints] | None = None,
) -> Report:  # fmt: skip
    """Scores on rows that were held out, what they mean in one sentence, and how far confidence can be trusted.

    Args:
        probabilities: ``TextClassifier.probabilities`` of those rows.
        test: those rows.
        classes: the classifier's classes.
        learnt: the labelled rows that were learnt from.
        also_unseen: decisions on further rows that were not learnt from, and the right choices: they help to tell how
            far confidence can be trusted.
    """
    kind, targets = test.kind, test.class_numbers(classes)
    decided, choices = kind.decided(targets), kind.choices(classes)
    decisions = {name: kind.decisions(p) for name, p in probabilities.items()}
    scores = {name: score(p, decided, choices) for name, p in decisions.items()}
    correct = {name: p.argmax(1) == decided for name, p in decisions.items()}
    majority = kind.majority_share(learnt.class_numbers(classes), targets)
    confidence, right = decisions["delivered"].max(1), correct["delivered"]
    if also_unseen:
        more, more_decided = also_unseen
        confidence = np.concatenate([confidence, more.max(1)])
        right = np.concatenate([right, more.argmax(1) == more_decided])
    truth, _ = kind.truth(test, classes)
    by_kind = kind.report_entries(probabilities, truth, classes, learnt=learnt, part_names=NAMES)
    return Report(
        sentence=by_kind.pop("sentence", "") or _sentence(scores, correct, majority), held_out_rows=len(decided),
        majority=majority, scores={name: s.as_dict() for name, s in scores.items()},
        certainty=Certainty.measure(confidence, right), by_kind=by_kind,
    )  # fmt: skip


def _sentence(scores: dict[str, Scores], correct: dict[str, npt.NDArray[np.bool_]], majority: float) -> str:
    def shown(name: str) -> str:
        s = scores[name]
        return f"{100 * s.accuracy:.1f} % ({100 * s.low:.1f} to {100 * s.high:.1f})"

    always = f"always answering with the commonest label would be right for {100 * majority:.1f} %"
    start = f"On {counted(scores['ulmfit'].n, 'held-out row')}, ULMFiT is right for {shown('ulmfit')}"
    if "baseline" not in scores:
        doubt = " ULMFiT is not clearly better than that." if scores["ulmfit"].low <= majority else ""
        return f"{start}; {always}.{doubt}"
    together = "both" if "topics" not in scores else "all"
    start += "".join(f", {NAMES[part]} for {shown(part)}" for part in ("baseline", "topics") if part in scores)
    start += f", {together} weighed together for {shown('delivered')}; {always}. "
    ahead = int((correct["delivered"] & ~correct["baseline"]).sum())
    behind = int((~correct["delivered"] & correct["baseline"]).sum())
    by = f"by {counted(abs(ahead - behind), 'row')}"
    delivered = f"What is delivered ({together} together)"
    if ahead == behind:
        verdict = f"{delivered} ties with {NAMES['baseline']} alone, which is the simpler choice"
    else:
        chance = binomtest(min(ahead, behind), ahead + behind).pvalue
        verdict = f"{delivered} {'beats' if ahead > behind else 'loses to'} {NAMES['baseline']} alone {by}"
        doubt = "" if chance < SIGNIFICANT else "; a difference this small may be chance"
        verdict += f" (McNemar's test: p = {chance:.2g}{doubt})"
    if scores["delivered"].low <= majority:
        verdict += ". It is not clearly better than always answering with the commonest label"
    return start + verdict + "."
