"""What a classifier is worth: scores on rows that it has not seen, and one sentence about them."""

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from ulmfit_lib.data.ratings import class_means
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.data.tags import as_decisions
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import Scores, TagScores, score, score_ratings, score_tags
from ulmfit_lib.evaluation.regression import Floats

NAMES = {"ulmfit": "ULMFiT", "baseline": "TF-IDF + logistic regression", "topics": "topics of the unlabelled texts"}


def report_on(
    probabilities: dict[str, Floats], targets: npt.NDArray[np.int64], classes: list[str], *, majority: float,
    also_unseen: tuple[Floats, npt.NDArray[np.int64]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Scores on rows that were held out, what they mean in one sentence, and how far confidence can be trusted.

    Args:
        probabilities: ``TextClassifier.probabilities`` of those rows.
        targets: their class numbers.
        classes: the classes' names.
        majority: how often the commonest label of the other rows is right for them.
        also_unseen: what would be delivered for further rows that were not learnt from, and their class numbers: they
            help to tell how far confidence can be trusted.
    """
    tags: dict[str, Any] = {}
    if targets.ndim == 2:  # a decision per row and label
        by_label = {name: score_tags(p, targets, classes) for name, p in probabilities.items()}
        tags = {"tags": {name: s.as_dict() for name, s in by_label.items()}, "sentence": _tags_sentence(by_label)}
        probabilities = {name: as_decisions(p) for name, p in probabilities.items()}
        targets, classes = targets.reshape(-1), ["no", "yes"]
    scores = {name: score(p, targets, classes) for name, p in probabilities.items()}
    correct = {name: p.argmax(1) == targets for name, p in probabilities.items()}
    confidence, right = probabilities["delivered"].max(1), correct["delivered"]
    if also_unseen:
        more, truth = also_unseen
        confidence = np.concatenate([confidence, more.max(1)])
        right = np.concatenate([right, more.argmax(1) == truth])
    return {
        "held_out_rows": len(targets),
        "majority": majority,
        **{name: s.as_dict() for name, s in scores.items()},
        "certainty": asdict(Certainty.measure(confidence, right)),
        "sentence": _sentence(scores, correct, majority),
        **tags,
    }


def majority_share(learnt: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> float:
    """How often the commonest class of some rows is right for others; of tags, of all decisions."""
    if targets.ndim == 2:
        return float((targets == (2 * learnt.sum(0) > len(learnt))).mean())
    return float((targets == np.bincount(learnt).argmax()).mean())


def report_on_ratings(probabilities: dict[str, Floats], *, learnt: TextTable, test: TextTable) -> dict[str, Any]:
    """The same where labels are ratings.

    Args:
        probabilities: ``TextClassifier.probabilities`` of the held-out rows.
        learnt: rows that tell what each class stands for, and what one would always say.
        test: the held-out rows.
    """
    values, truth = np.array(class_means(learnt)), np.array(test.numbers, np.float64)
    scores = {name: score_ratings(p @ values, truth) for name, p in probabilities.items()}
    median = float(np.median(np.array(learnt.numbers, np.float64)))
    always = float(np.abs(truth - median).mean())
    off = {name: f"{s.mean_absolute_error:.3g}" for name, s in scores.items()}
    alone = ", ".join(f"{NAMES[part]} alone {one}" for part, one in off.items() if part != "delivered")
    parts = f" ({alone})" if "baseline" in scores else ""
    sentence = (
        f"On {len(truth)} held-out rows, ratings are off by {off['delivered']} on average{parts}, "
        f"always the median, {median:g}, would be by {always:.3g}; "
        f"their rank correlation with the true ones is {scores['delivered'].spearman:.2f}."
    )
    if scores["delivered"].mean_absolute_error >= always:
        sentence += " That is no better than the median."
    return {"ratings": {name: s.as_dict() for name, s in scores.items()}, "median_off_by": always, "sentence": sentence}


def _tags_sentence(scores: dict[str, TagScores]) -> str:
    delivered = scores["delivered"]
    parts = ", ".join(f"{NAMES[part]} alone {s.micro_f1:.3f}" for part, s in scores.items() if part != "delivered")
    return (
        f"On {delivered.n} held-out rows, each with any of {len(delivered.f1)} labels, the micro F1 score is "
        f"{delivered.micro_f1:.3f} ({parts}); for {100 * delivered.exact:.1f} % of the rows all labels are right."
    )


def _sentence(scores: dict[str, Scores], correct: dict[str, npt.NDArray[np.bool_]], majority: float) -> str:
    def shown(name: str) -> str:
        s = scores[name]
        return f"{100 * s.accuracy:.1f} % ({100 * s.low:.1f} to {100 * s.high:.1f})"

    ulmfit = scores["ulmfit"]
    start = f"On {ulmfit.n} held-out rows, ULMFiT is right for {shown('ulmfit')}"
    if "baseline" not in scores:
        doubt = " That is not clearly worse." if ulmfit.low <= majority else ""
        return f"{start}; always the commonest label would be right for {100 * majority:.1f} %.{doubt}"
    both = "both" if "topics" not in scores else "all"
    start += "".join(f", {NAMES[part]} for {shown(part)}" for part in ("baseline", "topics") if part in scores)
    start += f", {both} weighed together for {shown('delivered')}"
    start += f", always the commonest label for {100 * majority:.1f} %. "
    ahead = int((correct["delivered"] & ~correct["baseline"]).sum())
    behind = int((~correct["delivered"] & correct["baseline"]).sum())
    if ahead == behind:
        verdict = f"What is delivered ({both}) ties with the baseline alone, which is the simpler choice"
    else:
        won = ahead > behind
        better, worse = (f"{both.title()} together win", "the baseline") if won else ("The baseline wins", both)
        chance = binomtest(min(ahead, behind), ahead + behind).pvalue
        doubt = "" if chance < 0.05 else ", though so few rows could say so by chance"
        verdict = f"{better} over {worse} by {abs(ahead - behind)} rows (McNemar p = {chance:.2g}){doubt}"
    if scores["delivered"].low <= majority:
        verdict += "; it is not clearly better than always the commonest label"
    return start + verdict + "."
