"""Do a classifier's own answers for texts without a label help to learn from few labels?

    python benchmarks/pseudo_labels.py sets [--names imdb tweets news] [--labels 50 100] [--seeds 5] [--json]

`sets` holds NAME-train.csv and NAME-test.csv, columns text and label. Heads on the frozen base learn some labelled rows
of the first --pool; the others are without a label. In rounds, the surest answers for them (a quarter of each class's,
then half, then three quarters) join the labelled rows, and the heads learn anew; Zhang et al. 2021 raise the share
likewise. The encoder reads each text once, so that both sides cost the same but for the heads.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from conditions import conditions
from frozen_heads import predict_by_heads
from teaching import accuracy, base_features, rows_of

from ulmfit_lib import TextTable
from ulmfit_lib.arrays import Features, Floats, Ints
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.stages.fit_classifier import CLASSIFY

SHARES = (0.25, 0.5, 0.75)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--names", nargs="+", default=["imdb", "tweets", "news"])
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pool", type=int, default=1500)
    parser.add_argument("--test-rows", type=int, default=800)
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument(
        "--work", type=Path, default=Path("teaching-work"), help="what the base made of texts stays here"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = []
    for name in arguments.names:
        pool = rows_of(arguments.sets / f"{name}-train.csv", arguments.pool)
        test = rows_of(arguments.sets / f"{name}-test.csv", arguments.test_rows)
        features, taught = base_features(arguments.base, name, pool, test, arguments.work)
        for n in arguments.labels:
            before, after = np.array(
                [learn(features, taught, pool, test, seed=seed, count=n) for seed in range(arguments.seeds)]
            ).T
            gains = after - before
            found.append(
                {
                    "set": name,
                    "labels": n,
                    "draws": arguments.seeds,
                    "without": round(float(np.mean(before)), 1),
                    "with": round(float(np.mean(after)), 1),
                    "gain": round(float(gains.mean()), 2),
                    "spread": round(float(gains.std()), 2),
                    "draws_better": int((gains > 0).sum()),
                }
            )
            if not arguments.json:
                print(json.dumps(found[-1]), flush=True)
    if arguments.json:
        print(json.dumps({"base": arguments.base, "results": found, **conditions()}))


def learn(
    features: Features, taught: int, pool: TextTable, test: TextTable, *, seed: int, count: int
) -> tuple[float, float]:
    """Accuracy on ``test``, in per cent, of heads that learnt ``count`` labels, without and with answers."""
    places = np.array(nested_order(pool.targets(), seed)[:count])
    free, part = np.setdiff1d(np.arange(len(pool)), places), pool.select(places.tolist())

    def say(rows: Ints, targets: Ints, asked: Ints) -> Floats:
        learnt, others = ({way: vectors[some] for way, vectors in features.items()} for some in (rows, asked))
        return predict_by_heads(learnt, targets, others, CLASSIFY, kind=part.kind, seed=seed, taught=taught)

    known, tested = part.class_numbers(), np.arange(len(pool), len(pool) + len(test))
    before = accuracy(say(places, known, tested), part.classes, test)
    rows, targets = places, known
    for share in SHARES:
        said = say(rows, targets, free)
        sure = surest(said, share)
        rows, targets = np.concatenate([places, free[sure]]), np.concatenate([known, said[sure].argmax(1)])
    return before, accuracy(say(rows, targets, tested), part.classes, test)


def surest(said: Floats, share: float) -> Ints:
    """Places of the surest answers, the same share of each class's."""
    best, chosen = said.argmax(1), []
    for number in np.unique(best):
        places = np.flatnonzero(best == number)
        count = max(1, round(share * len(places)))
        chosen.append(places[np.argsort(-said[places, number])[:count]])
    return np.concatenate(chosen)


if __name__ == "__main__":
    main()
