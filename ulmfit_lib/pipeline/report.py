"""What a classifier is worth: scores on rows that it has not seen, and one sentence about them."""

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.mcnemar import McNemar
from ulmfit_lib.evaluation.metrics import Z95, Scores, score
from ulmfit_lib.progress import counted

NAMES = {"ulmfit": "ULMFiT", "baseline": "TF-IDF + logistic regression", "topics": "topics of the unlabelled texts"}


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
    confidence, right = decisions[ENSEMBLE].max(1), correct[ENSEMBLE]
    if also_unseen:
        more, more_decided = also_unseen
        confidence = np.concatenate([confidence, more.max(1)])
        right = np.concatenate([right, more.argmax(1) == more_decided])
    verdict = McNemar.of(correct[ENSEMBLE], correct["baseline"]) if "baseline" in correct else None
    truth, _ = kind.truth(test, classes)
    by_kind = kind.report_entries(probabilities, truth, classes, learnt=learnt, part_names=NAMES)
    return Report(
        sentence=by_kind.get("sentence") or _sentence(scores, verdict, majority, folds > 0),
        held_out_rows=len(decided),
        majority=majority,
        scores=scores,
        certainty=Certainty.measure(confidence, right),
        verdict=verdict,
        ratings=by_kind.get("ratings"),
        median_off_by=by_kind.get("median_off_by"),
        tags=by_kind.get("tags"),
    )


def _sentence(scores: dict[str, Scores], verdict: McNemar | None, majority: float, in_folds: bool) -> str:
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
    start += f", {together} weighed together for {shown(ENSEMBLE)}; {always}. "
    said = verdict.sentence(f"What is delivered ({together} together)", f"{NAMES['baseline']} alone")
    if scores[ENSEMBLE].low <= majority:
        said += ". It is not clearly better than always answering with the commonest label"
    return start + said + "."
