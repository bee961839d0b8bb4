import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "ulmfit_lib"
# A module imports only from its own room and from rooms above it in this list.
ROOMS = [
    "errors", "progress", "files", "data", "evaluation", "models", "training", "stages", "parts", "report",
    "planning", "cross_validation", "pipeline", "budget", "cli",
]  # fmt: skip


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "ulmfit_lib" and len(parts) > 1:
                yield parts[1]


def test_modules_import_only_from_rooms_above_theirs():
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(PACKAGE)
        if str(relative) == "__init__.py":
            continue
        room = relative.parts[0].removesuffix(".py")
        for other in imported_rooms(path):
            assert ROOMS.index(other) <= ROOMS.index(room), f"{relative} imports from {other}"


HEAVY = "print([m for m in ('torch', 'fastai', 'spacy', 'pandas') if m in sys.modules])"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_loads_no_torch():
    assert run(f"import sys, ulmfit_lib; {HEAVY}").strip() == "[]"


def test_help_loads_no_torch():
    code = (
        "import sys; sys.argv = ['ulmfit', '--help']\n"
        "from ulmfit_lib.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"{HEAVY}"
    )
    assert run(code).strip().endswith("[]")


def test_every_public_name_exists():
    import ulmfit_lib

    for name in ulmfit_lib.__all__:
        assert getattr(ulmfit_lib, name) is not None
    assert set(ulmfit_lib.__all__) == set(ulmfit_lib._HOME_OF)
