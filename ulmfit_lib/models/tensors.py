"""A network's tensors by name, and as the arrays that an artifact holds."""

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from ulmfit_lib.artifact.architecture import BY_WORD, DISTILLED, OF_WORDS
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.tokens.vocabulary import Vocabulary

Weights = dict[str, Tensor]
State = list[tuple[Tensor, Tensor]]  # per layer: hidden and cell, each (1, batch, width)


def to_arrays(weights: Mapping[str, Tensor]) -> Tensors:
    """Tensors by name -> arrays that share their memory."""
    return {name: tensor.numpy() for name, tensor in weights.items()}


def as_arrays(weights: Mapping[str, Mapping[str, Tensor]]) -> Tensors:
    """Tensors by group and name -> float32 arrays by ``group.name``, which share their memory."""
    return {f"{group}.{name}": tensor.numpy() for group, some in weights.items() for name, tensor in some.items()}


def as_tensors(arrays: Tensors) -> Weights:
    """Arrays by name -> tensors that share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def words_alone(weights: Weights) -> Weights:
    """Of an encoder's tensors, those that read words in context."""
    return {name: tensor for name, tensor in weights.items() if name.startswith(OF_WORDS)}


def lstm_sha256(weights: Weights, vocabulary: Vocabulary) -> str:
    """A hash of an encoder's LSTM and of its vocabulary, whatever stands beside it."""
    digest = hashlib.sha256(json.dumps(vocabulary.tokens).encode())
    for name, tensor in sorted(weights.items()):
        if name.startswith(("encoder.", "rnns.")):
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def exchange_words(weights: Weights, old: Vocabulary, new: Vocabulary) -> Weights:
    """A language model's weights for another vocabulary: words that it knows keep theirs, others get a usual row.

    A word that stays in its place keeps the row of this place, for fastai's vocabularies hold some words twice.
    """
    exchanged, before = dict(weights), dict(enumerate(old.tokens))
    places = [at if before.get(at) == token else old.index.get(token, -1) for at, token in enumerate(new.tokens)]
    for name in weights.keys() & set(BY_WORD):
        exchanged[name] = torch.cat([weights[name], _usual_row(name, weights[name], old.unknown_id)])[places]
    return exchanged


def _usual_row(name: str, rows: Tensor, unknown_id: int) -> Tensor:
    """What a new word starts with, (1, width): in a distilled vector it counts as unknown words do."""
    return rows[unknown_id, None] if name.startswith(DISTILLED) else rows.mean(0, keepdim=True)
