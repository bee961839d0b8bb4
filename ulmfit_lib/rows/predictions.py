"""What is predicted of rows, as columns beside those that came in: the same names and values everywhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, Protocol

import numpy as np

from ulmfit_lib.arrays import Bools, Floats
from ulmfit_lib.evaluation.certainty import UNSURE
from ulmfit_lib.rows.batch import Rows


class Classifier(Protocol):
    """What is needed of a classifier to label rows."""

    @property
    def classes(self) -> list[str]:
        """The columns of every array of probabilities."""

    def decode(self, probabilities: Floats, threshold: float | Floats = 0.0, outside: Bools | None = None) -> list[str]:
        """Probabilities as labels."""

    def confidence(self, probabilities: Floats) -> Floats:
        """How sure each of these is."""


def free_names(taken: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Names for more columns of a table: all end in ``_2``, ``_3`` ... where one of them is there already.

    >>> free_names(["text", "Confidence"], ["prediction", "confidence"])
    ['prediction_2', 'confidence_2']
    """
    there = {name.casefold() for name in taken}  # Spark knows no capitals
    ends = chain([""], (f"_{number}" for number in count(2)))
    choices = ([name + end for name in wanted] for end in ends)
    return next(names for names in choices if there.isdisjoint(name.casefold() for name in names))


@dataclass(frozen=True)
class AddedColumns:
    """Names of the columns of predictions."""

    prediction: str  # of the labels
    confidence: str  # of how sure these are
    probabilities: tuple[str, ...]  # one a class

    @classmethod
    def beside(cls, names: Sequence[str], classes: Sequence[str]) -> "AddedColumns":
        """Names that are free in a table of columns ``names`` (``free_names``)."""
        prediction, confidence, *probabilities = free_names(
            names, ["prediction", "confidence", *(f"probability of {one}" for one in classes)]
        )
        return cls(prediction, confidence, tuple(probabilities))

    @property
    def kinds(self) -> dict[str, str]:
        """Arrow's type of each, by name."""
        return {self.prediction: "string", self.confidence: "double", **dict.fromkeys(self.probabilities, "double")}


@dataclass
class RowLabeller:
    """Makes a classifier's probabilities into columns, and counts what it made."""

    classifier: Classifier  # whose labels
    names: AddedColumns  # of the columns
    # Confidence below which a row is labelled "unsure", for all labels or (n_classes,) for each.
    threshold: float | Floats = 0.0
    rows: int = 0  # that were labelled so far, with those without a text
    blank: int = 0  # of these, without a text, which get no label
    unsure: int = 0  # of these, too uncertain for a label
    outside: int = 0  # of these, like none of the classes
    labels: Counter[str] = field(default_factory=Counter)  # how often each was given

    def columns(
        self, texts: Sequence[str], probabilities: Floats, outside: Bools | None = None
    ) -> Mapping[str, list[Any]]:
        """Each text's label, confidence and probabilities, by the names of their columns; none where it is blank."""
        real = np.array([bool(text) for text in texts], bool)
        confidence = self.classifier.confidence(probabilities)
        labels = self.classifier.decode(probabilities, self.threshold, outside)
        given = [label if there else "" for label, there in zip(labels, real, strict=True)]
        self.rows += len(texts)
        self.blank += int((~real).sum())
        if outside is not None:
            self.outside += int((real & outside).sum())
        if np.any(self.threshold):
            self.unsure += sum(label == UNSURE for label in given)
        self.labels.update(label for label, there in zip(labels, real, strict=True) if there)
        numbers = {
            self.names.confidence: confidence,
            **dict(zip(self.names.probabilities, probabilities.T, strict=True)),
        }
        return {self.names.prediction: given, **{name: _numbers(some, real) for name, some in numbers.items()}}

    def label(self, rows: Rows, texts: Sequence[str], probabilities: Floats, outside: Bools | None = None) -> Rows:
        """The rows with these columns."""
        return rows.adding(self.columns(texts, probabilities, outside), self.names.kinds)


def _numbers(values: Floats, real: Any) -> list[float | None]:
    return [value if there else None for value, there in zip(values.round(6).tolist(), real, strict=True)]
