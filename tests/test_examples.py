import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ulmfit_lib import read_table

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
NOISE = r"Traceback|Warning|/(home|root|tmp|usr|Users|ulmfit_lib|site-packages)/|[A-Z]:\\\\"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_example_reviews_are_as_many_as_promised():
    reviews = read_table(EXAMPLES / "reviews.csv", text="review", label="sentiment")
    assert len(set(reviews.texts)) == len(reviews) >= 400
    assert len(reviews.labelled()) == len(reviews) / 2
    tiny = read_table(EXAMPLES / "tiny-train.csv", text="review", label="sentiment")
    assert (len(tiny), len(tiny.labelled())) == (70, 8)
    assert len(read_table(EXAMPLES / "tiny-test.csv", text="review", label="sentiment").labelled()) == 2


def run(*command):
    subprocess.run([sys.executable, "-W", "ignore", *map(str, command)], check=True, cwd=ROOT)


@pytest.mark.slow
def test_the_stages_run_one_after_the_other(tmp_path):
    run(EXAMPLES / "stage_1_pretrain.py")
    run(EXAMPLES / "stage_2_fine_tune.py", tmp_path / "lm")
    run(EXAMPLES / "stage_3_classify.py", tmp_path / "lm", tmp_path / "classifier")
    assert (tmp_path / "classifier" / "config.json").is_file()


@pytest.mark.slow
def test_eight_labels_and_62_texts_give_a_classifier(tmp_path):
    arguments = ["--text", "review", "--label", "sentiment"]
    out = tmp_path / "predictions.csv"
    run("-m", "ulmfit_lib.cli", "fit", EXAMPLES / "tiny-train.csv", *arguments, "--out", tmp_path / "m", "--quiet")
    run("-m", "ulmfit_lib.cli", "predict", tmp_path / "m", EXAMPLES / "tiny-test.csv", "--text", "review", "--out", out)
    assert len(pd.read_csv(out)) == 2


def plots(notebook):
    """How many images each cell shows."""
    outputs = [cell.get("outputs", []) for cell in notebook.cells]
    return [sum("image/png" in one.get("data", {}) for one in some) for some in outputs]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_the_plots_that_are_stored_in_it(path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    stored = plots(notebook)
    assert any(stored)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert plots(notebook) == stored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_small_and_executed_without_errors_warnings_or_paths_of_a_machine(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 300_000
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for output in (one for cell in cells for one in cell["outputs"]):
        assert output["output_type"] != "error" and output.get("name") != "stderr"
        data = {kind: shown for kind, shown in output.get("data", {}).items() if kind != "image/png"}
        shown = json.dumps([output.get("text"), data])
        assert not re.search(NOISE, shown), shown


@pytest.mark.slow
def test_token_parity_benchmark_finds_no_difference():
    run(ROOT / "benchmarks" / "token_parity.py", "--json")
