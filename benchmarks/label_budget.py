"""Does label-budget foresee what more labels bring? It sees some labels; then there are more, and we look.

    python benchmarks/label_budget.py train.csv test.csv --known 400 --target 1000 [--json]

For each seed other labels of train.csv are known. ``foreseen`` is what the known ones say of the accuracy with
``--target`` labels; ``found`` is that accuracy, on test.csv, with the known labels among those learnt from.
"""

import json
import sys

import numpy as np
import two_files
from conditions import conditions

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.label_budget import label_budget, nested_order
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.training.run import Run


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--base", default="wiki-en-small")
    parser.add_argument("--known", type=int, default=400)
    parser.add_argument("--target", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = (read_table(path, **columns).labelled() for path in (arguments.train, arguments.test))
    lm, _ = load_base(arguments.base, train.texts)
    whole = TextTable.from_lists([*train.texts, *test.texts], [*train.targets(), *test.targets()])
    train, test = whole.select(range(len(train))), whole.select(range(len(train), len(whole)))
    candidate, run = Candidate(lm), Run(seed=0)
    candidate.features(whole.texts, run)  # once for all seeds
    truth = np.array(test.targets())
    rows = []
    for seed in range(arguments.seeds):
        part = train.select(nested_order(train.targets(), seed)[: arguments.target])
        budget = label_budget(part.select(range(arguments.known)), base=lm, run=Run(seed=seed))
        classifier = evaluate(candidate, part, stratified_folds(part, seed=seed), run).fit(part, run)
        guessed = candidate.predict(classifier, test.texts, run)["ensemble"].argmax(1)
        right = np.array(part.classes)[guessed] == truth
        foreseen, share = 1 - budget.curve.error(arguments.target), float(right.mean())
        rows.append({"seed": seed, "foreseen": foreseen, "found": share, "off_by": abs(foreseen - share)})
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
