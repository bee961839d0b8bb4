"""The static tier: a classifier as a table of scores, one row for each word or pair of words; numpy is all it needs.

``training.static_student`` distils it from a classifier. A text's score is the sum of its terms' rows over the square
root of their number, so an explanation is exact, and a page of HTML can do the same.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Bools, Floats, Vectors
from ulmfit_lib.artifact.format import FORMAT, STATIC, STATIC_VERSION, WEIGHTS, package_versions, read_config
from ulmfit_lib.artifact.json_values import read_fields
from ulmfit_lib.artifact.record import FILE, TrainingRecord
from ulmfit_lib.artifact.seal import check_seal, seal
from ulmfit_lib.artifact.tensors import read_tensors, write_tensors
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.evaluation.certainty import UNSURE, Certainty, Precision
from ulmfit_lib.files import new_folder, read_json
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.links import sigmoid, softmax
from ulmfit_lib.labels.stored import kind_from_config
from ulmfit_lib.serving.deciding import Deciding
from ulmfit_lib.serving.explanations import WORD, Explanation, Span, check_explained, log_odds, said_class, score_odds
from ulmfit_lib.serving.stored_classifier import rule_from_config
from ulmfit_lib.serving.texts import read_texts

TERMS = "terms.json"
UNMEASURED = "a static classifier keeps no such measures of held-out rows: ask the classifier it was made from"
NO_CERTAINTY = (
    "it was not measured how often this static classifier is right at each confidence: export it again with --check "
    "FILE --label COLUMN, labelled rows that the classifier was not trained on"
)


def find_words(text: str) -> list[str]:
    """The words and marks of a text, in lower case.

    >>> find_words("I DON’T know!")
    ['i', "don't", 'know', '!']
    """
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def find_terms(text: str) -> list[str]:
    """Its words, then its pairs of neighbouring words.

    >>> find_terms("Not good.")
    ['not', 'good', '.', 'not good', 'good .']
    """
    words = find_words(text)
    return [*words, *map(" ".join, itertools.pairwise(words))]


@dataclass(frozen=True, eq=False)
class StaticClassifier(Deciding):
    """A linear classifier of words and pairs of words.

    Attributes:
        classes: the classes' names, in the order of every column of probabilities.
        terms: words, and pairs of words parted by a space.
        scores: (n_terms, n_classes) what each adds.
        intercepts: (n_classes,) the scores of a text without a known term.
        kind: what a label is.
        rule: which label is said, given the probabilities.
        training: of the classifier that it was distilled from.
        measured: how often it was right at each confidence, on rows that neither had learnt from; None where there were
            none.
    """

    classes: list[str]
    terms: list[str]
    scores: Vectors
    intercepts: Vectors
    kind: LabelKind = field(default_factory=Classes)
    rule: DecisionRule = field(default_factory=DecisionRule)
    training: TrainingRecord = field(default_factory=TrainingRecord)
    measured: Certainty | None = None
    scope: None = field(default=None, init=False)  # not measured

    @cached_property
    def _places(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    def raw_scores(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes); a text's scores do not depend on the texts beside it."""
        place = self._places.get
        found = [[at for at in map(place, find_terms(text)) if at is not None] for text in texts]
        lengths = np.array([len(one) for one in found])
        total = np.zeros((len(texts), len(self.classes)))
        some = lengths > 0
        if some.any():
            rows = self.scores[np.fromiter(itertools.chain.from_iterable(found), np.int64, int(lengths.sum()))]
            starts = np.cumsum(lengths)[some] - lengths[some]
            total[some] = np.add.reduceat(rows, starts, axis=0, dtype=np.float64) / np.sqrt(lengths[some])[:, None]
        return np.asarray(total + self.intercepts)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes) probabilities, columns in the order of ``classes``.

        Raises:
            DataError: a single string, several columns, or something that is no string; it names the row.
        """
        link = softmax if self.kind.exclusive else sigmoid
        return link(self.raw_scores(read_texts(texts)))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The label of each text, in order, by ``rule``."""
        return self.decode(self.predict_proba(texts))

    def judge(self, texts: Sequence[str], scope: float | None = None) -> tuple[Floats, Bools]:
        """Probabilities, and that no text is out of scope, since that was not measured."""
        if scope is not None:
            raise OptionError(UNMEASURED)
        probabilities = self.predict_proba(texts)
        return probabilities, np.zeros(len(probabilities), bool)

    @property
    def certainty(self) -> Certainty:
        """How often predictions of some confidence were right; raises OptionError where that was not measured."""
        if not self.kind.one_class_per_text:
            raise OptionError("only classes have a measured precision: these labels are ratings or tags")
        if UNSURE in self.classes:
            raise OptionError(f"a class is called {UNSURE!r}, so that it could not be told from the answer")
        if self.measured is None:
            raise OptionError(NO_CERTAINTY)
        return self.measured

    def thresholds(self, min_precision: Precision, *, by_class: bool = False) -> Floats:
        """(n_classes,) the confidence below which no label is said, so that the precision is reached by all answers.

        Raises:
            OptionError: nothing was measured, or the precision cannot be reached, or is one of some labels.
        """
        if by_class or not isinstance(min_precision, float):
            raise OptionError("a static classifier reaches one precision by all its answers together: give one number")
        return np.full(len(self.classes), self.certainty.threshold(min_precision)[0])

    def prediction_sets(self, coverage: float, *, by_class: bool = False) -> Any:
        """Nothing was measured; raises OptionError."""
        raise OptionError(UNMEASURED)

    def explain(self, text: str, *, label: str | None = None) -> Explanation:
        """What each word adds to the log odds of ``label``, by default of the label that is said: exactly.

        A pair of words counts half for each of them.

        Raises:
            DataError: a text without a word.
            OptionError: a label that this classifier does not know.
        """
        check_explained(text, label, self.classes)
        spans: list[Span] = [found.span() for found in WORD.finditer(text)]
        words = find_words(text)
        added = np.zeros((len(words), len(self.classes)))
        known = 0
        for place, word in enumerate(words):
            if (at := self._places.get(word)) is not None:
                added[place] += self.scores[at]
                known += 1
        for place, pair in enumerate(map(" ".join, itertools.pairwise(words))):
            if (at := self._places.get(pair)) is not None:
                added[place : place + 2] += self.scores[at] / 2
                known += 1
        probabilities = self.predict_proba([text])
        number = said_class(probabilities, self.kind, self.rule) if label is None else self.classes.index(label)
        contributions = score_odds(added / np.sqrt(max(known, 1)), number, self.kind)
        total = float(log_odds(probabilities, number, self.kind)[0])
        return Explanation(text, self.classes[number], float(probabilities[0, number]), spans, contributions, total)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write this classifier to a folder, whole or not at all; scores are rounded to bytes.

        Raises:
            ArtifactError: the place is taken or cannot be written.
        """
        config = {
            "format": FORMAT,
            "format_version": STATIC_VERSION,
            "kind": STATIC,
            "classes": self.classes,
            "rule": asdict(self.rule),
            **self.kind.config(),
            **({"certainty": asdict(self.measured)} if self.measured else {}),
            "versions": package_versions(),
        }
        with new_folder(Path(path), overwrite=overwrite) as folder:
            (folder / FILE).write_text(json.dumps(self.training.as_json()), encoding="utf-8")
            (folder / TERMS).write_text(json.dumps(self.terms), encoding="utf-8")
            write_tensors(folder / WEIGHTS, {"scores": self.scores, "intercepts": self.intercepts}, "int8")
            (folder / "README.md").write_text(self._card(), encoding="utf-8")
            (folder / "config.json").write_text(json.dumps(seal(config, folder), indent=1) + "\n", encoding="utf-8")

    def _card(self) -> str:
        return (
            f"# A static classifier\n\nIt knows {len(self.terms):,} words and pairs of words, and tells "
            f"{', '.join(self.classes)} apart. `ulmfit export --tier static` distilled it from another classifier.\n"
        )

    @classmethod
    def load(cls, path: str | Path) -> "StaticClassifier":
        """Read what ``save`` wrote; safe with folders from strangers.

        Raises:
            ArtifactError: names the file at fault.
        """
        folder = Path(path)
        config = read_config(folder)
        if config["kind"] != STATIC:
            raise ArtifactError(f"{folder}: this is a {config['kind']}, and a {STATIC} classifier is needed here")
        kind, classes = kind_from_config(config, folder / "config.json")
        terms, tensors = read_json(folder / TERMS), read_tensors(folder / WEIGHTS)
        if not (isinstance(terms, list) and all(isinstance(term, str) for term in terms)):
            raise ArtifactError(f"{folder / TERMS}: a JSON list of strings is needed")
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != {"scores": (len(terms), len(classes)), "intercepts": (len(classes),)}:
            raise ArtifactError(
                f"{folder / WEIGHTS}: {shapes} do not fit {len(terms)} terms and {len(classes)} classes"
            )
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise ArtifactError(f"{folder / WEIGHTS}: it holds values that are not finite numbers")
        check_seal(config, folder)
        rule = rule_from_config(config, folder / "config.json", len(classes))
        measured = None
        if "certainty" in config:
            try:
                measured = read_fields(Certainty, config["certainty"], f"{folder / 'config.json'}: certainty")
            except ValueError as error:
                raise ArtifactError(f"{folder / 'config.json'}: certainty: {error}") from error
        training, numbers = TrainingRecord.load(folder), (tensors["scores"], tensors["intercepts"])
        return cls(classes, terms, *numbers, kind, rule, training, measured)
