"""Vectors that sentence transformers give texts: made once, kept on the disk in float16 by the texts' hashes."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ulmfit_lib.files import new_file
from ulmfit_lib.models.cpu_products import has_bfloat16
from ulmfit_lib.progress import bar

TOKENS = 128  # at which texts are cut
BATCH = 32
TEXTS_A_CHUNK = 256  # after so many, what is encoded is stored


@dataclass(frozen=True)
class Teacher:
    """A sentence transformer.

    Attributes:
        source: its folder, or its name on the Hugging Face hub.
        prompt: what stands before each text.
    """

    source: str
    prompt: str = ""


@lru_cache(maxsize=1)
def load_teacher(source: str) -> Any:
    """A sentence transformer, in bfloat16 where the CPU multiplies it in hardware, else in float32."""
    import torch
    from sentence_transformers import SentenceTransformer

    dtype = torch.bfloat16 if has_bfloat16() else torch.float32
    model = SentenceTransformer(source, device="cpu", model_kwargs={"dtype": dtype})
    model.max_seq_length = TOKENS
    return model


@dataclass
class EncodedTexts:
    """Texts with the vectors that a teacher gives them.

    Attributes:
        file: where they are kept; it is replaced whole, so that it is never half-written.
        seconds: that encoding them took.
    """

    file: Path
    vectors: dict[str, npt.NDArray[np.float16]] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def open(cls, file: Path) -> "EncodedTexts":
        """What is kept in ``file``; nothing if it does not exist yet."""
        if not file.is_file():
            return cls(file)
        with np.load(file) as stored:
            vectors = dict(zip(stored["hashes"].tolist(), stored["vectors"], strict=True))
            return cls(file, vectors, float(stored["seconds"]))

    @property
    def seconds_a_text(self) -> float:
        """Mean over all texts that are kept."""
        return self.seconds / max(len(self.vectors), 1)

    def __getitem__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, n_dimensions) of unit length."""
        found = np.array([self.vectors[_hash(text)] for text in texts], np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def add(self, texts: Sequence[str], teacher: Teacher, *, description: str) -> None:
        """Encode what is not kept yet, the longest first, and store it chunk by chunk."""
        missing = {text for text in texts if _hash(text) not in self.vectors}
        if not missing:
            return
        ordered = sorted(missing, key=lambda text: (-len(text), text))
        model = load_teacher(teacher.source)
        with bar(total=len(ordered), description=description, unit="texts") as progress:
            for start in range(0, len(ordered), TEXTS_A_CHUNK):
                chunk = ordered[start : start + TEXTS_A_CHUNK]
                started = time.monotonic()
                found = model.encode(chunk, prompt=teacher.prompt, batch_size=BATCH, show_progress_bar=False)
                self.seconds += time.monotonic() - started
                self.vectors.update(zip(map(_hash, chunk), np.asarray(found, np.float16), strict=True))
                self._store()
                progress.update(len(chunk))

    def _store(self) -> None:
        with new_file(self.file) as temporary, temporary.open("wb") as stream:
            vectors = np.array(list(self.vectors.values()))
            np.savez(stream, hashes=list(self.vectors), vectors=vectors, seconds=self.seconds)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
