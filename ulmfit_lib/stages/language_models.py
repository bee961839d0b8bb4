"""What stages 1 and 2 have in common: a vocabulary that grows, and training in each direction."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.models.awd_lstm import read_weights
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights, exchange_words
from ulmfit_lib.tokens.corpus import Corpus, tokenize_corpus
from ulmfit_lib.training.language_modelling import LanguageModelRecipe, train_language_model
from ulmfit_lib.training.learner import Row
from ulmfit_lib.training.processes import my_share
from ulmfit_lib.training.recipes import mention_processes
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.streams import LanguageModelStream


def extend(
    base: LanguageModel, texts: Sequence[str], *, name: str, size: int, min_count: int, direction: str | None = None
) -> tuple[LanguageModel, Corpus]:
    """The base with the texts' commonest new words, up to ``size`` tokens in all; and the texts, tokenised."""
    part = base.only(direction)  # a wrong direction is said before the texts are tokenised
    corpus = tokenize_corpus(texts, base.tokenizer)
    vocabulary = base.vocabulary.extended(corpus.types, corpus.counts, max_size=size, min_count=min_count)
    extended = LanguageModel(
        base.architecture,
        vocabulary,
        base.tokenizer,
        {way: exchange_words(some, base.vocabulary, vocabulary) for way, some in part.weights.items()},
        TrainingRecord(name, base.training.stages),
        {"name": base.training.name, "sha256": base.sha256()},
    )
    return extended, corpus


def train_directions(
    model: LanguageModel,
    corpus: Corpus,
    held_out: Sequence[str],
    *,
    stage: str,
    recipe: LanguageModelRecipe,
    source: str,
    run: Run,
) -> LanguageModel:
    """Train each direction of ``model``, measure it on ``held_out``, and write down what was done."""
    started = time.monotonic()
    train = corpus.numericalize(model.vocabulary)
    stream = LanguageModelStream(train, batch_size=recipe.batch_size, window=recipe.window)
    mention_processes(stream.batch_size, recipe.lr)
    valid = tokenize_corpus(held_out, model.tokenizer).numericalize(model.vocabulary)
    weights: dict[str, Weights] = {}
    history: dict[str, list[Row]] = {}
    for direction in model.weights:
        net = model.net(direction, recipe.dropouts)
        history[direction] = train_language_model(
            net,
            train.in_direction(direction),
            valid.in_direction(direction),
            recipe,
            run=run,
            description=f"{stage} {direction}",
        )
        weights[direction] = read_weights(net)
    trained = replace(model, weights=weights).to(run.device)
    record = Stage(
        stage,
        direction=trained.direction,
        source=source,
        texts=len(corpus),
        tokens_per_epoch=len(corpus.ids),
        unknown_share=float(train.counts(len(model.vocabulary))[model.vocabulary.unknown_id]) / len(corpus.ids),
        seconds=round(time.monotonic() - started),
        device=str(run.device),
        seed=run.seed,
        processes=my_share().of,
        recipe=asdict(recipe),
        validation=trained.score(held_out),
        history=history,
        data_sha256=train.fingerprint(),
        versions=package_versions(),
    )
    return replace(trained, training=model.training.then(record))
