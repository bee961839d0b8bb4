"""Word vectors whose weighted mean comes close to a sentence transformer's vector of the whole text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.arrays import Ints
from ulmfit_lib.models.pooling import mean_words, weighted_words
from ulmfit_lib.models.tensors import Weights
from ulmfit_lib.progress import bar
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.teachers import Vectors

SCALED_TEXTS = 8192  # that the vectors' length is fitted on
WARM_UP = 200  # steps, or a tenth of all if these are fewer
BETAS = (0.9, 0.98)  # AdamW's momenta
USUAL_FREQUENCY = 1e-3  # a word this frequent counts half (Arora et al. 2017), before training


@dataclass(frozen=True)
class WordVectorRecipe:
    """Hyperparameters of word vectors.

    Attributes:
        width: of the vectors; a matrix makes them as wide as the targets.
        epochs: how often each text is read.
        lr: AdamW's maximal rate of the vectors; all rates rise over the first steps and fall to zero linearly.
        importance_lr: of the words' weights, which are logarithms and thus much larger than a vector's numbers.
        projection_lr: of the matrix.
        batch_size: texts per step.
        dropout: share of the tokens that are left out of a text in training.
        similarities: weight of the mean squared error of the similarities of a batch's texts with each other, beside
            the distance to the target, 1 - cosine.
    """

    width: int = 288
    epochs: int = 3
    lr: float = 8e-4
    importance_lr: float = 1.5e-2
    projection_lr: float = 5e-3
    batch_size: int = 256
    dropout: float = 0.1
    similarities: float = 10.0


class WordVectorNet(nn.Module):
    """Token ids -> the weighted mean of their vectors, as wide as the targets and of length 1."""

    def __init__(self, vectors: Tensor, importance: Tensor, projection: Tensor) -> None:
        super().__init__()
        self.weight, self.importance = nn.Parameter(vectors), nn.Parameter(importance)
        self.projection = nn.Parameter(projection)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(n_tokens,) ids of texts that start at (batch,) offsets -> (batch, distilled)."""
        factors = self.importance[ids].exp()
        sums = F.embedding_bag(ids, self.weight, offsets, mode="sum", per_sample_weights=factors)
        return F.normalize(F.linear(sums, self.projection), dim=1)


def fit_word_vectors(
    documents: Documents, targets: Vectors, of_words: Vectors, *, recipe: WordVectorRecipe, seed: int
) -> Weights:
    """Word vectors for a vocabulary, their weights, and the matrix that makes them as wide as the targets.

    They start from the teachers' vectors of the single words, so that rare words have a sensible one, and from weights
    that fall with a word's frequency.

    Args:
        documents: texts as ids.
        targets: (n_texts, distilled) what a text's vector should be, of length 1.
        of_words: (vocabulary, distilled) the targets of the single words.
        recipe: hyperparameters.
        seed: of the order and the dropout.

    Returns:
        ``words.weight`` (vocabulary, width), ``words.importance`` (vocabulary,), ``words.projection``
        (distilled, width); scaled so that a text's projected mean is as close to its target as a factor can make it.
    """
    torch.manual_seed(seed)
    counts = documents.counts(len(of_words))
    net = _start(of_words, counts, recipe.width)
    rates = {net.weight: recipe.lr, net.importance: recipe.importance_lr, net.projection: recipe.projection_lr}
    groups = [{"params": [parameter], "lr": lr} for parameter, lr in rates.items()]
    optimizer = torch.optim.AdamW(groups, betas=BETAS, weight_decay=0.0)
    rng, truth = np.random.default_rng(seed), torch.from_numpy(targets)
    steps = recipe.epochs * -(-len(targets) // recipe.batch_size)
    warm_up = max(1, min(WARM_UP, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / steps)
    )
    with bar(total=steps, description="fitting word vectors", unit="step") as progress:
        for places in _batches(len(targets), recipe, rng):
            wanted = truth[places].float()
            found = net(*_flat(documents, places, dropout=recipe.dropout, rng=rng))
            apart = F.mse_loss(found @ found.T, wanted @ wanted.T)
            loss = 1 - (found * wanted).sum(1).mean() + recipe.similarities * apart
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.update(1)
    return _scaled(net, documents, truth)


def _start(of_words: Vectors, counts: Ints, width: int) -> WordVectorNet:
    """The strongest directions of the single words' targets, by how often the words occur."""
    vectors = of_words.astype(np.float32)
    strength = np.sqrt(counts + 1.0)[:, None]
    gram = (vectors * strength).T @ (vectors * strength)
    projection = np.linalg.eigh(gram)[1][:, ::-1][:, :width].astype(np.float32)
    frequency = counts / max(1, counts.sum())
    importance = np.log(USUAL_FREQUENCY / (USUAL_FREQUENCY + frequency)).astype(np.float32)
    return WordVectorNet(*map(torch.from_numpy, (vectors @ projection, importance, np.ascontiguousarray(projection))))


def _batches(count: int, recipe: WordVectorRecipe, rng: np.random.Generator) -> Iterator[Ints]:
    for _ in range(recipe.epochs):
        order = rng.permutation(count)
        yield from np.split(order, range(recipe.batch_size, count, recipe.batch_size))


def _flat(
    documents: Documents, places: Ints, *, dropout: float = 0.0, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Some texts' ids one after the other, and where each starts; the first token of a text is never left out."""
    texts = [documents[place] for place in places]
    if rng is not None and dropout:
        texts = [_thinned(ids, dropout, rng) for ids in texts]
    starts = np.cumsum([0, *map(len, texts[:-1])])
    return torch.from_numpy(np.concatenate(texts).astype(np.int64)), torch.from_numpy(starts)


def _thinned(ids: npt.NDArray[np.integer], dropout: float, rng: np.random.Generator) -> npt.NDArray[np.integer]:
    kept = rng.random(len(ids)) >= dropout
    kept[:1] = True
    return ids[kept]


def projected_means(weights: Weights, documents: Documents) -> Tensor:
    """The weighted means of texts' word vectors, projected but not of length 1: (n_texts, distilled)."""
    ids, offsets = _flat(documents, np.arange(len(documents)))
    weighted = weighted_words(weights["words.weight"], weights["words.importance"])
    return F.linear(mean_words(weighted, ids, offsets), weights["words.projection"])


def _scaled(net: WordVectorNet, documents: Documents, targets: Tensor) -> Weights:
    weights = {f"words.{name}": parameter.detach() for name, parameter in net.named_parameters()}
    some = np.arange(min(SCALED_TEXTS, len(targets)))
    means, wanted = projected_means(weights, documents.select(some)), targets[some].float()
    factor = (means * wanted).sum() / (means * means).sum()
    return weights | {"words.weight": weights["words.weight"] * factor}
