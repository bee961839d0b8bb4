import json
import re
import shlex
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import ulmfit_lib
from ulmfit_lib.cli.running import app

ROOT = Path(__file__).parent.parent
GUIDES = sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))
NOTEBOOKS = sorted(f"notebooks/{notebook.name}" for notebook in (ROOT / "notebooks").glob("*.ipynb"))
PAGES = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/RESULTS.md",
    "benchmarks/GPU.md",
    "benchmarks/archive/README.md",
    *GUIDES,
    *NOTEBOOKS,
]


def text_of(page):
    """A page, or what a notebook says between its code; a command that goes on in the next line is one line here."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        said = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n".join(map("".join, said))
    return text.replace("\\\n", " ")


def code_of(page):
    """The Python on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return "\n".join(map("".join, cells))
    return "\n".join(re.findall(r"^```python\n(.+?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_has_the_options_that_it_is_given(page):
    for line in re.findall(r"^ *ulmfit (.+)$", text_of(page), re.MULTILINE):
        words, command = shlex.split(line, comments=True), app
        while words and hasattr(command, "commands") and words[0] in command.list_commands(None):
            command = command.get_command(None, words.pop(0))
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, line
        assert not (hasattr(command, "commands") and words), line


def test_the_reference_describes_every_public_name():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    described = re.findall(r"^::: ulmfit_lib\.(.+)$", pages, re.MULTILINE)
    assert len(described) == len(set(described))
    everyday = {f"{home}.{name}" for name, home in ulmfit_lib._HOMES.items()}
    assert everyday <= set(described)
    for name in described:
        home, _, last = name.rpartition(".")
        assert callable(getattr(import_module(f"ulmfit_lib.{home}"), last)), name


@pytest.mark.parametrize("page", PAGES)
def test_every_import_on_a_page_works_without_a_warning(page):
    lines = re.findall(r"^(from ulmfit_lib.* import [^(\n]+)$", code_of(page), re.MULTILINE)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "ulmfit_lib", DeprecationWarning)
        for line in lines:
            exec(line, {})


@pytest.mark.parametrize("page", PAGES)
def test_every_link_between_pages_leads_somewhere(page):
    file = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text_of(page))
    for target, place in links:
        other = file.parent / target if target else file
        assert other.exists(), f"{page}: {target}"
        if place:
            titles = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert place in anchors, f"{page}: {target}#{place}"


@pytest.mark.parametrize("page", GUIDES)
def test_the_contents_list_of_a_guide_names_all_its_sections(page):
    beginning, *sections = re.split(r"^## (.+)$", text_of(page), flags=re.MULTILINE)
    listed = re.findall(r"^- \[(.+)\]\(#.+\)$", beginning, re.MULTILINE)
    assert listed == sections[::2]


def test_the_site_shows_every_guide_notebook_and_page_of_the_reference():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    reference = [f"docs/api/{page.name}" for page in (ROOT / "docs" / "api").glob("*.md")]
    shown = re.findall(r"- (?:.+: )?(\S+\.(?:md|ipynb))$", site, re.MULTILINE)
    assert {*GUIDES, *NOTEBOOKS, *reference} <= set(shown)
    assert len(shown) == len(set(shown))
