"""The scripts for a GPU machine, end to end, on the CPU with a tiny model."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ulmfit_lib import LanguageModel, read_table

SCRIPTS = Path(__file__).parent.parent / "benchmarks" / "gpu"
REVIEWS = Path(__file__).parent.parent / "examples" / "reviews.csv"


def run(script, *arguments):
    command = [sys.executable, "-W", "ignore", SCRIPTS / script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_shards_train_resume_come_home_and_load(tmp_path):
    shards, out = tmp_path / "shards", tmp_path / "out"
    run(
        "shards.py",
        shards,
        "--wiki",
        REVIEWS,
        "--valid",
        REVIEWS,
        "--reviews",
        REVIEWS,
        "--text",
        "review",
        "--vocab-size",
        400,
        "--shard-tokens",
        4000,
    )
    assert len(list(shards.glob("wiki-[0-9][0-9].xz"))) > 1
    sizes = ["--embedding", 12, "--hidden", 16, "--layers", 2, "--batch-size", 8, "--window", 10]
    short = ["--epochs", 3, "--lr", 0.02, "--dropout", 0]
    common = ["--data", shards, "--checkpoints", tmp_path / "scratch", "--out", out, *sizes, *short]
    assert "run the same command again" in run("pretrain.py", "wiki", "forward", *common, "--seconds", 0)
    assert "finished" in run("pretrain.py", "wiki", "forward", *common)
    assert "finished" in run("pretrain.py", "wiki", "backward", *common)
    base = ["--base", tmp_path / "scratch" / "wiki-forward.pt"]
    assert "finished" in run("pretrain.py", "reviews", "forward", *common, *base)
    for corpus, direction in [("wiki", "both"), ("reviews", "forward")]:
        run("assemble.py", corpus, out, "--shards", shards, "--out", tmp_path / corpus)
        model = LanguageModel.load(tmp_path / corpus)
        assert model.direction == direction and len(model.vocabulary) == 400
    texts = read_table(REVIEWS, text="review").texts
    measured = json.loads((out / "wiki-forward.json").read_text())
    assert abs(measured["nats_per_token_int8"] - measured["nats_per_token"]) < 0.02
    wiki = LanguageModel.load(tmp_path / "wiki")
    for direction, other in [("forward", "backward"), ("backward", "forward")]:
        weights = wiki.weights[direction]
        right, wrong = (replace(wiki, weights={way: weights}).perplexity(texts) for way in (direction, other))
        assert right < 0.9 * wrong  # it reads here the way round that it was trained there
