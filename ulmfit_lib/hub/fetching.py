"""A model on the hub -> its folder in the hub's cache: the files of a saved model, and nothing that could run code."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ulmfit_lib.artifact.catalogue import find_model
from ulmfit_lib.artifact.format import DIRECTIONS, WEIGHTS
from ulmfit_lib.artifact.seal import CARD, CONFIG
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.hub.client import Unreachable, hub_api, import_hub, not_a_hub, offline_by
from ulmfit_lib.hub.repository import Repository, is_on_hub
from ulmfit_lib.progress import note
from ulmfit_lib.serving.stored_classifier import LINEAR_MEMBERS, graph_file, terms_file
from ulmfit_lib.tokens.splitting import RULES_FILE
from ulmfit_lib.tokens.subwords import SUBWORD_FILE

TERMS = tuple(map(terms_file, LINEAR_MEMBERS))
SAVED = (
    CONFIG,
    CARD,
    WEIGHTS,
    "training.json",
    "vocab.json",
    RULES_FILE,
    SUBWORD_FILE,
    *TERMS,
    *map(graph_file, DIRECTIONS),
)
IGNORED = (".gitattributes",)  # the hub's own
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack", ".py")
COMMIT = re.compile("[0-9a-f]{40,64}")


def check_files(repository: Repository, names: Iterable[str]) -> None:
    """Refuse a repository that is no saved model: an ArtifactError names a file that does not belong there."""
    found = set(names)
    strangers = sorted(found - {*SAVED, *IGNORED}, key=lambda name: (not _may_run(name), name))
    if strangers:
        what = "may run code when it is read" if _may_run(strangers[0]) else "is no part of a saved model"
        others = f" (and {len(strangers) - 1} more)" if len(strangers) > 1 else ""
        raise ArtifactError(f"{repository}: refused, because it holds {strangers[0]!r}{others}, which {what}")
    if not {CONFIG, WEIGHTS} <= found:
        raise ArtifactError(f"{repository}: this repository holds no model that ulmfit_lib saved")


def _may_run(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICKLES


def format_size(size: int) -> str:
    """Bytes as people read them.

    >>> format_size(31_351_448), format_size(1_438)
    ('31.4 MB', '1.4 kB')
    """
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def find_folder(model: str | Path) -> Path:
    """The folder of a model: one on the hub (``hf:user/name[@revision]``) is fetched first."""
    return fetch(Repository.parse(Path(model).as_posix())) if is_on_hub(model) else Path(model)


def find_named(model: str | Path) -> Path | None:
    """The folder of a model on the hub, of one with a name (``artifact.catalogue.find_model``), or as it is given."""
    return find_folder(model) if is_on_hub(model) else find_model(model)


def fetch(repository: Repository) -> Path:
    """The folder of a model on the hub, which is downloaded where the cache lacks it; it is not read yet.

    What the repository holds is looked at first, so that nothing of one is downloaded that holds more than a saved
    model. Without a network the cache has to do. An ArtifactError says if there is no such repository or revision, a
    file that is no part of a model, or nothing in the cache.
    """
    if variable := offline_by():
        return _from_cache(repository, f"{variable} is set")
    try:
        with hub_api(repository) as api:
            found = api.model_info(repository.name, revision=repository.revision, files_metadata=True)
    except Unreachable as error:
        return _from_cache(repository, error.message.removeprefix(f"{repository}: "))
    files, commit = found.siblings or [], found.sha or ""
    if not COMMIT.fullmatch(commit):
        raise not_a_hub(repository)
    check_files(repository, (file.rfilename for file in files))
    size = format_size(sum(file.size or 0 for file in files))
    note(f"{repository} is at commit {commit} ({size}); to ask for exactly this one: {repository.at(commit)}")
    with hub_api(repository) as api:
        folder = Path(api.snapshot_download(repository.name, revision=repository.revision, allow_patterns=list(SAVED)))
    if folder.name != commit:
        raise ArtifactError(f"{repository}: it changed while it was being downloaded; try again")
    return folder


def _from_cache(repository: Repository, why: str) -> Path:
    hub = import_hub()
    try:
        folder = Path(
            hub.snapshot_download(
                repository.name, revision=repository.revision, allow_patterns=list(SAVED), local_files_only=True
            )
        )
    except hub.errors.LocalEntryNotFoundError as error:
        raise ArtifactError(f"{repository}: {why}, and the cache has no whole copy of it") from error
    check_files(repository, (file.name for file in folder.iterdir()))
    note(f"{repository}: {why}, so commit {folder.name} is taken from the cache")
    return folder
