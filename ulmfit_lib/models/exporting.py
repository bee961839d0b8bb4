"""A classifier is exported, and what was exported is compared with what torch says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ulmfit_lib.arrays import Features
from ulmfit_lib.artifact.catalogue import EMBEDDED
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.files import refuse_existing
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.frozen import FloatEncoder, read_directions
from ulmfit_lib.models.tensors import as_tensors
from ulmfit_lib.serving.packing import rounded
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.tokens.documents import encode_texts

CHECKED = 200  # texts
MOST_DIFFERENT = 1e-4  # of a probability in float32


@dataclass(frozen=True)
class ExportCheck:
    """How an exported classifier differs from the one that it was made from."""

    texts: int  # that were compared
    largest: float  # difference of a probability
    changed: int  # labels that differ
    megabytes: float  # of the exported folder


def check_texts(file: Path | None, columns: Sequence[str]) -> list[str]:
    """The first texts of a file, or of the invented reviews that come with the library."""
    if file is not None and not columns:
        raise OptionError("--check needs --text, too: the column that holds the texts")
    table = read_table(file, text=columns) if file else read_table(EMBEDDED / "reviews.csv", text="review")
    return list(table.texts[:CHECKED])


def export_checked(
    model: Path, out: Path, *, precision: str, texts: Sequence[str], overwrite: bool = False
) -> ExportCheck:
    """Export a classifier's folder; a float32 one that does not say the same is refused."""
    refuse_existing(out, overwrite=overwrite)
    classifier = TextClassifier.load(model)
    predictor = Predictor.of(classifier, precision=precision)
    if precision != "float32":
        predictor = rounded(predictor, precision)
    theirs = classifier.probabilities(texts, features=_in_float32(classifier, texts))[ENSEMBLE]
    ours = predictor.predict_proba(texts)
    largest = float(np.abs(ours - theirs).max())
    if precision == "float32" and largest > MOST_DIFFERENT:
        raise ArtifactError(
            f"{model}: the exported graphs differ from the classifier by {largest:.2g}, more than {MOST_DIFFERENT}; "
            f"please report this with the version of onnxruntime"
        )
    predictor.save(out, precision=precision, overwrite=overwrite)
    megabytes = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    changed = sum(one != other for one, other in zip(classifier.decode(ours), classifier.decode(theirs), strict=True))
    return ExportCheck(len(texts), largest, changed, megabytes)


def _in_float32(classifier: TextClassifier, texts: Sequence[str]) -> Features:
    """What the heads see, without the rounding of faster encoders."""
    vocabulary, mend = classifier.vocabulary, classifier.architecture.mends(classifier.pooling)
    documents = encode_texts(texts, classifier.tokenizer, vocabulary, mend=mend)
    encoders = {
        way: FloatEncoder(classifier.architecture, as_tensors(arrays), dtype=torch.float32)
        for way, arrays in classifier.weights.items()
    }
    return read_directions(encoders, classifier.pooling, documents, vocabulary.pad_id)
