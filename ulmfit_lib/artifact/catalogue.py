"""A model's name -> its folder: models that come with the library, and those that were added or downloaded."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.format import LANGUAGE_MODEL, STATIC, WEIGHTS, load_artifact, read_config
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.seal import hash_file
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.files import cache_folder, new_folder
from ulmfit_lib.tokens.vocabulary import Vocabulary

EMBEDDED = Path(__file__).parent.parent / "embedded"
AUTO = "auto"  # no name of a model: the best of the embedded ones


@dataclass(frozen=True)
class Download:
    """A file of fastai's: where it is, and the bytes that fastai itself names. It publishes no sha256."""

    url: str
    size: int
    sha256: str | None = None


WT103 = "wt103"
DOWNLOADS = {
    "forward": Download("https://s3.amazonaws.com/fast-ai-modelzoo/wt103-fwd.tgz", 105_067_061),
    "backward": Download("https://s3.amazonaws.com/fast-ai-modelzoo/wt103-bwd.tgz", 105_205_312),
}


def embedded_models() -> list[str]:
    """Names of the models that come with the library."""
    return _models_in(EMBEDDED)


def own_models() -> list[str]:
    """Names of the models that were added or downloaded."""
    return _models_in(own_folder())


def find_model(name_or_folder: str | Path) -> Path | None:
    """The folder of a model given by name, which comes first, or by folder; None: ``models.wt103`` must download it.

    An ArtifactError, for neither a name nor a folder, lists the names.
    """
    name = str(name_or_folder)
    if name in embedded_models():
        return EMBEDDED / name
    if name in own_models():
        return own_folder() / name
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    if name == WT103:
        return None
    names = ", ".join([*embedded_models(), *own_models(), WT103])
    raise ArtifactError(f"{name_or_folder}: no such model or folder; models by name: {names}; on the hub: hf:user/name")


def add_model(folder: Path, *, name: str | None = None, overwrite: bool = False) -> Path:
    """Copy a language model's folder to where it is found by name; it is read and checked first.

    Raises:
        ArtifactError: no readable language model, or the name is taken.
        OptionError: a name that cannot be one.
    """
    name = name or folder.resolve().name
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise OptionError(f"name {name!r}: letters, digits, '.', '_' and '-' only")
    if name in (*embedded_models(), WT103, AUTO):
        raise ArtifactError(f"{name}: this name is taken; choose another one (--name)")
    load_artifact(folder, kind=LANGUAGE_MODEL).language_model_weights()
    path = own_folder() / name
    with new_folder(path, overwrite=overwrite) as temporary:
        for file in folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, temporary / file.name)
    return path


def describe_models() -> list[dict[str, Any]]:
    """What ``models`` lists, one entry per language model: embedded, cached, and downloadable."""
    rows = [{"where": "embedded", **describe_model(EMBEDDED / name)} for name in embedded_models()]
    rows += [{"where": "cached", **describe_model(own_folder() / name)} for name in own_models()]
    if WT103 not in own_models():
        size = sum(source.size for source in DOWNLOADS.values()) / 1e6
        rows.append(
            {
                "where": "downloadable",
                "name": WT103,
                "kind": "language-model",
                "direction": "both",
                "language": "en",
                "tokenizer": "words",
                "megabytes": size,
                "urls": [source.url for source in DOWNLOADS.values()],
                "sha256": None,
                "licence": None,
                "perplexity": None,
            }
        )
    return rows


def describe_model(path: Path) -> dict[str, Any]:
    """What a model's folder says about itself, and the hash of its weights, which are not loaded."""
    config = read_config(path)
    training = TrainingRecord.load(path)
    weights = path / WEIGHTS
    described = {
        "name": path.name,
        "kind": config["kind"],
        "direction": config.get("direction"),
        "language": config.get("tokenizer", {}).get("language"),
        "tokenizer": config.get("tokenizer", {}).get("kind"),
        "tokens": None if config["kind"] == STATIC else len(Vocabulary.load(path / "vocab.json")),
        "architecture": config.get("architecture"),
        "megabytes": sum(file.stat().st_size for file in path.iterdir()) / 1e6,
        "sha256": hash_file(weights) if weights.is_file() else None,
        "licence": training.licence,
        "base": config.get("base"),
        "training": training.as_json(),
    }
    if "classes" in config:
        return {**described, "classes": config["classes"]}
    measured = training.last.validation
    names = ("perplexity", "perplexity_per_word", "unknown_share")
    return {**described, **{name: getattr(measured, name) if measured else None for name in names}}


def own_folder() -> Path:
    """Where models of the user's own and downloaded ones are kept."""
    return cache_folder() / "models"


def _models_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if one.name[0] != "." and (one / "config.json").is_file())
