"""One folder format for every model: JSON and safetensors, no pickle; safe to load from strangers."""

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.artifact.architecture import PAD_ID, Architecture
from ulmfit_lib.artifact.record import FILE, TrainingRecord
from ulmfit_lib.artifact.seal import check_seal, seal
from ulmfit_lib.artifact.tensors import Tensors, is_finite, read_tensors, write_tensors
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.files import new_folder, read_json
from ulmfit_lib.tokens.tokenizer import Tokenizer, load_tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.version import __version__

FORMAT, FORMAT_VERSION = "ulmfit", 10
PLAIN_VERSION = 2  # what a model that lacks what came later is written as, so that older readers know it
OFFSETS_VERSION = 4  # offsets of the classes
RULE_VERSION = 6  # offsets of the decision rule
STATIC_VERSION = 6  # static classifiers
DISTILLED_VERSION = 5  # word vectors; before, the width of a distilled vector was called ``taught``
CONTEXT_VERSION = 7  # word vectors in context
WIDENED_VERSION = 8  # word vectors that are wider in context
WORDS_VERSION = 9  # classifiers without an LSTM, which read words in context alone
SPELLING_VERSION = 10  # words outside the vocabulary are read as the known ones that are spelled most like them
SHARED = "words."  # tensors that both directions have in common are stored once, without a direction
DIRECTIONS = ("forward", "backward")
WEIGHTS = "model.safetensors"
LANGUAGE_MODEL, CLASSIFIER, PREDICTOR, STATIC = "language-model", "classifier", "predictor", "static"  # kinds
PACKAGES = ("torch", "fastai", "spacy", "numpy", "scikit-learn")


@dataclass(frozen=True, eq=False)
class Artifact:
    """What a model's folder holds; one that was read is checked as far as it can be without knowing the kind."""

    kind: str  # `language-model`, `classifier` or `predictor`
    direction: str  # `forward`, `backward` or `both`
    architecture: Architecture  # sizes of the encoder
    vocabulary: Vocabulary  # tokens by id
    tokenizer: Tokenizer  # what splits texts for it
    tensors: Tensors  # float32, by name, the direction first: `forward.encoder.weight`
    training: TrainingRecord  # how it came to be
    config: dict[str, Any]  # what only this kind has in `config.json`; all of it where the folder was read
    card: str = ""  # the model card, Markdown
    files: Mapping[str, bytes] = field(default_factory=dict)  # more files, by name
    version: int = PLAIN_VERSION  # the earliest version of the format that can hold all this
    path: Path = Path()  # the folder it was read from

    def part(self, prefix: str) -> Tensors:
        """The tensors whose name starts with ``prefix.``, without it."""
        start = prefix + "."
        return {name[len(start) :]: tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def directions(self) -> tuple[str, ...]:
        """The directions that it holds, forward first; an ArtifactError where ``config.json`` names an unknown one."""
        if self.direction == "both":
            return DIRECTIONS
        if self.direction in DIRECTIONS:
            return (self.direction,)
        place = self.path / "config.json"
        raise ArtifactError(f"{place}: direction {self.direction!r}; known are forward, backward, both")

    def language_model_weights(self) -> dict[str, Tensors]:
        """Each direction's tensors, if this is a language model as it was written (``check``)."""
        if not self.architecture.layers:
            raise ArtifactError(f"{self.path / 'config.json'}: a language model needs at least one layer")
        shapes = self.architecture.weight_shapes(len(self.vocabulary))
        self.check({f"{way}.{name}": shape for way in self.directions() for name, shape in shapes.items()})
        return {way: self.part(way) for way in self.directions()}

    def check(self, expected: dict[str, tuple[int, ...]]) -> None:
        """Compare the tensors' names and shapes, and all files with their hashes.

        Raises:
            ArtifactError: a tensor is missing, unexpected, of another shape, or not finite; or a file was changed.
        """
        file = self.path / WEIGHTS
        if missing := sorted(expected.keys() - self.tensors.keys()):
            raise ArtifactError(f"{file}: tensor {missing[0]} is missing")
        if extra := sorted(self.tensors.keys() - expected.keys()):
            raise ArtifactError(f"{file}: tensor {extra[0]} is not part of this kind of model")
        for name, shape in expected.items():
            if self.tensors[name].shape != shape:
                raise ArtifactError(f"{file}: tensor {name} has shape {self.tensors[name].shape}, not {shape}")
            if not is_finite(self.tensors[name]):
                raise ArtifactError(f"{file}: tensor {name} holds values that are not finite numbers")
        check_seal(self.config, self.path)

    def save(self, path: Path, *, precision: str = "float32", overwrite: bool = False) -> None:
        """Write the folder, whole or not at all; ``int8`` has one scale per row of each matrix."""
        config = {
            "format": FORMAT,
            "format_version": max(self.version, _version_of(self.architecture)),
            "kind": self.kind,
            "architecture": self.architecture.config(),
            "direction": self.direction,
            "tokenizer": self.tokenizer.config(),
            **self.config,
            "versions": package_versions(),
        }
        with new_folder(path, overwrite=overwrite) as folder:
            _write_json(folder / FILE, self.training.as_json())
            self.vocabulary.save(folder / "vocab.json")
            self.tokenizer.save(folder)
            write_tensors(folder / WEIGHTS, _shared_once(self.tensors), precision)
            (folder / "README.md").write_text(self.card, encoding="utf-8")
            for name, content in self.files.items():
                (folder / name).write_bytes(content)
            _write_json(folder / "config.json", seal(config, folder))


def _version_of(architecture: Architecture) -> int:
    """The earliest version that can hold such an encoder."""
    if architecture.spelling:
        return SPELLING_VERSION
    if not architecture.layers:
        return WORDS_VERSION
    if architecture.context:
        return WIDENED_VERSION if architecture.context_width else CONTEXT_VERSION
    return DISTILLED_VERSION if architecture.distilled else PLAIN_VERSION


def _shared_once(tensors: Tensors) -> Tensors:
    """Without a copy of what both directions have in common, which is stored under its name alone."""
    first, second = (f"{direction}.{SHARED}" for direction in DIRECTIONS)
    common = [
        name.removeprefix(first)
        for name, tensor in tensors.items()
        if name.startswith(first) and np.array_equal(tensor, tensors.get(second + name.removeprefix(first), np.nan))
    ]
    left_out = {start + name for name in common for start in (first, second)}
    kept = {name: tensor for name, tensor in tensors.items() if name not in left_out}
    return kept | {SHARED + name: tensors[first + name] for name in common}


def _for_each_direction(tensors: Tensors, direction: Any) -> Tensors:
    """With what ``_shared_once`` stored once in its place in each direction."""
    if direction != "both":
        return tensors
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(SHARED)}
    shared = {name: tensor for name, tensor in tensors.items() if name.startswith(SHARED)}
    return own | {f"{way}.{name}": tensor for way in DIRECTIONS for name, tensor in shared.items()}


def package_versions() -> dict[str, str]:
    """Of all that a result can depend on and that is installed."""
    from importlib.metadata import PackageNotFoundError, version  # which only what writes models needs

    found = {"ulmfit_lib": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def load_artifact(path: Path, *, kind: str | None = None, table_in_bytes: bool = False) -> Artifact:
    """Read a model's folder, trusting nothing in it.

    Args:
        path: the folder.
        kind: that it must be of.
        table_in_bytes: as for ``read_tensors``.

    Raises:
        ArtifactError: names the file at fault: missing, damaged, of another kind, from a newer version.
    """
    config = read_config(path)
    if kind and config["kind"] != kind:
        raise ArtifactError(f"{path}: this is a {config['kind']}, and a {kind} is needed here")
    architecture = Architecture.from_config(config.get("architecture"), str(path / "config.json"))
    if not isinstance(config.get("tokenizer"), dict):
        raise ArtifactError(f"{path / 'config.json'}: it describes no tokenizer")
    vocabulary = Vocabulary.load(path / "vocab.json")
    if vocabulary.pad_id != PAD_ID:
        raise ArtifactError(f"{path / 'vocab.json'}: xxpad is at {vocabulary.pad_id} and must be at {PAD_ID}")
    tensors = _for_each_direction(read_tensors(path / WEIGHTS, table_in_bytes=table_in_bytes), config.get("direction"))
    return Artifact(
        kind=config["kind"],
        direction=config.get("direction", ""),
        config=config,
        version=config["format_version"],
        path=path,
        architecture=architecture,
        vocabulary=vocabulary,
        tokenizer=load_tokenizer(config["tokenizer"], path),
        tensors=tensors,
        training=TrainingRecord.load(path),
    )


def read_config(path: Path) -> dict[str, Any]:
    """A model folder's ``config.json``, checked for format, version and kind.

    Raises:
        ArtifactError: no model there, or one from a newer version.
    """
    if not path.is_dir():
        raise ArtifactError(
            f"{path}: no such folder; a saved model is a folder with config.json in it, and one on the Hugging Face "
            "hub is called hf:user/name"
        )
    if not (path / "config.json").is_file():
        raise ArtifactError(f"{path}: no config.json in this folder, so it is no saved model")
    if odd := [file.name for file in path.iterdir() if not file.is_file()]:
        raise ArtifactError(f"{path / sorted(odd)[0]}: this is not a plain file, and a saved model holds nothing else")
    config = read_json(path / "config.json")
    if not isinstance(config, dict) or config.get("format") != FORMAT or not isinstance(config.get("kind"), str):
        raise ArtifactError(f"{path / 'config.json'}: not written by ulmfit_lib")
    found = config.get("format_version")
    if type(found) is not int or not 1 <= found <= FORMAT_VERSION:
        raise ArtifactError(
            f"{path / 'config.json'}: format version {found!r}; this ulmfit_lib reads up to {FORMAT_VERSION}, "
            f"so install a newer one: pip install -U ulmfit-lib"
        )
    return config


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
