"""How fast is each job beside plain fastai, and how much of what this machine can do is that?

    python benchmarks/speed.py [reviews.csv --text review --label sentiment] [--quick] [--json]

    python benchmarks/speed.py --cpu avx2 ...      # as on a CPU without AVX-512, the features switched off

Both do the same job on the same texts with the same architecture (400 / 1152 / 3), in turns; rates are medians, the
ratio's spread is its lowest and highest round. Without a file: made-up reviews. Each row says how it was checked that
the results agree.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import speed_growth
import speed_serving
import speed_training
from conditions import ONLY_AVX2, conditions, cpu_kind
from made_up_texts import reviews
from measuring import Row, Workload, count_cpu_seconds, machine_limits

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.artifact.architecture import Architecture

QUICK = Workload(tokenize_texts=3000, lm_texts=50, classifier_texts=48, predict_texts=64, growth=(500, 5000), rounds=2)
MIDDLE = Workload(tokenize_texts=20_000, lm_texts=24, classifier_texts=32, predict_texts=96, growth=(1000, 10_000))
FULL = Workload(
    tokenize_texts=20_000, lm_texts=600, classifier_texts=256, predict_texts=512, growth=(1000, 10_000, 100_000)
)
SECONDS = Workload(
    tokenize_texts=200,
    lm_texts=20,
    classifier_texts=32,
    predict_texts=16,
    growth=(500, 1000),
    rounds=1,
    sizes=Architecture(16, 24, 2),
    vocabulary=1000,
)
WORKLOADS = {"seconds": SECONDS, "quick": QUICK, "middle": MIDDLE, "full": FULL}
BY_THE_CLOCK = ("tokenize_cold", "tokenize_cached", "help", "cold_predict")  # other processes do the work
ASKED = {  # of the ratio; of the seconds where fastai has nothing to compare
    "tokenize_cold": 10,
    "tokenize_cached": 100,
    "head_epochs": 50,
    "help": 0.3,
    "lm_train": {"avx512": 2.5, "avx2": 1.5},
    "classifier_train": {"avx512": 2.5, "avx2": 1.3},
    "predict_bulk": {"avx512": 4, "avx2": 2},
    "predict_one": {"avx512": 8, "avx2": 3},
    "predict_bulk_small": {"avx512": 15, "avx2": 12},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--workload", choices=list(WORKLOADS), default="full")
    parser.add_argument("--quick", action="store_const", const="quick", dest="workload", help="under five minutes")
    parser.add_argument("--cpu", choices=["as-it-is", "avx2"], default="as-it-is")
    parser.add_argument("--rounds", type=int, help="turns of each side; default: the workload's")
    parser.add_argument("--cpu-seconds", action="store_true", help="of one thread, where no other process works")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.cpu == "avx2" and not ONLY_AVX2.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, "-W", "ignore", *sys.argv], {**os.environ, **ONLY_AVX2})
    work = replace(WORKLOADS[arguments.workload], device=arguments.device)
    work = replace(work, rounds=arguments.rounds or work.rounds)
    if arguments.file:
        table = read_table(arguments.file, text=arguments.text, label=arguments.label).labelled()
    else:
        made_up, labels = zip(*itertools.islice(reviews(), work.tokenize_texts), strict=True)
        table = TextTable.from_lists(list(made_up), list(labels))
    limits = machine_limits()
    texts, workload = str(arguments.file or "made up"), arguments.workload
    result: Row = {"texts": texts, **conditions(), "workload": workload, "limits": limits}
    for name in sorted(arguments.rows, key=[*BY_THE_CLOCK, *ROWS].index):
        by_cpu = arguments.cpu_seconds and name not in BY_THE_CLOCK
        if by_cpu:
            count_cpu_seconds()
        result[name] = {"seconds": "of a CPU, one thread" if by_cpu else "of the clock"} | ROWS[name](table, work)
        asked = ASKED.get(name)
        if asked is not None:
            result[name]["asked"] = asked.get(cpu_kind()) if isinstance(asked, dict) else asked
        if "products_per_second" in result[name]:
            best = "int8_gflops" if name.startswith("predict") else "bfloat16_gflops"
            limit = limits.get(best, limits["float32_gflops"])
            share = result[name]["products_per_second"] / 1e9 / limit
            result[name]["share_of_limit"] = round(share, 2)
        print(name, json.dumps(result[name]), file=sys.stderr)
    if arguments.json:
        print(json.dumps(result))
        return
    for name in arguments.rows:
        if name == "growth":
            print(f"{name:18} seconds grow with the number of texts to the power of {result[name]['power']}")
            continue
        row = result[name]
        beside = f"fastai {row['fastai']:,.6g}, ratio {row['ratio']}" if "fastai" in row else ""
        print(f"{name:18} {row['ours']:>12,.6g} {row['unit']:10} {beside:34} {row['check']}")


ROWS: dict[str, Callable[[TextTable, Workload], Row]] = {
    "tokenize_cold": speed_serving.tokenize_cold,
    "tokenize_cached": speed_serving.tokenize_cached,
    "lm_train": speed_training.lm_train,
    "classifier_train": speed_training.classifier_train,
    "head_epochs": speed_training.head_epochs,
    "predict_bulk": speed_serving.predict_bulk,
    "predict_one": speed_serving.predict_one,
    "predict_bulk_small": speed_serving.predict_bulk_small,
    "predict_any_length": speed_serving.predict_any_length,
    "help": speed_serving.start_help,
    "cold_predict": speed_serving.cold_predict,
    "growth": lambda _, work: speed_growth.growth(list(work.growth)),
}

if __name__ == "__main__":
    main()
