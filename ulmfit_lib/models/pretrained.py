"""A name -> a language model: those that come with the library, or a folder of yours."""

from pathlib import Path
from typing import Any

from ulmfit_lib.data.vocabulary import Vocabulary
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.models.artifacts import read_config, read_json
from ulmfit_lib.models.language_model import LanguageModel

EMBEDDED = Path(__file__).parent.parent / "embedded"


def embedded_models() -> list[str]:
    """Names of the models that come with the library."""
    return sorted(folder.name for folder in EMBEDDED.iterdir() if (folder / "config.json").is_file())


def find_pretrained(name_or_folder: str | Path) -> Path:
    """The folder of a model given by name or by folder; an embedded name wins over a folder of the same name.

    Raises:
        ArtifactError: neither a name nor a folder; the message lists the names.
    """
    if str(name_or_folder) in embedded_models():
        return EMBEDDED / str(name_or_folder)
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    names = ", ".join(embedded_models())
    raise ArtifactError(f"{name_or_folder}: no such model or folder; models that come with the library: {names}")


def load_pretrained(name_or_folder: str | Path) -> LanguageModel:
    """Read it, and remember in ``training['name']`` what it was called."""
    path = find_pretrained(name_or_folder)
    model = LanguageModel.load(path)
    model.training.setdefault("name", path.name)
    return model


def describe_embedded() -> list[dict[str, Any]]:
    """What ``models`` lists, one entry per embedded language model."""
    return [describe_model(EMBEDDED / name) for name in embedded_models()]


def describe_model(path: Path) -> dict[str, Any]:
    """What a model's folder says about itself, without reading the weights.

    Raises:
        ArtifactError: no model there.
    """
    config = read_config(path)
    training = read_json(path / "training.json")
    described = {
        "name": path.name,
        "kind": config["kind"],
        "direction": config.get("direction"),
        "language": config.get("tokenizer", {}).get("language"),
        "tokenizer": config.get("tokenizer", {}).get("kind"),
        "tokens": len(Vocabulary.load(path / "vocab.json")),
        "architecture": config.get("architecture"),
        "megabytes": sum(file.stat().st_size for file in path.iterdir()) / 1e6,
        "base": config.get("base"),
        "training": training,
    }
    if "classes" in config:
        return {**described, "classes": config["classes"]}
    stages = training.get("stages") or [{}]
    return {**described, "perplexity": stages[-1].get("validation", {}).get("perplexity", float("nan"))}
