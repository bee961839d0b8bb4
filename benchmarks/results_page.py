"""Write RESULTS.md, and the tables of other pages, from benchmarks/results and the embedded models' folders.

    python benchmarks/results_page.py            # or `make results`
    python benchmarks/results_page.py --check    # write nothing; exit with 1 if a page is out of date

To show a new result, add a function to a module in result_sections/ and its name to SECTIONS.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from result_sections import (
    accuracy,
    insight,
    language_models,
    light,
    peers,
    robustness,
    scaling,
    serving,
    speed,
    teaching,
    tuning,
)
from result_sections.markdown import Results, paragraph

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benchmarks" / "RESULTS.md"
WITH_TABLES = ROOT / "README.md", ROOT / "docs" / "scaling.md"
EMBEDDED = ROOT / "ulmfit_lib" / "embedded"

SECTIONS: tuple[Callable[[Results], str], ...] = (
    accuracy.imdb,
    peers.peers,
    peers.verdicts,
    peers.zero_labels,
    tuning.tuning,
    accuracy.few_labels,
    accuracy.label_budget,
    insight.label_loop,
    insight.explanations,
    language_models.embedded_models,
    teaching.teaching,
    language_models.pretraining,
    language_models.tokens,
    language_models.parallel_tokens,
    speed.speed,
    light.light,
    serving.serving,
    scaling.stages,
    scaling.processes,
    scaling.engines,
    scaling.readers,
    robustness.memory,
    robustness.reliability,
)
TABLES: dict[str, Callable[[Results], str]] = {
    "peers": peers.peers_in_short,
    "stage_costs": scaling.stage_costs,
    "step_volume": scaling.step_volume,
    "wikipedia": scaling.wikipedia,
    "wikipedia_on_cores": scaling.wikipedia_on_cores,
    "ten_million": scaling.ten_million,
    "engine_cost": scaling.engine_cost,
    "reading": scaling.reading,
    "process_rates": scaling.process_rates,
}
MARKED = re.compile(r"(<!-- results:(\w+) -->\n\n).*?(\n\n<!-- /results -->)", re.DOTALL)


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
    sections = [section(results) for section in SECTIONS]
    titles = [section.partition("\n")[0].removeprefix("## ") for section in sections]
    intro = paragraph(
        "Every figure on this page comes from a file in [results/](results/) or from an embedded model's folder; none "
        "is typed by hand. To renew one, run its command, keep what it prints in its file "
        "(`python benchmarks/speed.py --json > benchmarks/results/speed.json`), and run `make results`. Name "
        "the columns of your file with `--text` and `--label` where they are not `review` and `sentiment`. Questions "
        "that are settled have moved to [archive/](archive/README.md)."
    )
    contents = "\n".join(f"- [{title}](#{anchor(title)})" for title in titles)
    written = "<!-- Written by `make results` (benchmarks/results_page.py) from benchmarks/results. Do not edit it. -->"
    return "\n\n".join([written, "# Results", intro, contents, *sections]) + "\n"


def anchor(title: str) -> str:
    """Where GitHub puts a heading.

    >>> anchor("Few labels: which recipe?")
    'few-labels-which-recipe'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def render_tables(text: str, results: Results) -> str:
    """A page with each table between ``<!-- results:NAME -->`` and ``<!-- /results -->`` written anew."""
    return MARKED.sub(lambda found: found[1] + TABLES[found[2]](results) + found[3], text)


if __name__ == "__main__":
    main()
