"""What is pretraining worth? Accuracy at several label counts from several bases: same texts, same rows, same seeds.

    python benchmarks/pretraining.py train.csv test.csv --bases none wiki-en-small general-en-small [--json]

Each base reads all texts of train.csv (``fit_lm``; labels play no part in that), then a head learns from a few labelled
rows on the frozen encoder. ``none`` is a language model with random weights that starts with the same texts.
A base may carry a direction: ``wiki-en-small:forward``; default all that it has, their probabilities averaged. Each
direction that is finished is kept in --cache.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import two_files
from conditions import conditions
from frozen_features import NONE, Pair, directions_of, frozen_features
from frozen_heads import predict_by_heads

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.data.splitting import stratified_split
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.tfidf import fit_tfidf


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--bases", nargs="+", default=[NONE, "wiki-en-small", "general-en-small"])
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lm-epochs", type=int, default=2, help="after the first, which trains the embedding alone")
    parser.add_argument("--cache", type=Path, default=Path("pretraining-features"))
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = read_table(arguments.train, **columns), read_table(arguments.test, **columns).labelled()
    labelled, rows = train.labelled(), []
    classes = labelled.classes
    targets, truth = (np.array([classes.index(label) for label in part.targets()]) for part in (labelled, test))
    for base in arguments.bases:
        features, facts = _features(base, train, test, arguments)
        for n in arguments.labels:
            scores = []
            for seed in range(arguments.seeds):
                chosen = _draw(targets, n, seed)
                learnt, tested = ({str(way): pair[i] for way, pair in enumerate(features)} for i in (0, 1))
                learnt = {way: pool[chosen] for way, pool in learnt.items()}
                found = predict_by_heads(learnt, targets[chosen], tested, CLASSIFY, kind=Classes(), seed=seed)
                scores.append(float((found.argmax(1) == truth).mean()))
            rows.append({"base": base, "labels": n, **facts, **_summary(scores)})
            print(json.dumps(rows[-1]), file=sys.stderr)
    for n in arguments.labels:
        scores = []
        for seed in range(arguments.seeds):
            part = labelled.select(_draw(targets, n, seed).tolist())
            probabilities = fit_tfidf(part.texts, part.targets()).predict_proba(test.texts)
            scores.append(float((probabilities.argmax(1) == truth).mean()))
        rows.append({"base": "TF-IDF + logistic regression", "labels": n, **_summary(scores)})
    if arguments.json:
        counts = {"texts": len(train), "test_rows": len(test), "seeds": arguments.seeds}
        print(json.dumps({**counts, **conditions(), "results": rows}))
    else:
        for row in rows:
            shown = f"{100 * row['mean']:.1f} % (+- {100 * row['spread']:.1f})"
            print(f"{row['base']:32} {row['labels']:6} labels: {shown}")


def _features(
    name: str, train: TextTable, test: TextTable, arguments: argparse.Namespace
) -> tuple[list[Pair], dict[str, Any]]:
    """Per direction: the pooled labelled and test texts under the base once it has read all texts of ``train``."""
    ways = directions_of(name)
    found = [
        frozen_features(name.partition(":")[0], way, train, test, lm_epochs=arguments.lm_epochs, cache=arguments.cache)
        for way in ways
    ]
    perplexities = [facts["perplexity_per_word"] for _, facts in found]
    seconds = sum(facts["seconds"] for _, facts in found)
    return [pair for pair, _ in found], {"directions": ways, "perplexity_per_word": perplexities, "seconds": seconds}


def _draw(targets: npt.NDArray[np.int64], n: int, seed: int) -> npt.NDArray[np.int64]:
    if n >= len(targets):
        return np.arange(len(targets))
    return np.array(stratified_split(targets.tolist(), n / len(targets), seed=seed))


def _summary(scores: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(scores)), "spread": float(np.std(scores)), "accuracies": scores}


if __name__ == "__main__":
    main()
