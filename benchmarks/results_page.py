"""Write RESULTS.md, and the tables of other pages, from benchmarks/results and the embedded models' folders.

    python benchmarks/results_page.py            # or `make results`
    python benchmarks/results_page.py --check    # write nothing; exit with 1 if a page is out of date

To show a new result, write a template in templates/ and its name into SECTIONS. What a template can use beside Jinja is
in result_tools.py. Paragraphs may be written in lines of any length: the page's are wrapped anew.
"""

import argparse
import json
import re
import sys
import textwrap
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from result_tools import FILTERS, Results, functions

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benchmarks" / "RESULTS.md"
TEMPLATES = ROOT / "benchmarks" / "templates"
WITH_TABLES = ROOT / "README.md", ROOT / "docs" / "scaling.md"
EMBEDDED = ROOT / "ulmfit_lib" / "embedded"
SECTIONS = (
    "imdb",
    "peers",
    "verdicts",
    "contrast",
    "decisions",
    "scope",
    "zero_labels",
    "tuning",
    "few_labels",
    "label_budget",
    "label_loop",
    "explanations",
    "embedded_models",
    "base_parts",
    "pretraining",
    "tokens",
    "parallel_tokens",
    "speed",
    "light",
    "serving",
    "stages",
    "processes",
    "engines",
    "readers",
    "memory",
    "reliability",
)
MARKED = re.compile(r"(<!-- results:(\w+) -->\n\n).*?(\n\n<!-- /results -->)", re.DOTALL)
WIDTH = 116
AS_IT_IS = ("|", "#", "<!--", "![", "- [", "```")  # what blocks start with that are no paragraphs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    arguments = parser.parse_args()
    results = load_results()
    wanted = {file: render_tables(file.read_text(encoding="utf-8"), results) for file in WITH_TABLES}
    wanted[PAGE] = render_page(results)
    old = [file for file, text in wanted.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    if arguments.check and old:
        names = ", ".join(file.name for file in old)
        sys.exit(f"out of date: {names}; run `make results` and commit what it writes")
    for file in old:
        file.write_text(wanted[file], encoding="utf-8")
    print(f"written: {', '.join(file.name for file in old)}" if old else "all pages are up to date")


def load_results(folder: Path = PAGE.parent / "results") -> Results:
    """Every result by its file's name without ``.json``; the embedded models as ``embedded/NAME``."""
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
    for model in sorted(path.parent for path in EMBEDDED.glob("*/training.json")):
        read = {name: json.loads((model / f"{name}.json").read_text()) for name in ("config", "training", "vocab")}
        results[f"embedded/{model.name}"] = {
            "config": read["config"],
            "training": read["training"],
            "tokens": len(read["vocab"]),
            "megabytes": (model / "model.safetensors").stat().st_size / 1e6,
        }
    return results


def render_page(results: Results) -> str:
    """The whole of RESULTS.md."""
    templates = environment(results)
    sections = [templates.get_template(f"{name}.md.jinja").render() for name in SECTIONS]
    return wrapped(templates.get_template("RESULTS.md.jinja").render(sections=sections)) + "\n"


def render_tables(text: str, results: Results) -> str:
    """A page with what stands between ``<!-- results:NAME -->`` and ``<!-- /results -->`` written anew."""
    templates = environment(results)

    def anew(found: re.Match[str]) -> str:
        return found[1] + wrapped(templates.get_template(f"tables/{found[2]}.md.jinja").render()) + found[3]

    return MARKED.sub(anew, text)


def environment(results: Results) -> Environment:
    """The templates, with what they can use."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(FILTERS)
    found.globals.update(functions(results))
    return found


def wrapped(text: str) -> str:
    """Markdown with its paragraphs and lists filled to the page's width, and one empty line between blocks.

    >>> print(wrapped("one\\ntwo\\n\\n\\n\\n| a |"))
    one two
    <BLANKLINE>
    | a |
    """
    blocks = [block.strip("\n") for block in re.split(r"\n\s*\n", text) if block.strip()]
    return "\n\n".join(block if block.startswith(AS_IT_IS) else _filled(block) for block in blocks)


def _filled(block: str) -> str:
    items = re.split(r"\n(?=- )", block)
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            WIDTH,
            subsequent_indent="  " if item.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


if __name__ == "__main__":
    main()
