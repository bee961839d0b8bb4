"""spaCy's special cases, where they may reach over a space."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ulmfit_lib.tokens.splitting import Splitter


class SpecialCases:
    """spaCy's special cases of several tokens ("''", ":)"), which it finds whatever space is between the tokens.

    Attributes:
        reach: characters in the longest one.
        meet: (n_left, n_right) whether a special case may go on from a token of one kind to a token of another, by
            the last character of the first and the first character of the second.
    """

    def __init__(self, splitter: Splitter) -> None:
        cuts = {cut for case, parts in splitter.plain_cases.items() for cut in _cuts(case, *parts)}
        self._cases = {left + right for left, right in cuts}
        self._cuts: dict[str, list[tuple[str, str]]] = {}
        self.reach = max(map(len, splitter.rules.special_cases), default=1)
        self._lefts = {left: i for i, left in enumerate({left[-1] for left, _ in cuts}, start=1)}
        self._rights = {right: i for i, right in enumerate({right[0] for _, right in cuts}, start=1)}
        self.meet = np.zeros((len(self._lefts) + 1, len(self._rights) + 1), bool)
        for left, right in cuts:
            self.meet[self._lefts[left[-1]], self._rights[right[0]]] = True
            self._cuts.setdefault(left[-1] + right[0], []).append((left, right))

    def kinds(self, token: str) -> tuple[int, int]:
        """The row and the column of ``meet`` for a token; 0 for most."""
        return self._lefts.get(token[-1], 0), self._rights.get(token[0], 0)

    def join(self, left: Sequence[str], right: Sequence[str]) -> bool:
        """Whether a special case lies across the end of some tokens and the start of those that follow."""
        before, after = "".join(left), "".join(right)
        starts, ends = self._bounds(reversed(left)), self._bounds(right)
        return any(
            before.endswith(start) and after.startswith(rest) and len(start) in starts and len(rest) in ends
            for start, rest in self._cuts.get(before[-1] + after[0], [])
        )

    def _bounds(self, tokens: Iterable[str]) -> set[int]:
        """How far, in characters, tokens reach; and anywhere within what was made of several tokens already."""
        found: set[int] = set()
        end = 0
        for token in tokens:
            found.update(range(end, end + len(token)) if token in self._cases else ())
            end += len(token)
            found.add(end)
        return found


def _cuts(case: str, tokens: Sequence[str], spaced: Sequence[bool]) -> Iterator[tuple[str, str]]:
    """A special case cut between any two of the tokens that it would be if it were none."""
    place = 0
    for token, space in zip(tokens[:-1], spaced, strict=False):
        place += len(token) + space
        yield case[:place], case[place:]
