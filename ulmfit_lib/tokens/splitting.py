"""spaCy's rules for splitting texts, applied without spaCy: a saved model keeps them, and so needs no spaCy to predict.

What spaCy does to a text with these rules is described at https://spacy.io/usage/linguistic-features#tokenization.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ulmfit_lib.errors import ArtifactError, OptionError, first_line
from ulmfit_lib.files import read_json

UNNEEDED = ("torch", "pandas")  # spaCy asks whether they are there, which takes seconds, and tokenises without them
COMMANDS = "spacy.cli.info"  # spaCy's commands, which load an HTTP client and more, for the sake of ``spacy.info``
RULES_FILE = "splitting.json"
RUN = re.compile(r"\s+|\S+")
NOTHING = re.compile(r"(?!)")


def import_spacy() -> ModuleType:
    """The module; what is not loaded yet of ``UNNEEDED`` and ``COMMANDS`` is out of its sight meanwhile."""
    commands = ModuleType(COMMANDS)
    commands.info = _info  # type: ignore[attr-defined]
    stand_ins = {**dict.fromkeys(UNNEEDED), COMMANDS: commands}  # None: an import fails
    hidden = [name for name in stand_ins if name not in sys.modules]
    sys.modules.update({name: stand_ins[name] for name in hidden})  # type: ignore[misc]
    try:
        import spacy
    finally:
        for name in hidden:
            del sys.modules[name]
    return spacy


def _info(*arguments: Any, **options: Any) -> Any:
    from spacy.cli.info import info

    return info(*arguments, **options)


@dataclass(frozen=True)
class Pattern:
    """A regular expression."""

    pattern: str
    flags: int = 0

    def compiled(self) -> re.Pattern[str]:
        """Ready to search."""
        return re.compile(self.pattern, self.flags)


@dataclass(frozen=True, eq=False)
class SplittingRules:
    """How texts of a language are split at other places than spaces."""

    special_cases: Mapping[str, Sequence[str]]  # the tokens of stretches that no pattern is asked about
    # What is cut off the start of a stretch without spaces, as long as there is something.
    prefix: Pattern | None = None
    suffix: Pattern | None = None  # what is cut off its end
    infix: Pattern | None = None  # where the rest is cut
    whole: Pattern | None = None  # what is never cut
    address: Pattern | None = None  # what is not cut at infixes

    @classmethod
    @lru_cache(maxsize=8)
    def of_spacy(cls, language: str) -> "SplittingRules":
        """Those of the installed spaCy; an OptionError where it does not know the language, or splits it otherwise."""
        advice = "use a code such as 'en' or 'de', or subword tokens"
        try:
            spacy = import_spacy()
        except ImportError as error:
            raise OptionError(
                f"language {language!r}: this model's folder lacks {RULES_FILE}, and so needs spaCy to split texts: "
                "pip install spacy"
            ) from error
        try:
            tokenizer = spacy.blank(language).tokenizer
        except ImportError as error:
            raise OptionError(
                f"language {language!r}: spaCy has no tokenizer for it ({first_line(error)}); {advice}"
            ) from error
        if not hasattr(tokenizer, "prefix_search"):
            raise OptionError(f"language {language!r}: spaCy splits it by other means than rules; {advice}")
        from spacy.symbols import ORTH

        searches = {
            "prefix": tokenizer.prefix_search,
            "suffix": tokenizer.suffix_search,
            "infix": tokenizer.infix_finditer,
            "whole": tokenizer.token_match,
            "address": tokenizer.url_match,
        }
        patterns = {name: search.__self__ for name, search in searches.items() if search is not None}
        return cls(
            {case: [token[ORTH] for token in tokens] for case, tokens in tokenizer.rules.items()},
            **{name: Pattern(found.pattern, found.flags) for name, found in patterns.items()},
        )

    @classmethod
    def load(cls, path: Path) -> "SplittingRules":
        """What ``as_json`` gave, from a file."""
        found = read_json(path)
        try:
            cases = {str(case): [str(token) for token in tokens] for case, tokens in found["special_cases"].items()}
            if any("".join(tokens) != case or "" in tokens for case, tokens in cases.items()):
                raise ValueError("a special case is not made of its tokens")
            others = {name: Pattern(**one) for name, one in found.items() if name != "special_cases" and one}
            rules = cls(cases, **others)
            Splitter(rules)  # what is wrong with a pattern is said here
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, re.error) as error:
            raise ArtifactError(f"{path}: these are no rules for splitting texts ({first_line(error)})") from error
        return rules

    def as_json(self) -> str:
        """For a model's folder."""
        return json.dumps(asdict(self), ensure_ascii=True, sort_keys=True)

    def with_special_cases(self, words: Sequence[str]) -> "SplittingRules":
        """The same rules, and words that stay as they are."""
        return replace(self, special_cases={**self.special_cases, **{word: [word] for word in words}})


class Splitter:
    """Splits texts as spaCy's ``Tokenizer`` does with the same rules.

    >>> rules = SplittingRules({"can't": ["ca", "n't"]}, prefix=Pattern("^[(]"), suffix=Pattern("[).]$"))
    >>> Splitter(rules)("(I can't  wait.)")
    ['(', 'I', 'ca', "n't", ' ', 'wait', '.', ')']
    """

    def __init__(self, rules: SplittingRules) -> None:
        self.rules = rules
        self._prefix, self._suffix, self._infix, self._whole, self._address = (
            pattern.compiled() if pattern else NOTHING
            for pattern in (rules.prefix, rules.suffix, rules.infix, rules.whole, rules.address)
        )

    def __call__(self, text: str) -> list[str]:
        """The tokens, in order; a single space between two of them is none."""
        tokens, spaced = self.split_stretches(text)
        return self._with_cases_of_several(tokens, spaced)

    def split_stretches(self, text: str, *, special: bool = True) -> tuple[list[str], list[bool]]:
        """Each stretch without spaces by itself: its tokens, and whether a space follows each."""
        tokens: list[str] = []
        spaced: list[bool] = []
        for found in RUN.finditer(text):
            stretch = found[0]
            if stretch[0] == " " and tokens:
                spaced[-1] = True
                stretch = stretch[1:]
            if stretch:
                tokens += self._split(stretch, special)
                spaced += [False] * (len(tokens) - len(spaced))
        return tokens, spaced

    @cached_property
    def plain_cases(self) -> dict[str, tuple[list[str], list[bool]]]:
        """What ``split_stretches`` makes of each special case that the patterns would cut, if it were none."""
        prefix, suffix, infix = self._prefix.search, self._suffix.search, self._infix.search
        return {
            case: self.split_stretches(case, special=False)
            for case in self.rules.special_cases
            if " " in case or prefix(case) or suffix(case) or infix(case)
        }

    @cached_property
    def _by_first_token(self) -> dict[str, list[list[str]]]:
        found: dict[str, list[list[str]]] = {}
        for tokens, _ in self.plain_cases.values():
            found.setdefault(tokens[0], []).append(tokens)
        return found

    def _split(self, stretch: str, special: bool) -> Sequence[str]:
        cases = self.rules.special_cases if special else {}
        prefixes: list[str] = []
        suffixes: list[str] = []
        rest, before = stretch, ""
        while rest and rest != before and rest not in cases and not self._whole.match(rest):
            before = rest
            found = self._prefix.search(rest)
            start = found.end() - found.start() if found else 0
            without = rest[start:]
            if start and without in cases:
                prefixes.append(rest[:start])
                rest = without
                break
            found = self._suffix.search(without)
            end = found.end() - found.start() if found else 0
            shorter = rest[:-end] if end else rest
            if end and shorter in cases:
                suffixes.append(rest[-end:])
                rest = shorter
                break
            if start:
                prefixes.append(rest[:start])
            if end and (not start or start + end <= len(rest)):
                suffixes.append(rest[-end:])
                rest = shorter[start:]
            else:
                rest = without
        return [*prefixes, *self._split_inside(rest, cases), *reversed(suffixes)]

    def _split_inside(self, rest: str, cases: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """What is left when nothing can be cut off the ends any more."""
        if not rest:
            return []
        if rest in cases:
            return cases[rest]
        if self._whole.match(rest) or self._address.match(rest):
            return [rest]
        parts: list[str] = []
        done = 0
        for found in self._infix.finditer(rest):
            if found.start():
                parts += [rest[done : found.start()], found[0]]
                done = found.end()
        return [part for part in [*parts, rest[done:]] if part]

    def _with_cases_of_several(self, tokens: list[str], spaced: list[bool]) -> list[str]:
        """Tokens, where several that make up a special case are replaced by its own; of overlapping ones, the longest.

        Tokens with a space between them make up a special case only if it has that space, too.
        """
        spans = [
            (len(case), start)
            for start, token in enumerate(tokens)
            for case in self._by_first_token.get(token, ())
            if tokens[start : start + len(case)] == case
        ]
        if not spans:
            return tokens
        chosen: dict[int, tuple[int, Sequence[str]]] = {}
        seen: set[int] = set()
        for length, start in sorted(spans, key=lambda span: (-span[0], span[1])):
            if start not in seen and start + length - 1 not in seen:
                inner = range(start, start + length)
                text = "".join(tokens[i] + " " * (spaced[i] and i < inner[-1]) for i in inner)
                if text in self.rules.special_cases:
                    chosen[start] = (length, self.rules.special_cases[text])
            seen.update(range(start, start + length))
        made: list[str] = []
        place = 0
        while place < len(tokens):
            length, own = chosen.get(place, (1, tokens[place : place + 1]))
            made += own
            place += length
        return made
