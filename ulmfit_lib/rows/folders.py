"""Folders of text files -> rows: the file, the folder that labels it, and the text."""

from collections.abc import Iterator
from pathlib import Path

from ulmfit_lib.errors import DataError
from ulmfit_lib.progress import counted, note
from ulmfit_lib.rows.batch import Rows
from ulmfit_lib.rows.text_files import read_text

FILE, LABEL, TEXT = "file", "label", "text"
UNLABELLED = ("unsup", "unlabelled", "unlabeled")


def folder_rows(path: Path, encoding: str | None, *, rows: int) -> Iterator[Rows]:
    """A row for each text file in a folder or anywhere below it, at most ``rows`` at a time.

    The label is the name of the folder just below ``path`` that the file lies in; None for files of ``path`` itself and
    of folders called ``unsup`` or ``unlabelled``. Text files end in ``.txt``, in capitals or not, or have no ending.

    Raises:
        DataError: there are none, or one cannot be read.
    """
    there = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    files = [file for file in there if file.suffix.lower() in (".txt", "")]
    others = [file.relative_to(path) for file in there if file.suffix.lower() not in (".txt", "")]
    if not files:
        found = f"; it holds {others[0]}, which can be read as a table by itself" if others else ""
        raise DataError(f"{path}: no text files (.txt, or without an ending) in this folder or below it{found}")
    if others:
        note(f"{path}: {counted(len(others), 'file')} left out whose name does not end in .txt (first: {others[0]})")
    for start in range(0, len(files), rows):
        some = [file.relative_to(path) for file in files[start : start + rows]]
        labels = [place.parts[0] if len(place.parts) > 1 else None for place in some]
        labels = [None if name in UNLABELLED else name for name in labels]
        texts = [read_text(path / place, encoding) for place in some]
        yield Rows([FILE, LABEL, TEXT], [[place.as_posix() for place in some], labels, texts], start + 1)
