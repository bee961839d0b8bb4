"""What a classifier says of texts, given the probabilities of their labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Ints
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.certainty import UNSURE, Certainty, Precision, PredictionSets
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.links import softmax
from ulmfit_lib.linear.scope import Scope
from ulmfit_lib.serving.stored_classifier import StoredClassifier


class Deciding:
    """What follows from a classifier's rule and kind of label, whatever makes its probabilities."""

    classes: list[str]
    kind: LabelKind
    rule: DecisionRule
    scope: Scope | None

    def decode(self, probabilities: Floats, threshold: float | Floats = 0.0, outside: Bools | None = None) -> list[str]:
        """(n, n_classes) probabilities as labels, by ``rule``; "unsure" where the label has less than ``threshold``.

        Where a text is ``outside`` the scope, the scope's label.
        """
        said = self.kind.decode(probabilities, self.classes, threshold, self.rule)
        if self.scope is None or outside is None:
            return said
        return [self.scope.label if out else label for label, out in zip(said, outside, strict=True)]

    def decide(self, probabilities: Floats) -> Ints:
        """The same as numbers: (n,) of classes; of tags (n, n_tags) of 0 and 1."""
        return self.kind.decide(probabilities, self.rule)

    def confidence(self, probabilities: Floats) -> Floats:
        """(n,) the probability of what ``decode`` says of each row; of tags, of the least certain one."""
        return self.kind.confidence(probabilities, self.rule)


@dataclass(frozen=True, eq=False)
class DecidingClassifier(Deciding, StoredClassifier):
    """A classifier's folder with the answers that follow from its rule, and from what ``fit`` kept of held-out rows."""

    def ruled(self, probabilities: Floats) -> Floats:
        """Probabilities moved by ``rule``: what is said has the highest, and the margin tells how close it was."""
        if not (self.kind.exclusive and self.rule.offsets):
            return probabilities
        return softmax(self.kind.log_odds(probabilities) + np.array(self.rule.offsets))

    @property
    def certainty(self) -> Certainty:
        """How often predictions of some confidence were right, on rows that were held out from training.

        Raises:
            OptionError: ``fit`` did not make this classifier, its labels are ratings or tags, or one is "unsure".
        """
        if not self.kind.one_class_per_text:
            raise OptionError("a precision needs one class a text: leave it out for ratings and several labels")
        if UNSURE in self.classes:
            raise OptionError(
                f"a precision lets uncertain texts be answered {UNSURE!r}, and one of the classes is called so: give "
                "it another name, and train again"
            )
        return self.training.certainty()

    def thresholds(self, min_precision: Precision, *, by_class: bool = False) -> Floats:
        """(n_classes,) the confidence below which each label is not said, so that the precision is reached.

        It is that of all answers together, of those with some labels, or ``by_class`` of those with each label, on the
        rows that were held out from training; infinite for a label that cannot reach it for sure. An OptionError is
        that of ``certainty``, or of a precision that cannot be reached, or of an unknown label.
        """
        certainty, n_classes = self.certainty, len(self.classes)
        if not isinstance(min_precision, Mapping):
            if not by_class:
                return np.full(n_classes, certainty.threshold(min_precision)[0])
            min_precision = dict.fromkeys(self.classes, min_precision)
        if unknown := sorted(min_precision.keys() - set(self.classes)):
            raise OptionError(
                f"precision of {unknown[0]!r}: the classifier knows {', '.join(map(repr, self.classes[:20]))}"
            )
        probabilities, targets = self._held_out()
        said, sure = self.decide(probabilities), self.confidence(probabilities)
        found = np.zeros(n_classes)
        for label, least in min_precision.items():
            number = self.classes.index(label)
            rows = said == number
            found[number] = Certainty.least_confidence(sure[rows], targets[rows] == number, least)
        if np.isinf(found[[self.classes.index(label) for label in min_precision]]).all():
            raise OptionError(
                f"precision {max(min_precision.values())}: of no label are there enough answers among the "
                f"{len(targets):,} rows that were measured to be sure of it; ask for less, or label more rows"
            )
        return found

    def named_sets(self, sets: PredictionSets, probabilities: Floats) -> list[list[str]]:
        """The labels of each row's set, the likeliest first, by (n, n_classes) probabilities."""
        order = np.argsort(-probabilities, axis=1, kind="stable")
        inside = sets.contain(probabilities)
        return [
            [self.classes[one] for one in likeliest if chosen[one]]
            for likeliest, chosen in zip(order.tolist(), inside, strict=True)
        ]

    def prediction_sets(self, coverage: float, *, by_class: bool = False) -> PredictionSets:
        """What makes sets, from what ``fit`` kept of rows that were held out from training; raises OptionError."""
        if not self.kind.one_class_per_text:
            raise OptionError("sets need one class a text: leave them out for ratings and several labels")
        return PredictionSets.measure(*self._held_out(), coverage, by_class=by_class)

    def _held_out(self) -> tuple[Floats, Ints]:
        """(n, n_classes) probabilities of rows that were held out from training, and their targets."""
        kept = self.training.report.out_of_fold if self.training.report else None
        if not kept:
            raise OptionError(
                "this classifier has no record of what was predicted of rows that it had not learnt from; make it with "
                "`fit`, which keeps that"
            )
        return np.array(kept.probabilities, np.float64), np.array(kept.targets, np.int64)
