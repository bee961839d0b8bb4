"""Stage 3: a language model and labelled texts -> a classifier."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Features, Ints
from ulmfit_lib.artifact.architecture import BY_WORD, WORDS, Architecture
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.data.label_checks import check_labels
from ulmfit_lib.data.table import TextTable, check_table
from ulmfit_lib.errors import DataError
from ulmfit_lib.models.awd_lstm import Encoder, copy_weights, read_weights
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.head import ClassifierNet, Head, head_arrays
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights, lstm_sha256, to_arrays, words_alone
from ulmfit_lib.progress import counted
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import renumber
from ulmfit_lib.training.classifying import (
    CONTRAST,
    FINE_TUNE,
    LINEAR_PROBE,
    ClassifierRecipe,
    LabelledDocuments,
    find_strategy,
    fine_tune,
)
from ulmfit_lib.training.contrast import contrast
from ulmfit_lib.training.heads import HeadConfig, HeadMix, fit_head, fit_hidden_head
from ulmfit_lib.training.learner import Row
from ulmfit_lib.training.processes import Share, all_gather, check_equal, my_share
from ulmfit_lib.training.recipes import CPU, mention_processes, on_all_processes
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.seeding import leaves_random_numbers

CLASSIFY = CPU.fit_classifier


@leaves_random_numbers()
def fit_classifier(
    data: TextTable,
    *,
    lm: LanguageModel,
    strategy: str = FINE_TUNE,
    recipe: ClassifierRecipe = CLASSIFY,
    valid: TextTable | None = None,
    features: Features | None = None,
    head: HeadConfig | HeadMix | None = None,
    run: Run | None = None,
) -> TextClassifier:
    """Stage 3: a language model and labelled texts -> a classifier (ULMFiT, section 3.3).

    The head learns first, on a frozen encoder that reads each text once; then, with ``fine-tune``, the encoder joins at
    discriminative rates: at once, or one group after the other, as the recipe says. Of a language model that reads in
    both directions, both are trained, and their probabilities averaged. Where words are read in context alone, either
    direction says the same, so that one is kept.

    Args:
        data: texts with labels; rows without one are left out.
        lm: the language model under it; it stays as it is. ``lm.only("forward")`` trains one direction.
        strategy: ``fine-tune``; ``linear-probe`` for the head alone: seconds instead of minutes; or ``contrast``:
            words in context learn first, and then the head.
        recipe: hyperparameters; its batch is that of each process.
        valid: rows whose loss each epoch reports; they are not learnt from.
        features: what ``LanguageModel.features`` gives for the labelled texts, where that is known.
        head: the configuration of a linear probe's head, or several; by default its own cross-validation
            chooses one.
        run: seed, device and checkpoints; a run that was stopped continues from these.

    Raises:
        DataError: labels that cannot be learnt from, or fewer than processes.
        OptionError: an unknown strategy.
    """
    run = run or Run()
    strategy = find_strategy(strategy)
    started = time.monotonic()
    check_table(data)
    table = data.labelled()
    if not features:  # who has read the texts has looked at all labels, of which these may be a part
        check_labels(table)
    if strategy == CONTRAST:
        contrasted = contrast(lm, table, recipe.contrast, run)
        head = head or HeadConfig("distilled", balanced=True)  # held-out rows would have been learnt from
        probe = recipe.after_contrast()
        return made_by_contrast(
            fit_classifier(table, lm=contrasted, strategy=LINEAR_PROBE, recipe=probe, head=head, run=run), lm
        )
    if len(table) < my_share().of:
        raise DataError(f"{counted(len(table), 'labelled text')} for {my_share().of} processes: start fewer")
    recipe = on_all_processes(recipe).for_texts(len(table))
    pooling = recipe.pooling_for(strategy, lm)
    check_equal(lambda: (table.sha256(), lm.sha256(), recipe, run.seed))
    if not features:
        reader = lm.to(run.device)
        features = _read_together(lambda texts: reader.features(texts, pooling=pooling), table.texts)
    fit: Callable[..., Head] = fit_hidden_head
    chosen: dict[str, Any] = {}
    if strategy == LINEAR_PROBE or not recipe.head_hidden:
        fit = partial(fit_head, distilled=lm.architecture.distilled_width(pooling))
        mix = HeadMix({head: 1.0}) if isinstance(head, HeadConfig) else head
        chosen = {way: {"mix": mix.weights, "names": mix.names.get(way)} for way in features} if mix else {}
    targets = table.class_numbers()
    heads = {
        way: fit(features[way], targets, recipe, kind=table.kind, seed=run.seed, **chosen.get(way, {}))
        for way in features
    }
    architecture, weights = kept_encoders(lm, pooling)
    history: dict[str, list[Row]] = {}
    if strategy == FINE_TUNE:
        mention_processes(min(recipe.batch_size, len(table)), recipe.lr)
        weights, history = _fine_tune_encoders(lm, heads, table, valid, recipe, run)
    stage = Stage(
        "classify",
        source=data.source,
        labelled_texts=len(table),
        strategy=strategy,
        seconds=round(time.monotonic() - started),
        device=str(run.device),
        seed=run.seed,
        processes=my_share().of,
        recipe=asdict(recipe),
        history=history,
        data_sha256=table.sha256(),
        versions=package_versions(),
    )
    return TextClassifier(
        table.classes,
        architecture,
        lm.vocabulary,
        lm.tokenizer,
        {way: to_arrays(some) for way, some in weights.items()},
        {way: head_arrays(one) for way, one in heads.items()},
        pooling,
        kind=table.kind.learnt_from(table),
        training=TrainingRecord("text classifier", lm.training.stages).then(stage),
        base=named_base(lm, pooling),
    )


def made_by_contrast(classifier: TextClassifier, lm: LanguageModel) -> TextClassifier:
    """A linear probe of what was made of ``lm`` by contrastive learning, with its true base and strategy."""
    *earlier, last = classifier.training.stages
    training = replace(classifier.training, stages=(*earlier, replace(last, strategy=CONTRAST)))
    return replace(classifier, base=named_base(lm, classifier.pooling), training=training)


def _fine_tune_encoders(
    lm: LanguageModel,
    heads: dict[str, Head],
    table: TextTable,
    valid: TextTable | None,
    recipe: ClassifierRecipe,
    run: Run,
) -> tuple[dict[str, Weights], dict[str, list[Row]]]:
    """Each direction's encoder under its head, which learns on in place; and the losses of each epoch."""
    tables = [table, *([valid.labelled()] if valid is not None else [])]
    documents = [tokenize_corpus(one.texts, lm.tokenizer).numericalize(lm.vocabulary) for one in tables]
    used, documents = renumber(documents, len(lm.vocabulary), keep=lm.vocabulary.pad_id + 1)
    targets = [one.class_numbers(table.classes) for one in tables]
    pooling = recipe.pooling_for(FINE_TUNE, lm)
    weights: dict[str, Weights] = {}
    history: dict[str, list[Row]] = {}
    for way in lm.weights:
        net = classifier_net(lm, way, heads[way], recipe, pooling, used)
        train, *held_out = (
            LabelledDocuments(one.in_direction(way), truth, table.kind, lm.vocabulary.pad_id)
            for one, truth in zip(documents, targets, strict=True)
        )
        history[way] = fine_tune(
            net, train, recipe, run, valid=held_out[0] if held_out else None, description=f"classifier {way}"
        )
        learnt = read_weights(net.encoder)
        before = encoder_weights(lm.weights[way])
        embedding = before["encoder.weight"].clone()
        embedding[used] = learnt["encoder.weight"]
        of_all_words = {name: tensor for name, tensor in before.items() if name in BY_WORD}
        weights[way] = {**learnt, **of_all_words, "encoder.weight": embedding}
    return weights, history


def classifier_net(
    lm: LanguageModel, direction: str, head: Head, recipe: ClassifierRecipe, pooling: str, used: Ints
) -> ClassifierNet:
    """What fine-tuning trains: one direction's encoder, of those words only that occur, under a head."""
    encoder, weights = Encoder(lm.architecture, len(used), recipe.dropouts), encoder_weights(lm.weights[direction])
    copy_weights(encoder, {name: tensor[used] if name in BY_WORD else tensor for name, tensor in weights.items()})
    return ClassifierNet(encoder, pooling, head)


def _read_together(read: Callable[[Sequence[str]], Features], texts: Sequence[str]) -> Features:
    """What ``read`` gives for all texts, each process having read its share."""
    share = my_share()
    if share.of == 1:
        return read(texts)
    parts = all_gather(read(texts[share.rows]))
    whole = {way: np.empty((len(texts), part.shape[1]), part.dtype) for way, part in parts[0].items()}
    for rank, part in enumerate(parts):
        for way, vectors in part.items():
            whole[way][Share(rank, share.of).rows] = vectors
    return whole


def kept_encoders(lm: LanguageModel, pooling: str) -> tuple[Architecture, dict[str, Weights]]:
    """What a classifier with a pooling needs of a language model, by direction: of ``words``, one is enough."""
    if pooling != WORDS:
        return lm.architecture, {way: encoder_weights(weights) for way, weights in lm.weights.items()}
    way, weights = next(iter(lm.weights.items()))
    return lm.architecture.of_words_alone(), {way: words_alone(weights)}


def named_base(lm: LanguageModel, pooling: str) -> dict[str, str]:
    """What a classifier's folder says of the language model under it; by ``words``, of the LSTM, too, that it lacks."""
    named = {"name": lm.training.name, "sha256": lm.sha256()}
    if pooling == WORDS:
        named["lstm_sha256"] = lstm_sha256(next(iter(lm.weights.values())), lm.vocabulary)
    return named


def encoder_weights(weights: Weights) -> Weights:
    """A language model's tensors without the decoder's bias, which a classifier does not need."""
    return {name: tensor for name, tensor in weights.items() if name != "decoder.bias"}
