"""spaCy, without what it would only look for."""

import sys
from types import ModuleType
from typing import Any

UNNEEDED = ("torch", "pandas")  # spaCy asks whether they are there, which takes seconds, and tokenises without them
COMMANDS = "spacy.cli.info"  # spaCy's commands, which load an HTTP client and more, for the sake of ``spacy.info``


def import_spacy() -> ModuleType:
    """The module; what is not loaded yet of ``UNNEEDED`` and ``COMMANDS`` is out of its sight meanwhile."""
    commands = ModuleType(COMMANDS)
    commands.info = _info  # type: ignore[attr-defined]
    stand_ins = {**dict.fromkeys(UNNEEDED), COMMANDS: commands}  # None: an import fails
    hidden = [name for name in stand_ins if name not in sys.modules]
    sys.modules.update({name: stand_ins[name] for name in hidden})  # type: ignore[misc]
    try:
        import spacy
    finally:
        for name in hidden:
            del sys.modules[name]
    return spacy


def _info(*arguments: Any, **options: Any) -> Any:
    from spacy.cli.info import info

    return info(*arguments, **options)
