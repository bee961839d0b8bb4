"""What `fit` delivers, ULMFiT alone and TF-IDF + logistic regression alone, on test rows that nothing has read.

    python benchmarks/accuracy.py train.csv test.csv --text review --label sentiment [--seed 42] [--json]

All three learn from the same labelled rows of train.csv; its rows without a label feed the language model only. Test
rows that are copies or near copies of any training row are left out.
"""

import json
import resource
import time

import two_files
from conditions import conditions

from ulmfit_lib import TextTable, fit, read_csv
from ulmfit_lib.data.near_copies import near_copies


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--base", default="auto")
    parser.add_argument("--strategy", default="features")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, whole = read_csv(arguments.train, **columns), read_csv(arguments.test, **columns)
    test = without_copies(whole, train)
    started = time.monotonic()
    classifier = fit(train, base=arguments.base, strategy=arguments.strategy, seed=arguments.seed)
    fitted = time.monotonic()
    scores = classifier.evaluate_parts(test)
    result = {
        "train": arguments.train.name,
        "labelled": len(train.labelled()),
        "unlabelled": len(train) - len(train.labelled()),
        "test_rows": scores["delivered"].n,
        "test_rows_left_out_as_copies": len(whole) - len(test),
        "base": classifier.training["report"]["base"],
        "base_has_read": classifier.training["report"]["base_has_read"],
        "strategy": arguments.strategy,
        "seed": arguments.seed,
        **{part: {"accuracy": s.accuracy, "log_loss": s.log_loss} for part, s in scores.items()},
        "blend": {"ulmfit": classifier.blend.ulmfit, "baseline": classifier.blend.baseline},
        "language_model_perplexity": classifier.training["stages"][-2]["validation"]["perplexity"],
        "fit_seconds": round(fitted - started),
        "evaluate_seconds": round(time.monotonic() - fitted),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **conditions(),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        for part, s in scores.items():
            print(f"{part:10} {100 * s.accuracy:.1f} % of {s.n} ({100 * s.low:.1f} to {100 * s.high:.1f})")
        print(f"fitted in {result['fit_seconds']} seconds")


def without_copies(test: TextTable, train: TextTable) -> TextTable:
    """Those test rows that no training row is like."""
    n = len(train)
    groups = near_copies([*train.texts, *test.texts], range(n, n + len(test)))
    read = set(groups[:n].tolist())
    return test.select([i for i in range(len(test)) if groups[n + i] not in read])


if __name__ == "__main__":
    main()
