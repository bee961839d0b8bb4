"""Which sizes and rates give the best language model in equal time?

    python benchmarks/pretraining_search.py wiki-00.jsonl.xz --valid valid.jsonl.xz --minutes 10 [--json]
        [--candidates 256/512/3@0.003x80 320/640/2@0.003x80 ...]

A candidate is embedding/hidden/layers@rate x rows of the token stream. Each is first timed for some steps, then trains
for one pass over as many texts as it can read in the time; all are measured on the same texts by the full softmax.
"""

import argparse
import json
import platform
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ulmfit_lib import read_csv
from ulmfit_lib.models.awd_lstm import Architecture
from ulmfit_lib.stages import PRETRAIN, pretrain

DEFAULT = ["256/512/3@0.003x80", "320/640/2@0.003x80", "256/768/2@0.003x80", "256/512/3@0.006x80", "256/512/3@0.003x40"]
TIMED_STEPS = 25
TOKENS_PER_CHARACTER = 0.23  # of English text, a little more than there are, so that the timed texts suffice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--candidates", nargs="+", default=DEFAULT)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = [text for file in arguments.files for text in read_csv(file, text=arguments.text).texts]
    valid = read_csv(arguments.valid, text=arguments.text).texts[:100]
    seconds = 60 * arguments.minutes
    results = [_try(candidate, texts, valid, seconds, arguments.seed) for candidate in arguments.candidates]
    if arguments.json:
        machine = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "torch": version("torch")}
        today = time.strftime("%Y-%m-%d")
        print(json.dumps({"minutes": arguments.minutes, **machine, "date": today, "results": results}))
    else:
        for row in results:
            print(f"{row['candidate']:24} {row['tokens']:>12,} tokens  perplexity {row['perplexity']}")


def _try(candidate: str, texts: Sequence[str], valid: Sequence[str], seconds: float, seed: int) -> dict[str, Any]:
    sizes = re.fullmatch(r"(\d+)/(\d+)/(\d+)@([\d.e-]+)x(\d+)", candidate)
    if not sizes:
        raise SystemExit(f"candidate {candidate!r}: it reads like 256/512/3@0.003x80")
    architecture = Architecture(*map(int, sizes.group(1, 2, 3)))
    recipe = replace(PRETRAIN, lr=float(sizes[4]), batch_size=int(sizes[5]))

    def read(tokens: float, valid: Sequence[str]) -> dict[str, Any]:
        model = pretrain(
            _first(texts, tokens), valid_texts=valid, architecture=architecture, recipe=recipe, seed=seed, device="cpu"
        )
        stage: dict[str, Any] = model.training["stages"][-1]
        return {**stage, "seconds": stage["history"][model.direction][-1]["phase_seconds"]}

    timed = read(TIMED_STEPS * recipe.batch_size * recipe.window, valid[:1])
    stage = read(timed["tokens_per_epoch"] / timed["seconds"] * seconds, valid)
    result = {
        "candidate": candidate,
        "tokens": stage["tokens_per_epoch"],
        "seconds": round(stage["seconds"]),
        "perplexity": round(stage["validation"]["perplexity"], 2),
        "unknown_share": round(stage["validation"]["unknown_share"], 4),
    }
    print(json.dumps(result), file=sys.stderr)
    return result


def _first(texts: Sequence[str], tokens: float) -> list[str]:
    characters, chosen = tokens / TOKENS_PER_CHARACTER, []
    for text in texts:
        chosen.append(text)
        characters -= len(text)
        if characters <= 0:
            break
    return chosen


if __name__ == "__main__":
    main()
