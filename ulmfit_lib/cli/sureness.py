"""The options that say how sure an answer must be, and what they mean to a classifier."""

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Annotated, Any

from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.errors import OptionError
from ulmfit_lib.progress import note

if TYPE_CHECKING:
    from ulmfit_lib.arrays import Floats
    from ulmfit_lib.evaluation.certainty import Precision, PredictionSets


@dataclass(frozen=True)
class Sureness:
    """What is said where one label is not sure."""

    min_precision: Annotated[
        list[str],
        Option(
            help="Precision to reach, such as 0.95; rows too uncertain for it are labelled `unsure`. Of one label: "
            "spam=0.99, which may be repeated."
        ),
    ] = field(default_factory=list)
    sets: Annotated[
        float | None,
        Option(
            help="Add a column with all labels that a text may have; for this share of the texts, such as 0.9, the "
            "right one is among them. An empty set says that no label fits."
        ),
    ] = None
    scope: Annotated[
        float | None,
        Option(
            help="Answer `none of these` for texts like nothing that was labelled; this share of the others is kept, "
            "such as 0.95."
        ),
    ] = None
    by_class: Annotated[
        bool, Option("--by-class", help="Reach --min-precision or the share of --sets for each label by itself.")
    ] = False

    @property
    def precision(self) -> "Precision | None":
        """What ``--min-precision`` asks for: one number, or one for each of some labels."""
        found: dict[str, float] = {}
        for one in self.min_precision:
            label, _, number = one.rpartition("=")
            try:
                found[label] = float(number)
            except ValueError:
                raise OptionError(f"--min-precision {one}: give a number such as 0.95, or LABEL=0.95") from None
        if "" not in found:
            return found or None
        if len(found) > 1 or len(self.min_precision) > 1:
            raise OptionError("--min-precision: give one number for all labels, or LABEL=0.95 for each of some")
        return found[""]

    def thresholds(self, classifier: Any) -> "float | Floats":
        """The confidence that gives the precision, by label if these have precisions of their own; it is said."""
        precision = self.precision
        if precision is None:
            return 0.0
        found: Floats = classifier.thresholds(precision, by_class=self.by_class)
        if isinstance(precision, float) and not self.by_class:
            share = classifier.certainty.threshold(precision)[1]
            note(
                f"rows below a confidence of {found[0]:.3f} are labelled unsure; "
                f"{100 * share:.1f} % of the rows held out in training were below it"
            )
            return found
        for label, least in zip(classifier.classes, found.tolist(), strict=True):
            if least == inf:
                note(f"{label!r} is never said: too few rows that were held out in training got it to be sure of it")
            elif least:
                note(f"{label!r} is said from a confidence of {least:.3f} on")
        return found

    def prediction_sets(self, classifier: Any) -> "PredictionSets | None":
        """What makes sets, where these are wanted."""
        if self.sets is None:
            return None
        found: PredictionSets = classifier.prediction_sets(self.sets, by_class=self.by_class)
        return found
