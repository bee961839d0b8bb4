"""The language model to go on from: the one that is asked for, or the embedded one that suits the texts best."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ulmfit_lib.artifact.catalogue import AUTO, embedded_models
from ulmfit_lib.models.known_texts import unknown_share
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.loading import load_base_model

SAMPLE_TEXTS, SAMPLE_CHARACTERS = 100, 500  # what `auto` compares the embedded models on
MOST_UNKNOWN = 0.2  # share of words outside the vocabulary from which on a base is doubtful


def load_base(
    base: str | Path | LanguageModel, texts: Sequence[str], *, direction: str | None = None, seed: int = 42
) -> tuple[LanguageModel, str]:
    """The language model to go on from where no label can say which, and a sentence that says why this one.

    It is a model, a name or a folder; or ``auto``: an embedded model with distilled vectors (``stages.distill``). Of
    several, or where there is none, it is the one with the lowest perplexity per word on a sample of the texts.
    """
    models, why = load_bases(base, texts, direction=direction, seed=seed)
    if len(models) == 1:
        return models[0].only(direction), why
    sample = _sample(texts, seed)
    distilled = [model for model in models if model.architecture.distilled]
    if len(distilled) == 1:  # a perplexity of each would change nothing, and takes long
        (best,), reason = distilled, "it has distilled vectors"
    else:
        scores = {model: model.score(sample).perplexity_per_word for model in distilled or models}
        best = min(scores, key=scores.__getitem__)
        shown = ", ".join(f"{model.name} {scores[model]:,.0f}" for model in sorted(scores, key=scores.__getitem__))
        reason = f"the lowest perplexity (per word on {len(sample)} of these texts: {shown})"
    return best.only(direction), f"base {best.name}: {reason}{warn_of_unknown_words(best, sample)}"


def load_bases(
    base: str | Path | LanguageModel, texts: Sequence[str], *, direction: str | None = None, seed: int = 42
) -> tuple[list[LanguageModel], str]:
    """The language models that come into question, and a sentence that says why, if it is one.

    By ``auto``, these are all embedded models that can read in this direction. A random sample of the texts is looked
    at for words that they do not know.
    """
    if isinstance(base, LanguageModel):
        return [base], f"base {base.name}: as given"
    if base != AUTO:
        return [load_base_model(base)], f"base {base}: as asked for"
    models = [LanguageModel.from_pretrained(name) for name in embedded_models()]
    able = [model for model in models if direction in (None, model.direction, *model.weights)] or models
    if len(able) == 1:
        warning = warn_of_unknown_words(able[0], _sample(texts, seed))
        return able, f"base {able[0].name}: the only one embedded{warning}"
    return able, ""


def warn_of_unknown_words(model: LanguageModel, sample: Sequence[str]) -> str:
    """What a sentence about a base ends with where it does not know many of the texts' words; else nothing."""
    if (unknown := unknown_share(model, sample)) <= MOST_UNKNOWN:
        return ""
    return (
        f"; but it does not know {100 * unknown:.0f} % of the words: if they are not English, make a base of their "
        f"language with `pretrain --language`"
    )


def _sample(texts: Sequence[str], seed: int) -> list[str]:
    chosen = np.random.default_rng(seed).permutation(len(texts))[:SAMPLE_TEXTS]
    return [texts[i][:SAMPLE_CHARACTERS] for i in chosen]
