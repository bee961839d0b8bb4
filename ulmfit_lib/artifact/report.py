"""What ``fit`` found a classifier to be worth, as its folder keeps it."""

from dataclasses import dataclass, field, replace
from typing import Any

from ulmfit_lib.artifact.json_values import Stored, read_fields, read_value
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import McNemar, RatingScores, Scores, TagScores

ENSEMBLE = "ensemble"  # all members together, which the file calls ``delivered``
MEMBERS = ("ulmfit", "baseline", "topics")


@dataclass(frozen=True)
class StoredPredictions:
    """What a model's folder keeps of rows that were scored before their labels were learnt."""

    rows: list[int]  # their numbers in the file
    targets: list[Any]  # their labels, as `LabelKind.targets`
    probabilities: list[list[float]]  # (rows, classes) of the ensemble

    def __post_init__(self) -> None:
        fit_together = len(self.rows) == len(self.targets) == len(self.probabilities)
        if not fit_together or len({len(row) for row in self.probabilities}) > 1:
            raise ValueError("rows, targets and probabilities differ in length")


@dataclass(frozen=True)
class GoalReport:
    """What a classifier's decisions are worth by the goal that they were chosen for."""

    measure: str  # in words, such as `macro F1`
    value: float  # of the ensemble's decisions
    likeliest: float  # of saying the likeliest label always
    accuracy_of_likeliest: float  # the accuracy of that
    baseline: float | None = None  # of TF-IDF + logistic regression; None without it
    # Lower end of the 95 % interval of how far the ensemble is ahead of the baseline; below 0 it may be behind.
    low: float | None = None
    high: float | None = None  # its upper end


@dataclass(frozen=True)
class TimeReport:
    """What is lost where a classifier learns from the past alone and is scored on what came later."""

    since: str  # the time from which on rows were scored, as the file holds it
    rows: int  # that were scored
    learnt: int  # rows before that, which were learnt from
    measure: str  # in words, such as `accuracy`
    past: float  # by learning from the past alone
    shuffled: float  # on the same rows, by cross-validation in folds that are drawn at random
    lost: float  # by how much the former is worse
    low: float  # lower end of the 95 % interval of `lost`
    high: float  # its upper end

    @property
    def sentence(self) -> str:
        """For people."""
        points, unit = (1, "") if self.measure == "mean absolute error" else (100, " %")
        past, shuffled, lost, low, high = (
            f"{points * one:.{1 if unit else 2}f}" for one in (self.past, self.shuffled, self.lost, self.low, self.high)
        )
        chance = "; that may be chance" if self.low <= 0 <= self.high else ""
        return (
            f"In the order of time: trained on the {self.learnt:,} rows before {self.since} alone, the {self.measure} "
            f"on the {self.rows:,} rows from then on is {past}{unit}. Cross-validated at random, it is "
            f"{shuffled}{unit} on the same rows, so that {lost}{' points' if unit else ''} are lost (95 % interval: "
            f"{low} to {high}{chance})."
        )


@dataclass(frozen=True)
class Report(Stored):
    """What a classifier is worth, and what was done to find out.

    Attributes:
        sentence: all of it, for people.
        held_out_rows: decisions that were scored; one a row unless labels are tags.
        majority: accuracy of always answering with the commonest label.
        scores: of the ``ensemble``, and of each member by its name: ``ulmfit``, ``baseline``, ``topics``.
        verdict: the ensemble beside the baseline; None without one.
        goal: the ensemble beside the baseline by what its decisions were chosen for; None where that is accuracy.
        certainty: accuracy by confidence.
        ratings: scores of ratings, likewise by name; None where labels are classes or tags.
        median_off_by: mean absolute error of always answering with the median rating.
        tags: scores of tags, likewise by name; None where labels are classes or ratings.
        base: which language model reads the texts, and why.
        base_has_read: where the texts are from that this one had read before.
        copies: rows that are copies or near copies of others.
        transductive: the language model or the topics have read the texts of the held-out rows.
        tried: what was tried within the time and what it brought, a sentence each.
        minutes: the time that there was.
        share_of_time: how much there was time to look at beside the scores; 1, or less where time was short.
        folds: of cross-validation; 0 without it.
        out_of_fold: predictions for some of the scored rows.
        blend: how much each member counts.
        labelled_rows: that the scored classifiers were fitted to.
        time: what is lost in the order of time; None where times are not known.
    """

    sentence: str
    held_out_rows: int
    majority: float
    scores: dict[str, Scores]
    verdict: McNemar | None = None
    goal: GoalReport | None = None
    certainty: Certainty | None = None
    ratings: dict[str, RatingScores] | None = None
    median_off_by: float | None = None
    tags: dict[str, TagScores] | None = None
    base: str = ""
    base_has_read: tuple[str, ...] = ()
    copies: int = 0
    transductive: bool = False
    tried: tuple[str, ...] = ()
    minutes: float = 0.0
    share_of_time: float = 1.0
    folds: int = 0
    out_of_fold: StoredPredictions | None = None
    blend: dict[str, Any] = field(default_factory=dict)
    labelled_rows: int = 0
    time: TimeReport | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def ensemble(self) -> Scores:
        """The scores of all members together."""
        return self.scores[ENSEMBLE]

    def as_json(self) -> dict[str, Any]:
        """As the file holds it: the scores of each member under its name."""
        found = super().as_json()
        by_name = found.pop("scores")
        for scores in (by_name, *(found[kind] for kind in ("ratings", "tags") if kind in found)):
            scores["delivered"] = scores.pop(ENSEMBLE)
        return {**by_name, **found}

    @classmethod
    def from_json(cls, value: Any, place: str) -> "Report":
        """From what the file holds.

        Raises:
            ArtifactError: something is missing or of the wrong type; ``place`` is named.
        """
        found = read_value(dict[str, Any], value, place)
        names = [name for name in ("delivered", *MEMBERS) if name in found]
        found["scores"] = {name: _with_ends(found.pop(name), f"{place}.{name}") for name in names}
        for kind in ("scores", "ratings", "tags"):
            if kind in found:
                scores = read_value(dict[str, Any], found[kind], f"{place}.{kind}")
                if "delivered" not in scores:
                    raise ArtifactError(f"{place}: it lacks the scores of all members together")
                found[kind] = {ENSEMBLE: scores.pop("delivered"), **scores}
        report = read_fields(cls, found, place)
        if "share_of_time" in found:
            return report
        return replace(report, share_of_time=min(1.0, report.minutes or 1.0))  # what it was before it was kept


def _with_ends(scores: Any, place: str) -> dict[str, Any]:
    """Scores of the file with the ends of accuracy's interval as two attributes."""
    found = read_value(dict[str, Any], scores, place)
    low, high = read_value(list[float], found.pop("accuracy_95", None), f"{place}.accuracy_95")
    return {**found, "low": low, "high": high}
