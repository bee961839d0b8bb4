"""A classifier as its folder holds it: read, checked and written without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.architecture import POOLINGS, Architecture, head_shapes, is_taught
from ulmfit_lib.artifact.cards import classifier_card
from ulmfit_lib.artifact.format import CLASSIFIER, OFFSETS_VERSION, PREDICTOR, Artifact, load_artifact, save_artifact
from ulmfit_lib.artifact.tensors import Tensors
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.files import read_json
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.stored import is_number, kind_from_config
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.tokens.tokenizer import Tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary

TFIDF_PARTS = ("baseline", "topics")
MAP = "map."  # what the names of a taught encoder's map start with
MOST_WEIGHT = 1e6  # of a part of the blend


@dataclass(frozen=True, eq=False)
class StoredClassifier:
    """Everything that a classifier's folder holds; its networks as arrays.

    Attributes:
        kind: what a label is.
        classes: the classes' names, in the order of every column of probabilities.
        architecture: sizes of the encoder.
        vocabulary: tokens by id.
        tokenizer: what splits texts for it.
        weights: by direction, the encoder's tensors by name.
        heads: by direction, the head's tensors by name.
        pooling: how an encoder's outputs become one vector (``models.pooling.pool``).
        tfidf: the linear parts, by name: ``baseline``, ``topics``.
        blend: how much each part counts.
        training: JSON-ready record of how it came to be.
        base: name and sha256 of the language model under it.
    """

    kind: LabelKind
    classes: list[str]
    architecture: Architecture
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    weights: dict[str, Tensors]
    heads: dict[str, Tensors]
    pooling: str
    tfidf: dict[str, TfidfClassifier]
    blend: Blend
    training: dict[str, Any]
    base: dict[str, str] | None

    def save(
        self,
        path: Path,
        *,
        precision: str = "float32",
        overwrite: bool = False,
        graphs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write it to a folder, whole or not at all.

        Args:
            path: the folder to make.
            precision: ``float32``, ``float16``, or ``int8`` (a quarter of the size).
            overwrite: replace a model that is there.
            graphs: by direction, what stands for the encoder (``onnx_graph.build_graph``); then only its map is kept.

        Raises:
            ArtifactError: the place is taken or cannot be written.
        """
        tensors = {
            f"{way}.{name}": tensor
            for way, some in self.weights.items()
            for name, tensor in some.items()
            if not graphs or name.startswith(MAP)
        }
        tensors |= {f"{way}.head.{name}": tensor for way, some in self.heads.items() for name, tensor in some.items()}
        for part, tfidf in self.tfidf.items():
            tensors |= {f"{part}.{name}": array for name, array in tfidf.numbers().items()}
        direction = "both" if len(self.weights) == 2 else next(iter(self.weights))
        config = {
            "classes": self.classes,
            "pooling": self.pooling,
            "base": self.base,
            "blend": {**self.blend.weights, "offsets": list(self.blend.offsets)},
            **{f"has_{part}": part in self.tfidf for part in TFIDF_PARTS},
            **self.kind.config(),
        }
        save_artifact(
            path,
            kind=PREDICTOR if graphs else CLASSIFIER,
            architecture=self.architecture,
            direction=direction,
            vocabulary=self.vocabulary,
            tokenizer=self.tokenizer,
            tensors=tensors,
            training=self.training,
            card=classifier_card(self.training, direction, self.classes),
            config=config,
            files={
                **{terms_file(part): tfidf.terms_json() for part, tfidf in self.tfidf.items()},
                **{graph_file(way): graph for way, graph in (graphs or {}).items()},
            },
            precision=precision,
            overwrite=overwrite,
            least_version=OFFSETS_VERSION if self.blend.offsets else 0,
        )

    @classmethod
    def load(cls, path: str | Path, *, kind: str = CLASSIFIER) -> "StoredClassifier":
        """Read a folder of a classifier, or of an exported one (``kind`` predictor); safe with folders from strangers.

        Raises:
            ArtifactError: names the file at fault.
        """
        return cls.from_artifact(load_artifact(Path(path), kind=kind))

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "StoredClassifier":
        """From a folder that is already read."""
        config, file = artifact.config, artifact.path / "config.json"
        kind, classes = kind_from_config(config, file)
        pooling, blend = config.get("pooling"), config.get("blend")
        if pooling not in POOLINGS:
            raise ArtifactError(f"{file}: pooling {pooling!r}; known are {', '.join(POOLINGS)}")
        parts = ("ulmfit", *(part for part in TFIDF_PARTS if config.get(f"has_{part}")))
        if not (isinstance(blend, dict) and all(_is_weight(blend.get(part)) for part in parts)):
            raise ArtifactError(f"{file}: blend {blend!r}: a weight, not negative, is needed for {', '.join(parts)}")
        offsets = blend.get("offsets", [])
        if not (isinstance(offsets, list) and all(map(is_number, offsets)) and len(offsets) in (0, len(classes))):
            raise ArtifactError(f"{file}: the blend's offsets {offsets!r} must be a number for each class, or none")
        if is_taught(pooling) and not artifact.architecture.taught:
            raise ArtifactError(f"{file}: pooling {pooling!r} needs an encoder that was taught, and this one was not")
        directions = artifact.directions()
        terms = {part: _read_terms(artifact.path / terms_file(part)) for part in parts[1:]}
        shapes = artifact.architecture.encoder_shapes(len(artifact.vocabulary))
        if config["kind"] == PREDICTOR:
            shapes = {name: shape for name, shape in shapes.items() if name.startswith(MAP)}
        expected = {f"{way}.{name}": shape for way in directions for name, shape in shapes.items()}
        width = artifact.architecture.pooled_width(pooling)
        for way in directions:
            bias = artifact.tensors.get(f"{way}.head.layers.1.bias")
            head = head_shapes(width, len(classes), hidden=0 if bias is None else bias.size)
            expected |= {f"{way}.head.{name}": shape for name, shape in head.items()}
        rows = kind.score_columns(len(classes))
        for part, some in terms.items():
            expected |= {
                f"{part}.idf": (len(some),),
                f"{part}.coefficients": (rows, len(some)),
                f"{part}.intercepts": (rows,),
            }
        artifact.check(expected)
        tfidf = {
            part: TfidfClassifier(
                some, **{name: array.astype(float) for name, array in artifact.part(part).items()}, kind=kind
            )
            for part, some in terms.items()
        }
        return cls(
            kind=kind,
            classes=classes,
            architecture=artifact.architecture,
            vocabulary=artifact.vocabulary,
            tokenizer=artifact.tokenizer,
            weights={way: {name: artifact.part(way)[name] for name in shapes} for way in directions},
            heads={way: artifact.part(f"{way}.head") for way in directions},
            pooling=pooling,
            tfidf=tfidf,
            blend=Blend.weighing({part: float(blend[part]) for part in parts}, tuple(map(float, offsets))),
            training=artifact.training,
            base=config.get("base"),
        )

    def tfidf_proba(self, texts: Sequence[str]) -> dict[str, Floats]:
        """(n_texts, n_classes) probabilities from each linear part alone, by name."""
        return {name: part.predict_proba(texts) for name, part in self.tfidf.items()}


def blend_parts(parts: dict[str, Floats], blend: Blend, kind: LabelKind) -> Floats:
    """(n, n_classes) probabilities of what is delivered, from those of its parts."""
    decided = blend.apply({name: kind.decisions(part) for name, part in parts.items()})
    return kind.from_decisions(decided, parts["ulmfit"].shape[1])


def _is_weight(value: Any) -> bool:
    return is_number(value) and 0 <= value < MOST_WEIGHT


def graph_file(way: str) -> str:
    """The file of a direction's graph in an exported classifier's folder."""
    return f"{way}.onnx"


def terms_file(part: str) -> str:
    """The file of a linear part's words and pairs of words."""
    return f"{part}_terms.json"


def _read_terms(path: Path) -> list[str]:
    terms = read_json(path)
    if not (isinstance(terms, list) and all(isinstance(term, str) for term in terms) and len(set(terms)) == len(terms)):
        raise ArtifactError(f"{path}: a JSON list of different strings is needed")
    return terms
