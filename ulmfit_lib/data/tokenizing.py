"""Texts -> tokens, exactly as fastai does it, so that its pretrained weights and ours fit the same vocabularies."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ulmfit_lib.errors import ArtifactError, OptionError

# fastai's special tokens, in its order: unknown, padding, start and end of a text, field, repeated character,
# repeated word, the next word was in CAPITALS, the next word was Capitalised.
SPECIAL_TOKENS = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
FIELD = "xxfld"
SUBWORD_FILE = "subwords.model"


class Tokenizer(Protocol):
    """What splits texts: callable on many texts at once, and described by a JSON-ready ``config``."""

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, in order."""

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""

    def fingerprint(self) -> str:
        """Changes whenever the tokens could change."""

    def save(self, folder: Path) -> None:
        """Write what ``config`` cannot hold."""


def _rules() -> list[Callable[[str], str]]:
    from fastai.text import core

    return [
        core.fix_html, core.replace_rep, core.replace_wrep, core.spec_add_spaces, core.rm_useless_spaces,
        core.replace_all_caps, core.replace_maj, core.lowercase,
    ]  # fmt: skip


RULE_NAMES = (
    "fix_html", "replace_rep", "replace_wrep", "spec_add_spaces", "rm_useless_spaces",
    "replace_all_caps", "replace_maj", "lowercase",
)  # fmt: skip


def _apply_rules(texts: Iterable[str]) -> Iterator[str]:
    rules = _rules()
    for text in texts:
        for rule in rules:
            text = rule(text)
        yield text


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
        _ = self._split  # an unknown language is said now, not in the middle of a run

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
        return tokenizer

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, in order; a space inside a token becomes ``▁``, as in fastai."""
        for doc in self._split.pipe(_apply_rules(texts)):
            yield [token.text.replace(" ", "▁") for token in doc]

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""
        return {"kind": self.kind, "language": self.language, "rules": list(RULE_NAMES)}

    def fingerprint(self) -> str:
        """Changes with the language and with the versions of spaCy and fastai."""
        from importlib.metadata import version

        return f"words:{self.language}:spacy-{version('spacy')}:fastai-{version('fastai')}"

    def save(self, folder: Path) -> None:
        """Nothing beyond ``config``."""


class SubwordTokenizer:
    """SentencePiece subwords after fastai's text rules, for languages whose words spaces do not mark.

    Args:
        model: a trained SentencePiece model, serialised.
        language: a label for people; the model decides how texts are split.
    """

    kind = "subwords"

    def __init__(self, model: bytes, *, language: str = "en") -> None:
        self.model, self.language = model, language
        _ = self._processor

    @classmethod
    def train(cls, texts: Iterable[str], *, size: int = 15_000, language: str = "en") -> "SubwordTokenizer":
        """Learn ``size`` subwords (unigram model; 15,000 as in MultiFiT, Eisenschlos et al. 2019) from texts."""
        import io

        sentencepiece = _import_sentencepiece()
        model = io.BytesIO()
        lines = (line for text in _apply_rules(texts) for line in text.split("\n") if line.strip())
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines, model_writer=model, vocab_size=size, model_type="unigram",
                unk_id=0, unk_piece=SPECIAL_TOKENS[0], pad_id=-1, bos_id=-1, eos_id=-1,
                user_defined_symbols=list(SPECIAL_TOKENS[1:]), character_coverage=0.99999, minloglevel=2,
                hard_vocab_limit=False, input_sentence_size=1_000_000, shuffle_input_sentence=True,
            )  # fmt: skip
        except RuntimeError as error:
            raise OptionError(f"{size} subwords cannot be learnt from these texts: {error}") from error
        return cls(model.getvalue(), language=language)

    @cached_property
    def _processor(self) -> Any:
        try:
            return _import_sentencepiece().SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as error:
            raise ArtifactError(f"{SUBWORD_FILE}: no readable SentencePiece model") from error

    def pieces(self) -> list[str]:
        """All subwords, special tokens first."""
        return [self._processor.id_to_piece(i) for i in range(self._processor.get_piece_size())]

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The subwords of each text, in order; a subword that starts a word starts with ``▁``."""
        for text in _apply_rules(texts):
            yield self._processor.encode(text, out_type=str)

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""
        return {"kind": self.kind, "language": self.language, "rules": list(RULE_NAMES)}

    def fingerprint(self) -> str:
        """Changes with the model and fastai's version."""
        from importlib.metadata import version

        return f"subwords:{hashlib.sha256(self.model).hexdigest()}:fastai-{version('fastai')}"

    def save(self, folder: Path) -> None:
        """Write the SentencePiece model."""
        (folder / SUBWORD_FILE).write_bytes(self.model)


def load_tokenizer(config: dict[str, Any], folder: Path) -> Tokenizer:
    """The tokenizer that a saved ``config`` describes.

    Raises:
        ArtifactError: unknown kind or rules, or the subword model is missing or broken.
    """
    source = folder / "config.json"
    if config.get("rules") != list(RULE_NAMES):
        raise ArtifactError(f"{source}: tokenizer rules {config.get('rules')} are not the ones this version has")
    language = config.get("language")
    if not isinstance(language, str):
        raise ArtifactError(f"{source}: the tokenizer's language is {language!r}, not a code such as 'en'")
    if config.get("kind") == WordTokenizer.kind:
        return WordTokenizer(language)
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


def _import_sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise OptionError("subword tokens need SentencePiece: pip install 'ulmfit-lib[subword]'") from error
    return sentencepiece
