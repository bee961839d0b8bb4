"""Stage 1: texts of a language -> a language model."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.format import DIRECTIONS
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.data.splitting import hold_out
from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.awd_lstm import LanguageModelNet, read_weights
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights
from ulmfit_lib.stages.language_models import extend, train_directions
from ulmfit_lib.tokens.corpus import Corpus, tokenize_corpus
from ulmfit_lib.tokens.subwords import SubwordTokenizer
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.recipes import on_all_processes, override

PRETRAIN = LanguageModelRecipe()


def pretrain(
    texts: Sequence[str],
    *,
    valid_texts: Sequence[str] | None = None,
    base: LanguageModel | None = None,
    name: str = "language-model",
    language: str = "en",
    tokens: str = "words",
    vocab_size: int | None = None,
    min_count: int = 3,
    architecture: Architecture | None = None,
    direction: str | None = None,
    recipe: LanguageModelRecipe = PRETRAIN,
    epochs: int | None = None,
    lr: float | None = None,
    seed: int = 42,
    device: str = "auto",
    source: str = "",
    licence: str = "",
    checkpoints: Checkpoints | None = None,
) -> LanguageModel:
    """Stage 1: texts, such as Wikipedia's articles -> a language model of a language.

    Args:
        texts: what it reads.
        valid_texts: what its perplexity is measured on; default a tenth of the texts, which it then does not read.
        base: a language model to go on from, with a newer dump or the texts of a domain; it stays as it is, and its
            language, tokens and sizes hold for the new one.
        name: what the model is called in its card.
        language: a spaCy code, such as ``en`` or ``de``.
        tokens: ``words`` (spaCy) or ``subwords`` (SentencePiece, learnt from the texts).
        vocab_size: tokens in the vocabulary, the special ones included; default 30,000, or a fifth more than the base
            has, whose words all stay.
        min_count: a word needs this many occurrences.
        architecture: sizes; default 256 / 512 / 3.
        direction: ``forward``, ``backward`` or ``both``; default forward, or all that the base has.
        recipe: hyperparameters; its batch is that of each process.
        epochs: instead of the recipe's.
        lr: instead of the recipe's.
        seed: of weights, order and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: where the texts are from, for the card.
        licence: under which the model may be used, for the card.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Raises:
        DataError: too few texts.
        OptionError: an unknown language, kind of tokens, direction or device.
    """
    train_texts, held_out = hold_out(texts, valid_texts, seed)
    recipe = on_all_processes(override(recipe, epochs=epochs, lr=lr))
    if base:
        size = vocab_size or round(1.2 * len(base.vocabulary))
        untrained, corpus = extend(
            base, train_texts, name=name, direction=direction, vocab_size=size, min_count=min_count
        )
    else:
        directions = DIRECTIONS if direction == "both" else (direction or "forward",)
        if not set(directions) <= set(DIRECTIONS):
            raise OptionError(f"direction {direction!r}; known are forward, backward, both")
        size = vocab_size or 30_000
        tokenizer, corpus, vocabulary = _learn_vocabulary(train_texts, language, tokens, size, min_count)
        architecture = architecture or Architecture()
        torch.manual_seed(seed)
        initial = {way: _initial_weights(architecture, vocabulary, corpus) for way in directions}
        untrained = LanguageModel(architecture, vocabulary, tokenizer, initial, TrainingRecord(name))
    untrained = replace(untrained, training=replace(untrained.training, licence=licence or None))
    return train_directions(
        untrained,
        corpus,
        held_out,
        stage="pretrain",
        recipe=recipe,
        seed=seed,
        device=device,
        source=source,
        checkpoints=checkpoints,
    )


def _learn_vocabulary(
    texts: Sequence[str], language: str, tokens: str, vocab_size: int, min_count: int
) -> tuple[Tokenizer, Corpus, Vocabulary]:
    if tokens == "subwords":
        subwords = SubwordTokenizer.train(texts, size=vocab_size, language=language)
        return subwords, tokenize_corpus(texts, subwords), Vocabulary(subwords.pieces())
    if tokens != "words":
        raise OptionError(f"tokens {tokens!r}; known are words, subwords")
    words = WordTokenizer(language)
    corpus = tokenize_corpus(texts, words)
    return words, corpus, Vocabulary.from_counts(corpus.types, corpus.counts, max_size=vocab_size, min_count=min_count)


def _initial_weights(architecture: Architecture, vocabulary: Vocabulary, corpus: Corpus) -> Weights:
    """fastai's random weights, but the decoder's bias at the log frequencies: sampled softmax needs that start."""
    net = LanguageModelNet(architecture, len(vocabulary))
    counts = corpus.numericalize(vocabulary).counts(len(vocabulary)) + 0.5
    weights = read_weights(net)
    weights["decoder.bias"] = torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)
    return weights
