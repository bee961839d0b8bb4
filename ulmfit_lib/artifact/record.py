"""How a model came to be: its stages, and what ``fit`` found it to be worth. The one reader and writer of
``training.json``.

What a file of another version holds beside the attributes here is kept in ``more`` and written back.
"""

import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.mcnemar import McNemar
from ulmfit_lib.evaluation.metrics import LanguageModelScore, RatingScores, Scores, TagScores
from ulmfit_lib.files import read_json

FILE = "training.json"
ENSEMBLE = "ensemble"  # all members together, which the file calls ``delivered``
MEMBERS = ("ulmfit", "baseline", "topics")
Value = TypeVar("Value")


class _Stored(Mapping[str, Any]):
    """Attributes, read by key as well until the next minor version, as they stand in ``training.json``."""

    def as_json(self) -> dict[str, Any]:
        """As the file holds it."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        warnings.warn(f"record[{key!r}] is deprecated; read the attribute", DeprecationWarning, stacklevel=2)
        return self.as_json()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_json())

    def __len__(self) -> int:
        return len(self.as_json())

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True)
class Stage(_Stored):
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
        cosine: mean cosine with the teacher's vectors, by direction.
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
    data_sha256: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    all_seconds: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the file holds it."""
        found = _written(self)
        return {"stage": found.pop("name"), **found}

    @classmethod
    def from_json(cls, value: Any, place: str) -> "Stage":
        """From what the file holds.

        Raises:
            ArtifactError: something is of the wrong type; ``place`` is named.
        """
        found = _read(dict[str, Any], value, place)
        return _read_fields(cls, {"name": found.pop("stage", None), **found}, place)


@dataclass(frozen=True)
class StoredPredictions:
    """What a model's folder keeps of rows that were scored before their labels were learnt.

    Attributes:
        rows: their numbers in the file.
        targets: their labels, as ``LabelKind.targets``.
        probabilities: (rows, classes) of the ensemble.
    """

    rows: list[int]
    targets: list[Any]
    probabilities: list[list[float]]

    def __post_init__(self) -> None:
        fit_together = len(self.rows) == len(self.targets) == len(self.probabilities)
        if not fit_together or len({len(row) for row in self.probabilities}) > 1:
            raise ValueError("rows, targets and probabilities differ in length")


@dataclass(frozen=True)
class Report(_Stored):
    """What a classifier is worth, and what was done to find out.

    Attributes:
        sentence: all of it, for people.
        held_out_rows: decisions that were scored; one a row unless labels are tags.
        majority: accuracy of always answering with the commonest label.
        scores: of the ``ensemble``, and of each member by its name: ``ulmfit``, ``baseline``, ``topics``.
        verdict: the ensemble beside the baseline; None without one.
        certainty: accuracy by confidence.
        ratings: scores of ratings, likewise by name; None where labels are classes or tags.
        median_off_by: mean absolute error of always answering with the median rating.
        tags: scores of tags, likewise by name; None where labels are classes or ratings.
        base: which language model reads the texts, and why.
        base_has_read: where the texts are from that this one had read before.
        copies: rows that are copies or near copies of others.
        transductive: the language model has read the texts of the held-out rows.
        tried: what was tried within the time and what it brought, a sentence each.
        minutes: the time that there was.
        folds: of cross-validation; 0 without it.
        out_of_fold: predictions for some of the scored rows.
        blend: how much each member counts.
        labelled_rows: that the scored classifiers were fitted to.
    """

    sentence: str
    held_out_rows: int
    majority: float
    scores: dict[str, Scores]
    verdict: McNemar | None = None
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
    folds: int = 0
    out_of_fold: StoredPredictions | None = None
    blend: dict[str, Any] = field(default_factory=dict)
    labelled_rows: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def ensemble(self) -> Scores:
        """The scores of all members together."""
        return self.scores[ENSEMBLE]

    def as_json(self) -> dict[str, Any]:
        """As the file holds it: the scores of each member under its name."""
        found = _written(self)
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
        found = _read(dict[str, Any], value, place)
        found["scores"] = {name: found.pop(name) for name in ("delivered", *MEMBERS) if name in found}
        for kind in ("scores", "ratings", "tags"):
            if kind in found:
                scores = _read(dict[str, Any], found[kind], f"{place}.{kind}")
                if "delivered" not in scores:
                    raise ArtifactError(f"{place}: it lacks the scores of all members together")
                found[kind] = {ENSEMBLE: scores.pop("delivered"), **scores}
        return _read_fields(cls, found, place)


@dataclass(frozen=True)
class TrainingRecord(_Stored):
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

    def as_json(self) -> dict[str, Any]:
        """As ``training.json`` holds it."""
        return _written(self)

    @classmethod
    def from_json(cls, value: Any, place: str = FILE) -> "TrainingRecord":
        """From what ``training.json`` holds; a report that cannot be read is kept unread.

        Raises:
            ArtifactError: something is of the wrong type; ``place`` is named.
        """
        found = _read(dict[str, Any], value, place)
        stages = _read(list[Any], found.pop("stages", []), f"{place}: stages")
        found["stages"] = tuple(Stage.from_json(one, f"{place}: stage {i}") for i, one in enumerate(stages, start=1))
        if "report" in found:
            try:
                found["report"] = Report.from_json(found["report"], f"{place}: report")
            except (ArtifactError, ValueError):
                found["more"] = {**found.get("more", {}), "report": found.pop("report")}
        return _read_fields(cls, found, place)

    @classmethod
    def load(cls, folder: Path) -> "TrainingRecord":
        """From a model's folder.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        return cls.from_json(read_json(folder / FILE), str(folder / FILE))


def _written(record: Any) -> dict[str, Any]:
    """A dataclass as the file holds it: without what is None, and with ``more`` beside the attributes."""
    found = {one.name: _plain(getattr(record, one.name)) for one in fields(record) if one.name != "more"}
    return {**{name: value for name, value in found.items() if value is not None}, **record.more}


def _plain(value: Any) -> Any:
    if isinstance(value, _Stored):
        return value.as_json()
    if isinstance(value, Scores | TagScores | RatingScores):
        return value.as_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _read_fields(cls: type[Value], found: dict[str, Any], place: str) -> Value:
    """A dataclass from its fields' values; what else there is goes into ``more`` if it has that."""
    types_of, known = get_type_hints(cls), {one.name: one for one in fields(cls)}  # type: ignore[arg-type]
    values = {name: _read(types_of[name], found[name], f"{place}.{name}") for name in known if name in found}
    for name, one in known.items():
        if name not in values and one.default is one.default_factory is MISSING:
            raise ArtifactError(f"{place}: it lacks {name!r}")
    if "more" in known:
        values["more"] = {name: value for name, value in found.items() if name not in known} | values.get("more", {})
    return cls(**values)


def _read(kind: Any, value: Any, place: str) -> Any:
    """A value of a type, such as ``list[int]``, from JSON."""
    origin, inside = get_origin(kind), get_args(kind)
    if kind is Any or type(value) is kind or (kind is float and type(value) is int):
        return value
    if origin is types.UnionType:  # with None
        return None if value is None else _read(inside[0], value, place)
    if origin in (list, tuple) and isinstance(value, list | tuple):
        return origin(_read(inside[0], one, place) for one in value)
    if origin is dict and isinstance(value, dict):
        return {name: _read(inside[1], one, f"{place}.{name}") for name, one in value.items()}
    if is_dataclass(kind) and isinstance(value, dict):
        if kind is Scores:
            low, high = _read(list[float], value.get("accuracy_95"), place)
            value = {**value, "low": low, "high": high}
        return _read_fields(cast("type[Any]", kind), value, place)
    wanted = getattr(kind, "__name__", str(kind))
    raise ArtifactError(f"{place}: {str(value)[:60]!r} is no {wanted}")
