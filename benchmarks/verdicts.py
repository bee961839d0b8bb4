"""Is what `fit` reports of a classifier true? Its scores in folds beside the same classifier's on rows never drawn.

    python benchmarks/verdicts.py sets --labels 50 100 200 500 --draws 10 --work DIR [--names news tweets] [--json]

`sets` holds NAME-train.csv, columns text and label, its rows in random order. For each draw of labelled rows, the
report says how many rows are right, within which interval, and whether TF-IDF + logistic regression is beaten; the
truth is what the classifier and that baseline do on the rows of the file that were not drawn. (A test file
from elsewhere would measure how different it is.) Linear probes are fitted, which read each text once
for all draws.

gap        mean absolute difference between the reported and the true accuracy, in points
optimism   mean difference, reported less true
coverage   share of reports whose 95 % interval holds the true accuracy
wrong      share of reports that say "beats" or "loses" (p < 0.05) where the truth is the other way round
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions

from ulmfit_lib import LanguageModel, TextTable, read_table
from ulmfit_lib.evaluation.metrics import SIGNIFICANT
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.progress import set_quiet
from ulmfit_lib.training.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--names", nargs="+", help="default all")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 200, 500])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--rows", type=int, default=2500, help="of each file, at most, to draw from and to test on")
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--work", type=Path, default=Path("verdicts-work"), help="what is done stays here")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = sorted(file.name.removesuffix("-train.csv") for file in arguments.sets.glob("*-train.csv"))
    cells = [cell for name in arguments.names or found for cell in cells_of(name, arguments)]
    if arguments.json:
        print(json.dumps({"base": arguments.base, "summary": summary(cells), "cells": cells, **conditions()}))
        return
    for row in summary(cells):
        print("  ".join(f"{key} {value}" for key, value in row.items()))


def cells_of(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All draws of one set."""
    files = {
        (n, draw): arguments.work / f"{name}-{n}-{draw}.json"
        for n in arguments.labels
        for draw in range(arguments.draws)
    }
    if not all(file.is_file() for file in files.values()):
        whole = read_table(arguments.sets / f"{name}-train.csv", text="text", label="label")
        whole = whole.select(range(min(arguments.rows, len(whole))))
        candidate, run = Candidate(LanguageModel.from_pretrained(arguments.base)), Run()
        candidate.features(whole.texts, run)  # once for all draws
        set_quiet(True)
        for (n, draw), file in files.items():
            if not file.is_file():
                order = nested_order(whole.targets(), draw)
                cell = one_cell(candidate, run, whole.select(order[:n]), whole.select(order[n:]))
                file.write_text(json.dumps({"set": name, "labels": n, "draw": draw, **cell}))
                print(file.read_text(), flush=True) if not arguments.json else None
    return [json.loads(file.read_text()) for file in files.values()]


def one_cell(candidate: Candidate, run: Run, part: TextTable, test: TextTable) -> dict[str, Any]:
    """What is reported and what is true."""
    experiment = Experiment.of(part, seed=42)
    found = evaluate(candidate, experiment.train, experiment.splits, run)
    report = experiment.report(found, None)
    classifier = found.fit(experiment.train, run)
    said = candidate.predict(classifier, test.texts, run)
    truth = np.array(test.targets())
    answers = {name: p.argmax(1) for name, p in said.items()} | {"ensemble": classifier.decide(said["ensemble"])}
    right = {name: float((np.array(classifier.classes)[one] == truth).mean()) for name, one in answers.items()}
    ensemble, verdict = report.ensemble, report.verdict
    assert verdict is not None  # there is a baseline
    sure = 0 if verdict.p_value >= SIGNIFICANT else 1 if verdict.ahead > verdict.behind else -1
    return {
        "reported": ensemble.accuracy,
        "low": ensemble.low,
        "high": ensemble.high,
        "true": right["ensemble"],
        "true_baseline": right["baseline"],
        "says": sure,
    }


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By number of labels, over all sets; the last row over all cells."""
    numbers = sorted({cell["labels"] for cell in cells})
    rows = []
    for n in [*numbers, "all"]:
        group = [cell for cell in cells if n in ("all", cell["labels"])]
        gaps = np.array([cell["reported"] - cell["true"] for cell in group])
        inside = [cell["low"] <= cell["true"] <= cell["high"] for cell in group]
        wrong = [cell["says"] * (cell["true"] - cell["true_baseline"]) < 0 for cell in group]
        rows.append(
            {
                "labels": n,
                "reports": len(group),
                "gap": round(100 * float(np.abs(gaps).mean()), 2),
                "optimism": round(100 * float(gaps.mean()), 2),
                "coverage": round(100 * float(np.mean(inside)), 1),
                "says_beats": round(100 * float(np.mean([cell["says"] > 0 for cell in group])), 1),
                "truly_ahead": round(100 * float(np.mean([cell["true"] > cell["true_baseline"] for cell in group])), 1),
                "wrong": round(100 * float(np.mean(wrong)), 1),
            }
        )
    return rows


if __name__ == "__main__":
    main()
