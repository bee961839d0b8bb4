import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ulmfit_lib import read_csv

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def test_the_example_reviews_are_as_many_as_promised():
    reviews = read_csv(EXAMPLES / "reviews.csv", text="review", label="sentiment")
    assert len(set(reviews.texts)) == len(reviews) >= 400
    assert len(reviews.labelled()) == len(reviews) / 2
    tiny = read_csv(EXAMPLES / "tiny-train.csv", text="review", label="sentiment")
    assert (len(tiny), len(tiny.labelled())) == (70, 8)
    assert len(read_csv(EXAMPLES / "tiny-test.csv", text="review", label="sentiment").labelled()) == 2


def run(*command):
    subprocess.run([sys.executable, "-W", "ignore", *map(str, command)], check=True, cwd=ROOT)


def test_the_stages_run_one_after_the_other(tmp_path):
    run(EXAMPLES / "stage_1_pretrain.py")
    run(EXAMPLES / "stage_2_fine_tune.py", tmp_path / "lm")
    run(EXAMPLES / "stage_3_classify.py", tmp_path / "lm", tmp_path / "classifier")
    assert (tmp_path / "classifier" / "config.json").is_file()


def test_eight_labels_and_62_texts_give_a_classifier(tmp_path):
    arguments = ["--text", "review", "--label", "sentiment"]
    out = tmp_path / "predictions.csv"
    run("-m", "ulmfit_lib.cli", "fit", EXAMPLES / "tiny-train.csv", *arguments, "--out", tmp_path / "m", "--quiet")
    run("-m", "ulmfit_lib.cli", "predict", tmp_path / "m", EXAMPLES / "tiny-test.csv", "--text", "review", "--out", out)
    assert len(pd.read_csv(out)) == 2


def test_the_notebook_runs():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "notebooks" / "01_sentiment_from_a_csv.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()


def test_token_parity_benchmark_finds_no_difference():
    run(ROOT / "benchmarks" / "token_parity.py", "--json")
