"""Word vectors whose weighted mean comes close to a sentence transformer's vector of the whole text.

First each word learns a vector that is the same in all texts; then, if asked for, blocks learn what words add to each
other, and the vectors go on learning with them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.arrays import Ints
from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.models.tensors import Weights
from ulmfit_lib.models.word_vectors import WordVectors, end_to_end
from ulmfit_lib.progress import bar
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.distillation_recipe import ContextRecipe, WordVectorRecipe
from ulmfit_lib.training.teachers import Vectors

SCALED_TEXTS = 8192  # that the vectors' length is fitted on
TOGETHER = 256  # texts that are read at a time, once they have learnt
IN_CONTEXT = ("context.", "score", "widen")  # of the parameters: what reads words in context
RIDGE = 1e-3  # regularisation of least squares, as a share of the inputs' variance
WARM_UP = 200  # steps, or a tenth of all if these are fewer
BETAS = (0.9, 0.98)  # AdamW's momenta
USUAL_FREQUENCY = 1e-3  # a word this frequent counts half (Arora et al. 2017), before training


def fit_word_vectors(
    documents: Documents, targets: Vectors, of_words: Vectors, *, recipe: WordVectorRecipe, seed: int
) -> Weights:
    """Word vectors for a vocabulary, their weights, and the matrix that makes them as wide as the targets.

    They start from ``of_words``, the (vocabulary, distilled) targets of the single words, so that rare words have a
    sensible one, and from weights that fall with a word's frequency. The ``targets`` are (n_texts, distilled), of
    length 1.

    Returns:
        The tensors of ``models.word_vectors.WordVectors`` by name, the kernels of blocks in the order of
            reading; scaled so that a text's projected mean is as close to its target as a factor can make it.
    """
    torch.manual_seed(seed)
    net = _start(of_words, documents.counts(len(of_words)), recipe.width)
    groups = _groups(net, recipe.lr, recipe.importance_lr, recipe.projection_lr)
    texts = _Texts(documents, torch.from_numpy(targets), recipe, np.random.default_rng(seed))
    _train(net, groups, texts, epochs=recipe.epochs, batch_size=recipe.batch_size, description="fitting word vectors")
    if recipe.context:
        net = _with_context(net, recipe.context)
        _train_context(net, texts, recipe.context)
    return _scaled(net, documents, texts.targets)


def with_new_words(start: Weights, new_words: Ints, of_words: Vectors) -> Weights:
    """Word vectors with a row for each word of a vocabulary, those of the (n_new,) new words made from their targets.

    The targets ``of_words``, (vocabulary, distilled), are mapped as fits the known words best. New words get the median
    importance.
    """
    weight, importance = start["words.weight"].clone(), start["words.importance"].clone()
    known = np.setdiff1d(np.arange(len(of_words)), new_words)
    teachers = torch.from_numpy(of_words.astype(np.float32))
    weight[new_words] = teachers[new_words] @ _least_squares(teachers[known], weight[known])
    importance[new_words] = importance[known].median()
    return start | {"words.weight": weight, "words.importance": importance}


def continue_word_vectors(
    start: Weights, documents: Documents, targets: Vectors, *, recipe: WordVectorRecipe, seed: int
) -> Weights:
    """The same from the word vectors of a distilled base, which few texts bring closer to other teachers.

    They ``start`` with kernels in the order of reading. The matrix starts from the least squares. Of the recipe,
    ``context`` counts.
    """
    torch.manual_seed(seed)
    net = WordVectors.of({name: tensor.clone() for name, tensor in start.items()})
    texts = _Texts(documents, torch.from_numpy(targets), recipe, np.random.default_rng(seed))
    some = np.arange(min(SCALED_TEXTS, len(targets)))
    means = net(*_flat(documents, some))
    net.projection = nn.Parameter(_least_squares(means, texts.targets[some].float()).T.contiguous())
    net.requires_grad_(True)
    _train_context(net, texts, recipe.context or ContextRecipe())
    return _scaled(net, documents, texts.targets)


def _least_squares(inputs: Tensor, wanted: Tensor) -> Tensor:
    """(n, n_in) and (n, n_out) -> the matrix (n_in, n_out), a little regularised."""
    gram = inputs.T @ inputs
    gram += RIDGE * gram.trace() / len(gram) * torch.eye(len(gram))
    return torch.linalg.solve(gram, inputs.T @ wanted)


class _Texts(NamedTuple):
    """What is learnt."""

    documents: Documents
    targets: Tensor
    recipe: WordVectorRecipe
    rng: np.random.Generator


def _train(
    net: WordVectors,
    groups: list[dict[str, Any]],
    texts: _Texts,
    *,
    epochs: int,
    batch_size: int,
    description: str,
    clip: float = 0.0,
) -> None:
    """AdamW on groups of parameters, the last of which is clipped."""
    optimizer = torch.optim.AdamW(groups, betas=BETAS, fused=True)
    steps = epochs * -(-len(texts.targets) // batch_size)
    warm_up = max(1, min(WARM_UP, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / steps)
    )
    recipe, bfloat16 = texts.recipe, clip > 0 and fast_bfloat16(net.weight.device)
    with bar(total=steps, description=description, unit="step") as progress:
        for places in _batches(len(texts.targets), epochs, batch_size, texts.rng):
            wanted = texts.targets[places].float()
            batch = _flat(texts.documents, places, dropout=recipe.dropout, rng=texts.rng)
            with torch.autocast(net.weight.device.type, torch.bfloat16, enabled=bfloat16):
                means = net.projected(*batch)
            found = F.normalize(means.float(), dim=1)
            apart = F.mse_loss(found @ found.T, wanted @ wanted.T)
            loss = 1 - (found * wanted).sum(1).mean() + recipe.similarities * apart
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(groups[-1]["params"], clip)
            optimizer.step()
            schedule.step()
            progress.update(1)


def _groups(net: WordVectors, vectors_lr: float, importance_lr: float, projection_lr: float) -> list[dict[str, Any]]:
    """What all word vectors have, for an optimiser, each with its rate."""
    rates = {net.weight: vectors_lr, net.importance: importance_lr, net.projection: projection_lr}
    return [{"params": [parameter], "lr": lr, "weight_decay": 0.0} for parameter, lr in rates.items()]


def _holding(
    weight: Tensor, importance: Tensor, projection: Tensor, context: ContextRecipe | None = None
) -> WordVectors:
    """Word vectors with these values, and blocks that add nothing yet."""
    vocab_size, width = weight.shape
    sizes = (context.blocks, context.width) if context else ()
    net = WordVectors(vocab_size, width, len(projection), *sizes)
    with torch.no_grad():
        net.weight.copy_(weight)
        net.importance.copy_(importance)
        net.projection[:, :width].copy_(projection)
    return net


def _with_context(net: WordVectors, context: ContextRecipe) -> WordVectors:
    """The same with blocks, its vectors of a size that blocks learn from."""
    size = net.weight.detach().square().mean().sqrt()
    return _holding(net.weight / size, net.importance, net.projection * size, context)


def _train_context(net: WordVectors, texts: _Texts, recipe: ContextRecipe) -> None:
    groups = _groups(net, recipe.vectors_lr, recipe.importance_lr, recipe.projection_lr)
    blocks = [parameter for name, parameter in net.named_parameters() if name.startswith(IN_CONTEXT)]
    groups.append({"params": blocks, "lr": recipe.lr, "weight_decay": recipe.weight_decay})
    _train(
        net,
        groups,
        texts,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        description="fitting words in context",
        clip=recipe.clip,
    )


def _start(of_words: Vectors, counts: Ints, width: int) -> WordVectors:
    """The strongest directions of the single words' targets, by how often the words occur."""
    vectors = of_words.astype(np.float32)
    strength = np.sqrt(counts + 1.0)[:, None]
    gram = (vectors * strength).T @ (vectors * strength)
    projection = np.linalg.eigh(gram)[1][:, ::-1][:, :width].astype(np.float32)
    frequency = counts / max(1, counts.sum())
    importance = np.log(USUAL_FREQUENCY / (USUAL_FREQUENCY + frequency)).astype(np.float32)
    weight = torch.from_numpy(vectors @ projection)
    return _holding(weight, torch.from_numpy(importance), torch.from_numpy(projection))


def _batches(count: int, epochs: int, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    for _ in range(epochs):
        yield from np.split(rng.permutation(count), range(size, count, size))


def _flat(
    documents: Documents, places: Ints, *, dropout: float = 0.0, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Some texts ``end_to_end``; the first token of each is never left out."""
    texts = [documents[place] for place in places]
    if rng is not None and dropout:
        texts = [thinned(ids, dropout, rng) for ids in texts]
    return end_to_end(texts)


def thinned(ids: npt.NDArray[np.integer], dropout: float, rng: np.random.Generator) -> npt.NDArray[np.integer]:
    """A text's tokens without a random share of them; the first one stays."""
    kept = rng.random(len(ids)) >= dropout
    kept[:1] = True
    return ids[kept]


def projected_means(weights: Weights, documents: Documents) -> Tensor:
    """The weighted means of texts' word vectors, projected but not of length 1: (n_texts, distilled)."""
    net = WordVectors.of(weights)
    places = np.split(np.arange(len(documents)), range(TOGETHER, len(documents), TOGETHER))
    return torch.cat([net.projected(*_flat(documents, some)) for some in places])


def _scaled(net: WordVectors, documents: Documents, targets: Tensor) -> Weights:
    weights = {name: parameter.detach() for name, parameter in net.named_weights().items()}
    some = np.arange(min(SCALED_TEXTS, len(targets)))
    means, wanted = projected_means(weights, documents.select(some)), targets[some].float()
    factor = (means * wanted).sum() / (means * means).sum()
    return weights | {"words.projection": weights["words.projection"] * factor}
