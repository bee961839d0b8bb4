"""The language model to go on from: the one that is asked for, or the embedded one that suits the texts best."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ulmfit_lib.artifact.catalogue import AUTO, embedded_models
from ulmfit_lib.models.language_model import LanguageModel

SAMPLE_TEXTS, SAMPLE_CHARACTERS = 100, 1_000  # what `auto` compares the embedded models on
MOST_UNKNOWN = 0.2  # share of words outside the vocabulary from which on a base is doubtful


def load_base(
    base: str | Path | LanguageModel, texts: Sequence[str], *, direction: str | None = None, seed: int = 42
) -> tuple[LanguageModel, str]:
    """The language model to go on from, and a sentence that says why this one.

    Args:
        base: a model, a name, a folder; or ``auto``: an embedded model that a teacher has taught what texts mean
            (``stages.teach``); of several, or where there is none, the one with the lowest perplexity per word on a
            sample of the texts.
        texts: what it will read.
        direction: which way it must read.
        seed: of the sample.

    Raises:
        ArtifactError: no such name or folder.
    """
    if isinstance(base, LanguageModel):
        return base, f"base {base.training.get('name', 'language model')}: as given"
    if base != AUTO:
        return LanguageModel.from_pretrained(base), f"base {base}: as asked for"
    chosen = np.random.default_rng(seed).permutation(len(texts))[:SAMPLE_TEXTS]
    sample = [texts[i][:SAMPLE_CHARACTERS] for i in chosen]
    models = {name: LanguageModel.from_pretrained(name) for name in embedded_models()}
    able = {name: model for name, model in models.items() if direction in (None, model.direction, *model.weights)}
    scores = {name: model.score(sample) for name, model in (able or models).items()}
    ranking = sorted(scores, key=lambda name: (not models[name].architecture.taught, scores[name].perplexity_per_word))
    shown = ", ".join(f"{name} {scores[name].perplexity_per_word:,.0f}" for name in ranking)
    reason = "taught what texts mean" if models[ranking[0]].architecture.taught else "the lowest perplexity"
    why = f"base {ranking[0]}: {reason} (perplexity per word on {len(sample)} of these texts: {shown})"
    if (unknown := scores[ranking[0]].unknown_share) > MOST_UNKNOWN:
        why += (
            f"; but it does not know {100 * unknown:.0f} % of the words: if they are not English, "
            f"make a base of their language with `pretrain --language`"
        )
    return models[ranking[0]], why
