"""What ``fit`` will do with a table of some size, and about how long that takes here."""

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
from ulmfit_lib.pipeline.parts import MOST_FOLDS
from ulmfit_lib.progress import counted
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.training.classifying import unfreezing
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.recipes import BY_SIZE, Recipe

LM_TOKENS = 4_500_000  # that the language models read by default, epoch after epoch: some 12 minutes of two cores
FEWEST_PASSES, MOST_PASSES = 2, 12  # over the texts, the frozen epoch included
MOST_LM_TOKENS = 12_000_000  # that so few passes may come to, before they go over a random part of the texts
FINE_TUNED_TOKENS = 4_500_000  # that classifiers may read, epochs and fits together, before a frozen encoder must do
GPU_TIMES = 100  # as much is read on a GPU
FEWEST_FOLDS = 2  # that tell how much a fine-tuned classifier counts beside the baseline
TOKENS_PER_STEP = 200  # that could be read while the optimiser takes a step


@dataclass(frozen=True)
class Plan:
    """How much will be read, and how.

    Attributes:
        fit_lm: the language model's hyperparameters, with its epochs.
        strategy: ``features`` or ``fine-tune``.
        scored_folds: of the labelled rows, that the weights of the parts are learnt from.
        share: of the texts that the language model reads, drawn at random.
        n_tokens: of that share.
        tokens_read: by language models, epochs and directions together.
        tokens_fine_tuned: likewise by classifiers, and what could be read while the optimiser takes its steps.
        batch_size: texts in their batches.
    """

    fit_lm: LanguageModelRecipe
    strategy: str
    scored_folds: int
    share: float
    n_tokens: int
    tokens_read: float
    tokens_fine_tuned: int
    batch_size: int

    def part(self, texts: Sequence[str], *, seed: int) -> Sequence[str]:
        """Those of the texts that the language model reads, in order."""
        if self.share == 1:
            return texts
        drawn = np.random.default_rng(seed).permutation(len(texts))
        return Selection(texts, np.sort(drawn[: round(self.share * len(texts))]))

    def seconds(self, base: LanguageModel, device: torch.device) -> float:
        """About how long it takes here, by the matrix products of a few steps."""
        spent = self.tokens_read / _tokens_per_second(base, self.fit_lm.batch_size, device)
        if self.tokens_fine_tuned:
            spent += self.tokens_fine_tuned / _tokens_per_second(base, self.batch_size, device)
        return spent

    def sentence(self, data: TextTable, train: TextTable, held_out: str, *, seconds: float) -> str:
        """For the user."""
        learnt = len(train.labelled())
        rows = f"{counted(learnt, 'labelled row')} to learn from, {len(train) - learnt:,} unlabelled, {held_out}"
        shown = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(10, round(seconds, -1)):.0f} seconds"
        skipped = f" ({counted(data.skipped, 'row')} without a text left out)" if data.skipped else ""
        copies = f" ({train.copies} rows are copies or near copies of others)" if train.copies else ""
        part = "" if self.share == 1 else f" in a random {self.share:.0%} of the texts"
        then = ", then classifiers are fine-tuned" if self.tokens_fine_tuned else ""
        epochs = self.fit_lm.frozen_epochs + self.fit_lm.epochs
        return (
            f"{data.source}: {rows}{skipped}{copies}. The language model reads {self.n_tokens:,} tokens{part} "
            f"{counted(epochs, 'time')}{then}: about {shown} on this machine."
        )


def plan_fit(
    train: TextTable,
    texts: Sequence[str],
    *,
    base: LanguageModel,
    ways: int,
    device: torch.device,
    recipe: Recipe,
    strategy: str,
    folds: int | None,
    lm_epochs: int | None,
) -> Plan:
    """Epochs and strategy by the length of the texts, where the recipe and the caller leave them open.

    Args:
        train: the rows to learn from.
        texts: what the language model reads.
        base: the language model to go on from.
        ways: the number of directions.
        device: where to compute.
        recipe: hyperparameters.
        strategy: ``features``, ``fine-tune`` or ``auto``.
        folds: of cross-validation; None without it.
        lm_epochs: the language model's epochs; None leaves them open.
    """
    n_tokens, reads, share = len(tokenize_corpus(texts, base.tokenizer).ids), recipe.fit_lm, 1.0
    times = 1 if device.type == "cpu" else GPU_TIMES
    if lm_epochs:
        reads = replace(reads, epochs=lm_epochs)
    elif recipe.epochs_by_length:
        chosen = int(np.clip(round(times * LM_TOKENS / (n_tokens * ways)), FEWEST_PASSES, MOST_PASSES))
        reads = replace(reads, epochs=chosen - reads.frozen_epochs)
        share = min(1.0, times * MOST_LM_TOKENS / (FEWEST_PASSES * n_tokens * ways))
    labelled = train.labelled()
    classify = recipe.fit_classifier.for_texts(len(labelled))
    epochs = sum(phase.epochs for phase in unfreezing(classify, base.architecture.layers + 2))
    n_labelled = len(tokenize_corpus(labelled.texts, base.tokenizer).ids)
    steps = -(-len(labelled) // classify.batch_size)
    one_fit = ways * epochs * (n_labelled + TOKENS_PER_STEP * steps)
    affordable = times * FINE_TUNED_TOKENS // (one_fit * (folds or 1)) - 2  # beside the trial and what is delivered
    if strategy == BY_SIZE:
        strategy = "fine-tune" if affordable >= FEWEST_FOLDS and not folds else "features"
    scored = MOST_FOLDS if strategy == "features" else int(np.clip(affordable, FEWEST_FOLDS, MOST_FOLDS))
    frozen = strategy == "features"
    rounds = 1 if not folds else 2 if frozen else folds + 1
    passes = share * (reads.frozen_epochs + reads.epochs) + 0.5  # half a pass for the frozen encoder
    return Plan(
        fit_lm=reads, strategy=strategy, scored_folds=scored, share=share, n_tokens=round(share * n_tokens),
        tokens_read=rounds * ways * passes * n_tokens,
        tokens_fine_tuned=0 if frozen else (scored + 2) * one_fit * (folds or 1), batch_size=classify.batch_size,
    )  # fmt: skip


def _tokens_per_second(base: LanguageModel, batch_size: int, device: torch.device) -> float:
    """Of a training step's matrix products on this machine."""
    net = base.net(next(iter(base.weights))).to(device).train()
    net.mixed_precision = fast_bfloat16(device)
    ids = torch.randint(len(base.vocabulary), (batch_size, BPTT_WINDOW), device=device)
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        net.reset()
        net(ids).square().mean().backward()
        seconds.append(time.monotonic() - started)
    return 0.7 * ids.numel() / min(seconds)  # the rest goes to the softmax and the optimiser
