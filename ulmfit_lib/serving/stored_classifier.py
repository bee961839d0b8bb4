"""A classifier as its folder holds it: read, checked and written without torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ulmfit_lib.artifact.architecture import (
    DISTILLED,
    IN_TABLE,
    OLD_POOLINGS,
    POOLINGS,
    WORDS,
    Architecture,
    head_shapes,
    is_distilled,
)
from ulmfit_lib.artifact.cards import classifier_card
from ulmfit_lib.artifact.format import CLASSIFIER, OFFSETS_VERSION, PREDICTOR, RULE_VERSION, Artifact, load_artifact
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.files import read_json
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import ACCURACY, GOALS, LIKELIEST, DecisionRule
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.stored import is_number, kind_from_config
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.scope import Scope
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary

LINEAR_MEMBERS = ("baseline", "topics")
MAX_WEIGHT = 1e6  # of a member of the ensemble
Loaded = TypeVar("Loaded", bound="StoredClassifier")


@dataclass(frozen=True, eq=False)
class StoredClassifier:
    """Everything that a classifier's folder holds, its networks as arrays."""

    classes: list[str]  # the classes' names, in the order of every column of probabilities
    architecture: Architecture  # sizes of the encoder
    vocabulary: Vocabulary  # tokens by id
    tokenizer: Tokenizer  # what splits texts for it
    # By direction, the encoder's arrays by name; beside a graph, those behind distilled vectors that it does not hold.
    weights: Mapping[str, Tensors]
    heads: Mapping[str, Tensors]  # by direction, the head's arrays by name
    pooling: str  # how an encoder's outputs become one vector (`models.pooling.pool`)
    kind: LabelKind = field(default_factory=Classes)  # what a label is: one class a text, a rating, or several tags
    # The linear members of the ensemble, by name: `baseline`, TF-IDF + logistic regression on the same labels;
    # `topics`, the same on topics of texts without a label, where there were many.
    tfidf: Mapping[str, TfidfClassifier] = field(default_factory=dict)
    blend: Blend = field(default_factory=Blend)  # how much each member counts in predictions
    rule: DecisionRule = field(default_factory=DecisionRule)  # which label is said, given the probabilities
    scope: Scope | None = None  # which texts are like none of the classes; None where that was not measured
    training: TrainingRecord = field(default_factory=TrainingRecord)  # how it came to be
    base: dict[str, str] | None = None  # name and sha256 of the language model under it
    # By direction, the encoder as an ONNX graph (`onnx_graph.build_graph`, or of words in context alone
    # `onnx_distilled.build_context`); empty unless exported.
    graphs: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def direction(self) -> str:
        """``forward``, ``backward`` or ``both``."""
        return "both" if len(self.heads) == 2 else next(iter(self.heads))

    def save(self, path: str | Path, *, precision: str = "float32", overwrite: bool = False) -> None:
        """Write this classifier to a folder, whole or not at all.

        The precision is ``float32``, ``float16``, or ``int8`` (a quarter of the size); graphs stay as they are.

        Raises:
            ArtifactError: the place is taken or cannot be written.
        """
        tensors = {
            **_prefixed(self.weights),
            **_prefixed({f"{way}.head": some for way, some in self.heads.items()}),
            **_prefixed({member: tfidf.numbers() for member, tfidf in self.tfidf.items()}),
            **({"scope.means": self.scope.means, "scope.others": self.scope.others} if self.scope else {}),
        }
        config = {
            "classes": self.classes,
            "pooling": self.pooling,
            "base": self.base,
            "blend": {**self.blend.weights, "offsets": list(self.blend.offsets)},
            **({"rule": asdict(self.rule)} if self.rule != LIKELIEST else {}),
            **({"scope": _scope_config(self.scope)} if self.scope else {}),
            **{f"has_{member}": member in self.tfidf for member in LINEAR_MEMBERS},
            **self.kind.config(),
        }
        Artifact(
            PREDICTOR if self.graphs else CLASSIFIER,
            self.direction,
            self.architecture,
            self.vocabulary,
            self.tokenizer,
            tensors,
            self.training,
            config=config,
            card=classifier_card(self.training, self.direction, self.classes),
            files={
                **{terms_file(member): tfidf.terms_json() for member, tfidf in self.tfidf.items()},
                **{graph_file(way): graph for way, graph in self.graphs.items()},
            },
            version=max(
                OFFSETS_VERSION if self.blend.offsets else 0,
                RULE_VERSION if self.scope or "exact" in self.kind.config() or not self.rule.says_likeliest else 0,
            ),
        ).save(Path(path), precision=precision, overwrite=overwrite)

    @classmethod
    def load(cls: type[Loaded], path: str | Path) -> Loaded:
        """Read a classifier's folder; safe with folders from strangers: an ArtifactError names the file at fault."""
        return cls.from_artifact(load_artifact(Path(path), kind=CLASSIFIER))

    @classmethod
    def from_artifact(cls: type[Loaded], artifact: Artifact) -> Loaded:
        """From a folder that is already read, of a classifier or of an exported one."""
        config, folder = artifact.config, artifact.path
        kind, classes = kind_from_config(config, folder / "config.json")
        pooling = _checked_pooling(artifact)
        members = tuple(member for member in LINEAR_MEMBERS if config.get(f"has_{member}"))
        blend = _checked_blend(artifact, ("ulmfit", *members), len(classes))
        directions, exported = artifact.directions(), config["kind"] == PREDICTOR
        beside = DISTILLED if artifact.architecture.layers else IN_TABLE  # a graph
        encoder = {
            name: shape
            for name, shape in artifact.architecture.weight_shapes(len(artifact.vocabulary)).items()
            if name.startswith(beside) or not (exported or name == "decoder.bias")
        }
        expected: dict[str, tuple[int, ...]] = {}
        for way in directions:
            bias = artifact.tensors.get(f"{way}.head.layers.1.bias")
            width, hidden = artifact.architecture.pooled_width(pooling), 0 if bias is None else bias.size
            expected |= {f"{way}.{name}": shape for name, shape in encoder.items()}
            expected |= {f"{way}.head.{name}": s for name, s in head_shapes(width, len(classes), hidden=hidden).items()}
        terms = {member: _read_terms(folder / terms_file(member)) for member in members}
        rows = kind.score_columns(len(classes))
        for member, some in terms.items():
            expected[f"{member}.idf"] = (len(some),)
            expected[f"{member}.coefficients"] = (rows, len(some))
            expected[f"{member}.intercepts"] = (rows,)
        if "scope" in config:
            sizes = artifact.architecture
            width = len(directions) * (sizes.distilled_width(pooling) or sizes.pooled_width(pooling))
            n_others = len(artifact.tensors.get("scope.others", ()))
            expected |= {"scope.means": (len(classes), width), "scope.others": (n_others, width)}
        artifact.check(expected)
        tfidf = {
            member: TfidfClassifier(
                some, **{name: array.astype(float) for name, array in artifact.part(member).items()}, kind=kind
            )
            for member, some in terms.items()
        }
        return cls(
            classes=classes,
            architecture=artifact.architecture,
            vocabulary=artifact.vocabulary,
            tokenizer=artifact.tokenizer,
            weights={way: {name: artifact.part(way)[name] for name in encoder} for way in directions},
            heads={way: artifact.part(f"{way}.head") for way in directions},
            pooling=pooling,
            kind=kind,
            tfidf=tfidf,
            blend=blend,
            rule=rule_from_config(config, folder / "config.json", len(classes)),
            scope=_checked_scope(artifact) if "scope" in config else None,
            training=artifact.training,
            base=_checked_base(artifact),
            graphs={way: _read_graph(folder / graph_file(way)) for way in directions} if exported else {},
        )


def _prefixed(groups: Mapping[str, Tensors]) -> Tensors:
    return {f"{group}.{name}": tensor for group, some in groups.items() for name, tensor in some.items()}


def _checked_pooling(artifact: Artifact) -> str:
    pooling, file = artifact.config.get("pooling"), artifact.path / "config.json"
    pooling = OLD_POOLINGS.get(str(pooling), pooling)
    if pooling not in POOLINGS:
        raise ArtifactError(f"{file}: pooling {pooling!r}; known are {', '.join(POOLINGS)}")
    if pooling == WORDS and len(artifact.directions()) > 1:
        raise ArtifactError(f"{file}: pooling {pooling!r} reads in one direction, not in {artifact.direction!r}")
    if (pooling == WORDS) == bool(artifact.architecture.layers):
        raise ArtifactError(
            f"{file}: pooling {pooling!r} and an encoder of {artifact.architecture.layers} layers: {WORDS!r} needs one "
            "without layers, and only that"
        )
    if is_distilled(pooling) and not artifact.architecture.distilled:
        raise ArtifactError(f"{file}: pooling {pooling!r} needs an encoder with distilled vectors; this one has none")
    return pooling


def _checked_base(artifact: Artifact) -> dict[str, str] | None:
    base = artifact.config.get("base")
    if base is not None and not (isinstance(base, dict) and all(isinstance(value, str) for value in base.values())):
        raise ArtifactError(f"{artifact.path / 'config.json'}: base {base!r} does not hold a name and a sha256")
    return base


def _checked_blend(artifact: Artifact, members: tuple[str, ...], n_classes: int) -> Blend:
    blend, file = artifact.config.get("blend"), artifact.path / "config.json"
    if not (isinstance(blend, dict) and all(_is_weight(blend.get(member)) for member in members)):
        raise ArtifactError(f"{file}: blend {blend!r}: a weight, not negative, is needed for {', '.join(members)}")
    offsets = blend.get("offsets", [])
    if not (isinstance(offsets, list) and all(map(is_number, offsets)) and len(offsets) in (0, n_classes)):
        raise ArtifactError(f"{file}: the blend's offsets {offsets!r} must be a number for each class, or none")
    return Blend.weighing({member: float(blend[member]) for member in members}, tuple(map(float, offsets)))


def rule_from_config(config: Mapping[str, Any], file: Path, n_classes: int) -> DecisionRule:
    """The rule that a classifier was saved with; raises ArtifactError for one that does not fit."""
    rule = config.get("rule", {})
    if not isinstance(rule, dict) or rule.get("goal", ACCURACY) not in GOALS:
        raise ArtifactError(f"{file}: rule {rule!r}: a goal is needed, one of {', '.join(GOALS)}")
    offsets, stable = rule.get("offsets", []), rule.get("stable")
    if not (isinstance(offsets, list) and all(map(is_number, offsets)) and len(offsets) in (0, n_classes)):
        raise ArtifactError(f"{file}: the rule's offsets {offsets!r} must be a number for each class, or none")
    cuts = rule.get("cuts", [])
    if not (isinstance(cuts, list) and all(map(is_number, cuts)) and len(cuts) in (0, n_classes - 1)):
        raise ArtifactError(f"{file}: the rule's cuts {cuts!r} must be a number between each two classes, or none")
    if cuts != sorted(cuts):
        raise ArtifactError(f"{file}: the rule's cuts {cuts!r} must rise")
    if not (stable is None or (is_number(stable) and 0 <= stable <= 1)):
        raise ArtifactError(f"{file}: the rule's share of stable labels {stable!r} must lie between 0 and 1")
    goal, at_least_one = rule.get("goal", ACCURACY), bool(rule.get("at_least_one", False))
    return DecisionRule(goal, tuple(map(float, offsets)), at_least_one, stable, tuple(map(float, cuts)))


def _scope_config(scope: Scope) -> dict[str, Any]:
    numbers = {"weight": scope.weight, "told_apart": scope.told_apart, "keep": scope.keep}
    return {**numbers, "known": scope.known.tolist(), "label": scope.label}


def _checked_scope(artifact: Artifact) -> Scope:
    values, file = artifact.config["scope"], artifact.path / "config.json"
    if not isinstance(values, dict):
        raise ArtifactError(f"{file}: scope {values!r}: an object is needed")
    known, label = values.get("known"), values.get("label")
    if not (isinstance(known, list) and known and all(map(is_number, known)) and known == sorted(known)):
        raise ArtifactError(f"{file}: the known scores of the scope must be numbers that rise")
    shares = {name: values[name] for name in ("weight", "told_apart", "keep") if values.get(name) is not None}
    if not (isinstance(label, str) and "weight" in shares and all(map(_is_share, shares.values()))):
        raise ArtifactError(f"{file}: the scope needs a label and a weight, and its numbers must lie between 0 and 1")
    means, others = (artifact.tensors[f"scope.{name}"] for name in ("means", "others"))
    keep, told_apart = shares.get("keep"), shares.get("told_apart", 0.0)
    return Scope(means, others, shares["weight"], np.array(known, np.float64), label, keep, told_apart)


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _is_weight(value: Any) -> bool:
    return is_number(value) and 0 <= value < MAX_WEIGHT


def graph_file(way: str) -> str:
    """The file of a direction's graph in an exported classifier's folder."""
    return f"{way}.onnx"


def terms_file(member: str) -> str:
    """The file of a linear member's words and pairs of words."""
    return f"{member}_terms.json"


def _read_terms(path: Path) -> list[str]:
    terms = read_json(path)
    if not (isinstance(terms, list) and all(isinstance(term, str) for term in terms) and len(set(terms)) == len(terms)):
        raise ArtifactError(f"{path}: a JSON list of different strings is needed")
    return terms


def _read_graph(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: missing or damaged ({error.strerror or error})") from error
