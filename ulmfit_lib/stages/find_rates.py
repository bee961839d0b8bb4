"""Which learning rates stages 2 and 3 bear on your texts, beside what the recipes take."""

from collections.abc import Sequence

import numpy as np
import torch

from ulmfit_lib.data.table import TextTable, check_labels
from ulmfit_lib.models.awd_lstm import LanguageModelNet, copy_weights
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.stages.fit_classifier import CLASSIFY, classifier_net
from ulmfit_lib.stages.fit_lm import FINE_TUNE, for_corpus
from ulmfit_lib.stages.language_models import extend
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import renumber
from ulmfit_lib.training.classifying import ClassifierRecipe, classifier_phases, cross_entropy
from ulmfit_lib.training.heads import fit_hidden_head
from ulmfit_lib.training.language_modelling import LanguageModelRecipe, language_model_phases
from ulmfit_lib.training.losses import SampledSoftmax
from ulmfit_lib.training.rate_finding import LearningRates, find_rates
from ulmfit_lib.training.streams import ClassifierBatches, LanguageModelStream


def find_language_model_rates(
    texts: Sequence[str],
    *,
    base: LanguageModel,
    direction: str | None = None,
    recipe: LanguageModelRecipe = FINE_TUNE,
    min_count: int = 3,
    seed: int = 42,
    device: str = "auto",
) -> LearningRates:
    """Try learning rates for ``fit_lm`` on these texts, in one direction; takes a hundred steps, and keeps no model.

    Args:
        texts: what the language model would read.
        base: the language model to go on from; it stays as it is.
        direction: ``forward`` or ``backward``; default the first that the base has.
        recipe: hyperparameters.
        min_count: a new word needs this many occurrences.
        seed: of order and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DataError: too few texts.
        OptionError: a direction that the base lacks, or an unknown device.
    """
    torch.manual_seed(seed)
    way = base.directions(direction)[0]
    grown, corpus = extend(
        base, texts, name="", direction=way, vocab_size=2 * len(base.vocabulary), min_count=min_count
    )
    recipe = for_corpus(recipe, corpus)
    documents = corpus.numericalize(grown.vocabulary)
    train = documents.backwards() if way == "backward" else documents
    net = LanguageModelNet(grown.architecture, len(grown.vocabulary), recipe.dropouts)
    copy_weights(net, grown.weights[way])
    batches, nothing = (
        LanguageModelStream(some, batch_size=recipe.batch_size, window=recipe.window, seed=seed)
        for some in (train, train.select([]))
    )
    return find_rates(
        net,
        (batches, nothing),
        language_model_phases(recipe, grown.architecture.layers)[-1].lrs,
        loss=SampledSoftmax(net, train.counts(len(net.bias)), samples=recipe.samples),
        settings=recipe,
        device=find_device(device),
        description=f"trying rates, language model {way}",
    )


def find_classifier_rates(
    data: TextTable,
    *,
    lm: LanguageModel,
    direction: str | None = None,
    recipe: ClassifierRecipe = CLASSIFY,
    seed: int = 42,
    device: str = "auto",
) -> LearningRates:
    """Try learning rates for ``fit_classifier`` on these labels, in one direction, with all groups training.

    The head learns first on the frozen encoder, as in ``fit_classifier``.

    Args:
        data: texts with labels; rows without one are left out.
        lm: the language model under it; it stays as it is.
        direction: ``forward`` or ``backward``; default the first that the language model has.
        recipe: hyperparameters.
        seed: of order and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DataError: labels that cannot be learnt from.
        OptionError: a direction that the language model lacks, or an unknown device.
    """
    torch.manual_seed(seed)
    table, place = data.labelled(), find_device(device)
    check_labels(table)
    way, kind, targets = lm.directions(direction)[0], table.kind, table.class_numbers()
    recipe, pooling = recipe.for_texts(len(table)), recipe.pooling_for("fine-tune", taught=lm.architecture.taught)
    features = lm.features(table.texts, direction=way, pooling=pooling, device=place)[way]
    head = fit_hidden_head(features, targets, recipe, kind=kind, seed=seed)
    documents = tokenize_corpus(table.texts, lm.tokenizer).numericalize(lm.vocabulary)
    used, (documents,) = renumber([documents], len(lm.vocabulary), keep=lm.vocabulary.pad_id + 1)
    net = classifier_net(lm, way, head, recipe, pooling, used)
    turned = documents.backwards() if way == "backward" else documents
    batches, nothing = (
        ClassifierBatches(
            turned.select(rows),
            targets[rows],
            batch_size=recipe.batch_size,
            batch_tokens=recipe.batch_tokens,
            pad_id=lm.vocabulary.pad_id,
            seed=seed,
        )
        for rows in (np.arange(len(table)), np.arange(0))
    )
    return find_rates(
        net,
        (batches, nothing),
        classifier_phases(recipe, len(net.layer_groups()))[-1].lrs,
        loss=lambda logits, truth: cross_entropy(logits, truth, kind, None, recipe.label_smoothing),
        settings=recipe,
        device=place,
        description=f"trying rates, classifier {way}",
    )
