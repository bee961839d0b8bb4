"""Few labels: does fine-tuning the encoder beat a head on a frozen one, and by which recipe?

    python benchmarks/few_labels.py train.csv --text review --label sentiment --base general-en-small [--json]

For choosing defaults, so it takes no test file: the last --valid-rows of the shuffled training rows are what is scored
on, and the labelled ones are drawn from the rest. The base stays as it is; every classifier goes on from its forward
model. Beside each accuracy stands the one of its probabilities weighed evenly with TF-IDF + logistic regression's.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions

from ulmfit_lib import LanguageModel, TextTable, fit_classifier, read_table
from ulmfit_lib.evaluation.metrics import score
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.training.recipes import RECIPES
from ulmfit_lib.training.tfidf import fit_tfidf

FEATURES = "features"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    parser.add_argument("--base", default="wiki-en-small")
    parser.add_argument("--labels", type=int, nargs="+", default=[100])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--valid-rows", type=int, default=1000)
    parser.add_argument("--recipes", nargs="+", choices=[FEATURES, *RECIPES], default=[FEATURES, *RECIPES])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    table = read_table(arguments.train, text=arguments.text, label=arguments.label).labelled()
    order = np.random.default_rng(0).permutation(len(table)).tolist()
    pool, valid = table.select(order[: -arguments.valid_rows]), table.select(order[-arguments.valid_rows :])
    base = LanguageModel.from_pretrained(arguments.base)
    cells = []
    for n in arguments.labels:
        for seed in range(arguments.seeds):
            part = pool.select(nested_order(pool.targets(), seed)[:n])
            cells.append({"labels": n, "seed": seed, **score_recipes(part, valid, base, arguments.recipes)})
            print(json.dumps(cells[-1]), file=sys.stderr)
    result = {
        "train": arguments.train.name,
        "base": arguments.base,
        "valid_rows": len(valid),
        "cells": cells,
        "mean": {n: means([cell for cell in cells if cell["labels"] == n]) for n in arguments.labels},
        **conditions(),
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for n, methods in result["mean"].items():
        for method, one in methods.items():
            print(f"{n:>6} labels  {method:10} {'  '.join(f'{name} {value}' for name, value in one.items())}")


def score_recipes(part: TextTable, valid: TextTable, base: LanguageModel, recipes: list[str]) -> dict[str, Any]:
    """Accuracy in per cent, log loss in nats and seconds of TF-IDF and of each recipe, learnt from ``part``."""
    truth = valid.class_numbers(part.classes)

    def accuracy(probabilities: Any) -> float:
        return round(100 * score(probabilities, truth, part.classes).accuracy, 2)

    tfidf = fit_tfidf(part.texts, part.class_numbers()).predict_proba(valid.texts)
    found: dict[str, Any] = {"tfidf": {"accuracy": accuracy(tfidf)}}
    for name in recipes:
        started = time.monotonic()
        strategy = "linear-probe" if name == FEATURES else "fine-tune"
        recipe = RECIPES["cpu" if name == FEATURES else name].fit_classifier
        classifier = fit_classifier(part, lm=base.only("forward"), strategy=strategy, recipe=recipe)
        spent = time.monotonic() - started
        said = classifier.predict_proba(valid.texts)
        both = {"ulmfit": said, "baseline": tfidf}
        found[name] = {
            "accuracy": accuracy(said),
            "with_tfidf": accuracy(Blend.even(both).apply(both)),
            "log_loss": round(score(said, truth, part.classes).log_loss, 4),
            "seconds": round(spent),
        }
    return found


def means(cells: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Over the seeds."""
    methods = [name for name in cells[0] if name not in ("labels", "seed")]
    return {
        method: {key: round(float(np.mean([cell[method][key] for cell in cells])), 3) for key in cells[0][method]}
        for method in methods
    }


if __name__ == "__main__":
    main()
