"""Labelled sets on the disk, random draws of their rows, and how good predictions for them are."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ulmfit_lib.errors import DataError

DELIMITER = ";"  # between the tags of a text
NO_TAG = "none"
MANY_CLASSES = 14  # from so many on, a draw has ten rows of each class
ROWS_A_CLASS = 10
SMALLEST = 1e-6  # probability in a log loss
THRESHOLD = 0.5  # a tag is given from this probability on


@dataclass(frozen=True)
class Rows:
    """Texts and their labels; the tags of a text are one label, joined by the delimiter."""

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def without_label(self, label: str) -> "Rows":
        """The same rows, those with this label without any."""
        return Rows(self.texts, ["" if one == label else one for one in self.labels])


@dataclass(frozen=True)
class LabelledSet:
    """A set's training and test rows.

    Attributes:
        has_tags: a text has any number of labels, not exactly one.
    """

    name: str
    train: Rows
    test: Rows
    has_tags: bool

    @classmethod
    def read(cls, folder: Path, test_rows: int | None = None) -> "LabelledSet":
        """A folder's ``train.csv`` and the first ``test_rows`` of its ``test.csv``, columns ``text`` and ``label``.

        Raises:
            DataError: a file or a column is missing, or a file has no rows.
        """
        train, test = (_read_rows(folder / f"{part}.csv") for part in ("train", "test"))
        has_tags = any(DELIMITER in label for label in train.labels)
        if has_tags:
            train, test = (part.without_label(NO_TAG) for part in (train, test))
        return cls(folder.name, train, Rows(test.texts[:test_rows], test.labels[:test_rows]), has_tags)

    def names(self, label: str) -> list[str]:
        """The classes that one label names."""
        return [name for name in label.split(DELIMITER) if name] if self.has_tags else [label]

    def classes_of(self, labels: Sequence[str]) -> list[str]:
        """The classes that some labels name, sorted."""
        return sorted({name for label in labels for name in self.names(label)})

    @cached_property
    def class_sizes(self) -> Counter[str]:
        """Training rows by class."""
        return Counter(name for label in self.train.labels for name in self.names(label))

    def draw(self, labels: int, number: int) -> Rows:
        """Random rows for training; a larger draw of the same number holds the smaller one.

        They are those of ``pandas.DataFrame.sample(labels, random_state=number)``. Sets of 14 classes and more, without
        tags, start with ten rows of each class, those of ``groupby("label").sample(10, random_state=number)``.
        """
        order = np.random.RandomState(number).permutation(len(self.train)).tolist()
        if len(self.class_sizes) >= MANY_CLASSES and not self.has_tags:
            by_class = pd.DataFrame({"label": self.train.labels}).groupby("label")
            rows_a_class = min(ROWS_A_CLASS, *self.class_sizes.values())
            first = by_class.sample(rows_a_class, random_state=number).index.tolist()
            order = list(dict.fromkeys([*first, *order]))
            labels = max(labels, len(first))
        places = order[:labels]
        return Rows([self.train.texts[i] for i in places], [self.train.labels[i] for i in places])

    def draw_of_each(self, count: int, number: int) -> Rows:
        """As many random training rows of each class, or all of a class that has fewer."""
        generator = np.random.default_rng(number)
        labels = np.array(self.train.labels)
        places = [generator.permutation(np.flatnonzero(labels == name))[:count] for name in np.unique(labels)]
        chosen = np.concatenate(places).tolist()
        return Rows([self.train.texts[i] for i in chosen], [self.train.labels[i] for i in chosen])

    def indicators(self, labels: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n_rows, n_classes): 1 where a row's label names the class, else 0."""
        return np.array([[name in self.names(label) for name in classes] for label in labels], np.int64)

    def decide(self, probabilities: npt.NDArray[np.float64], classes: Sequence[str]) -> list[str]:
        """The label of each row: the likeliest class, or the tags that are more likely than not."""
        if not self.has_tags:
            return [classes[place] for place in probabilities.argmax(1).tolist()]
        given = (np.flatnonzero(row >= THRESHOLD).tolist() for row in probabilities)
        return [DELIMITER.join(classes[place] for place in places) for places in given]

    def score(
        self, predicted: Sequence[str], probabilities: npt.NDArray[np.float64], classes: Sequence[str]
    ) -> dict[str, float]:
        """Scores of predictions for the test rows; shares in %.

        ``accuracy`` is the share of rows with the right label, of tags with exactly the right ones. ``macro_f1`` and
        ``mean_average_precision`` (of tags) are means over the classes of the test rows. ``log_loss`` is that of the
        rows whose class is among ``classes``; of tags, the mean over all decisions for one of them.
        ``rarest_recall`` is of the class with the fewest training rows, where a test row has it. Where labels begin
        with a number, such as "3 stars", ``mean_absolute_error`` is the mean distance to the predicted number.

        Args:
            predicted: a label for each test row.
            probabilities: (n_test, n_classes).
            classes: whose probabilities they are.
        """
        from sklearn.metrics import average_precision_score, f1_score, recall_score

        known = self.classes_of([*self.train.labels, *self.test.labels])
        truth = self.indicators(self.test.labels, known)
        found = self.indicators(predicted, known)
        asked = np.flatnonzero(truth.any(0))
        scores = {
            "accuracy": 100 * float((truth == found).all(1).mean()),
            "macro_f1": 100 * f1_score(truth[:, asked], found[:, asked], average="macro", zero_division=0),
            "log_loss": self._log_loss(probabilities, classes),
        }
        rarest = known.index(min(self.class_sizes, key=lambda name: (self.class_sizes[name], name)))
        if rarest in asked:
            scores["rarest_recall"] = 100 * recall_score(truth[:, rarest], found[:, rarest])
        if self.has_tags:
            padded = np.zeros(truth.shape)
            padded[:, [known.index(name) for name in classes]] = probabilities
            average_precision = average_precision_score(truth[:, asked], padded[:, asked], average="macro")
            scores["mean_average_precision"] = 100 * average_precision
        elif all(re.match(r"\d+(\s|$)", name) for name in known):
            distance = first_numbers(predicted) - first_numbers(self.test.labels)
            scores["mean_absolute_error"] = float(np.abs(distance).mean())
        return {name: float(value) for name, value in scores.items()}

    def _log_loss(self, probabilities: npt.NDArray[np.float64], classes: Sequence[str]) -> float:
        truth = self.indicators(self.test.labels, classes)
        clipped = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
        if self.has_tags:
            return float(-np.log(np.where(truth == 1, clipped, 1 - clipped)).mean())
        return float(-np.log(clipped[truth == 1]).mean())


def find_sets(folder: Path, names: Sequence[str] | None = None) -> list[Path]:
    """The folders in ``folder`` that hold a set, or those of the given names.

    Raises:
        DataError: there is none, or none of that name.
    """
    found = {file.parent.name: file.parent for file in sorted(folder.glob("*/train.csv"))}
    if not found:
        raise DataError(f"{folder}: holds no set; a set is a folder with train.csv and test.csv")
    if unknown := sorted(set(names or ()) - set(found)):
        raise DataError(f"{folder}: holds no set {unknown[0]!r}; it has {', '.join(found)}")
    return [found[name] for name in names or found]


def first_numbers(labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """The numbers that labels begin with.

    >>> first_numbers(["1 star", "5 stars"]).tolist()
    [1, 5]
    """
    return np.array([int(label.split()[0]) for label in labels])


def _read_rows(file: Path) -> Rows:
    if not file.is_file():
        raise DataError(f"{file}: missing; a set is a folder with train.csv and test.csv")
    frame: Any = pd.read_csv(file, dtype=str, keep_default_na=False)
    if missing := [column for column in ("text", "label") if column not in frame]:
        raise DataError(f"{file}: no column {missing[0]!r}; it has {', '.join(map(repr, frame))}")
    if frame.empty:
        raise DataError(f"{file}: has no rows")
    return Rows(frame["text"].tolist(), frame["label"].tolist())
