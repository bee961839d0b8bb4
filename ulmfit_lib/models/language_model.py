"""The language model that a user holds: perplexity, generation, save, load."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ulmfit_lib.arrays import Features, Floats, Vectors, side_by_side
from ulmfit_lib.artifact.architecture import WORDS, Architecture
from ulmfit_lib.artifact.cards import language_model_card
from ulmfit_lib.artifact.format import DIRECTIONS, LANGUAGE_MODEL, Artifact, load_artifact
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.data.stored_texts import as_texts
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.evaluation.metrics import LanguageModelScore
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.models.awd_lstm import LanguageModelNet, copy_weights
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.frozen import FrozenEncoder, freeze, read_directions
from ulmfit_lib.models.next_words import mean_losses, perplexity_of, write_on
from ulmfit_lib.models.tensors import Weights, as_arrays, as_tensors, words_alone
from ulmfit_lib.models.wt103 import find_pretrained
from ulmfit_lib.serving.packing import PicklesSafely
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import encode_texts
from ulmfit_lib.tokens.rules import START, UNKNOWN
from ulmfit_lib.tokens.tokenizer import Tokenizer, detokenize
from ulmfit_lib.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class LanguageModel(PicklesSafely):
    """A trained AWD-LSTM language model with its tokenizer and vocabulary.

    Attributes:
        architecture: sizes.
        vocabulary: tokens by id.
        tokenizer: what splits texts for it.
        weights: for ``forward`` and/or ``backward``, tensors by name.
        training: how it came to be.
        base: name and sha256 of the model it went on from.
        device: where it computes.

    Examples:
        >>> lm.direction
        'both'
        >>> lm.embed(["Where is my parcel?", "My order has not come."]).shape
        (2, 112)
        >>> lm.save("models/tiny")
        >>> LanguageModel.load("models/tiny").only("backward").direction
        'backward'
    """

    architecture: Architecture
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    weights: dict[str, Weights]
    training: TrainingRecord = field(default_factory=TrainingRecord)
    base: dict[str, str] | None = None
    device: str = "cpu"

    @property
    def direction(self) -> str:
        """``forward``, ``backward`` or ``both``."""
        return "both" if len(self.weights) == 2 else next(iter(self.weights))

    @property
    def name(self) -> str:
        """What it is called."""
        return self.training.name or "language model"

    @property
    def reads_words_alone(self) -> bool:
        """Whether its words in context tell as much of a text alone as with the LSTM."""
        return bool(self.architecture.context) and not self.training.lstm_has_learnt

    @property
    def usual_pooling(self) -> str:
        """The pooling that tells most of a text as long as nothing is trained."""
        return WORDS if self.reads_words_alone else "distilled" if self.architecture.distilled else "layers"

    def only(self, direction: str | None) -> "LanguageModel":
        """The same model with the weights of those ``directions`` alone.

        Raises:
            OptionError: what ``directions`` raises.
        """
        if direction is None:
            return self
        return replace(self, weights={way: self.weights[way] for way in self.directions(direction)})

    def directions(self, direction: str | None = None) -> tuple[str, ...]:
        """The directions that ``direction`` asks for (None: all there are), forward first.

        Raises:
            OptionError: an unknown direction, or one that this model was not trained in.
        """
        wanted = direction or self.direction
        if wanted not in (*DIRECTIONS, "both"):
            raise OptionError(f"direction {wanted!r}; known are forward, backward, both")
        chosen = DIRECTIONS if wanted == "both" else (wanted,)
        if missing := [name for name in chosen if name not in self.weights]:
            raise OptionError(
                f"direction {wanted!r}: this language model is {self.direction} only; "
                f"make a {missing[0]} one with: pretrain --direction {missing[0]}"
            )
        return chosen

    def to(self, device: str | torch.device) -> "LanguageModel":
        """The same model, which computes on another device; ``auto`` takes a GPU if there is one.

        Raises:
            OptionError: no such device.
        """
        chosen = str(find_device(str(device)))
        return self if chosen == self.device else replace(self, device=chosen)

    def net(self, direction: str, dropouts: Dropouts | None = None) -> LanguageModelNet:
        """A fresh PyTorch module with these weights; training it leaves this model as it is."""
        net = LanguageModelNet(self.architecture, len(self.vocabulary), dropouts)
        copy_weights(net, self.weights[direction])
        return net.eval()

    def features(self, texts: Sequence[str], *, pooling: str) -> Features:
        """Texts, each read once by frozen encoders, as vectors (``pooling.pool``): (n_texts, width) by direction."""
        corpus = tokenize_corpus(as_texts(texts), self.tokenizer)
        documents = corpus.numericalize(self.vocabulary, mend=self.architecture.mends(pooling))
        encoders = self._frozen_words if pooling == WORDS else self._frozen
        return read_directions(encoders, pooling, documents, self.vocabulary.pad_id)

    @cached_property
    def _frozen(self) -> dict[str, FrozenEncoder]:
        """The encoder of each direction, which takes long to make."""
        return {way: freeze(self.architecture, some, self.device) for way, some in self.weights.items()}

    @cached_property
    def _frozen_words(self) -> dict[str, FrozenEncoder]:
        """What reads words in context alone, in one direction."""
        way, weights = next(iter(self.weights.items()))
        return {way: freeze(self.architecture.of_words_alone(), words_alone(weights), self.device)}

    def sha256(self) -> str:
        """A hash of weights and vocabulary, to name this exact model as a base."""
        digest = hashlib.sha256(json.dumps(self.vocabulary.tokens).encode())
        for direction, weights in sorted(self.weights.items()):
            for name, tensor in sorted(weights.items()):
                digest.update(f"{direction}.{name}".encode() + tensor.numpy().tobytes())
        return digest.hexdigest()

    def perplexity(self, texts: Sequence[str]) -> float:
        """exp(mean nats per token) of texts, by the full softmax; each text is read from its own start."""
        return self.score(texts).perplexity

    def score(self, texts: Sequence[str]) -> LanguageModelScore:
        """Perplexity of texts, per token and per word; with both directions, of their mean loss.

        Raises:
            DataError: no text has a word.
        """
        return self.score_each(texts)[0]

    def score_each(self, texts: Sequence[str]) -> tuple[LanguageModelScore, Floats]:
        """The score of all texts, and each text's perplexity per word, (n_texts,): nan for one without a word.

        Raises:
            DataError: no text has a word.
        """
        texts = as_texts(texts)
        documents = encode_texts(texts, self.tokenizer, self.vocabulary)
        n_targets = int((documents.lengths - 1).clip(min=0).sum())
        words = np.array([len(text.split()) for text in texts])
        if not (n_targets and words.any()):
            raise DataError("no text with at least one word to measure perplexity on")
        nets = {way: self.net(way).to(self.device) for way in self.weights}
        nats = mean_losses(nets, documents, self.vocabulary.pad_id)
        unknown = int(documents.counts(len(self.vocabulary))[self.vocabulary.unknown_id])
        n_words = int(words.sum())
        by_token, by_word = (perplexity_of(float(nats.sum()) / n) for n in (n_targets, n_words))
        score = LanguageModelScore(by_token, by_word, unknown / n_targets, n_targets, n_words)
        return score, np.array([perplexity_of(n / w) if w else math.nan for n, w in zip(nats, words, strict=True)])

    def embed(self, texts: Sequence[str], *, pooling: str | None = None) -> Vectors:
        """A vector a text, (n_texts, width), the directions' side by side: texts that mean the same lie close together.

        How outputs become one vector, ``pooling.pool`` says. By default it is ``words``, one vector for both
        directions, where words are read in context and the LSTM was not fine-tuned since.

        Raises:
            OptionError: an unknown pooling, or a distilled vector of a model that has none.
        """
        pooling = pooling or self.usual_pooling
        self.architecture.check_pooling(pooling)
        return side_by_side(self.features(texts, pooling=pooling))

    def generate(
        self,
        prompt: str = "",
        *,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> str:
        """Go on with ``prompt`` until the model ends the text or ``max_tokens`` are written.

        Args:
            prompt: how the text starts.
            max_tokens: at most this many new tokens.
            temperature: 0 takes the likeliest token each time; above 1 gets wilder.
            top_k: draw from the k likeliest only; 0 means all.
            top_p: draw from the likeliest tokens that make up this share of the probability.
            seed: the same seed gives the same text.

        Raises:
            OptionError: a value out of range, or a model that only reads backward.
        """
        if "forward" not in self.weights:
            raise OptionError("generate: this language model reads backward only, and writing goes forward")
        if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or max_tokens < 1:
            raise OptionError("generate: temperature and top_k start at 0, max_tokens at 1, and top_p is in (0, 1]")
        written = self.vocabulary.encode(next(iter(self.tokenizer([prompt]))))
        following = write_on(
            self.net("forward"),
            written,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            never=[self.vocabulary.index[UNKNOWN], self.vocabulary.pad_id],
            stop=self.vocabulary.index[START],  # texts follow each other in training: one ends where the next starts
        )
        written += islice(following, max_tokens)
        return detokenize(self.vocabulary.decode(written))

    def save(self, path: str | Path, *, precision: str = "float32", overwrite: bool = False) -> None:
        """Write this model to a folder, whole or not at all.

        The precision is ``float32``, ``float16``, or ``int8`` (a quarter of the size).

        Raises:
            ArtifactError: the place is taken or cannot be written.
        """
        Artifact(
            LANGUAGE_MODEL,
            self.direction,
            self.architecture,
            self.vocabulary,
            self.tokenizer,
            as_arrays(self.weights),
            self.training,
            config={"base": self.base},
            card=language_model_card(self.training, self.direction, len(self.vocabulary)),
        ).save(Path(path), precision=precision, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> "LanguageModel":
        """Read a model's folder, safe with strangers', to compute on a ``device``: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            ArtifactError: names the file at fault.
            OptionError: no such device.
        """
        found = load_artifact(Path(path), kind=LANGUAGE_MODEL)
        weights = {way: as_tensors(arrays) for way, arrays in found.language_model_weights().items()}
        base = found.config.get("base")
        if base is not None and not isinstance(base, dict):
            raise ArtifactError(f"{found.path / 'config.json'}: base {base!r} does not hold a name and a sha256")
        return cls(found.architecture, found.vocabulary, found.tokenizer, weights, found.training, base).to(device)

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path, *, direction: str | None = None, device: str = "cpu"
    ) -> "LanguageModel":
        """A model by name (``wiki-en-small`` comes with the library), from a folder of yours or from the hub
        (``hf:user/name``).

        What it is called is remembered in ``training.name``; one from the hub is called as it is found there.

        Args:
            name_or_folder: which model.
            direction: ``forward``, ``backward`` or ``both``; default all that it has.
            device: where it shall compute: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            ArtifactError: no such name or folder; the message lists the names.
            OptionError: a direction that it lacks, or no such device.
        """
        path = find_pretrained(name_or_folder)
        model = cls.load(path, device=device).only(direction)
        name = str(Repository.of_folder(path) or model.training.name or path.name)
        return replace(model, training=replace(model.training, name=name))
