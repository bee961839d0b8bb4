"""How each cost of speed.py grows with the number of texts: the rows that need no fastai beside them."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from made_up_texts import reviews
from measuring import Row, seconds

from ulmfit_lib import TextTable, fit_classifier, fit_lm, pretrain
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.stages.fit_lm import FINE_TUNE
from ulmfit_lib.stages.pretrain import PRETRAIN, LanguageModelConfig
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.words import WordTokenizer
from ulmfit_lib.training.run import Run

TINY = Architecture(8, 8, 1)  # so that the figures are the library's own, not the network's
WORDS = 50  # in a text, on average
READ_ONCE = replace(FINE_TUNE, frozen_epochs=0, epochs=1, samples=64)


def growth(sizes: list[int]) -> Row:
    """Seconds of each job at each number of texts, and the power of that number with which they grow.

    A power of 1 is a cost in proportion to the texts; below 1, a fixed part still shows.
    """
    texts, labels = zip(*islice(reviews(mean_words=WORDS), max(sizes)), strict=True)
    table = TextTable.from_lists(list(texts), list(labels))
    nothing = replace(PRETRAIN, epochs=0)
    config, run = LanguageModelConfig(TINY, vocab_size=5000), Run(device="cpu")
    base = pretrain(table.texts[:500], config=config, recipe=nothing, run=run)
    few = fit_classifier(table.select(range(200)), lm=base, strategy="linear-probe", run=run)
    jobs: dict[str, Callable[[TextTable, Path], object]] = {
        "tokenize": lambda part, cache: tokenize_corpus(part.texts, WordTokenizer(), cache=cache),
        "fit_lm": lambda part, _: fit_lm(part.texts, base=base, recipe=READ_ONCE, run=run),
        "features_and_head": lambda part, _: fit_classifier(
            part, lm=base, strategy="linear-probe", run=Run(device="cpu")
        ),
        "predict": lambda part, _: few.predict_proba(part.texts),
    }
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for size in [sizes[0], *sizes]:  # the first is to warm up
        part = table.select(range(size))
        for name, job in jobs.items():
            with tempfile.TemporaryDirectory() as cache:
                spent[name].append(round(seconds(partial(job, part, Path(cache))), 2))
    spent = {name: times[1:] for name, times in spent.items()}
    logs = {name: np.log(np.maximum(times, 0.01)) for name, times in spent.items()}
    powers = {name: round(float(np.polyfit(np.log(sizes), one, 1)[0]), 2) for name, one in logs.items()}
    return {"texts": sizes, "words_per_text": WORDS, "seconds": spent, "power": powers, "unit": "s"}
