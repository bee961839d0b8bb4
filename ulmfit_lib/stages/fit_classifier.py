"""Stage 3: a language model and labelled texts -> a classifier."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Features, Ints
from ulmfit_lib.artifact.architecture import BY_WORD
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.data.table import TextTable, check_labels
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.models.awd_lstm import Encoder, copy_weights, read_weights
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.classifier_net import ClassifierNet
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.head import Head, head_arrays
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights, to_arrays
from ulmfit_lib.progress import counted
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import renumber
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.classifying import ClassifierRecipe, fine_tune
from ulmfit_lib.training.heads import HeadChoice, fit_head, fit_hidden_head
from ulmfit_lib.training.processes import Share, all_gather, check_equal, my_share, own_device
from ulmfit_lib.training.recipes import CPU, STRATEGIES, mention_processes, on_all_processes, override

CLASSIFY = CPU.fit_classifier


def fit_classifier(
    data: TextTable,
    *,
    lm: LanguageModel,
    direction: str | None = None,
    strategy: str = "fine-tune",
    recipe: ClassifierRecipe = CLASSIFY,
    epochs: int | None = None,
    lr: float | None = None,
    class_weights: str | None = None,
    label_smoothing: float | None = None,
    valid: TextTable | None = None,
    features: Features | None = None,
    head_choice: HeadChoice | None = None,
    seed: int = 42,
    device: str = "auto",
    checkpoints: Checkpoints | None = None,
) -> TextClassifier:
    """Stage 3: a language model and labelled texts -> a classifier (ULMFiT, section 3.3).

    The head learns first, on a frozen encoder that reads each text once; then, with ``fine-tune``, the encoder joins at
    discriminative rates: at once, or one group after the other, as the recipe says.

    Args:
        data: texts with labels; rows without one are left out.
        lm: the language model under it; it stays as it is.
        direction: ``forward``, ``backward``, or ``both`` (averaged); default all that the language model has.
        strategy: ``fine-tune``, or ``features`` for the head alone: seconds instead of minutes.
        recipe: hyperparameters; its batch is that of each process.
        epochs: epochs with all groups, instead of the recipe's.
        lr: the highest rate, instead of the recipe's.
        class_weights: ``balanced``, or None, instead of the recipe's.
        label_smoothing: of fine-tuning, instead of the recipe's.
        valid: rows whose loss each epoch reports; they are not learnt from.
        features: what ``LanguageModel.features`` gives for the labelled texts, where that is known.
        head_choice: how a linear head on a frozen encoder is regularised; by default its own cross-validation says.
        seed: of order, dropout and folds.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: where to keep those of fine-tuning; a run that was stopped goes on from there.

    Raises:
        DataError: labels that cannot be learnt from, or fewer than processes.
        OptionError: an unknown strategy, direction or device.
    """
    if strategy not in STRATEGIES:
        raise OptionError(f"strategy {strategy!r}; known are {', '.join(STRATEGIES)}")
    started, chosen_device = time.monotonic(), own_device(find_device(device))
    table = data.labelled()
    check_labels(table)
    if len(table) < my_share().of:
        raise DataError(f"{counted(len(table), 'labelled text')} for {my_share().of} processes: start fewer")
    changes = {"class_weights": class_weights, "label_smoothing": label_smoothing}
    recipe = override(on_all_processes(recipe).for_texts(len(table)), epochs=epochs, lr=lr, **changes)
    directions, pooling = lm.directions(direction), recipe.pooling_for(strategy, distilled=lm.architecture.distilled)
    targets = table.class_numbers()
    check_equal(lambda: (table.sha256(), lm.sha256(), recipe, seed))
    if not features:
        reader = lm.only(direction).to(chosen_device)
        features = _read_together(lambda texts: reader.features(texts, pooling=pooling), table.texts)
    learn_head: Callable[..., Head] = fit_hidden_head
    if strategy == "features" or not recipe.head_hidden:
        learn_head = partial(fit_head, distilled=lm.architecture.distilled_width(pooling), choice=head_choice)
    heads = {way: learn_head(features[way], targets, recipe, kind=table.kind, seed=seed) for way in directions}
    weights = {way: encoder_weights(lm.weights[way]) for way in directions}
    history: dict[str, Any] = {}
    if strategy == "fine-tune":
        mention_processes(min(recipe.batch_size, len(table)), recipe.lr)
        parts = [table, *([valid.labelled()] if valid is not None else [])]
        documents = [tokenize_corpus(part.texts, lm.tokenizer).numericalize(lm.vocabulary) for part in parts]
        used, documents = renumber(documents, len(lm.vocabulary), keep=lm.vocabulary.pad_id + 1)
        truths = [part.class_numbers(table.classes) for part in parts]
        for way in directions:
            net = classifier_net(lm, way, heads[way], recipe, pooling, used)
            turned = [one.backwards() if way == "backward" else one for one in documents]
            train, *held_out = zip(turned, truths, strict=True)
            history[way] = fine_tune(
                net,
                *train,
                recipe,
                kind=table.kind,
                pad_id=lm.vocabulary.pad_id,
                seed=seed,
                device=chosen_device,
                description=f"classifier {way}",
                valid=held_out[0] if held_out else None,
                checkpoints=checkpoints,
            )
            learnt = read_weights(net.encoder)
            embedding = weights[way]["encoder.weight"].clone()
            embedding[used] = learnt["encoder.weight"]
            of_all_words = {name: tensor for name, tensor in weights[way].items() if name in BY_WORD}
            weights[way] = {**learnt, **of_all_words, "encoder.weight": embedding}
    stage = Stage(
        "classify",
        source=data.source,
        labelled_texts=len(table),
        strategy=strategy,
        seconds=round(time.monotonic() - started),
        device=str(chosen_device),
        seed=seed,
        processes=my_share().of,
        recipe=asdict(recipe),
        history=history,
        data_sha256=table.sha256(),
        versions=package_versions(),
    )
    return TextClassifier(
        table.classes,
        lm.architecture,
        lm.vocabulary,
        lm.tokenizer,
        {way: to_arrays(some) for way, some in weights.items()},
        {way: head_arrays(head) for way, head in heads.items()},
        pooling,
        kind=table.kind.learnt_from(table),
        training=TrainingRecord("text classifier", lm.training.stages).then(stage),
        base={"name": lm.training.name, "sha256": lm.sha256()},
    )


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


def encoder_weights(weights: Weights) -> Weights:
    """A language model's tensors without the decoder's bias, which a classifier does not need."""
    return {name: tensor for name, tensor in weights.items() if name != "decoder.bias"}
