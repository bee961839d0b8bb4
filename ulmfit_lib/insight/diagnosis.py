"""Which stage of a trained classifier is at fault: the base, reading the texts, or learning the labels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ulmfit_lib.artifact.record import Stage
from ulmfit_lib.artifact.report import Report
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.evaluation.metrics import Scores
from ulmfit_lib.insight.findings import (
    ALIKE,
    CLASSIFIER,
    FEW_LABELS,
    LABELS_SAY_NOTHING,
    LANGUAGE_MODEL,
    NO_BETTER_THAN_TFIDF,
    NO_GAIN_BY_READING,
    NOISE,
    OVERFITTING,
    RARE,
    Diagnosis,
    Finding,
)
from ulmfit_lib.insight.label_checks import MAX_RECALL, MIN_CONFUSED
from ulmfit_lib.insight.text_checks import check_language
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.pipeline.label_budget import MIN_ROWS as MIN_ROWS_OF_BUDGET
from ulmfit_lib.pipeline.label_budget import label_budget
from ulmfit_lib.training.run import Run

MIN_GAIN = 0.02  # share of the perplexity that reading the texts should take away
MAX_GAP = 0.15  # between accuracy on training rows and on held-out ones
FEW = 200  # labels, below which more of them are the first thing to try
MIN_ROWS = 8  # of a class that may be hidden in another one


def diagnose_model(classifier: TextClassifier, learnt: TextTable | None = None) -> Diagnosis:
    """What its own record says: what reading gained, what labels gained, and what it does no better than others.

    A classifier of ``fit_classifier`` has no held-out scores, so that less can be said than of one of ``fit``. Rows
    that it has ``learnt`` show how far it overfits them.
    """
    record, report = classifier.training, classifier.training.report
    findings, facts = _reading(record.stages)
    if report is None:
        facts.append(
            "This model's folder holds no scores on held-out rows. `fit` measures them: make the model with it to "
            "learn more."
        )
        return Diagnosis.of(findings, facts)
    ensemble, baseline = report.ensemble, report.scores.get("baseline")
    facts.append(report.sentence)
    findings += [_no_better(report, record.last), _hidden_class(ensemble), _behind(ensemble, baseline)]
    if learnt is not None:
        accuracy = classifier.evaluate(learnt).accuracy
        facts.append(
            f"Its accuracy is {100 * accuracy:.0f} % on its training rows and {100 * ensemble.accuracy:.0f} % on "
            "held-out rows."
        )
        findings.append(_overfitting(accuracy, ensemble.accuracy))
    return Diagnosis.of(findings, facts)


def with_label_budget(found: Diagnosis, data: TextTable, *, base: str, seed: int) -> Diagnosis:
    """With what more labels should bring, if nothing graver is wrong and there are enough labels to tell."""
    table = data.labelled()
    if found.cause not in (None, NOISE, RARE) or len(table) < MIN_ROWS_OF_BUDGET or len(table.classes) < 2:
        return found
    return replace(found, facts=[*found.facts, *label_budget(data, base=base, run=Run(seed=seed)).sentences()])


def _reading(stages: Sequence[Stage]) -> tuple[list[Finding | None], list[str]]:
    """What the language model made of the texts."""
    read = [stage for stage in stages if stage.name == "fine-tune" and stage.validation]
    own = [stage.validation for stage in stages if stage.name == "pretrain" and stage.validation]
    if not read:
        return [], ["The language model was not fine-tuned on these texts before the classifier was trained."]
    last = read[-1]
    assert last.validation
    paths = [[epoch["perplexity"] for epoch in some if "perplexity" in epoch] for some in last.history.values()]
    first, best = (float(np.mean([pick(path) for path in paths if path])) for pick in (lambda path: path[0], min))
    gain, unknown = 1 - best / first, last.unknown_share or 0.0
    beside = f", where the base reaches {own[-1].perplexity_per_word:,.0f} on texts of its own kind" if own else ""
    facts = [
        f"The language model has read {last.texts or 0:,} of your texts. On others of them its perplexity is now "
        f"{last.validation.perplexity_per_word:,.0f} per word{beside}; the lower, the better it predicts "
        f"them. It does not know {100 * unknown:.1f} % of the words.",
        f"Reading on from the first epoch to the best one lowered the perplexity per token by {100 * gain:.0f} %.",
    ]
    finding = check_language(unknown)
    if finding is None and gain < MIN_GAIN:
        finding = Finding(
            NO_GAIN_BY_READING,
            LANGUAGE_MODEL,
            "Reading your texts hardly helped the language model to predict them.",
            "Add more texts of the same kind, without labels: rows with an empty label are read, too.",
        )
    return [finding], facts


def _no_better(report: Report, last: Stage) -> Finding | None:
    """Not clearly better than always saying the same."""
    if report.ensemble.low > report.majority:
        return None
    labels = report.labelled_rows or last.labelled_texts or 0
    what = (
        f"On {report.ensemble.n} held-out rows it is not clearly better than always answering with the commonest label."
    )
    if labels < FEW:
        return Finding(
            FEW_LABELS,
            CLASSIFIER,
            f"{what} It was trained on {labels} labels.",
            "Label more texts: `suggest-labels` says which, and `label-budget` what they should bring.",
        )
    return Finding(
        LABELS_SAY_NOTHING,
        CLASSIFIER,
        f"{what} It was trained on {labels:,} labels, so that more of the same will not help.",
        "Run `doctor` and `check-labels` on the file that it was made from.",
    )


def _hidden_class(ensemble: Scores) -> Finding | None:
    """A class that is taken for another one."""
    classes, confusion = ensemble.classes, np.array(ensemble.confusion, np.float64)  # true class by guessed
    if len(classes) < 3:
        return None
    rows = confusion.sum(1)
    for number in np.argsort(np.diag(confusion) / rows.clip(min=1)).tolist():
        shares = confusion[number] / max(rows[number], 1)
        other = int(np.argmax(np.where(np.arange(len(classes)) == number, -1, shares)))
        if rows[number] >= MIN_ROWS and shares[number] <= MAX_RECALL and shares[other] >= MIN_CONFUSED:
            return Finding(
                ALIKE,
                CLASSIFIER,
                f"{100 * shares[other]:.0f} % of the texts labelled {classes[number]!r} are taken for "
                f"{classes[other]!r}.",
                "Make one class of the two, or write down what parts them, and label their rows again.",
            )
    return None


def _behind(ensemble: Scores, baseline: Scores | None) -> Finding | None:
    """TF-IDF alone is as good."""
    if not baseline or ensemble.accuracy > baseline.accuracy:
        return None
    return Finding(
        NO_BETTER_THAN_TFIDF,
        CLASSIFIER,
        f"On held-out rows the accuracy of TF-IDF + logistic regression alone is {100 * baseline.accuracy:.1f} %, and "
        f"that of the ensemble {100 * ensemble.accuracy:.1f} %.",
        "Single words are enough to tell these labels, so that TF-IDF alone would be the simpler choice here.",
    )


def _overfitting(training: float, held_out: float) -> Finding | None:
    """It is much better on its training rows than on others."""
    if training - held_out < MAX_GAP:
        return None
    return Finding(
        OVERFITTING,
        CLASSIFIER,
        f"Its accuracy is {100 * (training - held_out):.0f} points higher on training rows than on held-out ones: "
        "there are too few labels for what it could learn.",
        "Label more texts (`suggest-labels`), and see with `label-budget` what they should bring.",
    )
