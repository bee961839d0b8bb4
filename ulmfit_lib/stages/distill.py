"""Stage 1b: what sentence transformers know of the meaning of texts is distilled into a language model."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.arrays import Vectors
from ulmfit_lib.artifact.architecture import DISTILLED, Architecture
from ulmfit_lib.artifact.cards import Card
from ulmfit_lib.artifact.format import package_versions
from ulmfit_lib.artifact.record import Stage, TrainingRecord
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.models.awd_lstm import LanguageModelNet, copy_weights, read_weights
from ulmfit_lib.models.frozen import freeze, read_directions
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights, exchange_words, words_alone
from ulmfit_lib.models.word_vectors import mirrored
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.tokens.rules import SPECIAL_TOKENS
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer
from ulmfit_lib.training.distillation_recipe import DistillationRecipe, WordVectorRecipe
from ulmfit_lib.training.distilling import train_to_targets, with_opinions
from ulmfit_lib.training.joint_targets import JointTargets, lifted_cosine
from ulmfit_lib.training.learner import Row
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.teachers import Teacher, teacher_vectors
from ulmfit_lib.training.word_vectors import continue_word_vectors, fit_word_vectors, projected_means, with_new_words
from ulmfit_lib.training.writings import write_otherwise

DISTILL = DistillationRecipe()
SOLVED_TEXTS = 98_304  # that the projection is solved for, at the beginning and at the end
RIDGE = 0.1  # its regularisation, as a share of the features' variance
OF_COMPONENTS = {"words.projection", "map.weight", "map.bias"}  # tensors with a row for each component
FEWEST_TEXTS, MOST_HELD_OUT = 20, 1000


def distill(
    texts: Sequence[str],
    *,
    base: LanguageModel,
    teachers: Sequence[Teacher],
    opinions: npt.ArrayLike | None = None,
    recipe: DistillationRecipe = DISTILL,
    card: Card = Card("distilled"),  # noqa: B008 (it is immutable)
    run: Run | None = None,
) -> LanguageModel:
    """Stage 1b: a language model and texts -> one that also makes vectors that say what a text means.

    The teachers' vectors, side by side, are reduced to their principal components. Word vectors learn to come close to
    them by their weighted mean; then the encoder, and a linear projection of all that is pooled of its outputs, learn
    what the word vectors lack, while the language model goes on predicting words. Word vectors and projection are kept
    in the model (pooling ``distilled``); the teachers are not needed again.

    Args:
        texts: sentences and short passages of every kind; no labels.
        base: the language model to go on from, in the directions that are wanted; it stays as it is.
        teachers: each makes vectors to learn (``training.teachers.find_teacher``); all count the same.
        opinions: (n_texts,) from -1, a text that condemns what it speaks of, to 1, one that praises it; 0 where it does
            neither. They become one more number of the distilled vector.
        recipe: hyperparameters. With 0 epochs, the encoder stays as it is.
        card: what the model's card says.
        run: seed of order, writings and dropout; device; checkpoints, from which a run that was stopped goes on.

    Raises:
        DataError: too few texts, or another number of opinions.
        OptionError: no teacher.
    """
    run, started = run or Run(), time.monotonic()
    if len(texts) < FEWEST_TEXTS:
        raise DataError(f"distillation needs at least {FEWEST_TEXTS} texts, and got {len(texts)}")
    if not teachers:
        raise OptionError("distillation needs at least one teacher: --teacher")
    order = np.random.default_rng(run.seed).permutation(len(texts))
    held_out_places, places = np.split(order, [min(MOST_HELD_OUT, len(texts) // 10)])
    read, held_out_texts = [texts[i] for i in places], [texts[i] for i in held_out_places]
    rng = random.Random(run.seed)
    corpus = tokenize_corpus([*read, *(write_otherwise(text, rng) for text in read)], base.tokenizer)
    vocabulary = base.vocabulary
    if recipe.vocab_size:
        vocabulary = vocabulary.refitted(
            corpus.types, corpus.counts, size=recipe.vocab_size, min_count=recipe.min_count
        )
    documents = corpus.numericalize(vocabulary)
    held_out = tokenize_corpus(held_out_texts, base.tokenizer).numericalize(vocabulary)

    by_teacher = [teacher_vectors(texts, teacher) for teacher in teachers]
    joint = JointTargets.fit([one[places] for one in by_teacher], recipe.width, emphasis=recipe.emphasis)
    targets = joint.join(by_teacher)
    if opinions is not None:
        targets = with_opinions(targets, _checked(opinions, len(texts)))
    words: Weights = {}
    if recipe.word_vectors:

        def of_words() -> npt.NDArray[np.float16]:
            spoken = [" " if token in SPECIAL_TOKENS else token for token in vocabulary.tokens]
            found = joint.join([teacher_vectors(spoken, teacher) for teacher in teachers])
            return np.pad(found, ((0, 0), (0, targets.shape[1] - found.shape[1])))

        twice = np.concatenate([targets[places]] * 2)  # the texts as they are, then in another writing
        words = _word_vectors(base, vocabulary, documents, twice, of_words, recipe.word_vectors, run.seed)

    blocks = sum(name.startswith("near.") for name in words)
    architecture = replace(
        base.architecture,
        distilled=targets.shape[1],
        words=words["words.weight"].shape[1] if words else 0,  # no wider than the targets
        context=blocks,
        context_width=len(words.get("words.widen", ())),
        spelling=blocks > 0 and isinstance(base.tokenizer, WordTokenizer),
    )
    some = np.arange(min(SOLVED_TEXTS, len(read)))
    solved, lacking = documents.select(some), targets[places[some]].astype(np.float32)
    if words:
        lacking -= projected_means(words, solved).numpy()
    learnt, unseen = (documents, targets[places]), (held_out, targets[held_out_places])
    student = _Student(architecture, vocabulary, recipe, run, learnt, unseen, solved, lacking)
    weights: dict[str, Weights] = {}
    history: dict[str, list[Row]] = {}
    cosines: dict[str, dict[str, float]] = {}
    for way in base.weights:
        plain = {name: tensor for name, tensor in base.weights[way].items() if not name.startswith(DISTILLED)}
        start = exchange_words(plain, base.vocabulary, vocabulary) | (mirrored(words) if way == "backward" else words)
        weights[way] = student.with_projection(start, way)
        if recipe.epochs:
            weights[way], history[way] = student.train(weights[way], way)
        found = [student.pool(weights[way], way, "distilled", one) for one in (solved, held_out)]
        cosines[way] = {
            teacher.name: lifted_cosine((found[0], vectors[places[some]]), (found[1], vectors[held_out_places]))
            for teacher, vectors in zip(teachers, by_teacher, strict=True)
        }
        weights[way] = _without_emphasis(weights[way], joint.emphasis)
    model = LanguageModel(
        architecture, vocabulary, base.tokenizer, weights, base={"name": base.training.name, "sha256": base.sha256()}
    )
    stage = Stage(
        "distill",
        direction=model.direction,
        source=card.source,
        texts=len(texts),
        tokens_per_epoch=int(documents.lengths[: len(read)].sum()),
        teacher="; ".join(teacher.name for teacher in teachers),
        teacher_sha256="; ".join(teacher.fingerprint() for teacher in teachers),
        opinions=opinions is not None,
        seconds=round(time.monotonic() - started),
        device=str(run.device),
        seed=run.seed,
        recipe=asdict(recipe),
        history=history,
        cosines=cosines,
        validation=model.to(run.device).score(held_out_texts),
        data_sha256=documents.fingerprint(),
        versions=package_versions(),
    )
    return replace(
        model, training=TrainingRecord(card.name, base.training.stages, licence=card.licence or None).then(stage)
    )


class _Student(NamedTuple):
    """What each direction learns from, and how."""

    architecture: Architecture
    vocabulary: Vocabulary
    recipe: DistillationRecipe
    run: Run
    learnt: tuple[Documents, npt.NDArray[np.float16]]  # texts, and their targets, (n_texts, distilled)
    held_out: tuple[Documents, npt.NDArray[np.float16]]  # the same of texts that are not learnt from
    solved: Documents  # texts that the projection is solved for
    lacking: Vectors  # (n_solved, distilled) what their word vectors lack of the targets

    def train(self, start: Weights, way: str) -> tuple[Weights, list[Row]]:
        """One direction's encoder after training, averaged with the start, and what each epoch brought."""
        net = LanguageModelNet(self.architecture, len(self.vocabulary), self.recipe.dropouts)
        copy_weights(net, start)
        (documents, targets), (unseen, their_targets) = self.learnt, self.held_out
        rows = train_to_targets(
            net,
            (documents.in_direction(way), targets),
            (unseen.in_direction(way), their_targets),
            self.recipe,
            pad_id=self.vocabulary.pad_id,
            description=f"distilling {way}",
            run=self.run,
        )
        share = self.recipe.base_share
        averaged = {name: tensor.lerp(start[name], share) for name, tensor in read_weights(net).items()}
        return self.with_projection(averaged, way), rows

    def with_projection(self, weights: Weights, way: str) -> Weights:
        """With the projection that has the least squares, beside the word vectors."""
        return weights | solve_projection(self.pool(weights, way, "all", self.solved), self.lacking)

    def pool(self, weights: Weights, way: str, pooling: str, documents: Documents) -> Vectors:
        """The vectors of some texts."""
        encoder = freeze(self.architecture, weights, self.run.device)
        return read_directions({way: encoder}, pooling, documents, self.vocabulary.pad_id)[way]


def _without_emphasis(weights: Weights, emphasis: Vectors) -> Weights:
    """What makes the distilled vector, as large as the teachers have it: emphasis is for the loss alone."""
    found = dict(weights)
    for name in OF_COMPONENTS & set(weights):
        found[name] = weights[name].clone()
        found[name][: len(emphasis)] /= torch.from_numpy(emphasis).reshape(-1, *[1] * (found[name].ndim - 1))
    return found


def _word_vectors(
    base: LanguageModel,
    vocabulary: Vocabulary,
    documents: Documents,
    targets: npt.NDArray[np.float16],
    of_words: Callable[[], npt.NDArray[np.float16]],
    recipe: WordVectorRecipe,
    seed: int,
) -> Weights:
    """In reading order: the base's, which go on learning, where these are there and wanted; else new ones.

    The teachers are asked for the vectors ``of_words`` only where some words are new.
    """
    if not (recipe.from_base and base.architecture.words):
        return fit_word_vectors(documents, targets, of_words(), recipe=recipe, seed=seed)
    known, (way, weights) = base.vocabulary.index, next(iter(base.weights.items()))
    new = np.array([place for place, token in enumerate(vocabulary.tokens) if token not in known], np.int64)
    start = exchange_words(words_alone(weights), base.vocabulary, vocabulary)
    start = mirrored(start) if way == "backward" else start
    if len(new):
        start = with_new_words(start, new, of_words())
    return continue_word_vectors(start, documents, targets, recipe=recipe, seed=seed)


def _checked(opinions: npt.ArrayLike, count: int) -> Vectors:
    numbers = np.asarray(opinions, np.float32)
    if numbers.shape != (count,) or not (np.abs(numbers) <= 1).all():
        raise DataError(f"opinions must be {count} numbers from -1 to 1, one for each text")
    return numbers


def solve_projection(features: Vectors, targets: npt.NDArray[np.floating[Any]]) -> Weights:
    """The matrix and the bias with the least squares, a little regularised, from (n, width) pooled texts to targets."""
    mean, spread = features.mean(0), features.std(0) + 1e-3
    standard, wanted = (features - mean) / spread, targets.astype(np.float32)
    gram = standard.T @ standard + RIDGE * len(standard) * np.eye(standard.shape[1], dtype=np.float32)
    weight = (np.linalg.solve(gram, standard.T @ (wanted - wanted.mean(0))) / spread[:, None]).T
    bias = wanted.mean(0) - weight @ mean
    return {"map.weight": torch.tensor(weight).float(), "map.bias": torch.tensor(bias).float()}
