"""Does label-budget foresee what more labels bring? It sees some labels; then there are more, and we look.

    python benchmarks/label_budget.py train.csv test.csv --known 400 --target 1000 [--json]

For each seed other labels of train.csv are known. ``foreseen`` is what the known ones say of the accuracy with
``--target`` labels; ``found`` is that accuracy, on test.csv, with the known labels among those learnt from.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions

from ulmfit_lib import label_budget, read_csv
from ulmfit_lib.budget import nested_order
from ulmfit_lib.evaluation.baseline import Blend, TfidfBaseline
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.models.pretrained import load_base
from ulmfit_lib.pair import predict_by_head
from ulmfit_lib.stages import CLASSIFY, read_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    parser.add_argument("--base", default="wiki-en-small")
    parser.add_argument("--known", type=int, default=400)
    parser.add_argument("--target", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = (read_csv(path, **columns).labelled() for path in (arguments.train, arguments.test))
    lm, _ = load_base(arguments.base, train.texts)
    options: dict[str, Any] = {"direction": None, "pooling": CLASSIFY.pooling, "device": find_device()}
    features, tested = (read_features(lm, part.texts, **options) for part in (train, test))
    classes = train.classes
    targets, truth = (np.array([classes.index(label) for label in part.targets()]) for part in (train, test))
    rows = []
    for seed in range(arguments.seeds):
        order = nested_order(train.targets(), seed)[: arguments.target]
        known = order[: arguments.known]
        seen = {way: vectors[known] for way, vectors in features.items()}
        budget = label_budget(train.select(known), base=lm, features=seen, seed=seed)
        heads = [
            predict_by_head(vectors[order], targets[order], tested[way], CLASSIFY, seed)
            for way, vectors in features.items()
        ]
        part = train.select(order)
        ulmfit = np.mean(heads, axis=0)
        baseline = TfidfBaseline.fit(part.texts, part.targets()).predict_proba(test.texts)
        right = Blend.even(ulmfit, baseline).apply(ulmfit, baseline).argmax(1) == truth
        found, foreseen = float(right.mean()), 1 - budget.curve.error(arguments.target)
        rows.append({"seed": seed, "foreseen": foreseen, "found": found, "off_by": abs(foreseen - found)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    mean = float(np.mean([row["off_by"] for row in rows]))
    if arguments.json:
        asked = {key: getattr(arguments, key) for key in ("base", "known", "target")}
        print(json.dumps({**asked, "test_rows": len(test), "mean_off_by": mean, "seeds": rows, **conditions()}))
    else:
        says = f"foreseen from {arguments.known} labels for {arguments.target}"
        print(f"{says}: off by {100 * mean:.2f} points on average")


if __name__ == "__main__":
    main()
