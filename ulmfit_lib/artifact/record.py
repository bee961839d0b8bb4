"""How a model came to be: its stages and its report. The one reader and writer of ``training.json``.

What a file of another version holds beside the attributes here is kept in ``more`` and written back.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ulmfit_lib.artifact.json_values import Stored, read_fields, read_value
from ulmfit_lib.artifact.report import Report
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import LanguageModelScore
from ulmfit_lib.files import read_json

FILE = "training.json"


@dataclass(frozen=True)
class Stage(Stored):
    """One training that a model went through; None where it does not apply or an older version did not write it.

    Attributes:
        name: ``pretrain``, ``fine-tune``, ``classify`` and the like.
        direction: ``forward``, ``backward`` or ``both``.
        source: where the texts are from.
        texts: that a language model read.
        labelled_texts: that a classifier was fitted to.
        strategy: of fitting the classifier.
        by: of a classifier without labels: ``names`` or ``opinion``.
        tokens_per_epoch: that a language model read.
        unknown_share: of these, outside the vocabulary, in [0, 1].
        teacher: the sentence transformer that it was distilled from.
        teacher_sha256: of the teacher's files.
        opinions: whether the last number of its vectors says how well a text speaks of its subject.
        seconds: that it took.
        device: where it was trained.
        seed: of order, dropout and the like.
        processes: that trained together.
        recipe: the hyperparameters.
        validation: perplexity on texts that were held out.
        history: losses of each epoch, by direction.
        cosine: mean cosine with the only teacher's vectors, by direction, as older versions wrote it.
        cosines: mean cosine with each teacher's vectors on held-out texts, by direction.
        data_sha256: of what it was trained on.
        versions: of the packages.
        all_seconds: that all of ``fit`` took.
    """

    name: str
    direction: str | None = None
    source: str = ""
    texts: int | None = None
    labelled_texts: int | None = None
    strategy: str | None = None
    by: str | None = None
    tokens_per_epoch: int | None = None
    unknown_share: float | None = None
    teacher: str | None = None
    teacher_sha256: str | None = None
    opinions: bool | None = None
    seconds: float | None = None
    device: str | None = None
    seed: int | None = None
    processes: int | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    validation: LanguageModelScore | None = None
    history: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    cosine: dict[str, float] | None = None
    cosines: dict[str, dict[str, float]] | None = None
    data_sha256: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    all_seconds: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def trains_lstm(self) -> bool:
        """Whether the LSTM learns in it; a distillation without epochs leaves it as it is."""
        if self.name == "distill":
            return self.recipe.get("epochs") != 0
        return self.name in ("pretrain", "fine-tune") or self.strategy == "fine-tune"

    def as_json(self) -> dict[str, Any]:
        """As the file holds it."""
        found = super().as_json()
        return {"stage": found.pop("name"), **found}

    @classmethod
    def from_json(cls, value: Any, place: str) -> "Stage":
        """From what the file holds.

        Raises:
            ArtifactError: something is of the wrong type; ``place`` is named.
        """
        found = read_value(dict[str, Any], value, place)
        return read_fields(cls, {"name": found.pop("stage", None), **found}, place)


@dataclass(frozen=True)
class TrainingRecord(Stored):
    """How a model came to be.

    >>> TrainingRecord("mine").then(Stage("pretrain", texts=30)).stages[-1].texts
    30

    Attributes:
        name: what the model is called.
        stages: its trainings, the first one first.
        report: what ``fit`` found it to be worth; None for other models, and where the file's cannot be read.
        licence: under which it may be used.
        known_texts: numbers of the texts that it was made from (``models.known_texts``).
        precision: what saving as bytes would cost or has cost (``models.precision``).
    """

    name: str = ""
    stages: tuple[Stage, ...] = ()
    report: Report | None = None
    licence: str | None = None
    known_texts: dict[str, Any] | None = None
    precision: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def lstm_has_learnt(self) -> bool:
        """Whether the LSTM has learned what the words in context beside it lack: together with them, or since."""
        words_learnt = [place for place, stage in enumerate(self.stages) if stage.name in ("distill", "contrast")]
        return any(stage.trains_lstm for stage in self.stages[words_learnt[-1] :]) if words_learnt else False

    def then(self, stage: Stage) -> "TrainingRecord":
        """The same with one more stage."""
        return replace(self, stages=(*self.stages, stage))

    @property
    def last(self) -> Stage:
        """The last stage; one without a name where there is none."""
        return self.stages[-1] if self.stages else Stage("")

    def certainty(self) -> Certainty:
        """Accuracy by confidence.

        Raises:
            OptionError: nothing was measured.
        """
        if not (self.report and self.report.certainty):
            raise OptionError(
                "this classifier has no record of how often it was right at each confidence; "
                "make it with `fit`, which measures that"
            )
        return self.report.certainty

    @classmethod
    def from_json(cls, value: Any, place: str = FILE) -> "TrainingRecord":
        """From what ``training.json`` holds; a report that cannot be read is kept unread.

        Raises:
            ArtifactError: something is of the wrong type; ``place`` is named.
        """
        found = read_value(dict[str, Any], value, place)
        stages = read_value(list[Any], found.pop("stages", []), f"{place}: stages")
        found["stages"] = tuple(Stage.from_json(one, f"{place}: stage {i}") for i, one in enumerate(stages, start=1))
        if "report" in found:
            try:
                found["report"] = Report.from_json(found["report"], f"{place}: report")
            except (ArtifactError, ValueError):
                found["more"] = {**found.get("more", {}), "report": found.pop("report")}
        return read_fields(cls, found, place)

    @classmethod
    def load(cls, folder: Path) -> "TrainingRecord":
        """From a model's folder.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        return cls.from_json(read_json(folder / FILE), str(folder / FILE))
