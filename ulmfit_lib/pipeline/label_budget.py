"""Would more labels help, and how much? Learning curves of what ``fit`` would deliver."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable, check_labels, mention_single_labels
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.evaluation.learning_curve import LearningCurve
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.parts import PartsFitter
from ulmfit_lib.pipeline.unseen import FOLDS, joined, scoring_folds
from ulmfit_lib.progress import bar, note
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.topics import learn_topics

FEWEST_ROWS = 40  # below, the curve would be noise
SIZES = 5


@dataclass(frozen=True)
class LabelBudget:
    """What labels have been worth, and what more of them should be.

    Attributes:
        labels: labelled rows that there are.
        curve: error against labels.
        base: which language model reads the texts, and why.
    """

    labels: int
    curve: LearningCurve
    base: str

    def suggested(self) -> list[int]:
        """Round numbers of further labels: about half as many as there are, as many, and twice as many."""
        return sorted({_round(self.labels * share) for share in (0.5, 1, 2)})

    def sentences(self, more: Sequence[int] = ()) -> list[str]:
        """What to expect of the labels there are, and of ``more``, each a number of further labels."""
        right = 100 * (1 - self.curve.error(self.labels))
        told = [f"With all {self.labels:,} labels, about {right:.1f} % will be right."]
        for number in more or self.suggested():
            gain, low, high = (100 * value for value in self.curve.gain(self.labels, number))
            told.append(f"{number:,} more labels: about {gain:+.1f} points ({low:.1f} to {high:.1f}).")
        return told

    def as_dict(self, more: Sequence[int] = ()) -> dict[str, Any]:
        """For JSON."""
        gains = {n: self.curve.gain(self.labels, n) for n in more or self.suggested()}
        return {
            "labels": self.labels,
            "accuracy": 1 - self.curve.error(self.labels),
            "base": self.base,
            "more": [{"labels": n, "gain": g, "gain_90": [low, high]} for n, (g, low, high) in gains.items()],
            "curve": {
                "labels": self.curve.sizes.tolist(),
                "error": self.curve.errors.tolist(),
                "scale": self.curve.scale,
                "exponent": self.curve.exponent,
            },
        }


def label_budget(
    data: TextTable,
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    thorough: bool = False,
    folds: int = FOLDS,
    seed: int = 42,
    device: str = "auto",
) -> LabelBudget:
    """Learn from nested, stratified parts of the labels and see how the error on held-out rows falls.

    ULMFiT, TF-IDF + logistic regression and topics are weighed as ``fit`` weighs them. The language model is taken as
    it is; ``fit`` may do better by fine-tuning it. For a curve of your own one, give the folder that ``fit-lm`` made.

    Args:
        data: texts; of those without a label, where they are many, topics are learnt.
        base: a language model, its name or folder; or ``auto``, as in ``fit``.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        thorough: fine-tune the encoder for every point, as ``--strategy fine-tune`` does, which takes hours; else it
            reads each text once and only heads are trained.
        folds: how many fifths of the rows are held out, one after the other, and parts of the rest drawn anew.
        seed: of all that is random.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DataError: labels that cannot be learnt from, or too few.
        ArtifactError: no such base.
    """
    table = data.labelled()
    check_labels(table)
    mention_single_labels(table)
    if not table.kind.one_class_per_text:
        raise OptionError("a label budget needs one class a text; it cannot forecast ratings or several labels")
    if len(table) < FEWEST_ROWS:
        raise DataError(f"{data.source}: {len(table)} labelled rows; a curve needs {FEWEST_ROWS} at least")
    lm, why = load_base(base, table.texts, direction=direction, seed=seed)
    note(why)
    free = data.select([i for i, label in enumerate(data.labels) if label is None]).texts
    fitter = PartsFitter.read(
        table,
        lm=lm.only(direction),
        recipe=CLASSIFY,
        strategy="fine-tune" if thorough else "features",
        with_baseline=True,
        seed=seed,
        device=find_device(device),
        topics=learn_topics(free, labelled=len(table), seed=seed),
    )
    splits = scoring_folds(table, count=FOLDS, seed=seed)[:folds]
    if not splits:
        raise DataError(f"{data.source}: all texts are alike, so that none can be held out; label others")
    targets = np.array(table.targets())
    orders = [train[nested_order(targets[train].tolist(), seed + fold)] for fold, (train, _) in enumerate(splits)]
    most = min(map(len, orders))
    fewest = min(max(2 * len(table.classes), 10, most / 16), most)  # all classes are among the first
    sizes = np.unique(np.geomspace(fewest, most, SIZES).astype(int)).tolist()
    wrong = []
    with bar(total=len(splits) * len(sizes), description="learning curve", unit="part") as progress:
        for size in sizes:
            parts = [(np.sort(order[:size]), test) for order, (_, test) in zip(orders, splits, strict=True)]
            scored = []
            for one in fitter.out_of_fold(table, parts):
                scored.append(one)
                progress.update(1)
            unseen = joined(scored)
            missed = unseen.delivered()[ENSEMBLE].argmax(1) != unseen.targets
            wrong.append([missed[unseen.fold == fold] for fold in range(len(splits))])
    draws = [np.array(of_sizes) for of_sizes in zip(*wrong, strict=True)]
    return LabelBudget(len(table), LearningCurve.fit(sizes, draws, seed=seed), why)


def nested_order(labels: Sequence[str], seed: int) -> list[int]:
    """Places in an order whose every beginning has each label in proportion, two of each first of all."""
    generator = np.random.default_rng(seed)
    keys = np.zeros(len(labels))
    for label in sorted(set(labels)):
        places = generator.permutation([i for i, other in enumerate(labels) if other == label])
        keys[places] = (np.arange(len(places)) + generator.random()) / len(places)
        keys[places[:2]] -= 1
    return np.argsort(keys, kind="stable").tolist()


def _round(number: float) -> int:
    """To one digit of 1, 2 or 5."""
    power = 10 ** int(np.log10(max(number, 1)))
    return max(10, int(min((1, 2, 5, 10), key=lambda digit: abs(np.log(digit * power / number))) * power))
