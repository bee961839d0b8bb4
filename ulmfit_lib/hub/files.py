"""Which files a repository may hold: those of a saved model, and nothing that could run code."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from ulmfit_lib.artifact.format import DIRECTIONS, WEIGHTS
from ulmfit_lib.artifact.seal import CARD, CONFIG
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.hub.repository import Repository
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
