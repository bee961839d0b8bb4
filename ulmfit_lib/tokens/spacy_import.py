"""spaCy, without what it would only look for."""

import sys
from types import ModuleType

UNNEEDED = ("torch", "pandas")  # spaCy asks whether they are there, which takes seconds, and tokenises without them


def import_spacy() -> ModuleType:
    """The module; what is not loaded yet of ``UNNEEDED`` is out of its sight meanwhile."""
    hidden = [name for name in UNNEEDED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import fails
    try:
        import spacy
    finally:
        for name in hidden:
            del sys.modules[name]
    return spacy  # type: ignore[no-any-return]
