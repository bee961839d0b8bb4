"""Models inside a pickle: as the bytes of their safe folder, which are checked when they are read again."""

import re
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from ulmfit_lib.errors import ArtifactError

Model = TypeVar("Model", bound="PicklesSafely")


class PicklesSafely:
    """For models with ``save`` and ``load``: a pickle holds the files of their folder, and nothing that could run code.

    A copy is the model itself: nothing changes it, and its record is to be read only.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        content = (type(self), pack(self))
        options = self.load_options()
        return unpack, (*content, options) if options else content

    def load_options(self) -> dict[str, Any]:
        """What ``load`` is given beside the folder, so that a copy behaves as its original."""
        return {}

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


def pack(model: Any, *, precision: str = "float32") -> dict[str, bytes]:
    """The folder that ``save`` writes: content by name."""
    with tempfile.TemporaryDirectory(prefix="ulmfit-") as temporary:
        folder = Path(temporary) / "model"
        model.save(folder, precision=precision)
        return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def rounded(model: Model, precision: str) -> Model:
    """The model as it is read again when its folder was written in a precision."""
    return unpack(type(model), pack(model, precision=precision), model.load_options())


def unpack(kind: type[Any], files: dict[str, bytes], options: dict[str, Any] | None = None) -> Any:
    """The model, after all checks that a folder from a stranger gets."""
    with tempfile.TemporaryDirectory(prefix="ulmfit-") as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        for name, content in files.items():
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise ArtifactError(f"the pickle holds a file called {name!r}, which no saved model has")
            (folder / name).write_bytes(content)
        return kind.load(folder, **(options or {}))
