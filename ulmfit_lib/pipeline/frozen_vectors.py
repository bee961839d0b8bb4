"""What frozen encoders make of texts, each of which they read once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ulmfit_lib.arrays import Features, Vectors, side_by_side
from ulmfit_lib.models.language_model import LanguageModel


class FrozenVectors:
    """What a language model's frozen encoders make of texts by a ``pooling``, kept."""

    def __init__(self, lm: LanguageModel, pooling: str) -> None:
        self._lm = lm
        self._pooling = pooling
        self._places: dict[str, int] = {}
        self._vectors: Features = {}

    @property
    def distilled(self) -> int:
        """How many of the numbers of a vector, the first ones, are a distilled vector."""
        return self._lm.architecture.distilled_width(self._pooling)

    def features(self, texts: Sequence[str], device: torch.device) -> Features:
        """By direction, (n_texts, width); a text is read when it is asked for first."""
        new = [text for text in dict.fromkeys(texts) if text not in self._places]
        if new:
            self.remember(new, self._lm.to(device).features(new, pooling=self._pooling))
        places = [self._places[text] for text in texts]
        return {way: vectors[places] for way, vectors in self._vectors.items()}

    def knows(self, texts: Sequence[str]) -> bool:
        """Whether all of these have been read."""
        return all(text in self._places for text in texts)

    def remember(self, texts: Sequence[str], features: Features) -> None:
        """Take the ``features`` of texts that were read elsewhere."""
        start = len(next(iter(self._vectors.values()), ()))
        for way, vectors in features.items():
            self._vectors[way] = np.concatenate([self._vectors[way], vectors]) if start else vectors
        self._places |= {text: start + place for place, text in enumerate(texts)}


@dataclass(frozen=True, eq=False)
class FrozenReader:
    """A linear probe's ``embed`` from what its frozen encoders made of texts (``models.known_texts.Reader``)."""

    vectors: FrozenVectors
    device: torch.device

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, width), of length 1."""
        width = self.vectors.distilled or None
        found = self.vectors.features(texts, self.device)
        return side_by_side({way: vectors[:, :width] for way, vectors in found.items()})

    def to(self, device: str) -> "FrozenReader":
        """The same: it reads where the search reads."""
        return self
