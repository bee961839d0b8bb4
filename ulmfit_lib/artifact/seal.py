"""A seal in ``config.json``: hashes that tell whether a model's files are still those that were written together."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import ArtifactError

SEAL, CONFIG, CARD = "sha256", "config.json", "README.md"  # the card is for people and may be edited
CHANGED = "it is not as it was written when the model was saved; get the model again from its source"
PIECE = 1 << 20


def seal(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``config`` with the hashes of the other files in ``folder`` and of itself."""
    names = sorted(file.name for file in folder.iterdir() if file.name not in (CONFIG, CARD))
    hashes = {name: hash_file(folder / name) for name in names}
    return {**config, SEAL: {**hashes, CONFIG: _hash_config(config, hashes)}}


def check_seal(config: dict[str, Any], folder: Path) -> None:
    """Raise an ArtifactError if a file is not as it was sealed; format version 1 had no seal."""
    if SEAL not in config and config.get("format_version") == 1:
        return
    hashes = config.get(SEAL)
    if not isinstance(hashes, dict) or hashes.get(CONFIG) != _hash_config(config, hashes):
        raise ArtifactError(f"{folder / CONFIG}: {CHANGED}")
    files = {name: folder / Path(name).name for name in hashes if name != CONFIG}
    with ThreadPoolExecutor(thread_name_prefix="hash") as readers:
        for name, found in zip(files, readers.map(hash_file, files.values()), strict=True):
            if found != hashes[name]:
                raise ArtifactError(f"{folder / name}: {CHANGED}")


def hash_file(path: Path) -> str:
    """The sha256 of a file's content; an ArtifactError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise ArtifactError(f"{path}: missing or damaged ({error.strerror or error})") from error
    return digest.hexdigest()


def _hash_config(config: dict[str, Any], hashes: dict[str, Any]) -> str:
    others = {name: value for name, value in hashes.items() if name != CONFIG}
    return hashlib.sha256(json.dumps({**config, SEAL: others}, sort_keys=True).encode()).hexdigest()
