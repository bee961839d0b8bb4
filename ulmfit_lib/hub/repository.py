"""How a model on the hub is named: ``hf:user/name``, or ``hf:user/name@revision``."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ulmfit_lib.errors import OptionError

PREFIX = "hf:"
_NAME = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[\w-][\w./-]{0,199}", re.ASCII)


@dataclass(frozen=True)
class Repository:
    """A repository of the hub."""

    name: str  # `user/name`
    revision: str | None = None  # a branch, a tag or a commit's hash; None: the newest commit of the branch `main`

    @classmethod
    def parse(cls, text: str) -> "Repository":
        """``user/name`` or ``user/name@revision``, with or without ``hf:`` before it; an OptionError for anything else.

        >>> Repository.parse("hf:ada/reviews@v1")
        Repository(name='ada/reviews', revision='v1')
        """
        name, at, revision = text.removeprefix(PREFIX).partition("@")
        if not _NAME.fullmatch(name) or ".." in name or "--" in name:
            raise OptionError(f"{text!r}: a repository of the hub is needed, as user/name or user/name@revision")
        if at and (not _REVISION.fullmatch(revision) or ".." in revision):
            raise OptionError(f"{text!r}: after @ a branch, a tag or a commit of {name} is needed")
        return cls(name, revision or None)

    @classmethod
    def of_folder(cls, folder: Path) -> "Repository | None":
        """What a folder in the hub's cache is a copy of, with its commit; None for any other folder."""
        *_, repository, snapshots, commit = ("", "", *folder.parts)
        kind, _, name = repository.partition("--")
        if snapshots != "snapshots" or kind != "models" or name.count("--") != 1:
            return None
        return cls(name.replace("--", "/"), commit)

    def at(self, commit: str) -> "Repository":
        """The same at a commit, which never changes."""
        return replace(self, revision=commit)

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}" + (f"@{self.revision}" if self.revision else "")


def is_on_hub(model: str | Path) -> bool:
    """Whether a model's name says that it is on the hub."""
    return str(model).startswith(PREFIX)
