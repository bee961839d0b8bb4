"""What a classifier is worth: scores on rows that it has not seen, and one sentence about them."""

from dataclasses import replace

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE, GoalReport, Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import Z95, McNemar, Scores, f1_scores, score
from ulmfit_lib.labels.decision import ACCURACY, BALANCE, COST, MACRO_F1, RECALL
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.pipeline.deciding import Goal
from ulmfit_lib.progress import counted

NAMES = {"ulmfit": "ULMFiT", "baseline": "TF-IDF + logistic regression", "topics": "topics of the unlabelled texts"}

MEASURES = {BALANCE: "macro F1", MACRO_F1: "macro F1", RECALL: "mean recall", COST: "mean cost"}
RESAMPLES = 500
RARE = 0.7  # of the rows that each class would have if all had as many, below which a class is called rare


def report_on(
    probabilities: dict[str, Floats],
    test: TextTable,
    classes: list[str],
    *,
    learnt: TextTable,
    decided: Ints | None = None,
    calibration: tuple[Floats, Bools] | None = None,
    folds: int = 0,
    goal: Goal = Goal(ACCURACY),  # noqa: B008
) -> Report:
    """Scores on held-out rows, what they mean in one sentence, and accuracy by confidence.

    Args:
        probabilities: ``TextClassifier.probabilities`` of the ``test`` rows.
        learnt: the labelled rows that were learnt from.
        decided: the ensemble's answers, as ``LabelKind.targets``; by default the likeliest.
        calibration: ``certainty_of`` further held-out rows, which count for accuracy by confidence.
        folds: of cross-validation; 0 for rows that are never learnt from. Classifiers of different folds share
            training rows, so that their errors correlate: the variance of the accuracy counts for 1 + 1 /
            (folds - 1) times as much (after Nadeau & Bengio 2003).
        goal: what the answers were chosen for.
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
    of_goal = _of_goal(answers, decisions[ENSEMBLE].argmax(1), truth, goal) if kind.one_class_per_text else None
    known, own_truth = kind.learnt_from(learnt), kind.truth(test, classes)[0]
    of_kind = {
        name: known.score(p, own_truth, classes, decided=said if name == ENSEMBLE else None)
        for name, p in ({} if kind.one_class_per_text else probabilities).items()
    }
    by_kind = known.report_entries(of_kind, own_truth, learnt=learnt, part_names=NAMES)
    whole = _sentence(scores, verdict, majority, folds) + _about_classes(scores, of_goal)
    return Report(
        sentence=by_kind.get("sentence") or whole,
        held_out_rows=len(truth),
        majority=majority,
        scores=scores,
        certainty=Certainty.measure(confidence, right),
        verdict=verdict,
        goal=of_goal,
        ratings=by_kind.get("ratings"),
        median_off_by=by_kind.get("median_off_by"),
        tags=by_kind.get("tags"),
    )


def certainty_of(kind: LabelKind, probabilities: Floats, decided: Ints, targets: Ints) -> tuple[Floats, Bools]:
    """(n_decisions,) the probability of each decision, and whether it is right."""
    decisions, said = kind.decisions(probabilities), kind.decided(decided)
    return decisions[np.arange(len(said)), said], said == kind.decided(targets)


def _of_goal(answers: dict[str, Ints], likeliest: Ints, truth: Ints, goal: Goal) -> GoalReport | None:
    """The answers by their goal, and how far they are ahead of the baseline's (bootstrap over rows, Efron 1979)."""
    if goal.name == ACCURACY or (goal.name == COST and not goal.costs):
        return None
    n, n_classes = len(truth), int(max(truth.max(), likeliest.max(), *(one.max() for one in answers.values()))) + 1

    def worth(predicted: Ints, rows: Ints) -> float:
        pairs = np.bincount(truth * n_classes + predicted, rows, n_classes**2).reshape(n_classes, n_classes)
        if goal.name == COST:
            known = len(goal.costs)
            return float((pairs[:known, :known] * np.array(goal.costs)).sum() / n)
        there = pairs.sum(1) > 0
        each = pairs.diagonal() / np.maximum(pairs.sum(1), 1) if goal.name == RECALL else f1_scores(pairs)
        return float(each[there].mean())

    once, baseline = np.ones(n, np.int64), answers.get("baseline")
    found = GoalReport(
        MEASURES[goal.name], worth(answers[ENSEMBLE], once), worth(likeliest, once), float((likeliest == truth).mean())
    )
    if baseline is None:
        return found
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    sign = -1 if goal.name == COST else 1
    ahead = [sign * (worth(answers[ENSEMBLE], rows) - worth(baseline, rows)) for rows in draws]
    low, high = np.percentile(ahead, (2.5, 97.5))
    return replace(found, baseline=worth(baseline, once), low=float(low), high=float(high))


def _about_classes(scores: dict[str, Scores], goal: GoalReport | None) -> str:
    """Sentences on how well each class is found, which the accuracy does not show."""
    best = scores[ENSEMBLE]
    rarest = best.rarest
    rows = sum(best.confusion[rarest])
    twice = goal is not None and goal.baseline is not None and goal.measure == MEASURES[MACRO_F1]
    said = "" if twice else f" Its macro F1 is {best.macro_f1:.2f}."
    if rows < RARE * best.n / len(best.classes):
        said += (
            f" Of the rarest class, {best.classes[rarest]!r}, it finds {100 * best.recalls[rarest]:.0f} % of "
            f"{counted(rows, 'row')}."
        )
    if best.always is not None:
        said += f" It always answers with {best.always!r}."
    if goal is None:
        return said
    if goal.baseline is not None:
        said += f" By {goal.measure} it has {goal.value:.2f} and {NAMES['baseline']} {goal.baseline:.2f} "
        said += f"(95 % interval of the difference: {goal.low:.2f} to {goal.high:.2f})."
    if (goal.likeliest, goal.accuracy_of_likeliest) != (goal.value, best.accuracy):
        said += (
            f" The likeliest label of each row would have an accuracy of {100 * goal.accuracy_of_likeliest:.1f} % and "
            f"a {goal.measure} of {goal.likeliest:.2f}."
        )
    return said


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
