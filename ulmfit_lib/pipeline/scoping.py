"""Which texts are like none of the classes, learnt from those with a label and from others."""

from dataclasses import dataclass

import numpy as np

from ulmfit_lib.data.table import TextTable
from ulmfit_lib.linear.scope import FEWEST_OTHERS, KEPT, NONE_OF_THESE, Scope
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.pipeline.candidates import EvaluatedCandidate
from ulmfit_lib.progress import counted, note
from ulmfit_lib.training.classifying import LINEAR_PROBE
from ulmfit_lib.training.run import Run

MOST_OTHERS = 1000  # texts beside which those with a label are looked at


def other_texts(data: TextTable, *, seed: int, share: float) -> list[str]:
    """Texts that were set apart, or else some without a label, in a random order; a ``share`` where time is short."""
    draw, apart = np.random.default_rng(seed), data.apart.texts if data.apart else ()
    others = [apart[i] for i in draw.permutation(len(apart)).tolist()]
    if len(others) < FEWEST_OTHERS:
        free = data.select([i for i, label in enumerate(data.labels) if label is None])
        rows = free.random_rows(MOST_OTHERS, seed=seed, share=share)
        others += [free.texts[i] for i in draw.permutation(rows).tolist()]
    return others[: max(FEWEST_OTHERS, round(share * MOST_OTHERS))]


def find_scope(best: EvaluatedCandidate, data: TextTable, classifier: TextClassifier, run: Run) -> Scope | None:
    """The scope of a candidate's classifier; None where its encoder was fine-tuned, or a text may have several labels.

    An encoder that has learnt from the labelled texts puts them nearer to their classes than new ones. After
    contrastive learning, the cross-validation has told how near new ones come; after fine-tuning, nothing has.
    """
    candidate, apart, near = best.candidate, data.apart, best.predictions.nearness
    if not data.kind.one_class_per_text or (candidate.strategy != LINEAR_PROBE and near is None):
        if apart:
            note(
                f"texts labelled {apart.label!r} were not used: a fine-tuned encoder does not tell such "
                "texts apart; take --strategy contrast or linear-probe"
            )
        return None
    labelled, others = data.labelled(), candidate.other_texts
    vectors = candidate.reader(classifier, run).embed([*labelled.texts, *others])
    label = apart.label if apart else NONE_OF_THESE
    learnt, beside = np.split(vectors, [len(labelled)])
    keep = KEPT if apart else None
    return Scope.fit(learnt, labelled.class_numbers(), beside, held_out=near, label=label, keep=keep)


def about_scope(scope: Scope | None) -> str:
    """A sentence on how well the texts that the user set apart are told from the others; "" where there are none."""
    if scope is None or scope.keep is None:
        return ""
    return (
        f" Of the texts labelled {scope.label!r}, which are no class of their own, it tells "
        f"{100 * scope.told_apart:.0f} % apart, each measured without itself, and keeps about {100 * scope.keep:.0f} % "
        f"of the others."
    )


@dataclass(frozen=True)
class ScopeScores:
    """How often texts that are of none of the classes are told from those of the classes."""

    label: str  # of the former
    rows: int  # with that label
    found: float  # share of these that get it
    others: int  # rows of the classes
    kept: float  # share of these that do not

    def __str__(self) -> str:
        return (
            f"{self.label}: {100 * self.found:.1f} % of {counted(self.rows, 'row')} found, "
            f"{100 * self.kept:.1f} % of the {self.others:,} others kept"
        )


def scope_scores(classifier: TextClassifier, table: TextTable) -> ScopeScores | None:
    """Of a table with rows of the scope's label; None where the classifier or the table has none."""
    scope = classifier.scope
    if scope is None or scope.keep is None or scope.label not in table.labels:
        return None
    labelled = table.labelled()
    outside = classifier.judge(labelled.texts)[1]
    apart = np.array([label == scope.label for label in labelled.labels])
    found, kept = float(outside[apart].mean()), 1 - float(outside[~apart].mean()) if not apart.all() else 1.0
    return ScopeScores(scope.label, int(apart.sum()), found, int((~apart).sum()), kept)
