"""How long the expensive steps of ``fit`` take on this machine, and how much of them there is time for."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ulmfit_lib.data.stored_texts import Selection
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.pooling import BPTT_WINDOW
from ulmfit_lib.pipeline.candidates import Candidate
from ulmfit_lib.pipeline.out_of_fold import Split
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.training.classifying import CONTRAST, unfreezing
from ulmfit_lib.training.contrast import TokenizedTexts, learn_contrast
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.run import Run

LONG = 2.0  # seconds, of which what is done only once is a small part
TRIALS = 3  # of a step, of which the fastest counts
READING = 0.7  # share of a step that its products take; the rest is the softmax's and the optimiser's
CLASSIFYING = 0.8  # the same of the classifier
MIN_PASSES = 2  # over the texts, the frozen epoch included
MAX_PASSES = 12


def count_tokens(texts: Sequence[str], lm: LanguageModel) -> int:
    """Tokens in texts; they are tokenised once and kept in the cache."""
    return len(tokenize_corpus(texts, lm.tokenizer).ids) if len(texts) else 0


@dataclass(frozen=True)
class LmFineTuning:
    """What a language model will be fine-tuned on, and for how long."""

    texts: Sequence[str]
    recipe: LanguageModelRecipe  # hyperparameters, with the number of epochs
    n_tokens: int  # in those texts

    @property
    def passes(self) -> int:
        """Over the texts."""
        return self.recipe.frozen_epochs + self.recipe.epochs

    def within(self, seconds: float, *, tokens_per_second: float, seed: int) -> "LmFineTuning":
        """As many passes over the texts as there is time for, or as few as are useful over a random part of them."""
        n_tokens = max(1, self.n_tokens)
        affordable = seconds * tokens_per_second
        passes = int(np.clip(affordable // n_tokens, MIN_PASSES, MAX_PASSES))
        share = min(1.0, affordable / (passes * n_tokens))
        texts = self.texts
        if share < 1:
            drawn = np.random.default_rng(seed).permutation(len(texts))
            texts = Selection(texts, np.sort(drawn[: round(share * len(texts))]))
        recipe = replace(self.recipe, epochs=passes - self.recipe.frozen_epochs)
        return LmFineTuning(texts, recipe, round(share * self.n_tokens))


def learnt_share(table: TextTable, splits: Sequence[Split]) -> float:
    """Share of a table's rows that its splits learn from, on average."""
    return float(np.mean([len(train) for train, _ in splits])) / len(table)


@dataclass(frozen=True)
class TrainingTime:
    """About how long it takes here to train a classifier for each split of a table, and then for all of it."""

    epoch: float  # seconds that one epoch takes, of one fit to all of it
    joining: float  # epochs before those in which all groups train, or that heads take as long as
    share: float  # of the table that a split learns from
    fits: float  # how many fits to all of the table take as long as those to the splits and those that follow

    @classmethod
    def of(
        cls, candidate: Candidate, table: TextTable, splits: Sequence[Split], *, device: torch.device, fits: float
    ) -> "TrainingTime":
        """Where ``fits`` more fits to the whole table follow those to the splits."""
        share = learnt_share(table, splits)
        fits += share * len(splits)
        if candidate.strategy == CONTRAST:
            heads, epoch = contrast_seconds(candidate, table, splits[0], Run(device=device))
            return cls(epoch, heads / (share * epoch), share, fits)
        phases = unfreezing(candidate.recipe, candidate.lm.architecture.layers + 2)
        joining = sum(phase.epochs for phase in phases[:-1])
        return cls(epoch_seconds(candidate, table, device), joining, share, fits)

    def measured(self, seconds: float, *, epochs: int) -> "TrainingTime":
        """The same, known better: a fit to one split took so many seconds with so many epochs."""
        return replace(self, epoch=seconds / (self.share * (self.joining + epochs)))

    def seconds(self, epochs: int) -> float:
        """With so many epochs in which all groups train."""
        return (self.joining + epochs) * self.epoch * self.fits

    def epochs(self, seconds: float) -> float:
        """In which all groups train, as many as there is time for; below 0 where there is none."""
        return seconds // (self.epoch * self.fits) - self.joining


def epoch_seconds(candidate: Candidate, table: TextTable, device: torch.device) -> float:
    """About how long an epoch of fine-tuning a classifier on a table takes here, all directions together."""
    n_tokens = count_tokens(table.texts, candidate.lm)
    window = max(1, min(BPTT_WINDOW, n_tokens // len(table)))
    size = candidate.recipe.for_texts(len(table)).batch_size
    return n_tokens / tokens_per_second(candidate.lm, size, device, window=window, share=CLASSIFYING)


def contrast_seconds(candidate: Candidate, table: TextTable, split: Split, run: Run) -> tuple[float, float]:
    """About how long contrastive learning takes here: the heads of one split, and an epoch on all of a table."""
    recipe = candidate.recipe.contrast
    unlearnt = candidate.changed(recipe=replace(candidate.recipe, contrast=replace(recipe, epochs=0)))
    train, test = (table.select(part.tolist()) for part in split)
    heads = math.inf
    for _ in range(2):  # the first time, much is slower
        started = time.monotonic()
        unlearnt.predict_ulmfit(train, test, run)
        heads = min(heads, time.monotonic() - started)
        if heads > LONG:
            break
    some = table.select(table.random_rows(recipe.batch_size, seed=0).tolist())
    read, targets, seconds = TokenizedTexts.of(candidate.lm, some.texts), some.class_numbers(), []
    kind = some.kind.learnt_from(some)
    for _ in range(TRIALS):
        started = time.monotonic()
        learn_contrast(read, targets, kind, candidate.lm, replace(recipe, epochs=1), seed=0)
        seconds.append(time.monotonic() - started)
    return heads, min(seconds) * len(table) / len(some)


def tokens_per_second(
    lm: LanguageModel, batch_size: int, device: torch.device, *, window: int = BPTT_WINDOW, share: float = READING
) -> float:
    """That this machine trains on, all directions together, where matrix products take ``share`` of the time."""
    net = lm.net(next(iter(lm.weights))).to(device).train()
    net.mixed_precision = fast_bfloat16(device)
    ids = torch.randint(len(lm.vocabulary), (batch_size, window), device=device)
    seconds = []
    for _ in range(TRIALS):
        started = time.monotonic()
        net.reset()
        net(ids).square().mean().backward()
        seconds.append(time.monotonic() - started)
    return share * ids.numel() / min(seconds) / len(lm.weights)
