"""Words: spaCy's tokens after fastai's text rules, token for token, several times faster.

Almost all that fastai's rules and spaCy do happens within a piece of text between two spaces, and texts repeat their
pieces. So each piece goes through the rules and spaCy once; from then on a text is a list of known pieces. What
crosses pieces is looked for: a word repeated three times (``xxwrep``), whitespace that meets whitespace, a special case
of spaCy's that two pieces make up. A text where it might matter, one in a hundred, goes the long way.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.data.special_cases import SpecialCases
from ulmfit_lib.data.text_rules import (
    RULE_NAMES,
    SAME_CHARACTER,
    SAME_WORD,
    SPECIAL_TOKENS,
    apply_rules,
    fix_html,
    replace_all_caps,
    replace_maj,
    replace_rep,
    replace_wrep,
    rm_useless_spaces,
    spec_add_spaces,
)
from ulmfit_lib.data.token_ids import TokenIds
from ulmfit_lib.errors import OptionError

MARK = "\ue000"  # a private character: starts each text and parts the pieces that are learnt together
BATCH = 512  # texts taken together
MOST_PIECES = 1_000_000  # remembered, some 200 bytes each
# In English, spaCy splits a run of letters only where its list of special cases says so, and one such mark after it
# always. (For other languages every piece goes through spaCy once.)
PLAIN = re.compile(r"([A-Za-z]+)([.,!?:]?)").fullmatch
BLANKS = re.compile(r"\s*[^\S ]\s*")  # whitespace that is more than spaces
# How a piece meets its neighbours:
BLANK, BLANK_FIRST, BLANK_LAST, SPACE_FIRST, VANISHES = 1, 2, 4, 8, 16
NO_WORD = -1


class PieceTable:
    """What is known of each piece: its tokens, its outer words, and how it meets its neighbours."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.tokens = array("i")  # of all pieces, one after the other
        self.starts, self.lengths = array("i"), array("i")
        self.first_words, self.last_words = array("i"), array("i")
        self.flags = array("B")
        self.words: dict[str, int] = {}

    def add(self, piece: str, tokens: Sequence[int], words: Sequence[str], flags: int = 0) -> None:
        """Remember a piece, its tokens, and the words in it that repetition looks at."""
        self.numbers[piece] = len(self.starts)
        self.starts.append(len(self.tokens))
        self.lengths.append(len(tokens))
        self.tokens.extend(tokens)
        number = self.words.setdefault
        self.first_words.append(number(words[0], len(self.words)) if words else NO_WORD)
        self.last_words.append(number(words[-1], len(self.words)) if words else NO_WORD - 1)
        self.flags.append(flags)


class WordTokenizer:
    """spaCy's words for a language, after fastai's text rules.

    >>> next(WordTokenizer()(["It was SO good!!!!"]))
    ['xxbos', 'xxmaj', 'it', 'was', 'xxup', 'so', 'good', 'xxrep', '4', '!']

    Raises:
        OptionError: spaCy does not know the language.
    """

    kind = "words"

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._special_cases = SpecialCases(self._split)  # an unknown language is said now, not in the middle of a run
        self._forget()

    @cached_property
    def _split(self) -> Any:
        import spacy
        from spacy.symbols import ORTH

        try:
            tokenizer = spacy.blank(self.language).tokenizer
        except ImportError as error:
            raise OptionError(
                f"language {self.language!r}: spaCy has no tokenizer for it ({str(error).splitlines()[0]}); "
                f"use a code such as 'en' or 'de', or subword tokens"
            ) from error
        for token in SPECIAL_TOKENS:
            tokenizer.add_special_case(token, [{ORTH: token}])
        tokenizer.vocab.lex_attr_getters = {}  # shapes and the like of new words: nobody asks for them
        return tokenizer

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, in order; a space inside a token becomes ``▁``, as in fastai."""
        source = iter(texts)
        while batch := list(islice(source, BATCH)):
            self._forget_when_full()
            ids, lengths = self._number(batch)
            types = self.types
            for one in np.split(ids, np.cumsum(lengths)[:-1]):
                yield [types[i] for i in one.tolist()]

    def index(self, texts: Sequence[str]) -> TokenIds:
        """The same tokens as numbers: the distinct ones, and where each occurs."""
        self._forget_when_full()
        parts = [self._number(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        if not parts:
            return TokenIds([], np.zeros(0, np.int32), np.zeros(0, np.int64))
        ids = np.concatenate([part for part, _ in parts])
        first = np.full(len(self.types), len(ids))
        first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)  # of several values for one place, the last stays
        used = np.flatnonzero(first < len(ids))
        used = used[np.argsort(first[used])]
        local = np.zeros(len(self.types), np.int32)
        local[used] = np.arange(len(used))
        return TokenIds([self.types[i] for i in used], local[ids], np.concatenate([lengths for _, lengths in parts]))

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""
        return {"kind": self.kind, "language": self.language, "rules": list(RULE_NAMES)}

    def fingerprint(self) -> str:
        """Changes with the language and with spaCy's version."""
        from importlib.metadata import version

        return f"words:{self.language}:spacy-{version('spacy')}"

    def save(self, folder: Path) -> None:
        """Nothing beyond ``config``."""

    def _forget_when_full(self) -> None:
        if len(self._table.numbers) > MOST_PIECES:
            self._forget()

    def _forget(self) -> None:
        self.types: list[str] = []
        self._type_numbers: dict[str, int] = {}
        self._lefts, self._rights = array("h"), array("h")  # of each type, for the special cases
        self._table = PieceTable()
        self._table.add("", [], [])
        self._table.add(MARK, [self._type_number("xxbos")], [MARK])

    def _type_number(self, token: str) -> int:
        number = self._type_numbers.setdefault(token, len(self.types))
        if number == len(self.types):
            self.types.append(token)
            left, right = self._special_cases.kinds(token)
            self._lefts.append(left)
            self._rights.append(right)
        return number

    def _number(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Numbers of all tokens of some texts, and how many each text has."""
        pieces, ends, long_way = self._pieces(texts)
        table = self._table
        found = list(map(table.numbers.get, pieces))
        if None in found:
            known = table.numbers
            self._learn([piece for piece in dict.fromkeys(pieces) if piece not in known])
            found = list(map(known.__getitem__, pieces))
        numbers = np.array(found, np.int64)
        owners = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
        there = numbers != 0  # nothing lies between two spaces
        numbers, owners = numbers[there], owners[there]
        long_way |= self._crossing(texts, numbers, owners, long_way)
        lengths = np.frombuffer(table.lengths, np.int32)[numbers]
        starts = np.frombuffer(table.starts, np.int32)[numbers]
        after = np.cumsum(lengths)
        places = np.repeat(starts - (after - lengths), lengths) + np.arange(after[-1])
        ids = np.frombuffer(table.tokens, np.int32)[places]
        long_way |= self._special_cases_across(ids, after, owners)
        counts = np.bincount(owners, weights=lengths, minlength=len(texts)).astype(np.int64)
        if long_way:
            split = np.split(ids, np.cumsum(counts)[:-1])
            chosen = sorted(long_way)
            for i, tokens in zip(chosen, self._exactly(texts[i] for i in chosen), strict=True):
                split[i] = np.array([self._type_number(token) for token in tokens], np.int32)
                counts[i] = len(tokens)
            ids = np.concatenate(split)
        return ids, counts

    def _special_cases_across(
        self, ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64], owners: npt.NDArray[np.int64]
    ) -> set[int]:
        """Texts in which the tokens of two pieces, ending at ``ends``, may make up a special case."""
        inner = ends[ends < len(ids)]
        left = np.frombuffer(self._lefts, np.int16)[ids[inner - 1]]
        right = np.frombuffer(self._rights, np.int16)[ids[inner]]
        found = set()
        for k in np.flatnonzero(self._special_cases.meet[left, right]).tolist():
            end, reach = int(inner[k]), self._special_cases.reach
            around = [self.types[i] for i in ids[max(0, end - reach) : end + reach]]
            middle = min(end, reach)
            if self._special_cases.join(around[:middle], around[middle:]):
                found.add(int(owners[k]))
        return found

    def _exactly(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The long way: each text as a whole through the rules and spaCy."""
        for doc in self._split.pipe(apply_rules(texts)):
            yield [token.text.replace(" ", "▁") for token in doc]

    def _pieces(self, texts: Sequence[str]) -> tuple[list[str], list[int], set[int]]:
        """All texts cut at spaces, each behind a mark; where each ends; and those that cannot be cut."""
        pieces: list[str] = []
        ends: list[int] = []
        long_way: set[int] = set()
        for i, text in enumerate(texts):
            pieces.append(MARK)
            if _rules_reach_over_spaces(text):
                long_way.add(i)
            else:
                if "<br />" in text:
                    text = text.replace("<br />", "\n")  # fastai does so too, but it would be cut here
                text = text.strip()
                if not text.isprintable():
                    text = BLANKS.sub(_blank_piece, text)
                pieces += text.split(" ")
            ends.append(len(pieces))
        return pieces, ends, long_way

    def _crossing(
        self, texts: Sequence[str], numbers: npt.NDArray[np.int64], owners: npt.NDArray[np.int64], known: set[int]
    ) -> set[int]:
        """Texts in which a rule or spaCy may see across a space."""
        table = self._table
        flags = np.frombuffer(table.flags, np.uint8)[numbers]
        left, right = flags[:-1], flags[1:]
        starts_text = owners[1:] != owners[:-1]
        blanks_meet = ((left & BLANK_LAST) > 0) & (((right & (BLANK | BLANK_FIRST)) > 0) | starts_text)
        blanks_meet |= ((left & BLANK) > 0) & ((right & (BLANK_FIRST | SPACE_FIRST)) > 0)
        blanks_meet |= (numbers[:-1] == 1) & ((right & BLANK_FIRST) > 0)
        found = set(owners[:-1][blanks_meet].tolist()) | set(owners[(flags & VANISHES) > 0].tolist())
        if flags[-1] & BLANK_LAST:
            found.add(int(owners[-1]))
        solid = (flags & BLANK) == 0
        numbers, owners = numbers[solid], owners[solid]
        first = np.frombuffer(table.first_words, np.int32)[numbers[1:]]
        last = np.frombuffer(table.last_words, np.int32)[numbers[:-1]]
        for i in set(owners[:-1][first == last].tolist()) - found - known:
            if SAME_WORD.search(replace_rep(fix_html(texts[i]))):
                found.add(i)
        return found

    def _learn(self, pieces: Sequence[str]) -> None:
        """Tokens of new pieces: the plain ones by themselves, the others together through the rules and spaCy."""
        special, hard = self._split.rules, []
        up, capital = self._type_number("xxup"), self._type_number("xxmaj")
        for piece in pieces:
            if piece[0].isspace():
                self._table.add(piece, [self._type_number(piece)], [], BLANK)
                continue
            plain = PLAIN(piece) if self.language == "en" else None
            word, mark = plain.groups() if plain else ("", "")
            lower = word.lower()
            if not plain or lower in special or lower + mark in special or SAME_CHARACTER.search(piece):
                hard.append(piece)
                continue
            tokens = [self._type_number(lower)]
            if mark:
                tokens.append(self._type_number(mark))
            if word.isupper():
                tokens = [up, *tokens] if len(piece) > 1 else tokens
            elif word[0].isupper() and word[1:].islower():
                tokens = [capital, *tokens]
            self._table.add(piece, tokens, [piece])
        if hard:
            self._learn_together(hard)

    def _learn_together(self, pieces: Sequence[str]) -> None:
        text = replace_rep(fix_html(f" {MARK} ".join(pieces) + f" {MARK}"))
        words = [part.split() for part in text.split(MARK)[:-1]]
        text = spec_add_spaces(replace_wrep(text))
        spaced = [part.startswith("  ") for part in f" {text}".split(MARK)[:-1]]
        for rule in (rm_useless_spaces, replace_all_caps, replace_maj):
            text = rule(text)
        hashes = self._split(text.lower().strip()).to_array("ORTH")
        distinct, inverse = np.unique(hashes, return_inverse=True)
        strings = self._split.vocab.strings
        names = [strings[int(one)].replace(" ", "▁") for one in distinct]
        blank = np.array([name.replace("▁", "").isspace() for name in names])[inverse]
        numbers = np.array([self._type_number(name) for name in names])[inverse]
        ends = np.flatnonzero(numbers == self._type_number(MARK))
        start = 0
        for piece, end, outer, space in zip(pieces, ends.tolist(), words, spaced, strict=True):
            flags = SPACE_FIRST if space else 0
            if end == start:
                flags |= VANISHES
            else:
                flags |= (BLANK_FIRST if blank[start] else 0) | (BLANK_LAST if blank[end - 1] else 0)
            if len(set(outer)) < len(outer):
                flags |= BLANK_FIRST | BLANK_LAST  # a word repeated within the piece may take the blank beside it
            self._table.add(piece, numbers[start:end].tolist(), outer, flags)
            start = end + 1


def _rules_reach_over_spaces(text: str) -> bool:
    """Whether fastai's replacements that hold a space may apply, or a character means something of ours."""
    if "@" in text and ("@.@" in text or "@-@" in text or "nbsp;" in text):
        return True
    return MARK in text or "▁" in text or ("<br" in text and "nbsp;" in text)


def _blank_piece(found: re.Match[str]) -> str:
    """Whitespace between words as spaCy's one token for it: the first space belongs to the word before."""
    blanks = rm_useless_spaces(found[0])
    return f" {blanks.removeprefix(' ').replace(' ', '▁')} "
