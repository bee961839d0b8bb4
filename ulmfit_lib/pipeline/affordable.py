"""What there is time to learn from, where a user gives less time than a table's texts take."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.data.table import Apart, TextTable
from ulmfit_lib.models.known_texts import MOST_TEXTS
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.precision import BEGINNING
from ulmfit_lib.pipeline.budget import Budget, Step
from ulmfit_lib.pipeline.experiment import MAX_CROSS_VALIDATED, Scoring
from ulmfit_lib.pipeline.out_of_fold import FOLDS
from ulmfit_lib.progress import counted

READING = 0.5  # share of the time that is left in which the labelled texts may be read, each once, and learnt from
BESIDE = 0.15  # of all time, in which it may read others for what a model keeps beside its scores
TIMES_BESIDE = 5  # that the beginning of each of these then costs what it costs to read it once
LEARNT = 8  # characters that are read in the time in which heads learn from a row, for each class
SHORT = 0.5  # of the time for reading, from which on there are fewer folds
FEW_FOLDS = 3
ALWAYS_READ = 20_000  # characters of labelled texts
TRIED = (1_000, 1_000, 8_000, 8_000)  # characters that a speed is measured on
KEPT_OF_EACH = 2  # rows of a class


@dataclass(frozen=True, eq=False)
class Affordable:
    """What there is time to learn from, and to score."""

    data: TextTable  # the table, or a part of its rows, drawn at random, or of their texts
    scoring: Scoring  # on which of them a classifier is scored
    share: float = 1.0  # of what is usually looked at beside the score
    whole: bool = True  # the texts are, and are not their beginnings
    left_out: str = ""  # what there was no time for, a sentence; "" where nothing was left out

    @classmethod
    def of(
        cls, data: TextTable, scoring: Scoring, *, lm: LanguageModel, pooling: str, budget: Budget, seed: int
    ) -> "Affordable":
        """Fewer folds where the first score takes most of the time; where it takes more, less of the texts is read.

        How fast this machine reads, with a language model on its device, is measured. Of long texts the beginnings are
        read, which tell more than the whole of a few, and then of fewer rows. Of the rows without a label those are
        left out that could not even be read once.
        """
        lengths = np.array([len(text) for text in data.texts])
        if lengths.sum() <= ALWAYS_READ:
            return cls(data, scoring)
        speed = budget.decide(Step.SCORING, "characters per second", _characters_per_second(lm, data.texts, pooling))
        left = budget.decide(Step.SCORING, "seconds", max(0.0, budget.seconds - budget.spent()))
        labelled = np.array([label is not None for label in data.labels])
        most = max(ALWAYS_READ, READING * left * speed)
        learnt = LEARNT * len(data.classes)
        characters = int((lengths[labelled] + learnt).sum())
        beginning = _beginning(lengths[labelled], most - learnt * labelled.sum())
        read = np.where(labelled, np.minimum(lengths, beginning), lengths)
        order = np.random.default_rng(seed).permutation(len(data))
        kept = np.zeros(len(data), bool)
        for part, affordable in ((labelled, most), (~labelled, left * speed)):
            drawn = order[part[order]]
            kept[drawn[np.cumsum(read[drawn] + learnt * labelled[drawn]) <= affordable]] = True
        kept[list(_some_of_each(data.strata, order))] = True
        asked = scoring.folds or scoring.test_fraction or int(kept[labelled].sum()) > MAX_CROSS_VALIDATED
        few = not asked and characters > SHORT * most
        left_out = [
            f"only {int(kept[part].sum()):,} of {counted(int(part.sum()), what)}, drawn at random, were read"
            for part, what in ((labelled, "labelled row"), (~labelled, "unlabelled row"))
            if not kept[part].all()
        ]
        if cut := bool((lengths > read).any()):
            left_out.append(f"no more than the first {beginning:,} characters of a labelled text were read")
        if few:
            left_out.append(f"there were {FEW_FOLDS} folds instead of {FOLDS}")
        beside = TIMES_BESIDE * float(np.minimum(lengths, BEGINNING)[:MOST_TEXTS].sum())
        share = min(1.0, BESIDE * left * speed / beside)
        if not left_out:
            return cls(data, scoring, share)
        unlabelled = int(lengths[~labelled].sum())
        enough = max(characters / (SHORT * READING), unlabelled) / speed + budget.seconds - left
        table = data if kept.all() else data.select(np.flatnonzero(kept).tolist())
        if cut:
            apart = data.apart and Apart(data.apart.label, [text[:beginning] for text in data.apart.texts])
            texts = [text[:end] for text, end in zip(table.texts, read[kept], strict=True)]
            table = replace(table, texts=texts, apart=apart)
        return cls(
            table,
            replace(scoring, folds=FEW_FOLDS) if few else scoring,
            share,
            not cut,
            f"For want of time, {'; '.join(left_out)}. --minutes {math.ceil(enough / 6) / 10:g} is enough here.",
        )


def _beginning(lengths: Ints, most: float) -> int:
    """How many characters of long texts can be read where all texts together have so many; at least ``BEGINNING``."""
    ordered = np.sort(lengths)
    ends = (most - (np.cumsum(ordered) - ordered)) / np.arange(len(ordered), 0, -1)  # where all shorter texts are whole
    cut = ends < ordered
    return max(BEGINNING, int(ends[cut][0])) if cut.any() else int(ordered.max(initial=0))


def _characters_per_second(lm: LanguageModel, texts: Sequence[str], pooling: str) -> float:
    """That the frozen encoders read: of a longer lot of text in the time beyond that of a short one.

    A start costs as much for both, which is at most half of the time; the very first costs more, and is not counted.
    """
    taken = []
    for most in TRIED:
        some: list[str] = []
        while sum(map(len, some)) < most and len(some) < len(texts):
            some.append(texts[len(some)][:most])
        started = time.monotonic()
        lm.features(some, pooling=pooling)
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
