"""The weighted mean of a text's word vectors: the part of a distilled vector that needs no recurrence.

ids (n_tokens,), all texts one after the other
    |  a vector and the logarithm of a weight for each word
(n_tokens, words)
    |  blocks, if there are any: vectors are widened; then each block adds to a word's vector what it makes of the two
    |  words on either side, and of the mean of the whole text
(n_tokens, mean_width)
    |  weighted mean of each text; in context, what a word is in its text adds to its weight
(n_texts, mean_width)
"""

import re
from collections.abc import Sequence
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulmfit_lib.artifact.architecture import CONTEXT_KERNEL, CONTEXT_WIDER
from ulmfit_lib.models.cpu_products import Int8Matrix, Steps
from ulmfit_lib.models.tensors import Weights

TOKENS = 512  # that a block holds at a time, so that they stay in the cache
REACH = CONTEXT_KERNEL // 2  # words on either side


class ContextBlock(nn.Module):
    """What words add to each other, after the residual networks of language models: it starts by adding nothing.

    The kernel over the words around a word is one number for each word's place and number (a depthwise convolution);
    an encoder that reads backward has it mirrored, so that both read each text in the same way.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.near = nn.Parameter(torch.empty(width, CONTEXT_KERNEL).uniform_(-1, 1) / CONTEXT_KERNEL**0.5)
        self.of_words: nn.Module = nn.Linear(width, CONTEXT_WIDER * width, bias=False)
        self.of_text = nn.Linear(width, CONTEXT_WIDER * width)
        self.narrow: nn.Module = nn.Linear(CONTEXT_WIDER * width, width)
        for parameter in self.narrow.parameters():
            nn.init.zeros_(parameter)

    def forward(self, vectors: Tensor, starts: Tensor, texts: Tensor) -> Tensor:
        """Word vectors, (n_tokens, width), of texts that start at (n_texts,), and each token's text -> the same."""
        normed = self.norm(vectors)
        whole = F.embedding_bag(torch.arange(len(normed), device=normed.device), normed, starts, mode="mean")
        place = torch.arange(len(normed), device=normed.device) + REACH * texts  # no text reaches into the next one
        apart = normed.new_zeros(len(normed) + REACH * (len(starts) + 1), normed.shape[1])
        apart = apart.index_copy(0, place + REACH, normed)
        by_text, added = self.of_text(whole), []
        for rows, their in zip(place.split(TOKENS), texts.split(TOKENS), strict=True):
            low, high = int(rows[0]), int(rows[-1]) + 1
            around = apart[low:high] * self.near[:, 0]
            for step in range(1, CONTEXT_KERNEL):
                around = around.addcmul(apart[low + step : high + step], self.near[:, step])
            added.append(self.narrow((self.of_words(around[rows - low]) + by_text[their]).relu_()))
        return vectors + torch.cat(added)


class RowsOfBytes(nn.Module):
    """A linear layer whose products are those of bytes; each row of inputs is rounded with a scale of its own.

    So what becomes of a row does not depend on the rows beside it.
    """

    def __init__(self, layer: nn.Linear, steps: Steps) -> None:
        super().__init__()
        self._matrix = Int8Matrix(layer.weight, steps=steps)
        self._bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(rows, n_in) -> (rows, n_out)."""
        largest = inputs.abs().amax(1, keepdim=True).clamp_min(1e-12)
        product = self._matrix(inputs / largest)
        return product * largest if self._bias is None else torch.addcmul(self._bias, product, largest)


class WordVectors(nn.Module):
    """Word vectors and the logarithms of their weights; a matrix that makes a mean as wide as a distilled vector.

    So many ``context`` blocks read words in context, and widen a word's vector to ``context_width``; with 0 blocks a
    word is the same in all texts, and with a width of 0 it stays as wide as it is.
    """

    def __init__(self, vocab_size: int, width: int, distilled: int, context: int = 0, context_width: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocab_size, width))
        self.importance = nn.Parameter(torch.zeros(vocab_size))
        self.widen = nn.Parameter(torch.eye(context_width, width)) if context_width else None
        width = context_width or width
        self.projection = nn.Parameter(torch.zeros(distilled, width))
        self.context = nn.ModuleList(ContextBlock(width) for _ in range(context))
        self.score = nn.Parameter(torch.zeros(width)) if context else None

    @classmethod
    def of(cls, weights: Weights) -> "WordVectors":
        """Of an encoder's tensors by name, whose memory it shares; nothing of it learns."""
        blocks = next(number for number in count() if f"near.{number}" not in weights)
        with torch.device("meta"):
            vocab_size, width = weights["words.weight"].shape
            context_width = len(weights.get("words.widen", ()))
            vectors = cls(vocab_size, width, len(weights["words.projection"]), blocks, context_width)
        vectors.load_state_dict({name: weights[stable] for name, stable in vectors._stable_names()}, assign=True)
        return vectors.requires_grad_(False)

    def use_bytes(self, steps: Steps) -> None:
        """From now on, blocks multiply bytes: several times as fast."""
        for block in self.context:
            for name, layer in list(block.named_children()):
                if isinstance(layer, nn.Linear) and name != "of_text":
                    setattr(block, name, RowsOfBytes(layer, steps))

    def forward(self, ids: Tensor, starts: Tensor) -> Tensor:
        """(n_tokens,) ids of all texts one after the other, (n_texts,) where each starts -> (n_texts, mean_width)."""
        factors = self.importance[ids].exp()
        if self.score is None:
            sums = F.embedding_bag(ids, self.weight, starts, mode="sum", per_sample_weights=factors)
            return sums / _sums(factors[:, None], starts).clamp_min(1e-12)
        vectors = F.embedding(ids, self.weight)
        if self.widen is not None:
            vectors = F.linear(vectors, self.widen)
        texts = torch.bucketize(torch.arange(len(ids), device=ids.device), starts, right=True) - 1
        for block in self.context:
            vectors = block(vectors, starts, texts)
        factors = factors * (vectors @ self.score).exp()
        weighted = torch.cat([vectors.float() * factors[:, None], factors[:, None]], dim=1)
        sums = _sums(weighted, starts)
        return sums[:, :-1] / sums[:, -1:].clamp_min(1e-12)

    def projected(self, ids: Tensor, starts: Tensor) -> Tensor:
        """The same, as wide as a distilled vector: (n_texts, distilled)."""
        return F.linear(self(ids, starts), self.projection)

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The parameters under our stable names."""
        parameters = dict(self.named_parameters())
        return {stable: parameters[name] for name, stable in self._stable_names()}

    def _stable_names(self) -> list[tuple[str, str]]:
        """Both directions have all in common, but for the kernels."""
        names = [name for name, _ in self.named_parameters()]
        return [(name, re.sub(r"^words\.context\.(\d+)\.near$", r"near.\1", f"words.{name}")) for name in names]


def end_to_end(texts: Sequence[npt.NDArray[np.integer]]) -> tuple[Tensor, Tensor]:
    """The ids of each text -> those of all, one text after the other, and where each starts."""
    starts = np.cumsum([0, *map(len, texts[:-1])])
    return torch.from_numpy(np.concatenate(texts).astype(np.int64)), torch.from_numpy(starts)


def mirrored(weights: Weights) -> Weights:
    """Tensors of one direction for the other one."""
    return {name: tensor.flip(1) if name.startswith("near.") else tensor for name, tensor in weights.items()}


def _sums(rows: Tensor, starts: Tensor) -> Tensor:
    """(n_tokens, width) -> (n_texts, width)."""
    return F.embedding_bag(torch.arange(len(rows), device=rows.device), rows, starts, mode="sum")
