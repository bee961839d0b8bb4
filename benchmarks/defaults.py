"""`fit` with its defaults on many sets of texts, at several numbers of labels, beside TF-IDF + logistic regression.

    python benchmarks/defaults.py sets --labels 100 500 all [--names news tweets] [--json]

`sets` holds NAME-train.csv and NAME-test.csv, columns text and label (`benchmarks/stand_ins.py` makes such). The
labelled rows are the first of the training file, which is in random order; nothing else is read. Each run leaves its
model and scores in `--work`, and is not repeated.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from conditions import conditions

CLI = [sys.executable, "-W", "ignore", "-m", "ulmfit_lib.cli"]
COLUMNS = ["--text", "text", "--label", "label"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--names", nargs="+", help="default all")
    parser.add_argument("--labels", nargs="+", default=["100", "500", "all"])
    parser.add_argument("--work", type=Path, default=Path("defaults-work"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = sorted(file.name.removesuffix("-train.csv") for file in arguments.sets.glob("*-train.csv"))
    names = arguments.names or found
    cells = [one_cell(arguments.sets, name, n, arguments.work) for n in arguments.labels for name in names]
    if arguments.json:
        print(json.dumps({"cells": cells, **conditions()}))
        return
    for cell in cells:
        print("  ".join(f"{key} {value}" for key, value in cell.items()))


def one_cell(sets: Path, name: str, labels: str, work: Path) -> dict[str, Any]:
    """Accuracies in per cent of what is delivered and of its parts, on the test file."""
    done = work / f"{name}-{labels}.json"
    if not done.exists():
        rows = pd.read_csv(sets / f"{name}-train.csv", keep_default_na=False)
        train = work / f"{name}-{labels}.csv"
        rows[: len(rows) if labels == "all" else int(labels)].to_csv(train, index=False)
        model, test = work / f"{name}-{labels}", sets / f"{name}-test.csv"
        started = time.monotonic()
        subprocess.run([*CLI, "fit", str(train), *COLUMNS, "--out", str(model), "--overwrite"], check=True)
        seconds = time.monotonic() - started
        evaluate = [*CLI, "evaluate", str(model), str(test), *COLUMNS, "--json"]
        found = json.loads(subprocess.run(evaluate, check=True, stdout=subprocess.PIPE).stdout)
        stage = json.loads((model / "training.json").read_text())["stages"][-1]
        cell = {
            "set": name, "labels": labels, "rows": stage["labelled_texts"], "strategy": stage["strategy"],
            "delivered": percent(found), "ulmfit": percent(found["parts"]["ulmfit"]),
            "tfidf": percent(found["parts"]["baseline"]), "macro_f1": round(100 * found["macro_f1"], 1),
            "tfidf_macro_f1": round(100 * found["parts"]["baseline"]["macro_f1"], 1),
            "calibration_error": round(found["calibration_error"], 3), "minutes": round(seconds / 60, 1),
        }  # fmt: skip
        done.write_text(json.dumps(cell))
    return dict(json.loads(done.read_text()))


def percent(scores: dict[str, Any]) -> float:
    return round(100 * scores["accuracy"], 1)


if __name__ == "__main__":
    main()
