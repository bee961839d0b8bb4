"""What a base's frozen encoders make of texts, with and without reading them first; kept in a folder."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib import LanguageModel, TextTable, fit_lm, pretrain
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.stages.pretrain import PRETRAIN

NONE = "none"
Pair = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def directions_of(base: str) -> list[str]:
    """Of ``NAME``, ``NAME:direction`` or ``none``."""
    model, _, direction = base.partition(":")
    return ["forward"] if model == NONE else list(LanguageModel.from_pretrained(model).directions(direction or None))


def frozen_features(
    model: str, way: str, train: TextTable, test: TextTable, *, lm_epochs: int, cache: Path
) -> tuple[Pair, dict[str, Any]]:
    """The pooled labelled and test texts under a language model that has read all texts of ``train`` before.

    Args:
        model: a pretrained model's name or folder; or ``none``, for random weights that start with the same texts.
        way: the direction.
        train: texts, some or all with labels.
        test: texts, which are read by the frozen encoder alone.
        lm_epochs: epochs of ``fit_lm`` after the first, which trains the embedding alone; 0 reads nothing.
        cache: where each result is kept.

    Returns:
        ((n_labelled, width), (n_test, width)); perplexity per word and seconds.
    """
    untouched = "-untouched" if not lm_epochs else ""
    file = cache / f"{model.replace('/', '_')}-{way}{untouched}.npz"
    if not file.is_file():
        started = time.monotonic()
        base = None if model == NONE else LanguageModel.from_pretrained(model)
        lm = base or pretrain(train.texts, recipe=replace(PRETRAIN, epochs=0))
        if lm_epochs:
            lm = fit_lm(train.texts, base=lm.only(way), epochs=lm_epochs)
        pooling = replace(CLASSIFY, frozen_pooling="layers").pooling_for("linear-probe", lm)
        reader = lm.only(way).to("auto")
        pooled = [reader.features(part.texts, pooling=pooling)[way] for part in (train.labelled(), test)]
        assert lm.training.last.validation
        perplexity = lm.training.last.validation.perplexity_per_word
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, train=pooled[0], test=pooled[1], seconds=time.monotonic() - started, perplexity=perplexity)
    kept = np.load(file)
    facts = {"perplexity_per_word": round(float(kept["perplexity"]), 1), "seconds": round(float(kept["seconds"]))}
    return (kept["train"], kept["test"]), facts
