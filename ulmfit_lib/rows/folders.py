"""Folders of text files -> rows: the file, the folder that labels it, and the text."""

from collections.abc import Iterator
from pathlib import Path

from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.kinds import TABLES
from ulmfit_lib.rows.text_files import read_text

FILE, LABEL, TEXT = "file", "label", "text"
SPLITS = ("train", "training", "test", "testing", "dev", "val", "valid", "validation")
UNLABELLED = ("unsup", "unlabelled", "unlabeled")


def folder_rows(path: Path, encoding: str | None, *, rows: int, labelled: bool = True) -> Iterator[Rows]:
    """A row for each text file in a folder or anywhere below it, at most ``rows`` at a time.

    The label is the name of the folder just below ``path`` that the file lies in; None for files of ``path`` itself and
    of folders called ``unsup`` or ``unlabelled``. Text files end in ``.txt``, in capitals or not, or have no ending. A
    DataError says if there are none, or one cannot be read; or if labels are wanted, and the folders are called
    ``train``, ``test`` and the like.
    """
    there = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    files = [file for file in there if file.suffix.lower() in (".txt", "")]
    others = [file.relative_to(path) for file in there if file.suffix.lower() not in (".txt", "")]
    if not files:
        table = next((one for one in others if one.suffix.lower() in TABLES), None)
        found = f"; it holds {table}, which can be read as a table by itself" if table else ""
        raise DataError(f"{path}: no text files (.txt, or without an ending) in this folder or below it{found}")
    within = sorted({one.relative_to(path).parts[0] for one in files if one.parent != path} - {*UNLABELLED})
    if labelled and len(within) > 1 and all(name.casefold() in SPLITS for name in within):
        raise DataError(
            f"{path}: its folders {', '.join(within)} are parts of a dataset and no labels: name one of them, such as "
            f"{path / within[-1]}"
        )
    if others:
        note(f"{path}: {counted(len(others), 'file')} left out whose name does not end in .txt (first: {others[0]})")
    for start in range(0, len(files), rows):
        some = [file.relative_to(path) for file in files[start : start + rows]]
        labels = [_shown(place.parts[0]) if len(place.parts) > 1 else None for place in some]
        labels = [None if name in UNLABELLED else name for name in labels]
        texts = [read_text(path / place, encoding) for place in some]
        yield Rows([FILE, LABEL, TEXT], [[_shown(place.as_posix()) for place in some], labels, texts], start + 1)


def _shown(name: str) -> str:
    """A file's name as UTF-8 can say it: bytes that are none are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
