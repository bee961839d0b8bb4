"""Environments that hold what some distributions require, linked from this one, and nothing else."""

import subprocess
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def required_by(requirements: list[str]) -> dict[str, Distribution]:
    """These distributions and all that they require here, optional ones only where an extra is named."""
    found, seen, waiting = {}, set(), list(map(Requirement, requirements))
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if (name, frozenset(one.extras)) in seen:
            continue
        seen.add((name, frozenset(one.extras)))
        found[name] = distribution(name)
        needed = map(Requirement, found[name].requires or [])
        waiting += [it for it in needed if applies(it, one.extras)]
    return found


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Whether a distribution with these extras requires it here."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def make_environment(folder: Path, distributions: list[Distribution]) -> Path:
    """A new environment that sees these distributions; returns its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    where = "import site; print(site.getsitepackages()[0])"
    site = Path(subprocess.check_output([python, "-c", where], text=True).strip())
    for one in distributions:
        for top in {file.parts[0] for file in one.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(one.locate_file(top))
    return python
