"""Would more labels help, and how much? Learning curves of what ``fit`` would return."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.table import TextTable, check_learnable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.evaluation.learning_curve import LearningCurve
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.experiment import Experiment, Scoring
from ulmfit_lib.pipeline.out_of_fold import FOLDS
from ulmfit_lib.progress import note, track
from ulmfit_lib.training.classifying import FINE_TUNE, LINEAR_PROBE
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import learn_topics

MIN_ROWS = 40  # below, the curve would be noise
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
    run: Run | None = None,
) -> LabelBudget:
    """Cross-validate nested, stratified parts of the labels and see how the error on held-out rows falls.

    ULMFiT, TF-IDF + logistic regression and topics are weighed as ``fit`` weighs them. The language model is taken as
    it is; ``fit`` may do better by fine-tuning it. For a curve of your own one, give the folder that ``fit-lm`` made.

    Args:
        data: texts; of those without a label, where they are many, topics are learnt.
        base: a language model, its name or folder; or ``auto``, as in ``fit``.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        thorough: fine-tune the encoder for every point, as ``--strategy fine-tune`` does, which takes hours; else it
            reads each text once and only heads are trained.
        folds: how many fifths of the rows are held out, one after the other, and parts of the rest drawn anew.
        run: seed and device.

    Raises:
        DataError: labels that cannot be learnt from, or too few.
        OptionError: labels that are ratings or tags.
        ArtifactError: no such base.
    """
    run = run or Run()
    check_learnable(data)
    if not data.kind.one_class_per_text:
        raise OptionError("a label budget needs one class a text; it cannot forecast ratings or several labels")
    if (labels := len(data.labelled())) < MIN_ROWS:
        raise DataError(f"{data.source}: {labels} labelled rows; a curve needs {MIN_ROWS} at least")
    experiment = Experiment.of(data, Scoring(folds=FOLDS), seed=run.seed)
    table, splits = experiment.train, experiment.splits[:folds]
    lm, why = load_base(base, table.texts, direction=direction, seed=run.seed)
    note(why)
    topics = learn_topics(experiment.texts, labelled=len(table), seed=run.seed)
    candidate = Candidate(lm.only(direction), FINE_TUNE if thorough else LINEAR_PROBE, topics=topics)
    targets = np.array(table.targets())
    orders = [train[nested_order(targets[train].tolist(), run.seed + fold)] for fold, (train, _) in enumerate(splits)]
    most = min(map(len, orders))
    fewest = min(max(2 * len(table.classes), 10, most / 16), most)  # all classes are among the first
    sizes = np.unique(np.geomspace(fewest, most, SIZES).astype(int)).tolist()
    errors = []
    for size in track(sizes, total=len(sizes), description="learning curve", unit="size"):
        parts = [(np.sort(order[:size]), test) for order, (_, test) in zip(orders, splits, strict=True)]
        found = evaluate(candidate, table, parts, run)
        wrong = found.answers.decided != found.predictions.targets
        errors.append([wrong[found.predictions.fold == fold] for fold in range(len(splits))])
    draws = [np.array(of_sizes) for of_sizes in zip(*errors, strict=True)]
    return LabelBudget(len(table), LearningCurve.fit(sizes, draws, seed=run.seed), why)


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
