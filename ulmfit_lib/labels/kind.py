"""What every kind of label can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.errors import OptionError
from ulmfit_lib.labels.decision import LIKELIEST, DecisionRule
from ulmfit_lib.progress import note

MAX_NAMES_SHOWN = 20


class LabelledRows(Protocol):
    """What a kind of label needs to know of a table in which every row has a label (``data.table.TextTable``)."""

    @property
    def source(self) -> str:
        """The file's name."""

    @property
    def numbers(self) -> Sequence[float | None]:
        """Where labels are ratings, each row's."""

    @property
    def classes(self) -> list[str]:
        """The distinct classes, sorted."""

    def class_numbers(self, classes: Sequence[str] | None = None) -> Ints:
        """The rows' targets, by the order of ``classes``."""


class LabelKind(ABC):
    """How labels become targets, how scores become probabilities, and how probabilities become labels and are scored.

    Targets are class numbers, (n,), where exactly one class is right for a text, and (n, n_classes) of 0 and 1 where
    any number of them may be. Probabilities are (n, n_classes).
    """

    exclusive: ClassVar[bool]  # exactly one class is right for a text
    one_class_per_text: ClassVar[bool]  # the answer is the name of a class, so that a text can be called unsure
    fewest_classes: ClassVar[int] = 2  # that a classifier needs

    # Labels -> targets

    def read(
        self, labels: Sequence[str | None], numbers: Sequence[float | None], *, rows: Sequence[int], source: str
    ) -> tuple[Sequence[str | None], Sequence[float | None]]:
        """A table's labels in the form that this kind works with, and the numbers they stand for, if any.

        ``numbers`` are those that were found before; empty if they were not looked at. A DataError names the row whose
        label cannot be one of this kind.
        """
        return labels, ()

    def names(self, label: str) -> list[str]:
        """The classes that one label names."""
        return [label]

    @abstractmethod
    def targets(self, places: Sequence[Sequence[int]], n_classes: int) -> Ints:
        """Targets of rows, by the numbers of the classes that each row's label names."""

    def learnt_from(self, rows: LabelledRows) -> "LabelKind":
        """The same kind with what it must remember of the rows that a classifier learns from."""
        return self

    # Targets

    @abstractmethod
    def count_rows(self, targets: Ints, n_classes: int = 0) -> Ints:
        """Rows of each class, (n_classes,); without ``n_classes``, of as many classes as the targets show."""

    @abstractmethod
    def rows_with(self, targets: Ints, chosen: np.ndarray) -> np.ndarray:
        """(n,) whether a row's target holds one of the classes that are ``chosen``, (n_classes,)."""

    @abstractmethod
    def likeness(self, targets: Ints) -> Floats:
        """(n, n) how far the labels of two rows are alike, from 0 to 1."""

    @abstractmethod
    def without_gaps(self, targets: Ints) -> Ints:
        """The same targets where some classes may have no row, numbered so that none is left out."""

    @abstractmethod
    def balance(self, targets: Ints) -> Floats:
        """(n_classes,) weights that make rare classes count as much as common ones."""

    @abstractmethod
    def majority_share(self, train_targets: Ints, targets: Ints) -> float:
        """Accuracy on ``targets``, in [0, 1], of always giving the commonest answer among ``train_targets``."""

    # Scores -> probabilities -> decisions

    @abstractmethod
    def link(self, scores: Floats) -> Floats:
        """Scores -> (n, n_classes) probabilities; two exclusive classes may have one column of scores."""

    @abstractmethod
    def score_columns(self, n_classes: int) -> int:
        """Columns of scores that a linear model has for so many classes."""

    def decisions(self, probabilities: Floats) -> Floats:
        """Probabilities as (n_decisions, n_choices), each row a decision between choices of which one is right."""
        return probabilities

    def decided(self, targets: Ints) -> Ints:
        """Targets as (n_decisions,) numbers of the right choices."""
        return targets

    def from_decisions(self, decisions: Floats, n_classes: int) -> Floats:
        """What ``decisions`` gave -> (n, n_classes) probabilities again."""
        return decisions

    def choices(self, classes: Sequence[str]) -> list[str]:
        """Names of the choices of a decision."""
        return list(classes)

    # Probabilities -> labels, and how good they are

    @abstractmethod
    def decide(self, probabilities: Floats, rule: DecisionRule = LIKELIEST) -> Ints:
        """The answer for each row, as targets: by a rule, by default the likeliest."""

    @abstractmethod
    def log_odds(self, probabilities: Floats) -> Floats:
        """(n, n_classes) what the offsets of a rule are added to."""

    @abstractmethod
    def decode(
        self,
        probabilities: Floats,
        classes: Sequence[str],
        threshold: float | Floats = 0.0,
        rule: DecisionRule = LIKELIEST,
    ) -> list[str]:
        """Labels of rows, as a file would hold them, by ``decide``.

        "unsure" where the probability of that class is less than ``threshold``, one for all or (n_classes,).
        """

    def confidence(self, probabilities: Floats, rule: DecisionRule = LIKELIEST) -> Floats:
        """(n,) how sure the answer for each row is, in [0, 1]."""
        decisions = self.decisions(probabilities)
        said = decisions[np.arange(len(decisions)), self.decided(self.decide(probabilities, rule))]
        return np.asarray(said.reshape(len(probabilities), -1).min(1), np.float64)

    def expected(self, probabilities: Floats) -> Floats:
        """(n,) ratings; an OptionError where the labels are none."""
        raise OptionError("this classifier's labels are classes; one of ratings is made with `fit --ratings`")

    def said(self, probabilities: Floats, rule: DecisionRule = LIKELIEST, *, decided: Ints | None = None) -> Floats:
        """(n,) the ratings that are said by a rule, or by the classes that are ``decided``; raises as ``expected``."""
        return self.expected(probabilities)

    def truth(self, rows: LabelledRows, classes: Sequence[str]) -> tuple[Any, list[str]]:
        """What ``score`` compares predictions of these rows with, and ``classes`` with those that only the rows have.

        Raises:
            DataError: no label that the classifier knows.
        """
        known = _with_unknown(rows, classes)
        return rows.class_numbers(known), known

    @abstractmethod
    def score(self, probabilities: Floats, truth: Any, classes: Sequence[str], *, decided: Ints | None = None) -> Any:
        """Scores of (n, at most n_classes) probabilities, and of what is ``decided``, against what ``truth`` gave."""

    def report_entries(
        self, scores: Mapping[str, Any], truth: Any, *, learnt: LabelledRows, part_names: Mapping[str, str]
    ) -> dict[str, Any]:
        """What a report holds beyond the scores of its decisions, a ``sentence`` of its own among it.

        By what ``score`` gave for the ``ensemble`` and for each member by its name, of held-out rows with this
        ``truth``; ``part_names`` are what a sentence calls the parts.
        """
        return {}

    # How a classifier's folder records it

    def config(self) -> dict[str, Any]:
        """The entries of ``config.json`` by which ``labels.stored.kind_from_config`` finds this kind again."""
        return {"values": None, "label_delimiter": None}


def _with_unknown(rows: LabelledRows, classes: Sequence[str]) -> list[str]:
    """``classes``, and after them those that only the rows have, so that predictions for these rows count as wrong.

    Where the rows have other classes altogether, they are left out: ``class_numbers`` then says what is wrong.
    """
    new = sorted(set(rows.classes) - set(classes))
    if not new or len(new) == len(rows.classes):
        return list(classes)
    shown = ", ".join(map(repr, new[:MAX_NAMES_SHOWN]))
    note(f"{rows.source}: the classifier was not trained on {shown}: rows with such a label count as wrong")
    return [*classes, *new]


def padded(probabilities: Floats, n_classes: int) -> Floats:
    """(n, at most n_classes) -> (n, n_classes): classes that the classifier does not know have probability 0."""
    return np.pad(probabilities, ((0, 0), (0, n_classes - probabilities.shape[1])))
