"""Models from elsewhere as the value that a user holds: from the hub, from fastai, or from within a classifier."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ulmfit_lib.artifact.catalogue import embedded_models, find_model
from ulmfit_lib.artifact.format import CLASSIFIER, DIRECTIONS, PREDICTOR, STATIC, read_config
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import ArtifactError, OptionError, UlmfitError
from ulmfit_lib.hub.fetching import fetch
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.fastai_files import imported_stage, read_fastai
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights, as_tensors, lstm_sha256
from ulmfit_lib.models.word_vectors import mirrored
from ulmfit_lib.models.wt103 import find_pretrained
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.tokens.words import WordTokenizer


def from_pretrained(name: str, *, revision: str | None = None) -> TextClassifier | LanguageModel | Predictor:
    """A model from a repository of the Hugging Face hub; safe with repositories of strangers.

    The repository says what it holds: a classifier, a language model or an exported classifier. Models in folders of
    yours are read by ``TextClassifier.load`` and ``LanguageModel.from_pretrained``.

    Args:
        name: ``user/name``, or ``user/name@revision``.
        revision: a branch, a tag or a commit's hash; default the newest commit of the branch ``main``.

    Raises:
        OptionError: no such name can be, two revisions, or huggingface_hub is missing.
        ArtifactError: no such repository or revision, a file that is no part of a saved model (then nothing is
            downloaded), a damaged one, or neither a connection nor a copy in the cache.

    Examples:
        >>> from_pretrained("ada/reviews", revision="v1").predict(["A fine film."])    # doctest: +SKIP
        ['positive']
    """
    repository = Repository.parse(name)
    if revision:
        if repository.revision:
            raise OptionError(f"{name!r}: it names a revision already; leave out revision={revision!r}")
        repository = Repository.parse(f"{name}@{revision}")
    folder = fetch(repository)
    kind = read_config(folder)["kind"]
    if kind == CLASSIFIER:
        return TextClassifier.load(folder)
    return Predictor.load(folder) if kind == PREDICTOR else LanguageModel.from_pretrained(folder)


def load_base_model(name_or_folder: str | Path) -> LanguageModel:
    """A language model to start from: by name, from the hub, from its folder, or the one in a classifier's folder.

    A classifier's language model has read what the classifier has, and may have been fine-tuned on its labels. An
    exported classifier cannot be trained on.
    """
    path = find_pretrained(name_or_folder)
    kind = read_config(path)["kind"]
    if kind in (PREDICTOR, STATIC):
        raise ArtifactError(
            f"{path}: an exported classifier cannot be trained on: name the folder of the classifier that it is made of"
        )
    if kind == CLASSIFIER:
        return _of_classifier(TextClassifier.load(path), path)
    return LanguageModel.from_pretrained(name_or_folder)


def _of_classifier(classifier: TextClassifier, path: Path) -> LanguageModel:
    """Its encoders; what they lack to predict words, a classifier's folder does not hold.

    A classifier that reads words in context alone has no more, so that the LSTM is that of its base.
    """
    if not classifier.architecture.layers:
        return _with_lstm_of_base(classifier, path)
    bias = _decoder_bias(classifier)
    weights: dict[str, Weights] = {
        way: {**as_tensors(some), "decoder.bias": bias.get(way, torch.zeros(len(classifier.vocabulary)))}
        for way, some in classifier.weights.items()
    }
    training = TrainingRecord(path.name, classifier.training.stages, licence=classifier.training.licence)
    return LanguageModel(classifier.architecture, classifier.vocabulary, classifier.tokenizer, weights, training)


def _with_lstm_of_base(classifier: TextClassifier, path: Path) -> LanguageModel:
    way, wanted = classifier.direction, classifier.base or {}
    for name, base in _likely_bases(classifier):
        architecture = replace(base.architecture, spelling=classifier.architecture.spelling)  # older ones lack it
        alike = (
            base.vocabulary.tokens == classifier.vocabulary.tokens
            and architecture.of_words_alone() == classifier.architecture
            and way in base.weights
        )
        if alike and lstm_sha256(base.weights[way], base.vocabulary) == wanted.get("lstm_sha256"):
            own = as_tensors(classifier.weights[way])
            weights = {each: {**some, **(own if each == way else mirrored(own))} for each, some in base.weights.items()}
            training = replace(classifier.training, name=name, report=None, known_texts=None)
            return replace(base, architecture=architecture, weights=weights, training=training)
    raise ArtifactError(
        f"{path}: this classifier reads words in context alone. To go on from it needs the LSTM of the language model "
        f"that it was made of, {wanted.get('name')!r}, which is not here or is another one now. Name a language model."
    )


def _decoder_bias(classifier: TextClassifier) -> dict[str, torch.Tensor]:
    """By direction, (n_tokens,) how common the base of a classifier finds each token; {} where no base is at hand."""
    for _, base in _likely_bases(classifier):
        places = [base.vocabulary.index.get(token) for token in classifier.vocabulary.tokens]
        if 2 * sum(place is not None for place in places) > len(places):
            found = {way: some["decoder.bias"] for way, some in base.weights.items()}
            return {
                way: torch.stack([bias.mean() if place is None else bias[place] for place in places])
                for way, bias in found.items()
            }
    return {}


def _likely_bases(classifier: TextClassifier) -> Iterator[tuple[str, LanguageModel]]:
    for name in filter(None, [(classifier.base or {}).get("name"), *embedded_models()]):
        try:
            if find_model(name):
                yield name, LanguageModel.from_pretrained(name)
        except UlmfitError:
            continue


def import_fastai(
    weights: Path, vocabulary: Path, *, direction: str = "forward", language: str = "en", name: str = "fastai"
) -> LanguageModel:
    """A language model that fastai saved (``learn.save``, or its pretrained ones) -> ours, with the same logits.

    Args:
        weights: the ``.pth`` file.
        vocabulary: the pickled list of tokens.
        direction: which way it reads: ``forward`` or ``backward``.
        language: spaCy code of its tokens.
        name: what its card calls it.

    Raises:
        ArtifactError: a file is missing, damaged, hostile, or no AWD-LSTM language model of fastai's.
        OptionError: an unknown direction or language.
    """
    if direction not in DIRECTIONS:
        raise OptionError(f"direction {direction!r}; a model of fastai's reads forward or backward")
    architecture, tokens, found = read_fastai(weights, vocabulary)
    training = TrainingRecord(name, (imported_stage(weights.name),))
    return LanguageModel(architecture, tokens, WordTokenizer(language), {direction: found}, training)
