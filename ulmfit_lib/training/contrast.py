"""What words in context add to a text learns from labels which texts belong together.

Texts of one class draw closer and others move apart (supervised contrastive learning, Khosla et al. 2020), so that a
linear head finds more from few rows. Of tags and ratings, texts draw the closer the more alike their labels are. The
blocks that read words in context learn, in seconds; the recurrent encoder stays as it is, and so do the word vectors
themselves, or words that no labelled text has would fall behind.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.arrays import Features, Ints
from ulmfit_lib.artifact.architecture import WORDS
from ulmfit_lib.artifact.record import Stage
from ulmfit_lib.artifact.tensors import rounded_rows
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights, words_alone
from ulmfit_lib.models.word_vectors import WordVectors, end_to_end, mirrored
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import group_by_length
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.word_vectors import IN_CONTEXT, thinned

READ_TOGETHER = 64  # texts, once the blocks have learnt
MEDIUM = 3.0  # between few and many classes, the temperature is this divided by their number
MIN_EPOCHS = 2  # of many texts
SAME_AS_WORDS = ("words.weight", "words.importance", "words.projection")


@dataclass(frozen=True)
class ContrastRecipe:
    """Hyperparameters, found on the development sets with 8 rows of a class, and with 100 and 500 at random."""

    epochs: int = 8
    max_steps: int = 64  # of those epochs together: with many texts there are fewer, two at least; 0 sets no limit
    batch_size: int = 32  # texts, of which pairs are of one class
    lr: float = 4e-4
    temperature: float = 0.6  # of few classes
    temperature_of_many: float = 0.1  # of thirty classes and more
    dropout: float = 0.1  # share of the words that are left out
    max_tokens: int = 64  # that are read of a text while blocks learn
    clip: float = 1.0  # the largest gradient norm

    def for_texts(self, count: int) -> "ContrastRecipe":
        """The same for so many texts: of many, as many epochs would fit the blocks to their labels too closely."""
        if not self.max_steps:
            return self
        most = max(MIN_EPOCHS, self.max_steps // -(-count // self.batch_size))
        return replace(self, epochs=min(self.epochs, most))

    def temperature_for(self, classes: int) -> float:
        """Lower where there are many classes: then it matters which of the others a text is closest to."""
        return min(self.temperature, max(self.temperature_of_many, MEDIUM / classes))


@dataclass(frozen=True, eq=False)
class TokenizedTexts:
    """Texts that words in context are read of."""

    ids: Sequence[Ints]  # the tokens of each, in the order in which they are written
    direction: str  # whose features are made

    @classmethod
    def of(cls, lm: LanguageModel, texts: Sequence[str]) -> "TokenizedTexts":
        """Texts as a language model's tokens."""
        mend = lm.architecture.mends(WORDS)
        documents = tokenize_corpus(texts, lm.tokenizer).numericalize(lm.vocabulary, mend=mend)
        return cls([documents[i].astype(np.int64) for i in range(len(documents))], next(iter(lm.weights)))

    def thinned(self, words: WordVectors, places: Ints, recipe: ContrastRecipe, rng: np.random.Generator) -> Tensor:
        """Vectors of length 1 of texts that lack some words, (n_places, distilled)."""
        texts = [thinned(self.ids[place][: recipe.max_tokens], recipe.dropout, rng) for place in places]
        return _vectors(words, texts)

    def features(self, words: WordVectors) -> Features:
        """What ``LanguageModel.features`` gives with the pooling ``words`` and these words in context."""
        found = np.empty((len(self.ids), len(words.projection)), np.float32)
        with torch.inference_mode():
            for places in group_by_length(np.array([len(ids) for ids in self.ids]), max_texts=READ_TOGETHER):
                found[places] = _vectors(words, [self.ids[place] for place in places]).numpy()
        return {self.direction: found}


def can_contrast(lm: LanguageModel) -> bool:
    """Whether a language model has words in context, which can learn from labels."""
    return bool(lm.architecture.context)


def check_contrast(lm: LanguageModel) -> None:
    """An OptionError where a language model cannot learn from labels in this way."""
    if not can_contrast(lm):
        raise OptionError(
            "strategy 'contrast' needs a base that reads words in context, such as general-en-small; "
            "take linear-probe or fine-tune"
        )


def learn_contrast(
    texts: TokenizedTexts,
    targets: Ints,
    kind: LabelKind,
    lm: LanguageModel,
    recipe: ContrastRecipe,
    *,
    seed: int,
) -> WordVectors:
    """A language model's words in context after they have learnt from texts with ``targets`` of a kind."""
    recipe = recipe.for_texts(len(targets))
    words = words_of(lm)
    learning = [one for name, one in words.named_parameters() if name.startswith(IN_CONTEXT)]
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(learning, lr=recipe.lr, betas=(0.9, 0.98), weight_decay=0.0)
    rng = np.random.default_rng(seed)
    steps = max(1, recipe.epochs * -(-len(targets) // recipe.batch_size))
    warm_up = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm_up) * (1 - step / steps)
    )
    groups = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    temperature = recipe.temperature_for(int(groups.max()) + 1 if kind.exclusive else 2)  # a tag is there, or is not
    for _ in range(recipe.epochs):
        for places in _batches_of_pairs(groups, recipe.batch_size, rng):
            vectors = texts.thinned(words, places, recipe, rng)
            likeness = torch.from_numpy(kind.likeness(targets[places])).float()
            loss = contrastive_loss(vectors, likeness, temperature)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learning, recipe.clip)
            optimizer.step()
            schedule.step()
    words.requires_grad_(False)
    for parameter in learning:  # so that heads learn from what a file in bytes holds
        if parameter.ndim == 2:
            parameter.copy_(torch.from_numpy(rounded_rows(parameter.numpy())))
    return words


def contrastive_loss(vectors: Tensor, likeness: Tensor, temperature: float) -> Tensor:
    """How far texts of like labels are from each other, beside the others (Khosla et al. 2020, equation 2).

    Args:
        vectors: (n, width) of length 1.
        likeness: (n, n) how alike the labels of two texts are, from 0 to 1 (``LabelKind.likeness``).
        temperature: that similarities are divided by.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool)
    similarities = (vectors @ vectors.T / temperature).masked_fill(itself, -1e9)
    likeness = likeness.masked_fill(itself, 0)
    paired = likeness.any(1)
    likely = (similarities.log_softmax(1) * likeness).sum(1)[paired] / likeness.sum(1)[paired]
    return -likely.sum() / paired.sum().clamp_min(1)


def words_of(lm: LanguageModel) -> WordVectors:
    """A copy of a language model's word vectors, the kernels of blocks in the order in which texts are written."""
    way, weights = next(iter(lm.weights.items()))
    own = words_alone(weights)
    if way == "backward":
        own = mirrored(own)
    return WordVectors.of(
        {name: tensor if name in SAME_AS_WORDS else tensor.float().clone() for name, tensor in own.items()}
    )


def with_words(lm: LanguageModel, words: WordVectors) -> LanguageModel:
    """The language model with what its words in context have learnt."""
    learnt: Weights = {
        name: tensor.detach() for name, tensor in words.named_weights().items() if name not in SAME_AS_WORDS
    }
    by_way = {way: mirrored(learnt) if way == "backward" else learnt for way in lm.weights}
    return replace(lm, weights={way: {**weights, **by_way[way]} for way, weights in lm.weights.items()})


def contrast(lm: LanguageModel, table: TextTable, recipe: ContrastRecipe, run: Run) -> LanguageModel:
    """A language model whose words in context have learnt which of a table's labelled texts belong together.

    Args:
        lm: the language model; it stays as it is.
        table: labelled rows.
        recipe: hyperparameters; of many texts there are fewer epochs.
        run: seed.

    Raises:
        OptionError: it reads no words in context.
    """
    check_contrast(lm)
    started = time.monotonic()
    recipe = recipe.for_texts(len(table))
    read, kind = TokenizedTexts.of(lm, table.texts), table.kind.learnt_from(table)
    words = learn_contrast(read, table.class_numbers(), kind, lm, recipe, seed=run.seed)
    stage = Stage(
        "contrast",
        source=table.source,
        labelled_texts=len(table),
        seconds=round(time.monotonic() - started),
        device="cpu",
        seed=run.seed,
        recipe=asdict(recipe),
        data_sha256=table.sha256(),
    )
    return replace(with_words(lm, words), training=lm.training.then(stage))


def _vectors(words: WordVectors, texts: Sequence[npt.NDArray[np.integer]]) -> Tensor:
    """(n_texts, distilled) of length 1."""
    in_bfloat16 = torch.is_grad_enabled() and fast_bfloat16(torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
        means = words(*end_to_end(texts))
    return F.normalize(F.linear(means, words.projection), dim=1)


def _batches_of_pairs(groups: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """All rows in a random order in which rows of one of the (n,) groups come in pairs, as far as that goes."""
    pairs: list[Ints] = []
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        pairs += np.split(rows, range(2, len(rows), 2))
    order = np.concatenate([pairs[i] for i in rng.permutation(len(pairs))])
    yield from np.split(order, range(size, len(order), size))
