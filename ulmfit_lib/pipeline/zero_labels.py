"""No label at all: a classifier from the names of its classes, as a start for labelling."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ulmfit_lib.arrays import Features, Floats, Vectors
from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.data.stored_texts import as_texts
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.head import Head, head_arrays
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import to_arrays
from ulmfit_lib.progress import note
from ulmfit_lib.stages.fit_classifier import kept_encoders, named_base
from ulmfit_lib.training.run import Run

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
PRAISE = (
    "I loved it.",
    "It was excellent.",
    "This is great, highly recommended.",
    "A wonderful, perfect choice; I am very happy with it.",
)
BLAME = (
    "I hated it.",
    "It was terrible.",
    "This is awful, not recommended.",
    "A horrible, useless waste; I am very disappointed with it.",
)
OPINION_SHARPNESS = 8.0  # log odds that a text praises, by how much nearer it is to PRAISE than to BLAME
NEUTRAL = 0.1  # log odds that a text which says nothing is neutral


def fit_by_names(
    texts: Sequence[str],
    classes: Sequence[str],
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    source: str = "the data",
    run: Run | None = None,
) -> TextClassifier:
    """A classifier that has seen no label: a text is of the class whose name its vector is nearest to.

    Names of opinions, such as positive, negative and neutral, stand for sentences that praise or condemn. How good the
    answers are is not known before some texts have a label.

    Args:
        texts: some of those to classify; the base is chosen by them.
        classes: their names, words of the texts' language.
        base: a language model with distilled vectors (``stages.distill``), a name, a folder; or ``auto``.
        direction: ``forward``, ``backward``, ``both``; default all that the base has.
        source: where the texts are from, for the record.
        run: seed of the texts that the base is chosen by, and device.

    Raises:
        OptionError: fewer than two classes, or a base without distilled vectors.
    """
    texts = as_texts(texts)
    names = sorted({name.strip() for name in classes} - {""})
    if len(names) < 2:
        raise OptionError(f"classes {', '.join(names)!r}: at least two different names are needed, with commas between")
    run = run or Run()
    lm, why = load_base(base, texts, direction=direction, seed=run.seed)
    lm = lm.only(direction)
    note(why)
    if not lm.architecture.distilled:
        raise OptionError(f"without labels a base with distilled vectors is needed, and {why}")
    by_opinion = all(name.lower() in OPINIONS for name in names)
    groups = [PRAISE, BLAME] if by_opinion else [[phrase.format(name) for phrase in PHRASES] for name in names]
    pooling = lm.usual_pooling
    features = lm.to(run.device).features([phrase for group in groups for phrase in group], pooling=pooling)
    heads = {}
    for way, vectors in features.items():
        means = _means(vectors.astype(np.float64), groups)
        weights, biases = _opinion_weights(names, means) if by_opinion else _name_weights(means)
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
    architecture, encoders = kept_encoders(lm, pooling)
    return TextClassifier(
        names,
        architecture,
        lm.vocabulary,
        lm.tokenizer,
        {way: to_arrays(some) for way, some in encoders.items()},
        heads,
        pooling,
        kind=Classes(),
        training=TrainingRecord("text classifier", lm.training.stages).then(stage),
        base=named_base(lm, pooling),
    )


def _means(vectors: Floats | Vectors, groups: Sequence[Sequence[str]]) -> Any:
    """(n_groups, width) means of the vectors of groups of phrases, one group after the other."""
    ends = np.cumsum([0, *map(len, groups)])
    return np.stack([vectors[start:end].mean(0) for start, end in itertools.pairwise(ends)])


def _opinion_weights(names: Sequence[str], means: Floats) -> tuple[Floats, Floats]:
    """Scores that grow from blame to praise, or shrink, or do neither; by the (2, width) means of praise and blame."""
    said = np.array([OPINIONS[name.lower()] for name in names], np.float64)
    praise, blame = means
    axis = OPINION_SHARPNESS * (praise - blame) / 2
    return np.outer(said, axis), NEUTRAL * (said == 0) - said * (axis @ (praise + blame) / 2)


def _name_weights(means: Floats) -> tuple[Floats, Floats]:
    """What sets each class's name apart, (n_classes, width), by the means of its phrases."""
    apart = means - means.mean(0)
    return SHARPNESS * apart / np.linalg.norm(apart, axis=1, keepdims=True).clip(1e-9), np.zeros(len(means))


def name_vectors(
    table: TextTable,
    descriptions: Mapping[str, str],
    read: Callable[[Sequence[str]], Features],
    *,
    width: int,
) -> Features:
    """By direction, (n_classes, width) means of what a table's classes are called, in several phrases.

    {} where the names are no words, or a text may have several labels.

    Args:
        table: labelled rows.
        descriptions: by class, what it is called beside its name.
        read: what makes vectors of texts.
        width: of the distilled vectors, which those begin with.
    """
    classes = table.classes
    if not (table.kind.one_class_per_text and any(letter.isalpha() for name in classes for letter in name)):
        return {}
    said = [[name.replace("_", " "), *filter(None, [descriptions.get(name)])] for name in classes]
    phrases = [[phrase.format(one) for one in some for phrase in PHRASES] for some in said]
    read_all = read([one for some in phrases for one in some])
    return {way: _means(vectors[:, :width], phrases) for way, vectors in read_all.items()}
