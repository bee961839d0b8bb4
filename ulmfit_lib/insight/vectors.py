"""Vectors of texts: written to a file, and compared."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_lib.arrays import Vectors
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.files import new_file
from ulmfit_lib.insight.readers import Reader


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
