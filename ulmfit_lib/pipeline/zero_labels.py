"""No label at all: a classifier from the names of its classes, as a start for labelling."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.head import Head, head_arrays
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import to_arrays
from ulmfit_lib.progress import note
from ulmfit_lib.stages.fit_classifier import encoder_weights

PHRASES = ("{0}", "{0}.", "this is {0}", "It is about {0}.", "a text about {0}", "{0} , {0} , {0}")
SHARPNESS = 8.0  # log odds that a text is of one class and not another, by the difference of their cosines
OPINIONS = {
    "positive": 1,
    "pos": 1,
    "good": 1,
    "praise": 1,
    "negative": -1,
    "neg": -1,
    "bad": -1,
    "complaint": -1,
    "neutral": 0,
    "mixed": 0,
}
OPINION_SHARPNESS = 2.0  # log odds by a text's opinion, from -1 to 1
NEUTRAL = 0.1  # log odds that a text which says nothing is neutral


def fit_by_names(
    texts: Sequence[str],
    classes: Sequence[str],
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    device: str = "auto",
    source: str = "the data",
) -> TextClassifier:
    """A classifier that has seen no label: a text is of the class whose name its vector is nearest to.

    Names of opinions, such as positive, negative and neutral, stand for the number of the vector that says how well a
    text speaks of its subject. How good the answers are is not known before some texts have a label.

    Args:
        texts: some of those to classify; the base is chosen by them.
        classes: their names, words of the texts' language.
        base: a language model with distilled vectors (``stages.distill``), a name, a folder; or ``auto``.
        direction: ``forward``, ``backward``, ``both``; default all that the base has.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: where the texts are from, for the record.

    Raises:
        OptionError: fewer than two classes, or a base without distilled vectors.
    """
    names = sorted({name.strip() for name in classes} - {""})
    if len(names) < 2:
        raise OptionError(f"classes {', '.join(names)!r}: at least two different names are needed, with commas between")
    lm, why = load_base(base, texts, direction=direction)
    note(why)
    if not lm.architecture.distilled:
        raise OptionError(f"without labels a base with distilled vectors is needed, and {why}")
    ways, chosen = lm.directions(direction), find_device(device)
    by_opinion = _knows_opinions(lm) and all(name.lower() in OPINIONS for name in names)
    heads = {}
    for way in ways:
        if by_opinion:
            weights, biases = _opinion_weights(names, lm.architecture.distilled)
        else:
            phrases = [phrase.format(name) for name in names for phrase in PHRASES]
            vectors = lm.only(way).to(chosen).features(phrases, pooling="distilled")[way]
            by_name = vectors.astype(np.float64).reshape(len(names), len(PHRASES), -1)
            weights, biases = _name_weights(by_name), np.zeros(len(names))
        head = Head(weights.shape[1], len(names))
        with torch.no_grad():
            head.output.weight.copy_(torch.from_numpy(weights))
            head.output.bias.copy_(torch.from_numpy(biases))
        heads[way] = head_arrays(head)
    stage = Stage(
        "name classes",
        source=source,
        labelled_texts=0,
        by="opinion" if by_opinion else "names",
        versions=package_versions(),
    )
    return TextClassifier(
        names,
        lm.architecture,
        lm.vocabulary,
        lm.tokenizer,
        {way: to_arrays(encoder_weights(lm.weights[way])) for way in ways},
        heads,
        "distilled",
        kind=Classes(),
        training=TrainingRecord("text classifier", lm.training.stages).then(stage),
        base={"name": lm.training.name, "sha256": lm.sha256()},
    )


def _knows_opinions(lm: LanguageModel) -> bool:
    return any(stage.opinions for stage in lm.training.stages)


def _opinion_weights(names: Sequence[str], width: int) -> tuple[Floats, Floats]:
    """Scores that grow with the last number of a vector, or shrink, or do neither."""
    said = np.array([OPINIONS[name.lower()] for name in names], np.float64)
    weights = np.zeros((len(names), width))
    weights[:, -1] = OPINION_SHARPNESS * said
    return weights, NEUTRAL * (said == 0)


def _name_weights(vectors: Floats) -> Floats:
    """(n_classes, n_phrases, width) vectors of phrases -> (n_classes, width): what sets each class's name apart."""
    means = vectors.mean(1)
    apart = means - means.mean(0)
    return SHARPNESS * apart / np.linalg.norm(apart, axis=1, keepdims=True).clip(1e-9)
