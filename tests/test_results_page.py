import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture
def results_page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import results_page

    return results_page


def test_the_results_page_says_what_the_result_files_say(results_page):
    page = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert page == results_page.render_page(results_page.load_results()), "run `make results` and commit what it writes"


@pytest.mark.parametrize("name", ["README.md", "docs/scaling.md"])
def test_the_tables_of_other_pages_say_what_the_result_files_say(results_page, name):
    page = (ROOT / name).read_text(encoding="utf-8")
    assert results_page.MARKED.search(page)
    assert page == results_page.render_tables(page, results_page.load_results()), "run `make results`"


def test_every_cell_of_the_readmes_table_stands_on_the_results_page(results_page):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    marked = results_page.MARKED.search(readme)
    cells = re.findall(r"\d+\.\d", marked[0])
    assert len(cells) >= 20
    assert all(cell in page for cell in cells)


def test_every_figure_of_measurements_in_the_readme_is_in_its_table(results_page):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = results_page.MARKED.sub("", re.sub(r"```.*?```|`[^`]*`", "", readme, flags=re.DOTALL))
    assert re.findall(r"\d+[.,]\d+(?= %| times| points| seconds| MB| GB)|±\s*\d", prose) == []


def test_every_result_file_is_shown_on_the_results_page(results_page):
    page = results_page.render_page(results_page.load_results())
    shown = set(re.findall(r"\(results/([\w.-]+\.json)\)", page))
    assert shown == {file.name for file in RESULTS.glob("*.json")}, "add a template in benchmarks/templates"


def test_every_speed_file_gets_a_table_below_the_features_of_its_cpu(results_page):
    results = results_page.load_results()
    name = next(name for name in results if name.startswith("speed"))
    cpu = {"kind": "avx512", "features": ["avx2", "avx512f", "avx512_bf16"]}
    other = copy.deepcopy(results[name]) | {"machine": "A small CPU, 2 threads of 2 cores", "cpu": cpu}
    other["predict_one"] |= {"ours": 31.25, "asked": 3}
    page = results_page.render_page({**results, "speed-small": other})
    part = page.partition("### A small CPU with AVX2, AVX-512 and bfloat16")[2].partition("[speed-small.json]")[0]
    assert "| predict one short text | 31.2 |" in part
    assert "asked for" in part
    assert f"[{name}.json](results/{name}.json)" in page


def test_a_page_that_is_up_to_date_passes_the_check():
    command = [sys.executable, ROOT / "benchmarks" / "results_page.py", "--check"]
    assert "up to date" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_rendering_loads_no_torch():
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import results_page as page\n"
        "page.render_page(page.load_results()); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"
