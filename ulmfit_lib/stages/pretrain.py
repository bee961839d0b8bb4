"""Stage 1: texts of a language -> a language model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.cards import Card
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
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.recipes import on_all_processes
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.seeding import leaves_random_numbers, seeded

PRETRAIN = LanguageModelRecipe()
VOCABULARY_SIZE = 30_000


@dataclass(frozen=True)
class LanguageModelConfig:
    """What kind of language model is made.

    Attributes:
        architecture: sizes.
        tokens: ``words`` (spaCy) or ``subwords`` (SentencePiece, learnt from the texts).
        language: a spaCy code, such as ``en`` or ``de``.
        vocab_size: tokens in the vocabulary, the special ones included; default 30,000, or a fifth more than the base
            has, whose words all stay.
        direction: ``forward``, ``backward`` or ``both``; default forward, or all that the base has.

    Examples:
        >>> LanguageModelConfig(language="de", tokens="subwords", vocab_size=15_000).architecture.widths
        [512, 512, 256]
    """

    architecture: Architecture = field(default_factory=Architecture)
    tokens: str = "words"
    language: str = "en"
    vocab_size: int | None = None
    direction: str | None = None


@leaves_random_numbers()
def pretrain(
    texts: Sequence[str],
    *,
    valid_texts: Sequence[str] | None = None,
    base: LanguageModel | None = None,
    config: LanguageModelConfig = LanguageModelConfig(),
    recipe: LanguageModelRecipe = PRETRAIN,
    card: Card = Card("language-model"),  # noqa: B008 (it is immutable)
    run: Run | None = None,
) -> LanguageModel:
    """Stage 1: texts, such as Wikipedia's articles -> a language model of a language.

    Args:
        texts: what it reads.
        valid_texts: what its perplexity is measured on; default a tenth of the texts, which it then does not read.
        base: a language model to go on from, with a newer dump or the texts of a domain; it stays as it is, and its
            language, tokens and sizes hold for the new one.
        config: its language, kind of tokens, sizes and direction.
        recipe: hyperparameters; its batch is that of each process.
        card: what the model's card says of where it comes from.
        run: seed, device and checkpoints; a run that was stopped continues from these.

    Raises:
        DataError: too few texts.
        OptionError: an unknown language, kind of tokens or direction.

    Examples:
        >>> config = LanguageModelConfig(Architecture(embedding=16, hidden=24, layers=2), direction="both")
        >>> model = pretrain(reviews.texts, config=config, recipe=LanguageModelRecipe(epochs=1), run=Run(device="cpu"))
        >>> model.direction
        'both'
    """
    run = run or Run()
    train_texts, held_out = hold_out(texts, valid_texts, run.seed)
    if base:
        size = config.vocab_size or round(1.2 * len(base.vocabulary))
        untrained, corpus = extend(
            base, train_texts, name=card.name, size=size, min_count=recipe.min_count, direction=config.direction
        )
    else:
        untrained, corpus = _initialise(train_texts, config, recipe.min_count, name=card.name, seed=run.seed)
    untrained = replace(untrained, training=replace(untrained.training, licence=card.licence or None))
    recipe = on_all_processes(recipe)
    return train_directions(untrained, corpus, held_out, stage="pretrain", recipe=recipe, source=card.source, run=run)


def _initialise(
    texts: Sequence[str], config: LanguageModelConfig, min_count: int, *, name: str, seed: int
) -> tuple[LanguageModel, Corpus]:
    """A language model that has not read anything yet, and the texts, tokenised."""
    directions = DIRECTIONS if config.direction == "both" else (config.direction or "forward",)
    if not set(directions) <= set(DIRECTIONS):
        raise OptionError(f"direction {config.direction!r}; known are forward, backward, both")
    tokenizer, corpus, vocabulary = _learn_vocabulary(texts, config, min_count)
    with seeded(seed):
        weights = {way: _initial_weights(config.architecture, vocabulary, corpus) for way in directions}
        return LanguageModel(config.architecture, vocabulary, tokenizer, weights, TrainingRecord(name)), corpus


def _learn_vocabulary(
    texts: Sequence[str], config: LanguageModelConfig, min_count: int
) -> tuple[Tokenizer, Corpus, Vocabulary]:
    size = config.vocab_size or VOCABULARY_SIZE
    if config.tokens == "subwords":
        subwords = SubwordTokenizer.train(texts, size=size, language=config.language)
        return subwords, tokenize_corpus(texts, subwords), Vocabulary(subwords.pieces())
    if config.tokens != "words":
        raise OptionError(f"tokens {config.tokens!r}; known are words, subwords")
    words = WordTokenizer(config.language)
    corpus = tokenize_corpus(texts, words)
    return words, corpus, Vocabulary.from_counts(corpus.types, corpus.counts, max_size=size, min_count=min_count)


def _initial_weights(architecture: Architecture, vocabulary: Vocabulary, corpus: Corpus) -> Weights:
    """fastai's random weights, but the decoder's bias at the log frequencies: sampled softmax needs that start."""
    net = LanguageModelNet(architecture, len(vocabulary))
    counts = corpus.numericalize(vocabulary).counts(len(vocabulary)) + 0.5
    weights = read_weights(net)
    weights["decoder.bias"] = torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)
    return weights
