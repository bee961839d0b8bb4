"""Texts -> tokens, exactly as fastai does it, so that its pretrained weights and ours fit the same vocabularies."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.tokens.rules import RULE_NAMES, SPECIAL_TOKENS
from ulmfit_lib.tokens.splitting import RULES_FILE, SplittingRules
from ulmfit_lib.tokens.subwords import SUBWORD_FILE, SubwordTokenizer
from ulmfit_lib.tokens.token_ids import TokenIds
from ulmfit_lib.tokens.words import WordTokenizer

__all__ = ["SubwordTokenizer", "Tokenizer", "WordTokenizer", "detokenize", "load_tokenizer"]


class Tokenizer(Protocol):
    """What splits texts: callable on many texts at once, and described by a JSON-ready ``config``."""

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, in order."""

    def index(self, texts: Sequence[str]) -> TokenIds:
        """The same tokens as numbers: the distinct ones, and where each occurs."""

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""

    def fingerprint(self) -> str:
        """Changes whenever the tokens could change."""

    def save(self, folder: Path) -> None:
        """Write what ``config`` cannot hold."""


def load_tokenizer(config: dict[str, Any], folder: Path) -> Tokenizer:
    """The tokenizer that a saved ``config`` describes."""
    source = folder / "config.json"
    if config.get("rules") != list(RULE_NAMES):
        raise ArtifactError(f"{source}: tokenizer rules {config.get('rules')} are not the ones this version has")
    language = config.get("language")
    if not isinstance(language, str):
        raise ArtifactError(f"{source}: the tokenizer's language is {language!r}, not a code such as 'en'")
    if config.get("kind") == WordTokenizer.kind:
        stored = folder / RULES_FILE
        return WordTokenizer(language, SplittingRules.load(stored) if stored.is_file() else None)
    if config.get("kind") == SubwordTokenizer.kind:
        try:
            return SubwordTokenizer((folder / SUBWORD_FILE).read_bytes(), language=language)
        except (OSError, ArtifactError) as error:
            raise ArtifactError(f"{folder / SUBWORD_FILE}: no readable SentencePiece model") from error
    raise ArtifactError(f"{source}: tokenizer kind {config.get('kind')!r}; known are 'words' and 'subwords'")


def detokenize(tokens: Iterable[str]) -> str:
    """Tokens -> a text for people to read; not an exact inverse.

    >>> detokenize(["xxbos", "xxmaj", "it", "was", "xxup", "so", "good", "!"])
    'It was SO good!'
    """
    words: list[str] = []
    pending: list[str] = []
    for token in tokens:
        if token in ("xxup", "xxmaj"):
            pending.append(token)
        elif token not in SPECIAL_TOKENS or token == SPECIAL_TOKENS[0]:
            bare = token.lstrip("▁")
            shown = bare.upper() if "xxup" in pending else bare[:1].upper() + bare[1:] if pending else bare
            words.append("▁" * (len(token) - len(bare)) + shown)
            pending = []
    if any(word.startswith("▁") and len(word) > 1 for word in words):  # subwords carry their own spaces
        return "".join(words).replace("▁", " ").strip()
    text = " ".join(words).replace("▁", " ")
    text = re.sub(r" +([.,!?;:)\]…%]|n't\b|'(?:s|re|ve|ll|d|m)\b)", r"\1", text)
    text = re.sub(r"([(\[$]) +", r"\1", text)
    return re.sub(r" *\n *", "\n", text).strip()
