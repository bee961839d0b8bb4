"""A model on the hub -> its folder in the hub's cache."""

import re
from pathlib import Path

from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.hub.client import Unreachable, hub_api, import_hub, not_a_hub, offline_by
from ulmfit_lib.hub.files import SAVED, check_files, format_size
from ulmfit_lib.hub.repository import Repository, is_on_hub
from ulmfit_lib.progress import note

COMMIT = re.compile("[0-9a-f]{40,64}")


def find_folder(model: str | Path) -> Path:
    """The folder of a model: one on the hub (``hf:user/name[@revision]``) is fetched first."""
    return fetch(Repository.parse(Path(model).as_posix())) if is_on_hub(model) else Path(model)


def fetch(repository: Repository) -> Path:
    """The folder of a model on the hub, which is downloaded where the cache lacks it; it is not read yet.

    What the repository holds is looked at first, so that nothing of one is downloaded that holds more than a saved
    model. Without a network the cache has to do.

    Raises:
        ArtifactError: no such repository or revision, a file that is no part of a model, or nothing in the cache.
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
