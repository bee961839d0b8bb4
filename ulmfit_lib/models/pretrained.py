"""A name -> a language model: those that come with the library, or a folder of yours."""

from pathlib import Path

from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.models.language_model import LanguageModel

EMBEDDED = Path(__file__).parent.parent / "embedded"


def embedded_models() -> list[str]:
    """Names of the models that come with the library."""
    return sorted(folder.name for folder in EMBEDDED.iterdir() if (folder / "config.json").is_file())


def find_pretrained(name_or_folder: str | Path) -> Path:
    """The folder of a model given by name or by folder; an embedded name wins over a folder of the same name.

    Raises:
        ArtifactError: neither a name nor a folder; the message lists the names.
    """
    if str(name_or_folder) in embedded_models():
        return EMBEDDED / str(name_or_folder)
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    names = ", ".join(embedded_models())
    raise ArtifactError(f"{name_or_folder}: no such model or folder; models that come with the library: {names}")


def load_pretrained(name_or_folder: str | Path) -> LanguageModel:
    """Read it, and remember in ``training['name']`` what it was called."""
    path = find_pretrained(name_or_folder)
    model = LanguageModel.load(path)
    model.training.setdefault("name", path.name)
    return model
