"""Subwords: SentencePiece's tokens after fastai's text rules."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.tokens.rules import RULE_NAMES, SPECIAL_TOKENS, apply_rules, well_formed
from ulmfit_lib.tokens.token_ids import TokenIds

SUBWORD_FILE = "subwords.model"


class SubwordTokenizer:
    """SentencePiece subwords after fastai's text rules, for languages whose words spaces do not mark.

    The serialised ``model`` decides how texts are split; the ``language`` is a label for people.
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
        lines = (line for text in apply_rules(map(well_formed, texts)) for line in text.split("\n") if line.strip())
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines,
                model_writer=model,
                vocab_size=size,
                model_type="unigram",
                unk_id=0,
                unk_piece=SPECIAL_TOKENS[0],
                pad_id=-1,
                bos_id=-1,
                eos_id=-1,
                user_defined_symbols=list(SPECIAL_TOKENS[1:]),
                character_coverage=0.99999,
                minloglevel=2,
                hard_vocab_limit=False,
                input_sentence_size=1_000_000,
                shuffle_input_sentence=True,
            )
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
        for text in apply_rules(map(well_formed, texts)):
            yield self._processor.encode(text, out_type=str)

    def index(self, texts: Sequence[str]) -> TokenIds:
        """The same tokens as numbers: the distinct ones, and where each occurs."""
        numbers: dict[str, int] = {}
        found = [[numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in self(texts)]
        ids = np.array([number for one in found for number in one], np.int32)
        return TokenIds(list(numbers), ids, np.array([len(one) for one in found], np.int64))

    def config(self) -> dict[str, Any]:
        """Kind, language and rule names, as ``config.json`` holds them."""
        return {"kind": self.kind, "language": self.language, "rules": list(RULE_NAMES)}

    def fingerprint(self) -> str:
        """Changes with the model."""
        return f"subwords:{hashlib.sha256(self.model).hexdigest()}"

    def save(self, folder: Path) -> None:
        """Write the SentencePiece model."""
        (folder / SUBWORD_FILE).write_bytes(self.model)


def _import_sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise OptionError("subword tokens need SentencePiece: pip install 'ulmfit-lib[subword]'") from error
    return sentencepiece
