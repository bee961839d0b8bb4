"""Stage 1b: a language model is taught by a sentence transformer what texts mean."""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.errors import DataError
from ulmfit_lib.models.awd_lstm import LanguageModelNet, copy_weights, read_weights
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.frozen import freeze, pool_documents
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.teachers import Teacher, Vectors, teacher_vectors
from ulmfit_lib.training.teaching import TeachingRecipe, train_to_teacher, with_opinions
from ulmfit_lib.training.writings import write_otherwise

TEACH = TeachingRecipe()
MAPPED_TEXTS = 32_768  # that the map is solved for, at the beginning and at the end
RIDGE = 0.1  # its regularisation, as a share of the features' variance
FEWEST_TEXTS, MOST_HELD_OUT = 20, 1000


def teach(
    texts: Sequence[str],
    *,
    base: LanguageModel,
    teacher: Teacher,
    opinions: npt.ArrayLike | None = None,
    name: str = "taught",
    direction: str | None = None,
    vocab_size: int | None = None,
    min_count: int = 3,
    recipe: TeachingRecipe = TEACH,
    epochs: int | None = None,
    lr: float | None = None,
    seed: int = 42,
    device: str = "auto",
    source: str = "",
    licence: str = "",
    checkpoints: Checkpoints | None = None,
) -> LanguageModel:
    """Stage 1b: a language model and texts -> one that also makes vectors that say what a text means.

    A linear map of all that is pooled of the encoder's outputs learns the teacher's vectors, and the encoder with it,
    while the language model goes on predicting words. The map is kept in the model (pooling ``taught``); the teacher is
    not needed again.

    Args:
        texts: sentences and short passages of every kind; no labels.
        base: the language model to go on from; it stays as it is. A map that it has already goes on learning.
        teacher: makes the vectors to learn (``training.teachers.find_teacher``).
        opinions: (n_texts,) from -1, a text that condemns what it speaks of, to 1, one that praises it; 0 where it does
            neither. They become one more number of the taught vector: a teacher of meanings tells them apart badly.
        name: what the model is called in its card.
        direction: ``forward``, ``backward``, ``both``; default all that the base has.
        vocab_size: tokens in the vocabulary; default as many as the base has. The texts' common new words take the
            places of those that the texts use least.
        min_count: a new word needs this many occurrences.
        recipe: hyperparameters.
        epochs: instead of the recipe's.
        lr: instead of the recipe's.
        seed: of order, writings, dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: where the texts are from, for the card.
        licence: under which the model may be used, for the card.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Raises:
        DataError: too few texts, or another number of opinions.
        OptionError: a direction that the base lacks, or an unknown device.
    """
    started, chosen_device = time.monotonic(), find_device(device)
    directions, recipe = base.directions(direction), replace(recipe, epochs=epochs or recipe.epochs, lr=lr or recipe.lr)
    if len(texts) < FEWEST_TEXTS:
        raise DataError(f"teaching needs at least {FEWEST_TEXTS} texts, and got {len(texts)}")
    order = np.random.default_rng(seed).permutation(len(texts))
    valid_places, train_places = np.split(order, [min(MOST_HELD_OUT, len(texts) // 10)])
    vectors = teacher_vectors(texts, teacher)
    meanings = vectors.shape[1]  # the numbers of a vector that are the teacher's
    if opinions is not None:
        vectors = with_opinions(vectors, _checked(opinions, len(texts)))
    rng = random.Random(seed)
    read = [texts[i] for i in train_places]
    corpus = tokenize_corpus([*read, *(write_otherwise(text, rng) for text in read)], base.tokenizer)
    vocabulary = base.vocabulary.refitted(
        corpus.types, corpus.counts, size=vocab_size or len(base.vocabulary), min_count=min_count
    )
    documents = corpus.numericalize(vocabulary)
    held_out_texts = [texts[i] for i in valid_places]
    held_out = tokenize_corpus(held_out_texts, base.tokenizer).numericalize(vocabulary)
    architecture = replace(base.architecture, taught=vectors.shape[1])
    some = documents.select(np.arange(min(MAPPED_TEXTS, len(read))))
    some_vectors = vectors[train_places[: len(some)]]

    def pooled(sizes: Architecture, tensors: Weights, way: str) -> npt.NDArray[np.float32]:
        return pool_documents(freeze(sizes, tensors, chosen_device), "all", some, way, vocabulary.pad_id)

    weights: dict[str, Weights] = {}
    history: dict[str, Any] = {}
    cosines: dict[str, float] = {}
    for way in directions:
        turned = (lambda part: part.backwards()) if way == "backward" else (lambda part: part)
        start = exchange_words(base.weights[way], base.vocabulary, vocabulary)
        if base.architecture.taught != vectors.shape[1]:
            start |= solve_map(pooled(base.architecture, start, way), some_vectors)
        net = LanguageModelNet(architecture, len(vocabulary), recipe.dropouts)
        copy_weights(net, start)
        history[way] = train_to_teacher(
            net,
            (turned(documents), vectors[train_places]),
            (turned(held_out), vectors[valid_places]),
            recipe,
            pad_id=vocabulary.pad_id,
            seed=seed,
            device=chosen_device,
            description=f"teaching {way}",
            checkpoints=checkpoints,
        )
        weights[way] = {name: tensor.lerp(start[name], recipe.base_share) for name, tensor in read_weights(net).items()}
        weights[way] |= solve_map(pooled(architecture, weights[way], way), some_vectors)
        encoder = freeze(architecture, weights[way], chosen_device)
        taught = pool_documents(encoder, "taught", held_out, way, vocabulary.pad_id)
        cosines[way] = mean_cosine(taught[:, :meanings], vectors[valid_places, :meanings])
    model = LanguageModel(
        architecture,
        vocabulary,
        base.tokenizer,
        weights,
        base={"name": base.training.name, "sha256": base.sha256()},
    )
    record = Stage(
        "teach",
        direction=model.direction,
        source=source,
        texts=len(texts),
        tokens_per_epoch=int(documents.lengths[: len(read)].sum()),
        teacher=teacher.name,
        teacher_sha256=teacher.fingerprint(),
        opinions=opinions is not None,
        seconds=round(time.monotonic() - started),
        device=str(chosen_device),
        seed=seed,
        recipe=asdict(recipe),
        history=history,
        cosine=cosines,
        validation=model.to(chosen_device).score(held_out_texts),
        data_sha256=documents.fingerprint(),
        versions=package_versions(),
    )
    return replace(model, training=TrainingRecord(name, base.training.stages, licence=licence or None).then(record))


def _checked(opinions: npt.ArrayLike, count: int) -> npt.NDArray[np.float32]:
    numbers = np.asarray(opinions, np.float32)
    if numbers.shape != (count,) or not (np.abs(numbers) <= 1).all():
        raise DataError(f"opinions must be {count} numbers from -1 to 1, one for each text")
    return numbers


def mean_cosine(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Of pairs of vectors, (n, width) each."""
    found, wanted = np.asarray(found, np.float32), np.asarray(wanted, np.float32)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(1) / np.maximum(lengths, 1e-12)).mean())


def exchange_words(weights: Weights, old: Vocabulary, new: Vocabulary) -> Weights:
    """A language model's weights for another vocabulary: words that it knows keep theirs, others get the mean."""
    exchanged = dict(weights)
    places = [old.index.get(token, -1) for token in new.tokens]
    for name in ("encoder.weight", "decoder.bias"):
        rows = torch.cat([weights[name], weights[name].mean(0, keepdim=True)])
        exchanged[name] = rows[places]
    return exchanged


def solve_map(features: npt.NDArray[np.float32], vectors: Vectors) -> Weights:
    """The map with the least squares, a little regularised, from (n, width) pooled texts to the teacher's vectors."""
    mean, spread = features.mean(0), features.std(0) + 1e-3
    standard, targets = (features - mean) / spread, vectors.astype(np.float32)
    gram = standard.T @ standard + RIDGE * len(standard) * np.eye(standard.shape[1], dtype=np.float32)
    weight = (np.linalg.solve(gram, standard.T @ (targets - targets.mean(0))) / spread[:, None]).T
    bias = targets.mean(0) - weight @ mean
    return {"map.weight": torch.tensor(weight).float(), "map.bias": torch.tensor(bias).float()}
