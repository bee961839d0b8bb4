"""A classifier whose encoders PyTorch runs: it can be made, evaluated on tables, and saved to be trained further."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ulmfit_lib.arrays import Features
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.errors import DataError
from ulmfit_lib.models.devices import compute_in_forked_children, find_device
from ulmfit_lib.models.frozen import FrozenEncoder, freeze, read_directions
from ulmfit_lib.models.tensors import as_tensors
from ulmfit_lib.progress import note
from ulmfit_lib.serving.classifier import Classifier
from ulmfit_lib.serving.texts import read_texts
from ulmfit_lib.tokens.documents import Documents


@dataclass(frozen=True, eq=False)
class TextClassifier(Classifier):
    """What ``fit`` and ``fit_classifier`` make.

    Attributes:
        device: where its encoders run.

    Examples:
        >>> classifier.classes
        ['negative', 'positive']
        >>> classifier.predict(["The film was great."])
        ['positive']
        >>> classifier.predict_proba(["The film was great.", "A terrible film."]).shape
        (2, 2)
        >>> classifier.save("models/films")
        >>> TextClassifier.load("models/films").predict(["A terrible film."])
        ['negative']
    """

    device: str = "cpu"

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> "TextClassifier":
        """Read a classifier's folder, safe with strangers', to run on a ``device``: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            ArtifactError: names the file at fault.
            OptionError: no such device.
        """
        return super().load(path).to(device)

    def to(self, device: str | torch.device) -> "TextClassifier":
        """The same classifier with its encoders on another device; ``auto`` takes a GPU if there is one.

        Raises:
            OptionError: no such device.
        """
        chosen = str(find_device(str(device)))
        return self if chosen == self.device else replace(self, device=chosen)

    def build_encoder(self, direction: str) -> FrozenEncoder:
        """The fastest that there is for the device."""
        compute_in_forked_children()
        return freeze(self.architecture, as_tensors(self.weights[direction]), self.device)

    def read_documents(self, documents: Documents, pooling: str) -> Features:
        """By direction, one pooled vector a text, (n_texts, width)."""
        encoders = {way: self.encoder(way) for way in self.heads}
        return read_directions(encoders, pooling, documents, self.vocabulary.pad_id)

    def evaluate(self, data: TextTable | Sequence[str], labels: Sequence[str] | None = None) -> Any:
        """Score predictions against true labels.

        Args:
            data: a table, whose rows without a label are left out, or texts.
            labels: the texts' labels, if ``data`` is no table.

        Returns:
            ``Scores``; ``RatingScores`` where labels are ratings; ``TagScores`` where a text has several.

        Raises:
            DataError: no labels, or none that the classifier knows; a row with one that it does not is wrong.

        Examples:
            >>> classifier.evaluate(["The film was great.", "A terrible film."], ["positive", "negative"]).accuracy
            1.0
        """
        if isinstance(data, TextTable):
            table = data
        else:
            table = TextTable.from_lists(read_texts(data), None if labels is None else list(labels))
        return self.evaluate_members(table)[ENSEMBLE]

    def evaluate_members(self, data: TextTable) -> dict[str, Any]:
        """The scores of the ``ensemble`` and of each member alone, on a table's labelled rows."""
        table = data.labelled().with_kind(self.kind)
        if self.scope and self.scope.label in table.labels and self.scope.label not in self.classes:
            table = table.set_apart(self.scope.label)
            note(
                f"{table.source}: rows labelled {self.scope.label!r} are of none of the classes, and are left out here"
            )
        if not len(table):
            raise DataError(f"{table.source}: no row has a label, so there is nothing to score against")
        truth, classes = self.kind.truth(table, self.classes)
        found = self.probabilities(table.texts)
        decided = {ENSEMBLE: self.decide(found[ENSEMBLE])}
        return {name: self.kind.score(p, truth, classes, decided=decided.get(name)) for name, p in found.items()}
