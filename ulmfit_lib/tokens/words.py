"""Words: spaCy's tokens after fastai's text rules, token for token, several times faster.

Almost all that fastai's rules and spaCy do happens within a piece of text between two spaces, and texts repeat their
pieces. So each piece goes through the rules and spaCy once; from then on a text is a list of known pieces, cut and
looked up. What crosses pieces is looked for: a word repeated three times (``xxwrep``), whitespace that meets
whitespace, a special case of spaCy's that two pieces make up. A stretch where that might matter goes the long way.
"""

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.arrays import Ints
from ulmfit_lib.tokens.pieces import (
    BLANK,
    BLANK_FIRST,
    BLANK_LAST,
    SPACE_FIRST,
    START_OF_TEXT,
    UNCLEAR,
    PieceTable,
    cut_at_spaces,
)
from ulmfit_lib.tokens.rules import (
    CAPITALISED,
    CAPITALS,
    IN_CAPITALS,
    RULE_NAMES,
    SAME_WORD,
    SPECIAL_TOKENS,
    WITH_A_CAPITAL,
    apply_rules,
    fix_html,
    replace_all_caps,
    replace_maj,
    replace_rep,
    replace_wrep,
    rm_useless_spaces,
    spec_add_spaces,
    well_formed,
)
from ulmfit_lib.tokens.special_cases import SpecialCases
from ulmfit_lib.tokens.splitting import RULES_FILE, Splitter, SplittingRules
from ulmfit_lib.tokens.token_ids import TokenIds, by_first_place
from ulmfit_lib.tokens.word_frames import WordFrames

MARK = "\ue000"  # a private character: starts each text and parts the pieces that are learnt together
BATCH = 1024  # texts taken together
MOST_BYTES = 250_000_000  # that the pieces take which are remembered
BYTES_A_PIECE, BYTES_IN_SPACY = 400, 600  # about, with all of its tokens; and of those that spaCy cuts and then keeps
BLANKS = re.compile(r"[^\S ]\s*")  # whitespace that is more than spaces, and all that follows


class WordTokenizer:
    """spaCy's words for a language, by its code, after fastai's text rules; by default the installed spaCy splits.

    >>> next(WordTokenizer()(["It was SO good!!!!"]))
    ['xxbos', 'xxmaj', 'it', 'was', 'xxup', 'so', 'good', 'xxrep', '4', '!']
    """

    kind = "words"

    def __init__(self, language: str = "en", rules: SplittingRules | None = None) -> None:
        self.language = language
        self.rules = rules or SplittingRules.of_spacy(language)
        self._lock = Lock()  # what is remembered of pieces is one thread's at a time
        self._split = Splitter(self.rules.with_special_cases(SPECIAL_TOKENS))
        self._special_cases = SpecialCases(self._split)
        self._forget()

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, in order; a space inside a token becomes ``▁``, as in fastai."""
        source = iter(texts)
        while batch := list(islice(source, BATCH)):
            with self._lock:
                self._forget_when_full()
                ids, lengths = self._number(batch)
                types = self.types
            for one in np.split(ids, np.cumsum(lengths)[:-1]):
                yield [types[i] for i in one.tolist()]

    def index(self, texts: Sequence[str]) -> TokenIds:
        """The same tokens as numbers: the distinct ones, and where each occurs."""
        with self._lock:
            self._forget_when_full()
            parts = [self._number(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
            if not parts:
                return TokenIds([], np.zeros(0, np.int32), np.zeros(0, np.int64))
            used, local = by_first_place(np.concatenate([part for part, _ in parts]), len(self.types))
            all_lengths = np.concatenate([lengths for _, lengths in parts])
            return TokenIds([self.types[i] for i in used], local, all_lengths)

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""
        return {"kind": self.kind, "language": self.language, "rules": list(RULE_NAMES)}

    def fingerprint(self) -> str:
        """Changes with the language and with the rules."""
        return f"words:{self.language}:{hashlib.sha256(self.rules.as_json().encode()).hexdigest()}"

    def save(self, folder: Path) -> None:
        """Write the rules, so that whoever loads the model needs no spaCy."""
        (folder / RULES_FILE).write_text(self.rules.as_json(), encoding="utf-8")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.language, self.rules)  # a copy has a lock of its own, and learns its pieces anew

    def _forget_when_full(self) -> None:
        if self._bytes > MOST_BYTES:
            self._forget()

    def _forget(self) -> None:
        self._bytes = 0
        self.types: list[str] = []
        self._type_numbers: dict[str, int] = {}
        self._lefts, self._rights = array("h"), array("h")  # of each type, for the special cases
        self._frames = WordFrames(self._split, self._type_number)
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

    def _number(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], Ints]:
        """Numbers of all tokens of some texts, and how many each text has."""
        try:
            return self._number_well_formed(texts)
        except UnicodeEncodeError:
            return self._number_well_formed([well_formed(text) for text in texts])

    def _number_well_formed(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], Ints]:
        table = self._table
        joined, uncut = self._with_marks(texts)
        distinct, places, n_pieces = cut_at_spaces(joined)
        self._learn([piece for piece in distinct if piece not in table.numbers])
        numbers = np.fromiter(map(table.numbers.__getitem__, distinct), np.int32, len(distinct))
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), n_pieces)
        there = numbers[places] != 0  # nothing lies between two spaces
        places, owners = places[there], owners[there]
        numbers = numbers[places]
        lengths = np.frombuffer(table.lengths, np.int32)[numbers]
        ends = np.cumsum(lengths)
        starts = np.frombuffer(table.starts, np.int32)[numbers] - (ends - lengths)
        ids = np.frombuffer(table.tokens, np.int32)[np.repeat(starts, lengths) + np.arange(ends[-1])]
        whole = np.union1d(owners[table.blanks_meet(numbers, owners)], uncut).astype(np.int64)
        special = self._special_cases_across(ids, ends)
        crossing = table.words_meet(numbers)
        crossing[special] = True
        cuts = np.flatnonzero(table.may_be_cut(crossing, numbers, np.isin(owners, whole), owners)) + 1
        first, last = np.append(0, cuts), np.append(cuts, len(numbers)) - 1  # pieces of each stretch between two cuts
        counts = ends[last] - ends[first] + lengths[first]
        crossed = (special, np.flatnonzero(crossing))
        certain, perhaps = (set(np.searchsorted(cuts, at, side="right").tolist()) for at in crossed)
        chosen: dict[int, str] = {}
        for i in perhaps:
            text = self._as_text([distinct[k] for k in places[first[i] : last[i] + 1]])
            if i in certain or SAME_WORD.search(replace_rep(fix_html(text))):
                chosen[i] = text
        chosen |= {int(i): texts[text] for i, text in zip(np.searchsorted(owners[first], whole), whole, strict=True)}
        parts, done, order = [], 0, sorted(chosen)
        for i, tokens in zip(order, self._exactly(chosen[i] for i in order), strict=True):
            if numbers[first[i]] != START_OF_TEXT:
                del tokens[0]
            parts += [ids[done : ends[last[i]] - counts[i]], np.array(list(map(self._type_number, tokens)), np.int32)]
            done, counts[i] = ends[last[i]], len(tokens)
        ids = np.concatenate([*parts, ids[done:]])
        return ids, np.bincount(owners[first], weights=counts, minlength=len(texts)).astype(np.int64)

    def _special_cases_across(self, ids: npt.NDArray[np.int32], ends: Ints) -> list[int]:
        """Pieces, their tokens ending at ``ends``, that may make up a special case with the next one."""
        inner = ends[ends < len(ids)]
        left = np.frombuffer(self._lefts, np.int16)[ids[inner - 1]]
        right = np.frombuffer(self._rights, np.int16)[ids[inner]]
        reach, found = self._special_cases.reach, []
        known: dict[tuple[bytes, int], bool] = {}
        for k in np.flatnonzero(self._special_cases.meet[left, right]).tolist():
            end = int(inner[k])
            around, middle = ids[max(0, end - reach) : end + reach], min(end, reach)
            key = around.tobytes(), middle
            if key not in known:
                tokens = [self.types[i] for i in around]
                known[key] = self._special_cases.join(tokens[:middle], tokens[middle:])
            if known[key]:
                found.append(k)
        return found

    def _as_text(self, pieces: Iterable[str]) -> str:
        """Pieces as a text from which the same tokens come: spaces before other blanks are lost."""
        text = ""
        for piece in pieces:
            if piece[0].isspace():
                text += piece.replace("▁", " ")
            elif piece != MARK:
                text += piece if not text or text[-1].isspace() else f" {piece}"
        return text

    def _exactly(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The long way: each text as a whole through the rules and spaCy."""
        for text in apply_rules(texts):
            yield [token.replace(" ", "▁") for token in self._split(text)]

    def _with_marks(self, texts: Sequence[str]) -> tuple[list[str], list[int]]:
        """All texts behind a mark, ready to be cut at spaces; and those that cannot be cut, as empty ones."""
        joined: list[str] = []
        whole: list[int] = []
        for i, text in enumerate(texts):
            if _rules_reach_over_spaces(text):
                whole.append(i)
                text = ""
            elif "<br />" in text:
                text = text.replace("<br />", "\n")  # fastai does so too, but it would be cut here
            text = text.strip()
            joined.append(f"{MARK} {text if text.isprintable() else BLANKS.sub(_blank_piece, text)}")
        return joined, whole

    def _learn(self, pieces: Sequence[str]) -> None:
        """Tokens of new pieces: most by their frames, the others together through the rules and spaCy."""
        frames = self._frames if self.language == "en" else None
        capitals, capital = self._type_number(CAPITALS), self._type_number(CAPITALISED)
        hard = []
        for piece in pieces:
            if piece[0].isspace():
                self._table.add(piece, [self._type_number(piece)], [], BLANK)
            elif frames and (tokens := frames.tokens(piece)):
                if len(piece) > 1 and not piece.islower():
                    if IN_CAPITALS.fullmatch(piece):
                        tokens = [capitals, *tokens]
                    elif WITH_A_CAPITAL.fullmatch(piece):
                        tokens = [capital, *tokens]
                self._table.add(piece, tokens, [piece])
            else:
                hard.append(piece)
        self._bytes += BYTES_A_PIECE * len(pieces) + BYTES_IN_SPACY * len(hard) + 4 * sum(map(len, hard))
        if hard:
            self._learn_together(hard)

    def _learn_together(self, pieces: Sequence[str]) -> None:
        text = replace_rep(fix_html(f" {MARK} ".join(["", *pieces, ""]).strip()))
        words = [part.split() for part in text.split(MARK)[1:-1]]
        text = spec_add_spaces(replace_wrep(text))
        spaced = [part.startswith("  ") for part in text.split(MARK)[1:-1]]
        for rule in (rm_useless_spaces, replace_all_caps, replace_maj):
            text = rule(text)
        tokens = [token.replace(" ", "▁") for token in self._split(text.lower())]
        known = {token: (self._type_number(token), token.replace("▁", "").isspace()) for token in dict.fromkeys(tokens)}
        numbers = np.array([known[token][0] for token in tokens])
        blank = np.array([known[token][1] for token in tokens])
        _, *ends = np.flatnonzero(numbers == self._type_number(MARK)).tolist()
        start = 1
        for piece, end, outer, space in zip(pieces, ends, words, spaced, strict=True):
            flags = SPACE_FIRST if space else 0
            if end == start or len(set(outer)) < len(outer):  # nothing, or a word repeated within the piece
                flags |= UNCLEAR
            else:
                flags |= (BLANK_FIRST if blank[start] else 0) | (BLANK_LAST if blank[end - 1] else 0)
            self._table.add(piece, numbers[start:end].tolist(), outer, flags)
            start = end + 1


def _rules_reach_over_spaces(text: str) -> bool:
    """Whether fastai's replacements that hold a space may apply, or a character means something of ours."""
    if "@" in text and ("@.@" in text or "@-@" in text or "nbsp;" in text):
        return True
    return MARK in text or "▁" in text or ("<br" in text and "nbsp;" in text)


def _blank_piece(found: re.Match[str]) -> str:
    """Whitespace between words as spaCy's one token for it: a space before it belongs to the word before."""
    return f" {rm_useless_spaces(found[0]).replace(' ', '▁')} "
