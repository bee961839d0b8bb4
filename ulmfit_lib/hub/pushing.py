"""A model's folder -> a repository of the hub."""

from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.format import LANGUAGE_MODEL, Artifact, load_artifact
from ulmfit_lib.artifact.seal import CARD
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.hub.cards import hub_card
from ulmfit_lib.hub.client import hub_api, import_hub, offline_by
from ulmfit_lib.hub.fetching import IGNORED, SAVED, TERMS, check_files, format_size
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.progress import note
from ulmfit_lib.serving.stored_classifier import StoredClassifier

MAIN = "main"


def push_to_hub(
    folder: str | Path,
    name: str,
    *,
    public: bool = False,
    words: bool = False,
    branch: str = MAIN,
    message: str = "",
    licence: str | None = None,
) -> str:
    """Send a saved model to a repository of the Hugging Face hub, which is made where there is none.

    The token is the one that huggingface_hub finds: what ``hf auth login`` stored, or ``HF_TOKEN``.

    Args:
        folder: of a classifier, an exported classifier or a language model; only files of a saved model are sent.
        name: ``user/name``.
        public: anybody may read it; otherwise the repository is private.
        words: let anybody read the words and pairs of words of your texts that TF-IDF holds.
        branch: where the commit goes.
        message: of the commit.
        licence: in the hub's words, such as ``mit``; by default what the model's record says.

    Returns:
        The repository with the commit, as ``from_pretrained`` takes it.

    Raises:
        OptionError: no such name can be, huggingface_hub is missing, or words of texts would become public.
        ArtifactError: the folder is no whole model, the repository is public or holds something else, or the hub
            refuses.

    Examples:
        >>> push_to_hub("models/reviews", "ada/reviews")    # doctest: +SKIP
        'hf:ada/reviews@9f2c4b...'
    """
    repository, path = Repository.parse(name), Path(folder)
    if repository.revision:
        raise OptionError(f"{name!r}: a commit cannot be written over; leave out what follows the @")
    if variable := offline_by():
        raise ArtifactError(f"{repository}: nothing was sent, because {variable} is set")
    Repository.parse(f"{repository.name}@{branch}")
    artifact = _read_whole(path)
    files = [file for file in SAVED if (path / file).is_file()]
    if public and not words and (terms := [file for file in TERMS if file in files]):
        raise OptionError(
            f"{path / terms[0]}: it holds words and pairs of words of your texts, which everybody could read; allow it "
            f"with --words (words=True), or make the model without it (fit --no-baseline)"
        )
    hub = import_hub()
    card = hub_card(
        _read_card(path / CARD) if CARD in files else "",
        config=artifact.config,
        training=artifact.training,
        repository=repository,
        licence=licence,
    ).encode()
    with hub_api(repository) as api:
        there, private = _prepare(api, repository, public=public, branch=branch)
        _announce(repository, path, files, private=private)
        changes = [hub.CommitOperationDelete(file) for file in there if file in SAVED and file not in (*files, CARD)]
        changes += [hub.CommitOperationAdd(file, str(path / file)) for file in files if file != CARD]
        changes.append(hub.CommitOperationAdd(CARD, card))
        said = message or f"{artifact.config['kind']} by ulmfit_lib"
        commit = api.create_commit(repository.name, changes, revision=branch, commit_message=said)
    return str(repository.at(commit.oid))


def _read_whole(path: Path) -> Artifact:
    """A folder that was checked as if a stranger had made it: what is damaged is not sent."""
    artifact = load_artifact(path)
    if artifact.config["kind"] == LANGUAGE_MODEL:
        artifact.language_model_weights()
    else:
        StoredClassifier.from_artifact(artifact)
    return artifact


def _read_card(file: Path) -> str:
    """The card, the only file that no hash vouches for: a link could lead to any file of the user's."""
    folder = file.parent.resolve()
    if file.resolve().parent not in (folder, folder.parent.parent / "blobs"):  # where the hub's cache keeps them
        raise ArtifactError(f"{file}: a link to a file elsewhere, which would be sent; put the card itself there")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{file}: the card is not written in UTF-8 ({error})") from error


def _prepare(api: Any, repository: Repository, *, public: bool, branch: str) -> tuple[list[str], bool]:
    """Make the repository and the branch where they are missing; what files there are, and whether it is private.

    Raises:
        ArtifactError: anybody may read it and ``public`` is off, or it holds more than a model.
    """
    if new := not api.repo_exists(repository.name):
        api.create_repo(repository.name, private=not public)
    found = api.model_info(repository.name)
    if not public and not found.private:
        raise ArtifactError(
            f"{repository}: everybody can read this repository; allow it with --public (public=True), or make the "
            f"repository private on its page"
        )
    if branch != MAIN:
        api.create_branch(repository.name, branch=branch, exist_ok=True)
    names = [file.rfilename for file in api.model_info(repository.name, revision=branch).siblings or []]
    if not new and set(names) - {*IGNORED, CARD}:
        check_files(repository, names)
    return names, found.private


def _announce(repository: Repository, path: Path, files: list[str], *, private: bool) -> None:
    sizes = {file: (path / file).stat().st_size for file in files}
    shown = ", ".join(f"{file} ({format_size(size)})" for file, size in sizes.items())
    readers = "which is private" if private else "which everybody can read"
    note(f"to {repository}, {readers}: {shown}")
    if left := sorted(file.name for file in path.iterdir() if file.name not in files):
        note(f"left out, since they are no part of the model: {', '.join(left)}")
    words = ", ".join(file for file in ("vocab.json", *TERMS) if file in files)
    note(
        f"None of these holds a text. Words of texts that the model has read are in {words}; the names of the files "
        f"that they came from are in training.json and {CARD}."
    )
