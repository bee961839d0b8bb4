"""How many tokens a second does a language model learn from on one process and on two?

    python benchmarks/several_processes.py [--base general-en-small] [--tokens 60000] [--rounds 3]
        [--sides 1x1 1x2 2x1] [--json]

The base goes on with made-up reviews: on one process of one thread, on one of two threads, and on two of one thread
each, in turns. Every process takes the recipe's batch, so that two take steps of twice as many tokens. The time is that
of the training alone, without the start of the processes; needs the extra `distributed`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any

from conditions import conditions
from made_up_texts import reviews

from ulmfit_lib import LanguageModel, pretrain
from ulmfit_lib.training.processes import joined
from ulmfit_lib.training.recipes import CPU
from ulmfit_lib.training.run import Run

SIDES = ("1x1", "1x2", "2x1")  # processes x threads of each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--tokens", type=int, default=60_000, help="to learn from, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", default=SIDES, metavar="PROCESSESxTHREADS")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one-side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_side:
        train(arguments.base, arguments.tokens)
        return
    passed = ["--base", arguments.base, "--tokens", str(arguments.tokens), "--one-side"]
    asked = [(int(side.partition("x")[0]), int(side.partition("x")[2])) for side in arguments.sides]
    turns = [[launch(*side, passed) for side in asked] for _ in range(arguments.rounds)]
    rates = [[one["tokens"] / one["seconds"] for one in side] for side in zip(*turns, strict=True)]
    sides = [
        {
            "processes": processes,
            "threads": threads,
            "batch": found["batch"],
            "tokens_per_second": round(statistics.median(rate)),
            "spread": [round(min(rate)), round(max(rate))],
        }
        for (processes, threads), found, rate in zip(asked, turns[0], rates, strict=True)
    ]
    result = {
        "base": arguments.base,
        "rounds": arguments.rounds,
        "tokens": turns[0][0]["tokens"],
        "megabytes_per_step": turns[0][0]["megabytes_per_step"],
        "sides": sides,
        "load": round(os.getloadavg()[1], 1),
    }
    if arguments.json:
        print(json.dumps({**result, **conditions()}))
        return
    for side in sides:
        print(f"{side['processes']} processes of {side['threads']} threads: {side['tokens_per_second']:,} tokens/s")
    print(f"the gradients of a step are {result['megabytes_per_step']} MB")


def launch(processes: int, threads: int, passed: list[str]) -> dict[str, Any]:
    launcher = [
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        str(processes),
        "--main_process_port",
        "0",
    ]
    command = [sys.executable, *(launcher if processes > 1 else []), __file__, *passed]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "ULMFIT_QUIET": "1"}
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    result: dict[str, Any] = json.loads(found.stdout)
    return result


def train(base: str, tokens: int) -> None:
    """One epoch of fine-tuning all groups, in one of the processes; prints what it took."""
    texts = [text for text, _ in islice(reviews(), max(20, tokens // 280))]
    recipe = replace(CPU.fit_lm, frozen_epochs=0, epochs=1)
    lm = LanguageModel.from_pretrained(base).only("forward")
    with joined() if "WORLD_SIZE" in os.environ else nullcontext():
        trained = pretrain(texts, valid_texts=texts[:2], base=lm, recipe=recipe, run=Run(device="cpu"))
        stage, learnt = trained.training.last, trained.weights["forward"]
        numbers = sum(tensor.numel() for name, tensor in learnt.items() if not name.startswith("map."))
        facts = {"tokens": stage.tokens_per_epoch, "batch": stage.recipe["batch_size"]}
        took = {"seconds": stage.history["forward"][-1]["phase_seconds"], "megabytes_per_step": numbers * 4 // 10**6}
        print(json.dumps(facts | took))


if __name__ == "__main__":
    main()
