"""Texts with labels, where they came from, and whether they can be learnt from."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ulmfit_lib.arrays import Ints
from ulmfit_lib.data.label_checks import check_labels
from ulmfit_lib.data.near_copies import near_copies
from ulmfit_lib.data.splitting import stratified_split
from ulmfit_lib.data.stored_texts import Selection, as_texts
from ulmfit_lib.data.times import Time
from ulmfit_lib.errors import DataError, OptionError
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.rows.labels import as_read, join_names, label_of, settle

SAMPLED_CHARACTERS, FEWEST_SAMPLED = 150_000, 50  # of a random part of the rows
FEWEST_SINGLE = 10  # rows of each label without a copy, from which on only such rows are held out


class Apart(NamedTuple):
    """Texts that are of none of a table's classes."""

    label: str  # that they have
    texts: list[str]


@dataclass(frozen=True)
class TextTable:
    """Texts, some or all with a label.

    Attributes:
        texts: the texts.
        labels: each text's label; None where it has none.
        rows: each text's row in its file, from 1, the header not counted.
        source: the file's name.
        skipped: rows left out because their text was blank.
        copies: rows found, when it was split, to be copies or near copies of other rows.
        kind: what a label is: one class a text, a rating, or several tags.
        numbers: where labels are ratings, each text's; None where it has none. Empty for other kinds.
        apart: texts of a label that is no class of its own, but stands for everything else (``set_apart``).
        times: when each text was written, as far as that is known; None where it is not. Empty without a column of it.

    Examples:
        >>> table = TextTable.from_lists(["A fine film.", "Dull.", "We saw it on Friday."], ["good", "bad", None])
        >>> len(table), len(table.labelled()), table.classes
        (3, 2, ['bad', 'good'])
    """

    texts: Sequence[str]
    labels: Sequence[str | None]
    rows: Sequence[int]
    source: str = "the data"
    skipped: int = 0
    copies: int = 0
    kind: LabelKind = field(default_factory=Classes)
    numbers: Sequence[float | None] = ()
    times: Sequence[Time | None] = ()
    apart: Apart | None = None

    @classmethod
    def from_lists(cls, texts: Sequence[str], labels: Sequence[Any] | None = None) -> "TextTable":
        """From texts that are in memory already, and each one's label, if any: a name, a list of tags, or None.

        Raises:
            DataError: something that is no list of texts, or not one label per text.
        """
        texts = as_texts(texts)
        if isinstance(labels, str | bytes):
            raise DataError("labels: a single string, where a list of labels is needed: put it in [brackets]")
        if labels is not None and len(labels) != len(texts):
            raise DataError(f"{len(texts)} texts and {len(labels)} labels: one label (or None) per text is needed")
        rows = range(1, len(texts) + 1)
        given = [None] * len(texts) if labels is None else [label_of(label) for label in labels]
        settled, kind = settle(given, rows=rows, source=cls.source)
        return cls(texts, settled, list(rows)).with_kind(kind)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def classes(self) -> list[str]:
        """The distinct classes that the labels name, sorted."""
        labels = {label for label in self.labels if label is not None}
        return sorted({one for label in labels for one in self.kind.names(label)})

    def with_kind(self, kind: LabelKind) -> "TextTable":
        """The same rows, their labels read as labels of another kind: ``Ratings()``, ``Tags(";")``, ``Classes()``.

        Raises:
            DataError: names the row whose label cannot be one of that kind.
        """
        given = self.labels
        if not self.kind.exclusive and kind != self.kind:
            given = [
                label if label is None else join_names(self.kind.names(label), kind, f"{self.source}: row {row}")
                for row, label in zip(self.rows, given, strict=True)
            ]
        labels, numbers = kind.read(given, self.numbers, rows=self.rows, source=self.source)
        return replace(self, labels=labels, numbers=numbers, kind=kind)

    def select(self, indices: Sequence[int]) -> "TextTable":
        """The rows at ``indices``, in that order."""
        return replace(
            self,
            texts=[self.texts[i] for i in indices] if isinstance(self.texts, list) else Selection(self.texts, indices),
            labels=[self.labels[i] for i in indices],
            rows=[self.rows[i] for i in indices],
            numbers=[self.numbers[i] for i in indices] if self.numbers else (),
            times=[self.times[i] for i in indices] if self.times else (),
        )

    def labelled(self) -> "TextTable":
        """Only the rows with a label."""
        return self.select([i for i, label in enumerate(self.labels) if label is not None])

    def set_apart(self, label: str) -> "TextTable":
        """The table without the rows of a label, which stands for texts of none of the other classes.

        Raises:
            OptionError: no row has it, or labels of which a text has several, or numbers.
        """
        if not self.kind.one_class_per_text or label not in self.labels:
            raise OptionError(
                f"{self.source}: no row has the label {label!r}, of texts that are of none of the classes; there are "
                f"{', '.join(self.classes[:20])}"
            )
        kept = [i for i, one in enumerate(self.labels) if one != label]
        texts = [self.texts[i] for i, one in enumerate(self.labels) if one == label]
        return replace(self.select(kept), apart=Apart(label, texts))

    def random_rows(self, max_rows: int, *, seed: int, share: float = 1.0) -> Ints:
        """Places of some rows, in order: at most so many, and so few that their texts have ``SAMPLED_CHARACTERS``.

        Long texts take long to read, and a few of them tell as much as many short ones; ``FEWEST_SAMPLED`` are taken
        however long they are, or half as many where there is time for a ``share`` of those characters only.
        """
        order = np.random.default_rng(seed).permutation(len(self))[:max_rows]
        characters = np.cumsum([len(self.texts[place]) for place in order])
        fewest = round(FEWEST_SAMPLED * max(0.5, share))
        return np.sort(order[: max(fewest, int((characters <= share * SAMPLED_CHARACTERS).sum()))])

    def targets(self) -> list[str]:
        """The labels of a table in which every row has one."""
        return [label for label in self.labels if label is not None]

    def class_numbers(self, classes: Sequence[str] | None = None) -> Ints:
        """The targets of a table in which all rows have a label, (n_rows,): places in ``classes``, by default its own.

        Of tags, (n_rows, n_classes): 1 where a row has the tag, else 0.

        Raises:
            DataError: a label that is not among them.
        """
        classes = self.classes if classes is None else classes
        number = {as_read(label): place for place, label in enumerate(classes)}  # as a file's labels are read
        number |= {label: place for place, label in enumerate(classes)}
        places = []
        for row, label in zip(self.rows, self.targets(), strict=True):
            names = self.kind.names(label)
            if unknown := [one for one in names if one not in number]:
                known = ", ".join(map(repr, classes[:20]))
                raise DataError(f"{self.source}: row {row} has the label {unknown[0]!r}; the classifier knows {known}")
            places.append([number[one] for one in names])
        return self.kind.targets(places, len(classes))

    @property
    def label_counts(self) -> Counter[str]:
        """Rows by label; a row with several counts for each."""
        return Counter(one for label in self.targets() for one in self.kind.names(label))

    @property
    def strata(self) -> list[str | None]:
        """Each row's label, or the rarest of several: what every part should have in the same proportion."""
        counts = self.label_counts
        return [
            None if label is None else min(self.kind.names(label), key=lambda one: (counts[one], one), default="")
            for label in self.labels
        ]

    def sha256(self) -> str:
        """A hash of all texts and labels, in order."""
        digest = hashlib.sha256()
        for text, label in zip(self.texts, self.labels, strict=True):
            digest.update(json.dumps([text, label]).encode())
        return digest.hexdigest()

    @cached_property
    def groups(self) -> Ints:
        """A number per text, (n_rows,), the same for those that are alike (``data.near_copies``)."""
        return near_copies(self.texts, [i for i, label in enumerate(self.labels) if label is not None])

    def split(self, test_fraction: float = 0.2, *, seed: int = 42) -> "tuple[TextTable, TextTable]":
        """Training and test rows, each label in the same proportion.

        Rows without a label train. No test row is a copy or a near copy (``data.near_copies``) of a training row: rows
        that have one train. Only where nearly all have one, they are held out, all that are alike together.

        Raises:
            OptionError: a fraction outside (0, 1).
            DataError: what ``check_labels`` raises, or too few different texts.

        Examples:
            >>> train, test = reviews.split(test_fraction=0.2, seed=42)
            >>> len(reviews), len(train), len(test), len(test.labelled())
            (404, 364, 40, 40)
        """
        if not 0 < test_fraction < 1:
            raise OptionError(f"test fraction {test_fraction}: it must lie between 0 and 1")
        check_labels(self)
        places = [i for i, label in enumerate(self.labels) if label is not None]
        groups = self.groups
        alike = np.bincount(groups)[groups] > 1
        strata = self.strata
        label_of = {int(groups[i]): strata[i] for i in places}
        single = {int(groups[i]): strata[i] for i in places if not alike[i]}
        counts = Counter(single.values())
        few = any(counts[label] < FEWEST_SINGLE for label in set(strata) - {None})
        eligible = label_of if few or 2 * len(single) < len(label_of) else single
        fraction = min(0.5, test_fraction * len(places) / len(eligible)) if eligible is single else test_fraction
        chosen = stratified_split(list(eligible.values()), fraction, seed)
        held_out = np.isin(groups, np.array(list(eligible))[chosen])
        if not held_out.any():
            raise DataError(f"{self.source}: no label has three different texts, so none can be held out to test on")
        parts = np.flatnonzero(~held_out), [i for i in places if held_out[i]]
        train, test = (replace(self.select(list(map(int, part))), copies=int(alike.sum())) for part in parts)
        return train, test


def check_table(data: Any) -> None:
    """Say, as a DataError, how a table is made of what is none, such as a frame."""
    if not isinstance(data, TextTable):
        raise DataError(
            f"data: of the type {type(data).__name__}, where a table of texts and labels is needed: "
            "read_table(data, text=..., label=...) makes one of a file's name, a frame or the like"
        )


def check_learnable(data: Any) -> None:
    """Say before any work, as a DataError, why nothing can be learnt from what should be a table."""
    check_table(data)
    check_labels(data)
