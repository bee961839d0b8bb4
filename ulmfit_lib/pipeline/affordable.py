"""What there is time to learn from, where a user gives less time than a table's texts take."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import Budget, Step
from ulmfit_lib.pipeline.experiment import MAX_CROSS_VALIDATED, Scoring
from ulmfit_lib.pipeline.out_of_fold import FOLDS
from ulmfit_lib.progress import counted

READING = 0.45  # share of the time in which the frozen encoder may read the labelled texts, each once
SHORT = 0.5  # of that, from which on there are fewer folds
FEW_FOLDS = 3
ALWAYS_READ = 150_000  # characters of labelled texts
TRIED = (2_000, 2_000, 16_000, 16_000)  # characters that a speed is measured on
KEPT_OF_EACH = 2  # rows of a class


@dataclass(frozen=True, eq=False)
class Affordable:
    """What there is time to learn from, and to score."""

    data: TextTable  # the table, or a part of its rows, drawn at random
    scoring: Scoring  # on which of them a classifier is scored
    left_out: str = ""  # what there was no time for, a sentence; "" where nothing was left out

    @classmethod
    def of(cls, data: TextTable, scoring: Scoring, *, lm: LanguageModel, budget: Budget, seed: int) -> "Affordable":
        """Fewer folds where the first score takes most of the time, and fewer rows where it takes more than that.

        How fast this machine reads is measured. Of the rows without a label those are left out that could not even be
        read once.

        Args:
            data: texts, some or all with a label.
            scoring: that was asked for.
            lm: a language model that reads them, on its device.
            budget: the time.
            seed: of the rows that are drawn.
        """
        lengths = np.array([len(text) for text in data.texts])
        labelled = np.array([label is not None for label in data.labels])
        characters = int(lengths[labelled].sum())
        if characters <= ALWAYS_READ:
            return cls(data, scoring)
        speed = budget.decide(Step.SCORING, "characters per second", _characters_per_second(lm, data.texts))
        most = max(ALWAYS_READ, READING * budget.seconds * speed)
        order = np.random.default_rng(seed).permutation(len(data))
        read = np.zeros(len(data), bool)
        for part, affordable in ((labelled, most), (~labelled, budget.seconds * speed)):
            drawn = order[part[order]]
            read[drawn[np.cumsum(lengths[drawn]) <= affordable]] = True
        read[list(_some_of_each(data.strata, order))] = True
        asked = scoring.folds or scoring.test_fraction or int(read[labelled].sum()) > MAX_CROSS_VALIDATED
        few = not asked and characters > SHORT * most
        left_out = [
            f"only {int(read[part].sum()):,} of {counted(int(part.sum()), what)}, drawn at random, were read"
            for part, what in ((labelled, "labelled row"), (~labelled, "unlabelled row"))
            if not read[part].all()
        ]
        if few:
            left_out.append(f"there were {FEW_FOLDS} folds instead of {FOLDS}")
        if not left_out:
            return cls(data, scoring)
        enough = max(characters / (SHORT * READING), int(lengths[~labelled].sum())) / speed / 60
        return cls(
            data if read.all() else data.select(np.flatnonzero(read).tolist()),
            replace(scoring, folds=FEW_FOLDS) if few else scoring,
            f"For want of time, {' and '.join(left_out)}; --minutes {math.ceil(10 * enough) / 10:g} is enough here.",
        )


def _characters_per_second(lm: LanguageModel, texts: Sequence[str]) -> float:
    """That the frozen encoders read: of a longer lot of text in the time beyond that of a short one.

    A start costs as much for both, which is at most half of the time; the very first costs more, and is not counted.
    """
    taken = []
    for most in TRIED:
        some: list[str] = []
        while sum(map(len, some)) < most and len(some) < len(texts):
            some.append(texts[len(some)][:most])
        started = time.monotonic()
        lm.features(some, pooling="layers")
        taken.append((time.monotonic() - started, sum(map(len, some))))
    _, (short, few), *others = taken
    long, many = min(others)
    return max(many - few, 1) / max(long - short, long / 2)


def _some_of_each(strata: Sequence[str | None], order: Ints) -> Iterator[int]:
    """The first places, in an order, of each label."""
    seen: Counter[str] = Counter()
    for place in order.tolist():
        label = strata[place]
        if label is not None and seen[label] < KEPT_OF_EACH:
            seen[label] += 1
            yield place
