"""Anything that makes vectors of texts, from a folder or by its name; its vectors compared, and written to a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Vectors
from ulmfit_lib.artifact.format import CLASSIFIER, read_config
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.files import new_file
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import KnownTexts
from ulmfit_lib.models.known_texts import Reader as Reader
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.wt103 import find_pretrained


def load_reader(model: str | Path, *, device: str = "cpu") -> TextClassifier | LanguageModel:
    """A classifier's folder, a language model's folder or name, or either on the hub."""
    path = find_pretrained(model)
    if read_config(path)["kind"] == CLASSIFIER:
        return TextClassifier.load(path, device=device)
    return LanguageModel.from_pretrained(path).to(device)


def find_known(
    training: TrainingRecord,
    texts: Sequence[str] | None,
    *,
    base: str,
    itself: LanguageModel | None = None,
    seed: int = 42,
) -> tuple[Sequence[str] | KnownTexts, LanguageModel]:
    """What new texts are compared with, and the language model that finds their words likely or not.

    They are compared with ``texts`` of the kind that the model was made from; None: what its folder keeps of them, or
    an OptionError. The language model is ``itself``, or of a classifier its ``base``: a name, a folder, or ``auto``.
    """
    if texts is None:
        known = KnownTexts.from_record(training)
        return known, itself or known.language_model(base)
    return texts, itself or load_base(base, texts, seed=seed)[0]


def nearest(vectors: Vectors, others: Vectors) -> Vectors:
    """(n,) the cosine of each vector with the one among ``others``, (m, width), that is most like it."""
    parts = [(vectors[i : i + 1024] @ others.T).max(1) for i in range(0, len(vectors), 1024)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@dataclass(frozen=True)
class SimilarText:
    """A text, and how like another it is."""

    row: int  # in its file, from 1
    text: str
    cosine: float  # of the angle between both vectors, in [-1, 1]


def most_similar(reader: Reader, table: TextTable, to: str, *, n: int = 10) -> list[SimilarText]:
    """The texts of a table that are most like ``to``, which has a word, the most similar first."""
    if not to.strip():
        raise DataError("the text to compare with is blank")
    cosines = reader.embed(table.texts) @ reader.embed([to])[0]
    order = np.argsort(-cosines, kind="stable")[:n].tolist()
    return [SimilarText(table.rows[i], table.texts[i], float(cosines[i])) for i in order]


def check_vectors_name(out: Path) -> None:
    """Say before any work, as an OptionError, that vectors cannot be written like this."""
    if out.suffix not in (".npy", ".parquet"):
        raise OptionError(f"--out {out}: its name must end in .npy or .parquet")


def write_vectors(out: Path, table: TextTable, vectors: Vectors) -> None:
    """(n_texts, width) vectors to a file: ``.npy`` as they are; ``.parquet`` as a column beside row and text."""
    check_vectors_name(out)
    with new_file(out) as temporary:
        if out.suffix == ".npy":
            with temporary.open("wb") as file:
                np.save(file, vectors)
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        names = {"row": list(table.rows), "text": list(table.texts), "vector": column}
        pq.write_table(pa.table(names), temporary)
