"""What a model's folder keeps of the texts that it was trained on: numbers to compare new texts with, and no text."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ulmfit_lib.arrays import Floats, Vectors
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.loading import load_base_model
from ulmfit_lib.tokens.documents import encode_texts

MOST_TEXTS = 300  # drawn at random
FEWEST_TEXTS = 20  # likewise, where time is short
CHARACTERS = 500  # of each, that a language model reads
WIDTH = 64  # of the vectors, after a random projection
DIGITS = 4  # that are kept, and so compared
NEXT = "name its folder with --base, or name a file of such texts with --known"


class Reader(Protocol):
    """What makes vectors of texts: a classifier or a language model."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, width), of length 1."""

    def to(self, device: str) -> "Reader":
        """The same on another device."""


@dataclass(frozen=True, eq=False)
class KnownTexts:
    """Texts as numbers."""

    log_losses: Floats  # (n,) log loss per word of the beginning of each text; nan for one without a word
    vectors: Vectors  # (n, WIDTH) random projections of the texts' vectors
    words: Floats  # (n,) words of each text
    unknown_share: float  # of the words, outside the language model's vocabulary
    # Name and sha256 of the language model that found the words likely or not; empty: the model itself.
    base: dict[str, str] = field(default_factory=dict)
    pooling: str = ""  # by which a language model made the vectors; "" of a classifier, which has its own

    @classmethod
    def measure(
        cls,
        texts: Sequence[str],
        *,
        lm: LanguageModel,
        reader: Reader,
        seed: int = 42,
        device: str = "cpu",
        most: int = MOST_TEXTS,
        pooling: str = "",
    ) -> "KnownTexts":
        """Of many texts, some are drawn; ``lm`` finds their words likely or not, and ``reader`` makes their vectors.

        Where both are one, it has a ``pooling``, by default the usual one.
        """
        drawn = draw(texts, seed, most)
        pooling = (pooling or lm.usual_pooling) if reader is lm else ""
        return cls(
            log_loss_per_word(lm, drawn, device=device).round(DIGITS),
            project(lm.to(device).embed(drawn, pooling=pooling) if reader is lm else reader.to(device).embed(drawn)),
            np.array([len(text.split()) for text in drawn], np.float64),
            unknown_share(lm, drawn),
            {} if reader is lm else {"name": lm.training.name, "sha256": lm.sha256()},
            pooling,
        )

    def __len__(self) -> int:
        return len(self.log_losses)

    def as_dict(self) -> dict[str, Any]:
        """For a model's record, JSON-ready."""
        return {
            "nats": [None if np.isnan(one) else one for one in self.log_losses.tolist()],
            "words": self.words.astype(int).tolist(),
            "unknown_share": self.unknown_share,
            "base": self.base,
            **({"pooling": self.pooling} if self.pooling else {}),
            "vectors": base64.b64encode(self.vectors.astype("<f2").tobytes()).decode("ascii"),
        }

    @classmethod
    def from_record(cls, training: TrainingRecord) -> "KnownTexts":
        """What a model's record keeps; an OptionError where it is nothing of the kind, or damaged."""
        found = training.known_texts
        if found is None:
            raise OptionError(
                "this model's folder keeps no numbers of the texts that it was trained on, since it was made by an "
                "older ulmfit_lib, by another command than `fit` and `fit-lm`, or without the time to read whole "
                "texts: name a file of such texts with --known"
            )
        try:
            losses = np.array([np.nan if one is None else one for one in found["nats"]], np.float64)
            vectors = np.frombuffer(base64.b64decode(found["vectors"], validate=True), "<f2").reshape(
                len(losses), WIDTH
            )
            words, share = np.array(found["words"], np.float64), float(found["unknown_share"])
            base = {str(key): str(value) for key, value in found["base"].items()}
            if words.shape != losses.shape or losses.ndim != 1 or not np.isfinite(vectors).all():
                raise ValueError("the numbers do not fit each other")
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise OptionError(
                f"this model's record of the texts that it was trained on is damaged ({error}): name a file of such "
                "texts with --known"
            ) from error
        return cls(losses, vectors.astype(np.float32), words, share, base, str(found.get("pooling", "")))

    def language_model(self, base: str) -> LanguageModel:
        """The language model that the log losses are of: the one that is written down (``auto``), or ``base``.

        An OptionError says if it is not there, or another one is.
        """
        name = self.base.get("name", "") if base == "auto" else base
        what = f"the model's texts were measured with the language model {self.base.get('name')!r}"
        try:
            found = load_base_model(name)
        except UlmfitError as error:
            raise OptionError(f"{what}, which is not here ({error}): {NEXT}") from error
        if found.sha256() != self.base.get("sha256"):
            raise OptionError(f"{what}, and {name} is another one: {NEXT}")
        return found


def with_known_texts(
    model: Any,
    texts: Sequence[str],
    *,
    lm: LanguageModel,
    reader: Reader | None = None,
    seed: int = 42,
    device: str = "cpu",
    share: float = 1.0,
) -> Any:
    """A model whose record keeps numbers of texts, to compare new ones with; of a ``share`` where time is short.

    Without a ``reader`` (``KnownTexts.measure``), the model makes the vectors.
    """
    if not len(texts):
        return model
    most = max(FEWEST_TEXTS, round(share * MOST_TEXTS))
    known = KnownTexts.measure(texts, lm=lm, reader=reader or model, seed=seed, device=device, most=most)
    return replace(model, training=replace(model.training, known_texts=known.as_dict()))


def project(vectors: Vectors) -> Vectors:
    """(n, width) -> (n, WIDTH), as exact as they are kept: in always the same random directions.

    Random directions keep what lies apart apart (Johnson & Lindenstrauss 1984).
    """
    width = vectors.shape[1]
    directions = np.random.default_rng(width).standard_normal((width, WIDTH)) / np.sqrt(WIDTH)
    return (vectors @ directions).astype(np.float16).astype(np.float32)


def log_loss_per_word(lm: LanguageModel, texts: Sequence[str], *, device: str = "cpu") -> Floats:
    """(n,) of the beginnings of texts, read in one direction; nan for one without a word."""
    one_way = lm.only(next(iter(lm.weights))).to(device)
    return np.log(one_way.score_each([text[:CHARACTERS] for text in texts])[1])


def unknown_share(lm: LanguageModel | TextClassifier, texts: Sequence[str]) -> float:
    """Share of the words that a model does not know, however they are spelled."""
    documents = encode_texts(texts, lm.tokenizer, lm.vocabulary)
    unknown = documents.counts(len(lm.vocabulary))[lm.vocabulary.unknown_id]
    return float(unknown / max(documents.n_tokens - len(texts), 1))  # the first token of each is no word


def draw(texts: Sequence[str], seed: int, most: int = MOST_TEXTS) -> list[str]:
    """At most so many texts, drawn at random, in their order."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(texts))[:most])
    return [texts[i] for i in chosen.tolist()]
