"""The stages of ULMFiT, each a function from values to a value. Read this first."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import torch

from ulmfit_lib.data.corpus import Corpus, tokenize_corpus
from ulmfit_lib.data.ratings import class_means
from ulmfit_lib.data.stored_texts import Selection
from ulmfit_lib.data.table import TextTable, check_labels
from ulmfit_lib.data.tokenizing import SubwordTokenizer, Tokenizer, WordTokenizer
from ulmfit_lib.data.vocabulary import Vocabulary
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.models.architecture import Architecture, Weights
from ulmfit_lib.models.artifacts import DIRECTIONS, package_versions
from ulmfit_lib.models.awd_lstm import Encoder, LanguageModelNet, copy_weights, read_weights
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.frozen import Features, freeze, pool_documents
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.pooling import ClassifierNet, head_weights
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.classifying import ClassifierRecipe, fine_tune
from ulmfit_lib.training.heads import fit_head, fit_hidden_head
from ulmfit_lib.training.language_modelling import LanguageModelRecipe, train_language_model
from ulmfit_lib.training.recipes import CPU

PRETRAIN = LanguageModelRecipe()
FINE_TUNE, CLASSIFY = CPU.fit_lm, CPU.fit_classifier
STRATEGIES = ("fine-tune", "features")
Settings = TypeVar("Settings", LanguageModelRecipe, ClassifierRecipe, Architecture)
STEPS_PER_EPOCH = 50  # a short corpus gets fewer rows, so that an epoch is still this many steps
FEWEST_ROWS = 4


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
        recipe: hyperparameters.
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
    recipe = override(recipe, epochs=epochs, lr=lr)
    if base:
        size = vocab_size or round(1.2 * len(base.vocabulary))
        untrained, corpus = _extend(
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
        untrained = LanguageModel(architecture, vocabulary, tokenizer, initial, {"name": name, "stages": []})
    untrained.training.update({"licence": licence} if licence else {})
    return _train(
        untrained, corpus, held_out, stage="pretrain", recipe=recipe, seed=seed, device=device, source=source,
        checkpoints=checkpoints,
    )  # fmt: skip


def fit_lm(
    texts: Sequence[str],
    *,
    base: LanguageModel,
    valid_texts: Sequence[str] | None = None,
    direction: str | None = None,
    recipe: LanguageModelRecipe = FINE_TUNE,
    epochs: int | None = None,
    lr: float | None = None,
    min_count: int = 3,
    seed: int = 42,
    device: str = "auto",
    source: str = "",
    checkpoints: Checkpoints | None = None,
) -> LanguageModel:
    """Stage 2: a language model -> one that has read your texts (ULMFiT, section 3.2).

    Words of the texts that the base does not know join its vocabulary with the mean embedding. The tied embedding and
    decoder train first, then all groups at discriminative rates; the epoch with the best validation loss is kept.

    Args:
        texts: all that it may read: labelled and unlabelled, but no test texts.
        base: the language model to go on from; it stays as it is.
        valid_texts: what each epoch is measured on; default a tenth of the texts, which it then does not read.
        direction: ``forward``, ``backward``, ``both``; default all that the base has.
        recipe: hyperparameters.
        epochs: epochs with all groups training, instead of the recipe's.
        lr: the highest rate, instead of the recipe's.
        min_count: a new word needs this many occurrences.
        seed: of order and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: where the texts are from, for the card.
        checkpoints: where to keep them; a run that was stopped goes on from there.

    Raises:
        DataError: too few texts.
        OptionError: a direction that the base lacks, or an unknown device.
    """
    train_texts, held_out = hold_out(texts, valid_texts, seed)
    name = "fine-tuned from " + base.training.get("name", "a language model")
    size = 2 * len(base.vocabulary)
    grown, corpus = _extend(base, train_texts, name=name, direction=direction, vocab_size=size, min_count=min_count)
    recipe = override(recipe, epochs=epochs, lr=lr)
    rows = len(corpus.ids) // (recipe.window * STEPS_PER_EPOCH)
    recipe = replace(recipe, batch_size=min(recipe.batch_size, max(FEWEST_ROWS, rows)))
    return _train(
        grown, corpus, held_out, stage="fine-tune", recipe=recipe, seed=seed, device=device, source=source,
        checkpoints=checkpoints,
    )  # fmt: skip


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
        recipe: hyperparameters.
        epochs: epochs with all groups, instead of the recipe's.
        lr: the highest rate, instead of the recipe's.
        class_weights: ``balanced``, or None, instead of the recipe's.
        label_smoothing: of fine-tuning, instead of the recipe's.
        valid: rows whose loss each epoch reports; they are not learnt from.
        features: what ``read_features`` gives for the labelled texts, where that is known.
        seed: of order, dropout and folds.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: where to keep those of fine-tuning; a run that was stopped goes on from there.

    Raises:
        DataError: labels that cannot be learnt from.
        OptionError: an unknown strategy, direction or device.
    """
    if strategy not in STRATEGIES:
        raise OptionError(f"strategy {strategy!r}; known are {', '.join(STRATEGIES)}")
    started, chosen_device = time.monotonic(), find_device(device)
    table = data.labelled()
    check_labels(table)
    changes = {"class_weights": class_weights, "label_smoothing": label_smoothing}
    recipe = override(recipe.for_texts(len(table)), epochs=epochs, lr=lr, **changes)
    directions, pooling = lm.directions(direction), recipe.pooling_for(strategy)
    untrained = TextClassifier(
        table.classes, lm.architecture, lm.vocabulary, lm.tokenizer, weights={}, heads={}, pooling=pooling,
        base={"name": lm.training.get("name", ""), "sha256": lm.sha256()}, delimiter=table.delimiter,
    )  # fmt: skip
    targets = table.class_numbers()
    features = features or read_features(
        lm, table.texts, direction=direction, pooling=pooling, device=chosen_device
    )
    held_out = None
    if valid is not None:
        valid_documents = tokenize_corpus(valid.labelled().texts, lm.tokenizer).numericalize(lm.vocabulary)
        held_out = (valid_documents, valid.labelled().class_numbers(table.classes))
    weights: dict[str, Weights] = {}
    heads: dict[str, Weights] = {}
    history: dict[str, Any] = {}
    for way in directions:
        weights[way] = {name: tensor for name, tensor in lm.weights[way].items() if name != "decoder.bias"}
        learn = fit_hidden_head if strategy == "fine-tune" and recipe.head_hidden else fit_head
        head = learn(features[way], targets, recipe, seed=seed)
        if strategy == "fine-tune":
            documents = tokenize_corpus(table.texts, lm.tokenizer).numericalize(lm.vocabulary)
            encoder = Encoder(lm.architecture, len(lm.vocabulary), recipe.dropouts)
            copy_weights(encoder, weights[way])
            net = ClassifierNet(encoder, pooling, head)
            turned = (lambda part: part.backwards()) if way == "backward" else (lambda part: part)
            history[way] = fine_tune(
                net, turned(documents), targets, recipe, pad_id=lm.vocabulary.pad_id,
                seed=seed, device=chosen_device, description=f"classifier {way}",
                valid=(turned(held_out[0]), held_out[1]) if held_out else None,
                checkpoints=checkpoints,
            )  # fmt: skip
            weights[way] = read_weights(encoder)
        heads[way] = head_weights(head)
    record = {
        "stage": "classify", "source": data.source, "labelled_texts": len(table), "strategy": strategy,
        "seconds": round(time.monotonic() - started), "device": str(chosen_device), "seed": seed,
        "recipe": asdict(recipe), "history": history, "data_sha256": table.sha256(), "versions": package_versions(),
    }  # fmt: skip
    training = {"name": "text classifier", "stages": [*lm.training.get("stages", []), record]}
    return replace(untrained, weights=weights, heads=heads, training=training, values=class_means(table))


def read_features(
    lm: LanguageModel, texts: Sequence[str], *, direction: str | None, pooling: str, device: torch.device
) -> Features:
    """Texts, read once by a language model's frozen encoders, as vectors: (n_texts, width) per direction."""
    documents = tokenize_corpus(texts, lm.tokenizer).numericalize(lm.vocabulary)
    encoders = {way: freeze(lm.architecture, lm.weights[way], device) for way in lm.directions(direction)}
    return {way: pool_documents(one, pooling, documents, way, lm.vocabulary.pad_id) for way, one in encoders.items()}


def transfer_weights(weights: Weights, vocab_size: int) -> Weights:
    """A language model's weights for a vocabulary that goes on after the old one: new words get the mean row."""
    grown = dict(weights)
    for name in ("encoder.weight", "decoder.bias"):
        old = weights[name]
        grown[name] = torch.cat([old, old.mean(0, keepdim=True).expand(vocab_size - len(old), *old.shape[1:])])
    return grown


def hold_out(
    texts: Sequence[str], valid_texts: Sequence[str] | None, seed: int, *, fraction: float = 0.1, most: int = 250
) -> tuple[Sequence[str], Sequence[str]]:
    """Texts to read and texts to measure on; without ``valid_texts``, a random tenth, 250 at most.

    Raises:
        DataError: fewer than 2 texts.
    """
    if len(texts) < 2:
        raise DataError(f"a language model needs at least 2 texts to read, and got {len(texts)}")
    if valid_texts is not None:
        return texts, valid_texts
    count = min(most, max(1, round(len(texts) * fraction)))
    chosen = np.sort(np.random.default_rng(seed).choice(len(texts), count, replace=False))
    return Selection(texts, np.setdiff1d(np.arange(len(texts)), chosen)), Selection(texts, chosen)


def _train(
    model: LanguageModel, corpus: Corpus, held_out: Sequence[str], *, stage: str, recipe: LanguageModelRecipe,
    seed: int, device: str, source: str, checkpoints: Checkpoints | None,
) -> LanguageModel:  # fmt: skip
    """The common part of stages 1 and 2: train each direction, measure, and write down what was done."""
    started, chosen_device = time.monotonic(), find_device(device)
    train = corpus.numericalize(model.vocabulary)
    valid = tokenize_corpus(held_out, model.tokenizer).numericalize(model.vocabulary)
    weights: dict[str, Weights] = {}
    history: dict[str, Any] = {}
    for direction in model.weights:
        net = LanguageModelNet(model.architecture, len(model.vocabulary), recipe.dropouts)
        copy_weights(net, model.weights[direction])
        backward = direction == "backward"
        history[direction] = train_language_model(
            net, train.backwards() if backward else train, valid.backwards() if backward else valid, recipe,
            seed=seed, device=chosen_device, description=f"{stage} {direction}",
            checkpoints=checkpoints,
        )  # fmt: skip
        weights[direction] = read_weights(net)
    trained = replace(model, weights=weights)
    record = {
        "stage": stage, "direction": trained.direction, "source": source, "texts": len(corpus),
        "tokens_per_epoch": len(corpus.ids),
        "unknown_share": float(train.counts(len(model.vocabulary))[model.vocabulary.unknown_id]) / len(corpus.ids),
        "seconds": round(time.monotonic() - started), "device": str(chosen_device), "seed": seed,
        "recipe": asdict(recipe), "validation": asdict(trained.score(held_out, device=str(chosen_device))),
        "history": history, "data_sha256": train.fingerprint(), "versions": package_versions(),
    }  # fmt: skip
    training = {**model.training, "stages": [*model.training.get("stages", []), record]}
    return replace(trained, training=training)


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
    return words, corpus, Vocabulary.from_corpus(corpus, max_size=vocab_size, min_count=min_count)


def _extend(
    base: LanguageModel, texts: Sequence[str], *, name: str, direction: str | None, vocab_size: int, min_count: int
) -> tuple[LanguageModel, Corpus]:
    """The base with the texts' commonest new words, up to ``vocab_size`` tokens in all; and the texts, tokenised."""
    directions = base.directions(direction)  # a wrong one is said before the texts are tokenised
    corpus = tokenize_corpus(texts, base.tokenizer)
    vocabulary = base.vocabulary.extended(corpus, max_size=vocab_size, min_count=min_count)
    extended = LanguageModel(
        base.architecture, vocabulary, base.tokenizer,
        {way: transfer_weights(base.weights[way], len(vocabulary)) for way in directions},
        {"name": name, "stages": [*base.training.get("stages", [])]},
        {"name": base.training.get("name", ""), "sha256": base.sha256()},
    )  # fmt: skip
    return extended, corpus


def _initial_weights(architecture: Architecture, vocabulary: Vocabulary, corpus: Corpus) -> Weights:
    """fastai's random weights, but the decoder's bias at the log frequencies: sampled softmax needs that start."""
    net = LanguageModelNet(architecture, len(vocabulary))
    counts = corpus.numericalize(vocabulary).counts(len(vocabulary)) + 0.5
    weights = read_weights(net)
    weights["decoder.bias"] = torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)
    return weights


def override(settings: Settings, **values: Any) -> Settings:
    """The same settings with those values that are not None."""
    return replace(settings, **{name: value for name, value in values.items() if value is not None})
