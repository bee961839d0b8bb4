"""A name -> a language model: one that comes with the library, one of yours, fastai's, or a folder."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.data.vocabulary import Vocabulary
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.files import cache_folder, new_folder
from ulmfit_lib.models.artifacts import DIRECTIONS, read_config, read_object
from ulmfit_lib.models.downloading import download
from ulmfit_lib.models.fastai_import import import_archive, join_directions
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.seals import hash_file
from ulmfit_lib.progress import note

EMBEDDED = Path(__file__).parent.parent / "embedded"
AUTO = "auto"
SAMPLE_TEXTS, SAMPLE_CHARACTERS = 100, 1_000  # what `auto` compares the embedded models on
MOST_UNKNOWN = 0.2  # share of words outside the vocabulary from which on a base is doubtful


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
    return _models_in(_own_folder())


def find_pretrained(name_or_folder: str | Path) -> Path:
    """The folder of a model given by name or by folder; a name wins over a folder that is called the same.

    Raises:
        ArtifactError: neither a name nor a folder; the message lists the names.
    """
    name = str(name_or_folder)
    if name in embedded_models():
        return EMBEDDED / name
    if name in own_models():
        return _own_folder() / name
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    if name == WT103:
        return download_wt103()
    names = ", ".join([*embedded_models(), *own_models(), WT103])
    raise ArtifactError(f"{name_or_folder}: no such model or folder; models by name: {names}")


def load_pretrained(name_or_folder: str | Path) -> LanguageModel:
    """Read it, and remember in ``training['name']`` what it was called."""
    path = find_pretrained(name_or_folder)
    model = LanguageModel.load(path)
    model.training.setdefault("name", path.name)
    return model


def load_base(
    base: str | Path | LanguageModel, texts: Sequence[str], *, direction: str | None = None, seed: int = 42
) -> tuple[LanguageModel, str]:
    """The language model to go on from, and a sentence that says why this one.

    Args:
        base: a model, a name, a folder; or ``auto``: the embedded model with the lowest perplexity per word on a
            sample of the texts.
        texts: what it will read.
        direction: which way it must read.
        seed: of the sample.

    Raises:
        ArtifactError: no such name or folder.
    """
    if isinstance(base, LanguageModel):
        return base, f"base {base.training.get('name', 'language model')}: as given"
    if base != AUTO:
        return load_pretrained(base), f"base {base}: as asked for"
    chosen = np.random.default_rng(seed).permutation(len(texts))[:SAMPLE_TEXTS]
    sample = [texts[i][:SAMPLE_CHARACTERS] for i in chosen]
    models = {name: load_pretrained(name) for name in embedded_models()}
    able = {name: model for name, model in models.items() if direction in (None, model.direction, *model.weights)}
    scores = {name: model.score(sample) for name, model in (able or models).items()}
    ranking = sorted(scores, key=lambda name: scores[name].perplexity_per_word)
    shown = ", ".join(f"{name} {scores[name].perplexity_per_word:,.0f}" for name in ranking)
    why = f"base {ranking[0]}: the lowest perplexity per word on {len(sample)} of these texts ({shown})"
    if (unknown := scores[ranking[0]].unknown_share) > MOST_UNKNOWN:
        why += (
            f"; but it does not know {100 * unknown:.0f} % of the words: if they are not English, "
            f"make a base of their language with `pretrain --language`"
        )
    return models[ranking[0]], why


def download_wt103(
    *, files: Sequence[Path] = (), sha256: Sequence[str] = (), downloads: dict[str, Download] = DOWNLOADS
) -> Path:
    """fastai's WikiText-103 models, both directions, converted into the cache; nothing is kept after a failure.

    Args:
        files: archives that are here already (``wt103-fwd.tgz`` and/or ``wt103-bwd.tgz``), instead of a download.
        sha256: hashes that the downloads must have, forward first; fastai publishes none.
        downloads: where they are.

    Raises:
        ArtifactError: no connection, a wrong or hostile file, or a cache that cannot be written.
    """
    folder = _own_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as temporary:
            archives = {_direction_of(file): file for file in files}
            pinned = dict(zip(DIRECTIONS, sha256, strict=False))
            notes = []
            for way, source in downloads.items() if not files else ():
                archives[way] = Path(temporary) / source.url.rsplit("/", 1)[-1]
                note(f"{WT103} {way}: {source.url}")
                found = download(
                    source.url, archives[way], size=source.size, sha256=pinned.get(way, source.sha256)
                )  # fmt: skip
                notes.append(f"{source.url} (sha256 {found})")
            parts = [
                import_archive(archives[way], folder=Path(temporary), direction=way, name=WT103)
                for way in DIRECTIONS if way in archives
            ]  # fmt: skip
            model = parts[0] if len(parts) == 1 else join_directions(*parts)
            model.training["licence"] = "weights by fast.ai; text of WikiText-103, CC BY-SA"
            model.training["source"] = ", ".join(notes) or ", ".join(file.name for file in files)
            model.save(folder / WT103, overwrite=True)
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return folder / WT103


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
    LanguageModel.load(folder)
    path = _own_folder() / name
    with new_folder(path, overwrite=overwrite) as temporary:
        for file in folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, temporary / file.name)
    return path


def describe_models() -> list[dict[str, Any]]:
    """What ``models`` lists, one entry per language model: embedded, cached, and downloadable."""
    rows = [{"where": "embedded", **describe_model(EMBEDDED / name)} for name in embedded_models()]
    rows += [{"where": "cached", **describe_model(_own_folder() / name)} for name in own_models()]
    if WT103 not in own_models():
        size = sum(source.size for source in DOWNLOADS.values()) / 1e6
        rows.append({
            "where": "downloadable", "name": WT103, "kind": "language-model", "direction": "both", "language": "en",
            "tokenizer": "words", "megabytes": size, "urls": [source.url for source in DOWNLOADS.values()],
            "sha256": None, "licence": None, "perplexity": None,
        })  # fmt: skip
    return rows


def describe_model(path: Path) -> dict[str, Any]:
    """What a model's folder says about itself, and the hash of its weights, which are not loaded.

    Raises:
        ArtifactError: no model there.
    """
    config = read_config(path)
    training = read_object(path / "training.json")
    weights = path / "model.safetensors"
    described = {
        "name": path.name,
        "kind": config["kind"],
        "direction": config.get("direction"),
        "language": config.get("tokenizer", {}).get("language"),
        "tokenizer": config.get("tokenizer", {}).get("kind"),
        "tokens": len(Vocabulary.load(path / "vocab.json")),
        "architecture": config.get("architecture"),
        "megabytes": sum(file.stat().st_size for file in path.iterdir()) / 1e6,
        "sha256": hash_file(weights) if weights.is_file() else None,
        "licence": training.get("licence"),
        "base": config.get("base"),
        "training": training,
    }
    if "classes" in config:
        return {**described, "classes": config["classes"]}
    validation = (training.get("stages") or [{}])[-1].get("validation", {})
    return {
        **described,
        "perplexity": validation.get("perplexity"),
        "perplexity_per_word": validation.get("perplexity_per_word"),
        "unknown_share": validation.get("unknown_share"),
    }


def _own_folder() -> Path:
    return cache_folder() / "models"


def _models_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if one.name[0] != "." and (one / "config.json").is_file())


def _direction_of(archive: Path) -> str:
    for sign, direction in (("fwd", "forward"), ("bwd", "backward")):
        if sign in archive.name:
            return direction
    raise OptionError(f"{archive}: its name says neither fwd nor bwd; fastai's are wt103-fwd.tgz and wt103-bwd.tgz")
