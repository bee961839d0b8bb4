"""Tokens <-> ids."""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.files import read_json
from ulmfit_lib.tokens.rules import PAD, SPECIAL_TOKENS, START, UNKNOWN
from ulmfit_lib.tokens.spelling import Spelling


class Vocabulary:
    """A fixed list of tokens; a token's id is its place in the list.

    >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "good", "film"])
    >>> vocabulary.encode(["xxbos", "good", "grief"])
    [2, 9, 0]
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(tokens)
        missing = [token for token in (UNKNOWN, PAD, START) if token not in self.index]
        if missing:
            raise ValueError(f"a vocabulary needs the tokens {', '.join(missing)}")

    @classmethod
    def from_counts(
        cls, tokens: Sequence[str], counts: Ints, *, max_size: int = 30_000, min_count: int = 3
    ) -> "Vocabulary":
        """The special tokens, then the commonest of ``tokens``, (n_tokens,) ``counts``: at most ``max_size`` in all.

        Ties go to the token that comes first, so that the result is reproducible.

        >>> Vocabulary.from_counts(["film", "good"], np.array([3, 5])).tokens[9:]
        ('good', 'film')
        """
        special = set(SPECIAL_TOKENS)
        by_count = np.argsort(-counts, kind="stable")
        common = [tokens[i] for i in by_count[: max_size + len(special)] if counts[i] >= min_count]
        return cls([*SPECIAL_TOKENS, *(token for token in common if token not in special)][:max_size])

    def extended(self, tokens: Sequence[str], counts: Ints, *, max_size: int, min_count: int = 3) -> "Vocabulary":
        """These tokens in their places, then the commonest others of ``tokens``: at most ``max_size`` in all."""
        found = Vocabulary.from_counts(tokens, counts, max_size=max_size + len(self), min_count=min_count)
        new = [token for token in found.tokens if token not in self.index]
        return Vocabulary([*self.tokens, *new[: max(0, max_size - len(self))]])

    def refitted(self, tokens: Sequence[str], counts: Ints, *, size: int, min_count: int = 3) -> "Vocabulary":
        """The special tokens, then the commonest of these and of ``tokens``: ``size`` in all, these in their order.

        A new token needs ``min_count`` occurrences; one of these needs none where there is room.

        >>> Vocabulary([*SPECIAL_TOKENS, "good", "odd"]).refitted(["bad", "good"], np.array([4, 3]), size=11).tokens[9:]
        ('good', 'bad')
        """
        count = dict(zip(tokens, counts.tolist(), strict=True))
        candidates = self.extended(tokens, counts, max_size=size + len(self), min_count=min_count).tokens
        special = [token for token in candidates if token in SPECIAL_TOKENS]
        others = [token for token in candidates if token not in SPECIAL_TOKENS]
        others.sort(key=lambda token: -count.get(token, 0))
        kept = {*special, *others[: size - len(special)]}
        return Vocabulary(token for token in candidates if token in kept)

    @cached_property
    def index(self) -> dict[str, int]:
        """Token -> id; where a list from elsewhere repeats a token, its first id."""
        return dict(zip(reversed(self.tokens), reversed(range(len(self.tokens))), strict=True))

    @property
    def unknown_id(self) -> int:
        """The id that stands for every token outside the list."""
        return self.index[UNKNOWN]

    @property
    def pad_id(self) -> int:
        """The id that fills up a batch."""
        return self.index[PAD]

    @cached_property
    def spelling(self) -> Spelling:
        """What looks up the known word that another is read as."""
        return Spelling(self.index)

    def encode(self, tokens: Iterable[str], *, mend: bool = False) -> list[int]:
        """Ids of tokens; a token outside the list becomes ``unknown_id``.

        With ``mend``, it first becomes the known word that is spelled most like it, where there is one.

        >>> Vocabulary([*SPECIAL_TOKENS, "good", "film"]).encode(["xxbos", "films", "grief"], mend=True)
        [2, 10, 0]
        """
        index, unknown = self.index, self.unknown_id
        if not mend:
            return [index.get(token, unknown) for token in tokens]
        found = (index[token] if token in index else self.spelling.nearest(token) for token in tokens)
        return [unknown if i is None else i for i in found]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids."""
        return [self.tokens[i] for i in ids]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tokens,)  # what a copy looks up, it finds anew

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def save(self, path: Path) -> None:
        """Write a JSON list, index = id (tokens can hold newlines, so never one a line)."""
        path.write_text(json.dumps(self.tokens, ensure_ascii=True, indent=0), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what ``save`` wrote."""
        tokens: Sequence[str] = read_json(path)
        if not isinstance(tokens, list) or not set(map(type, tokens)) <= {str}:
            raise ArtifactError(f"{path}: a vocabulary is a JSON list of strings, and this is not")
        try:
            return cls(tokens)
        except ValueError as error:
            raise ArtifactError(f"{path}: {error}") from error
