"""Labels of which a text has several, or none: tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.metrics import TagScores, score_tags
from ulmfit_lib.labels.decision import LIKELIEST, DecisionRule
from ulmfit_lib.labels.kind import LabelKind, LabelledRows, padded
from ulmfit_lib.labels.links import sigmoid
from ulmfit_lib.progress import counted


@dataclass(frozen=True)
class Tags(LabelKind):
    """Any number of tags a text, such as ``cheap;slow``.

    Attributes:
        delimiter: what separates the tags of a label.

    Raises:
        OptionError: a delimiter of blanks alone, unless it is one space.

    Examples:
        >>> Tags(";").decode(np.array([[0.9, 0.2, 0.7]]), ["cheap", "loud", "slow"])
        ['cheap;slow']
    """

    delimiter: str

    exclusive, one_class_per_text, fewest_classes = False, False, 1

    def __post_init__(self) -> None:
        if not self.delimiter.strip() and self.delimiter != " ":
            raise OptionError(
                f"label delimiter {self.delimiter!r}: it must not be blank; use for example ';', or a space"
            )

    def names(self, label: str) -> list[str]:
        """The distinct tags of a label, sorted; a label of delimiters alone has none.

        >>> Tags(";").names(" slow; cheap;;slow")
        ['cheap', 'slow']
        """
        return sorted({tag.strip() for tag in label.split(self.delimiter)} - {""})

    def read(
        self, labels: Sequence[str | None], numbers: Sequence[float | None], *, rows: Sequence[int], source: str
    ) -> tuple[Sequence[str | None], Sequence[float | None]]:
        """Each label with its tags sorted and none of them twice."""
        return [None if label is None else self.delimiter.join(self.names(label)) for label in labels], ()

    def targets(self, places: Sequence[Sequence[int]], n_classes: int) -> Ints:
        """(n, n_tags): 1 where a row has the tag, else 0."""
        found = np.zeros((len(places), n_classes), np.int64)
        for row, some in zip(found, places, strict=True):
            row[list(some)] = 1
        return found

    def count_rows(self, targets: Ints, n_classes: int = 0) -> Ints:
        """Rows of each tag, (n_tags,)."""
        return np.asarray(targets.sum(0))

    def rows_with(self, targets: Ints, chosen: np.ndarray) -> np.ndarray:
        """(n,) whether a row has one of the tags that are ``chosen``, (n_tags,)."""
        return np.asarray(targets[:, chosen].any(1))

    def likeness(self, targets: Ints) -> Floats:
        """The share of the tags of either row that both have (Jaccard); 1 where neither has any.

        >>> Tags(";").likeness(np.array([[1, 1], [1, 0], [0, 0]])).tolist()
        [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
        """
        both, sizes = targets @ targets.T, targets.sum(1)
        either = sizes[:, None] + sizes - both
        return np.where(either == 0, 1.0, both / np.maximum(either, 1))

    def without_gaps(self, targets: Ints) -> Ints:
        """The same: each tag is a question of its own."""
        return targets

    def balance(self, targets: Ints) -> Floats:
        """(n_tags,) rows without a tag over rows with it: the weight of having it."""
        counts = np.maximum(self.count_rows(targets), 1)
        return np.asarray((len(targets) - counts) / counts)

    def majority_share(self, train_targets: Ints, targets: Ints) -> float:
        """Accuracy of always giving each tag, or never, as most of ``train_targets`` have it."""
        return float((targets == (2 * train_targets.sum(0) > len(train_targets))).mean())

    def link(self, scores: Floats) -> Floats:
        """Each tag's score -> its probability."""
        return sigmoid(scores)

    def score_columns(self, n_classes: int) -> int:
        """One a tag."""
        return n_classes

    def decisions(self, probabilities: Floats) -> Floats:
        """(n, n_tags) -> (n * n_tags, 2): a decision between no and yes for each row and tag."""
        yes = probabilities.reshape(-1)
        return np.stack([1 - yes, yes], axis=1)

    def decided(self, targets: Ints) -> Ints:
        """(n * n_tags,) of 0 and 1."""
        return targets.reshape(-1)

    def from_decisions(self, decisions: Floats, n_classes: int) -> Floats:
        """(n * n_tags, 2) -> (n, n_tags): the probability of yes."""
        return decisions[:, 1].reshape(-1, n_classes)

    def choices(self, classes: Sequence[str]) -> list[str]:
        """No and yes."""
        return ["no", "yes"]

    def log_odds(self, probabilities: Floats) -> Floats:
        """ln(p / (1 - p)) of each probability."""
        p = np.clip(probabilities, 1e-6, 1 - 1e-6)
        return np.asarray(np.log(p / (1 - p)), np.float64)

    def decide(self, probabilities: Floats, rule: DecisionRule = LIKELIEST) -> Ints:
        """(n, n_tags) of 0 and 1: a tag is given where its log odds, its offset added, are at least 0."""
        scores = self.log_odds(probabilities) + np.array(rule.offsets or 0.0)
        given = np.asarray(scores >= 0, np.int64)
        if rule.at_least_one:
            given[np.arange(len(given)), scores.argmax(1)] = 1
        return given

    def decode(
        self,
        probabilities: Floats,
        classes: Sequence[str],
        threshold: float | Floats = 0.0,
        rule: DecisionRule = LIKELIEST,
    ) -> list[str]:
        """The tags of each row, joined by the delimiter."""
        chosen = [np.flatnonzero(row).tolist() for row in self.decide(probabilities, rule)]
        return [self.delimiter.join(classes[place] for place in places) for places in chosen]

    def score(
        self, probabilities: Floats, truth: Any, classes: Sequence[str], *, decided: Ints | None = None
    ) -> TagScores:
        """F1 scores, and how often all tags of a row are right."""
        more = len(classes) - probabilities.shape[1]  # tags that the classifier does not know
        predicted = None if decided is None else np.pad(decided, ((0, 0), (0, more)))
        return score_tags(padded(probabilities, len(classes)), truth, list(classes), predicted=predicted)

    def report_entries(
        self, scores: Mapping[str, Any], truth: Any, *, learnt: LabelledRows, part_names: Mapping[str, str]
    ) -> dict[str, Any]:
        """Each part's scores by tag."""
        ensemble = scores["ensemble"]
        parts = {part_names[part]: s for part, s in scores.items() if part in part_names}
        alone = ", ".join(f"{name} alone {s.micro_f1:.3f}" for name, s in parts.items())
        sentence = (
            f"On {counted(ensemble.n, 'held-out row')}, each with any of {len(ensemble.f1)} labels, "
            f"the micro F1 score is {ensemble.micro_f1:.3f} ({alone}); "
            f"for {100 * ensemble.exact:.1f} % of the rows all labels are right."
        )
        return {"tags": scores, "sentence": sentence}

    def config(self) -> dict[str, Any]:
        """The delimiter."""
        return {**super().config(), "label_delimiter": self.delimiter}
