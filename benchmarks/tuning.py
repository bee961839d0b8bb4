"""Does `tune` find better settings? What it returns beside the defaults and beside `fit`, on rows that none has seen.

    python benchmarks/tuning.py sets --labels 500 --minutes 20 --work DIR [--names questions tweets] [--base auto]
        [--fit-minutes 2] [--json]

`sets` holds NAME-train.csv and NAME-test.csv, columns text and label (`benchmarks/stand_ins.py` makes such). All three
get the same labelled rows; each cell leaves its scores in `--work`, and a search that was stopped goes on.

defaults   the head on the frozen encoder with which `tune` compares (`fit --strategy linear-probe`)
fit        `fit` with its default time, or --fit-minutes
tune       `tune` within --minutes; with what it says of its gain, and whether that is what it keeps
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conditions import conditions

from ulmfit_lib import TextClassifier, TextTable, fit, read_table, tune
from ulmfit_lib.files import write_file
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run

Made = tuple[TextClassifier, dict[str, Any]]  # and what else there is to say


def defaults(table: TextTable, folder: Path, asked: argparse.Namespace) -> Made:
    return fit(table, base=asked.base, strategy="linear-probe"), {}


def with_fit(table: TextTable, folder: Path, asked: argparse.Namespace) -> Made:
    return fit(table, base=asked.base, minutes=asked.fit_minutes), {}


def tuned(table: TextTable, folder: Path, asked: argparse.Namespace) -> Made:
    run = Run(checkpoints=Checkpoints(folder / "checkpoints"))
    done = tune(table, folder=folder / "study", bases=[asked.base], minutes=asked.minutes, run=run)
    return done.classifier, {
        "gained": done.gained,
        "sentence": done.sentence,
        "settings": done.settings,
        "trials": len(done.trials),
        "out_of_fold": done.scores["out_of_fold"],
    }


SIDES: dict[str, Callable[[TextTable, Path, argparse.Namespace], Made]] = {
    "defaults": defaults,
    "fit": with_fit,
    "tune": tuned,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--names", nargs="+", help="default all")
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20, help="of `tune`")
    parser.add_argument("--fit-minutes", type=float, help="of `fit`")
    parser.add_argument("--base", default="auto")
    parser.add_argument("--work", type=Path, default=Path("tuning-work"), help="what is done stays here")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = sorted(file.name.removesuffix("-train.csv") for file in arguments.sets.glob("*-train.csv"))
    cells = [one_cell(name, side, arguments) for name in arguments.names or found for side in SIDES]
    if arguments.json:
        print(json.dumps({"labels": arguments.labels, "minutes": arguments.minutes, "cells": cells, **conditions()}))
        return
    for cell in cells:
        print("  ".join(f"{key} {value}" for key, value in cell.items()))


def one_cell(name: str, side: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What one side's classifier of one set is worth on the test rows, measured now or in an earlier run."""
    folder = arguments.work / f"{name}-{arguments.labels}-{arguments.draw}-{arguments.minutes:g}" / side
    done = folder / "scores.json"
    if not done.is_file():
        pool, test = (
            read_table(arguments.sets / f"{name}-{part}.csv", text="text", label="label").labelled()
            for part in ("train", "test")
        )
        started = time.monotonic()
        part = pool.select(nested_order(pool.targets(), arguments.draw)[: arguments.labels])
        classifier, more = SIDES[side](part, folder, arguments)
        seconds, scores = time.monotonic() - started, classifier.evaluate(test)
        cell = {
            "set": name,
            "side": side,
            "labels": len(part),
            "test_rows": len(test),
            "accuracy": round(100 * scores.accuracy, 2),
            "macro_f1": round(100 * scores.macro_f1, 2),
            "log_loss": round(scores.log_loss, 4),
            "seconds": round(seconds),
            **more,
        }
        write_file(done, json.dumps(cell).encode())
    return dict(json.loads(done.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
