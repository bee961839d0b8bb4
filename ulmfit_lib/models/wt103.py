"""fastai's WikiText-103 models: downloaded or taken from files, checked, and kept in our own format.

What comes from the network is retried, checked, and kept whole or not at all.
"""

import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import requests

from ulmfit_lib.artifact.cards import language_model_card
from ulmfit_lib.artifact.catalogue import DOWNLOADS, WT103, Download, own_folder
from ulmfit_lib.artifact.format import DIRECTIONS, LANGUAGE_MODEL, Artifact
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.hub.fetching import find_named
from ulmfit_lib.models.fastai_files import FastaiModel, imported_stage, read_archive
from ulmfit_lib.models.tensors import as_arrays, exchange_words
from ulmfit_lib.progress import bar, note
from ulmfit_lib.tokens.words import WordTokenizer

ATTEMPTS = 3
TIMEOUT = 30  # seconds without a byte
PIECE = 1 << 20  # bytes between two steps of the progress bar
REASONS = {
    requests.exceptions.ChunkedEncodingError: "the connection broke off",
    requests.Timeout: f"no answer within {TIMEOUT} seconds",
    requests.ConnectionError: "no connection",
}


def find_pretrained(name_or_folder: str | Path) -> Path:
    """The folder of a model by its name or folder; ``wt103`` and ``hf:user/name`` are downloaded when asked for."""
    return find_named(name_or_folder) or download_wt103()


def download_wt103(
    *, files: Sequence[Path] = (), sha256: Sequence[str] = (), downloads: dict[str, Download] = DOWNLOADS
) -> Path:
    """fastai's WikiText-103 models, both directions, converted into the cache; nothing is kept after a failure.

    They are downloaded, and must have the ``sha256`` that are given, forward first, as fastai publishes none; or taken
    from ``files`` that are here already, ``wt103-fwd.tgz`` and ``wt103-bwd.tgz`` or one of them.
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
    weights = {way: exchange_words(one.weights, one.vocabulary, first.vocabulary) for way, one in found.items()}
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


def download(url: str, path: Path, *, size: int | None = None, sha256: str | None = None) -> str:
    """Fetch ``url`` into the new file ``path`` and return its sha256; after a failure no file is there.

    An ArtifactError says if it is offline (``ULMFIT_OFFLINE``), not reachable after 3 attempts, or not of the ``size``
    and ``sha256`` that it must have, where these are known.
    """
    if os.environ.get("ULMFIT_OFFLINE"):
        raise ArtifactError(f"{url}: not downloaded, because ULMFIT_OFFLINE is set")
    import pooch  # only here: most runs download nothing

    pooch.get_logger().setLevel(logging.WARNING)  # the notes and the progress bar are ours
    for attempt in range(1, ATTEMPTS + 1):  # pooch's own retries ask again even after a 404
        try:
            with bar(total=size or 1, description=path.name, unit="B") as progress:  # pooch sets the total itself
                get = pooch.HTTPDownloader(progress, PIECE, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
                pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=get)
            break
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else 0
            found = (reason for kind, reason in REASONS.items() if isinstance(error, kind))
            reason = f"the server answers {status}" if status else next(found, str(error).split("\n")[0][:200])
            if attempt == ATTEMPTS or 400 <= status < 500:
                raise ArtifactError(
                    f"{url}: cannot be downloaded ({reason}); "
                    f"fetch it by other means and use: models download --from-file FILE"
                ) from error
            note(f"{url}: {reason}; attempt {attempt + 1} of {ATTEMPTS}")
            time.sleep(attempt)
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    sha256_found = pooch.file_hash(str(path), alg="sha256")
    if size is not None and path.stat().st_size != size:
        problem = f"{path.stat().st_size:,} bytes, and {size:,} are expected"
    elif sha256 is not None and sha256_found != sha256.lower():
        problem = f"sha256 {sha256_found}, and {sha256.lower()} is expected"
    else:
        return sha256_found
    path.unlink()
    raise ArtifactError(f"{url}: not the file that it should be: {problem}; nothing was kept")
