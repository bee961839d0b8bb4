"""What a classifier is worth: scores on rows that it has not seen, and one sentence about them."""

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.mcnemar import McNemar
from ulmfit_lib.evaluation.metrics import Z95, Scores, score
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.progress import counted

NAMES = {"ulmfit": "ULMFiT", "baseline": "TF-IDF + logistic regression", "topics": "topics of the unlabelled texts"}


def report_on(
    probabilities: dict[str, Floats],
    test: TextTable,
    classes: list[str],
    *,
    learnt: TextTable,
    decided: Ints | None = None,
    calibration: tuple[Floats, Bools] | None = None,
    folds: int = 0,
) -> Report:
    """Scores on held-out rows, what they mean in one sentence, and accuracy by confidence.

    Args:
        probabilities: ``TextClassifier.probabilities`` of those rows.
        test: those rows.
        classes: the classifier's classes.
        learnt: the labelled rows that were learnt from.
        decided: the ensemble's answers, as ``LabelKind.targets``; by default the likeliest.
        calibration: ``certainty_of`` further held-out rows, which count for accuracy by confidence.
        folds: of cross-validation; 0 for rows that are never learnt from. Classifiers of different folds share training
            rows, so that their errors correlate: the variance of the accuracy counts for 1 + 1 / (folds - 1) times as
            much (after Nadeau & Bengio 2003).
    """
    kind, targets = test.kind, test.class_numbers(classes)
    truth, choices = kind.decided(targets), kind.choices(classes)
    said = kind.decide(probabilities[ENSEMBLE]) if decided is None else decided
    decisions = {name: kind.decisions(p) for name, p in probabilities.items()}
    z = Z95 * (1 + 1 / (folds - 1)) ** 0.5 if folds > 1 else Z95
    answers = {name: p.argmax(1) for name, p in decisions.items()} | {ENSEMBLE: kind.decided(said)}
    scores = {name: score(p, truth, choices, predicted=answers[name], z=z) for name, p in decisions.items()}
    correct = {name: one == truth for name, one in answers.items()}
    majority = kind.majority_share(learnt.class_numbers(classes), targets)
    confidence, right = certainty_of(kind, probabilities[ENSEMBLE], said, targets)
    if calibration:
        confidence, right = (np.concatenate(pair) for pair in zip((confidence, right), calibration, strict=True))
    verdict = McNemar.of(correct[ENSEMBLE], correct["baseline"]) if "baseline" in correct else None
    by_kind = kind.report_entries(
        probabilities, kind.truth(test, classes)[0], classes, learnt=learnt, part_names=NAMES, decided=said
    )
    return Report(
        sentence=by_kind.get("sentence") or _sentence(scores, verdict, majority, folds),
        held_out_rows=len(truth),
        majority=majority,
        scores=scores,
        certainty=Certainty.measure(confidence, right),
        verdict=verdict,
        ratings=by_kind.get("ratings"),
        median_off_by=by_kind.get("median_off_by"),
        tags=by_kind.get("tags"),
    )


def certainty_of(kind: LabelKind, probabilities: Floats, decided: Ints, targets: Ints) -> tuple[Floats, Bools]:
    """(n_decisions,) the probability of each decision, and whether it is right."""
    decisions, said = kind.decisions(probabilities), kind.decided(decided)
    return decisions[np.arange(len(said)), said], said == kind.decided(targets)


def _sentence(scores: dict[str, Scores], verdict: McNemar | None, majority: float, folds: int) -> str:
    def shown(name: str) -> str:
        s = scores[name]
        return f"{100 * s.accuracy:.1f} % ({100 * s.low:.1f} to {100 * s.high:.1f})"

    rows = counted(scores["ulmfit"].n, "labelled row" if folds else "held-out row")
    how = f", cross-validated in {folds} folds" if folds else ""
    start = f"On {rows}{how}, the accuracy (95 % interval) of ULMFiT is {shown('ulmfit')}"
    constant = f"that of always answering with the commonest label {100 * majority:.1f} %"
    if verdict is None:
        doubt = " ULMFiT is not clearly better than that." if scores["ulmfit"].low <= majority else ""
        return f"{start}; {constant}.{doubt}"
    linear = [name for name in ("baseline", "topics") if name in scores]
    others = "".join(f", of {NAMES[name]} {shown(name)}" for name in linear)
    ensemble = f", of the ensemble of {'both' if len(linear) == 1 else 'all'} {shown(ENSEMBLE)}"
    beside = verdict.sentence("The ensemble", f"{NAMES['baseline']} alone")
    if scores[ENSEMBLE].low <= majority:
        beside += ". It is not clearly better than always answering with the commonest label"
    return f"{start}{others}{ensemble}; {constant}. {beside}."
