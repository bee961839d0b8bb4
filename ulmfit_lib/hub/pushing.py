"""A model's folder -> a repository of the hub, its own card under metadata that the hub reads."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.format import LANGUAGE_MODEL, Artifact, load_artifact
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.artifact.seal import CARD
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.hub.client import LIBRARY, hub_api, import_hub, offline_by
from ulmfit_lib.hub.fetching import IGNORED, SAVED, TERMS, check_files, format_size
from ulmfit_lib.hub.repository import Repository, is_on_hub
from ulmfit_lib.progress import note
from ulmfit_lib.serving.stored_classifier import StoredClassifier

MAIN = "main"
USE = "\n## Use\n"  # where the card's last section starts
METRICS = {  # as a report calls them -> as the hub does
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "mean_absolute_error": "mae",
    "spearman": "spearmanr",
    "perplexity": "perplexity",
}
LICENCES = ("mit", "apache-2.0", "bsd-3-clause", "gpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")


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


def hub_card(
    card: str, *, config: Mapping[str, Any], training: TrainingRecord, repository: Repository, licence: str | None
) -> str:
    """A model's card, the text of its README.md, as the hub shows it.

    What the card's metadata says already, because somebody wrote it there, stays. Without a ``licence`` in the hub's
    words, such as ``mit``, it is what the model's record says.
    """
    hub = import_hub()
    entries = _metadata(config, training, model_name=repository.name.split("/")[1]).to_dict()
    if card.startswith("---"):
        written = _read(card)
        card, entries = written.text, {**entries, **written.data.to_dict()}
    if licence:
        entries["license"] = licence
    metadata = hub.ModelCardData(**entries, ignore_metadata_errors=True).to_yaml().strip()
    text = card.partition(USE)[0].strip()
    return f"---\n{metadata}\n---\n\n{text}\n{USE}\n{_use(config['kind'], repository)}"


def _read(card: str) -> Any:
    import yaml

    try:
        return import_hub().ModelCard(card, ignore_metadata_errors=True)
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise ArtifactError(f"{CARD}: what stands between its two lines of --- is no metadata ({said})") from error


def _metadata(config: Mapping[str, Any], training: TrainingRecord, *, model_name: str) -> Any:
    task = "text-generation" if config["kind"] == LANGUAGE_MODEL else "text-classification"
    base = (config.get("base") or {}).get("name", "")
    language = config.get("tokenizer", {}).get("language")
    scores = _scores(training)
    metrics = sorted({METRICS[name] for _, name, *_ in scores})
    results = [
        import_hub().EvalResult(
            task_type=task,
            dataset_type="private",
            dataset_name=where,
            metric_type=METRICS[name],
            metric_name=name.replace("_", " ") + interval,
            metric_value=round(value, 4),
        )
        for where, name, value, interval in scores
    ]
    return import_hub().ModelCardData(
        language="multilingual" if language == "xx" else language,  # spaCy's code for many
        license=_licence(training),
        library_name=LIBRARY,
        pipeline_tag=task,
        tags=["ulmfit", "awd-lstm"],
        metrics=metrics or None,
        base_model=Repository.parse(base).name if is_on_hub(base) else None,  # the hub knows no other names
        model_name=model_name,
        eval_results=results or None,
    )


def _scores(training: TrainingRecord) -> list[tuple[str, str, float, str]]:
    """Of each score that the hub has a name for: on which rows, its name and value, and its interval in words."""
    found: dict[str, Any] = {}
    if training.report:
        report, rows = training.report, "labelled rows, held out or cross-validated"
        found = (report.ratings or report.tags or report.scores)[ENSEMBLE].as_dict()
    elif training.last.validation:
        rows = "texts that were held out from its training"
        found = asdict(training.last.validation)
    entries = []
    for name, value in found.items():
        if name in METRICS:
            low, high = found.get(f"{name}_95", (None, None))
            interval = "" if low is None else f" (95 % interval {low:.3f} to {high:.3f})"
            entries.append((f"{found['n']:,} {rows}" if "n" in found else rows, name, value, interval))
    return entries


def _licence(training: TrainingRecord) -> str | None:
    """A record's licence in the hub's words, of which the first that it names counts; None where it names none."""
    said = (training.licence or "").split(";")[0].strip().lower().replace(" ", "-")
    return (said if said in LICENCES else "other") if said else None


def _use(kind: str, repository: Repository) -> str:
    command = (
        f'ulmfit generate {repository} --prompt "The film was"'
        if kind == LANGUAGE_MODEL
        else f'ulmfit predict {repository} "A text."'
    )
    return (
        f"```sh\npip install 'ulmfit-lib[hub]'\n{command}\n```\n\n"
        f'```python\nfrom ulmfit_lib import from_pretrained\n\nmodel = from_pretrained("{repository.name}")\n```\n'
    )
