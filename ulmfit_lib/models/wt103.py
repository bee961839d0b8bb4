"""fastai's WikiText-103 models: downloaded or taken from files, checked, and kept in our own format."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ulmfit_lib.artifact.cards import language_model_card
from ulmfit_lib.artifact.catalogue import DOWNLOADS, WT103, Download, find_model, own_folder
from ulmfit_lib.artifact.format import DIRECTIONS, LANGUAGE_MODEL, Artifact
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.hub.fetching import find_folder
from ulmfit_lib.hub.repository import is_on_hub
from ulmfit_lib.models.downloading import download
from ulmfit_lib.models.fastai_files import FastaiModel, imported_stage, in_order_of, read_archive
from ulmfit_lib.models.tensors import as_arrays
from ulmfit_lib.progress import note
from ulmfit_lib.tokens.words import WordTokenizer


def find_pretrained(name_or_folder: str | Path) -> Path:
    """The folder of a model by its name or folder; ``wt103`` and ``hf:user/name`` are downloaded when asked for."""
    if is_on_hub(name_or_folder):
        return find_folder(name_or_folder)
    return find_model(name_or_folder) or download_wt103()


def download_wt103(
    *, files: Sequence[Path] = (), sha256: Sequence[str] = (), downloads: dict[str, Download] = DOWNLOADS
) -> Path:
    """fastai's WikiText-103 models, both directions, converted into the cache; nothing is kept after a failure.

    Args:
        files: archives that are here already (``wt103-fwd.tgz`` and/or ``wt103-bwd.tgz``), instead of a
            download.
        sha256: hashes that the downloads must have, forward first; fastai publishes none.
        downloads: where they are.
    """
    folder = own_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as temporary:
            archives = {_direction_of(file): file for file in files}
            pinned = dict(zip(DIRECTIONS, sha256, strict=False))
            notes = []
            for way, source in downloads.items() if not files else ():
                archives[way] = Path(temporary) / source.url.rsplit("/", 1)[-1]
                note(f"{WT103} {way}: {source.url}")
                found = download(source.url, archives[way], size=source.size, sha256=pinned.get(way, source.sha256))
                notes.append(f"{source.url} (sha256 {found})")
            found_models = {
                way: read_archive(archives[way], folder=Path(temporary), direction=way)
                for way in DIRECTIONS
                if way in archives
            }
            training = TrainingRecord(
                WT103,
                tuple(imported_stage(f"{way}.pth") for way in found_models),
                licence="weights by fast.ai; text of WikiText-103, CC BY-SA",
                more={"source": ", ".join(notes) or ", ".join(file.name for file in files)},
            )
            _save(folder / WT103, found_models, training)
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return folder / WT103


def _save(path: Path, found: dict[str, FastaiModel], training: TrainingRecord) -> None:
    """One artifact of all directions; a backward model's weights are put in the order of the forward vocabulary."""
    first, *others = found.values()
    if any(other.architecture != first.architecture for other in others):
        raise ArtifactError("the forward and the backward model differ in size")
    weights = {way: in_order_of(first.vocabulary, model) for way, model in found.items()}
    direction = "both" if others else next(iter(found))
    Artifact(
        LANGUAGE_MODEL,
        direction,
        first.architecture,
        first.vocabulary,
        WordTokenizer(),
        as_arrays(weights),
        training,
        config={"base": None},
        card=language_model_card(training, direction, len(first.vocabulary)),
    ).save(path, overwrite=True)


def _direction_of(archive: Path) -> str:
    for sign, direction in (("fwd", "forward"), ("bwd", "backward")):
        if sign in archive.name:
            return direction
    raise OptionError(f"{archive}: its name says neither fwd nor bwd; fastai's are wt103-fwd.tgz and wt103-bwd.tgz")
