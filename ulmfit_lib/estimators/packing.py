"""Models inside a pickle: as the bytes of their safe folder, which are checked when they are read again."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel

KINDS: dict[str, type[TextClassifier] | type[LanguageModel]] = {"classifier": TextClassifier, "lm": LanguageModel}


@dataclass(frozen=True)
class Packed:
    """A model's folder, file by file.

    Attributes:
        kind: a key of ``KINDS``.
        files: content by name.
    """

    kind: str
    files: dict[str, bytes]

    def unpack(self) -> TextClassifier | LanguageModel:
        """The model, after all checks that a folder from a stranger gets.

        Raises:
            ArtifactError: names the file at fault.
        """
        with tempfile.TemporaryDirectory(prefix="ulmfit-") as temporary:
            folder = Path(temporary) / "model"
            folder.mkdir()
            for name, content in self.files.items():
                if not re.fullmatch(r"\w[\w.-]*", name):
                    raise ArtifactError(f"the pickle holds a file called {name!r}, which no saved model has")
                (folder / name).write_bytes(content)
            return KINDS[self.kind].load(folder)


def pack(model: TextClassifier | LanguageModel) -> Packed:
    """A model as the bytes of the folder that ``save`` writes."""
    kind = next(name for name, one in KINDS.items() if isinstance(model, one))
    with tempfile.TemporaryDirectory(prefix="ulmfit-") as temporary:
        folder = Path(temporary) / "model"
        model.save(folder)
        return Packed(kind, {file.name: file.read_bytes() for file in sorted(folder.iterdir())})


class PicklesSafely:
    """For estimators: every attribute that is a model is pickled as ``Packed``, so that no weights are."""

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()  # type: ignore[misc]  # scikit-learn's adds its version
        return {
            name: pack(value) if isinstance(value, (TextClassifier, LanguageModel)) else value
            for name, value in state.items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        whole = {name: value.unpack() if isinstance(value, Packed) else value for name, value in state.items()}
        super().__setstate__(whole)  # type: ignore[misc]
