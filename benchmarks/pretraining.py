"""What is pretraining worth? Accuracy at several label counts from several bases: same texts, same rows, same seeds.

    python benchmarks/pretraining.py train.csv test.csv --bases none wiki-en-small reviews-en-small [--json]

Each base reads all texts of train.csv (``fit_lm``; labels play no part in that), then a head learns from a few labelled
rows on the frozen encoder. ``none`` is a language model with random weights that starts with the same texts.
A base may carry a direction: ``wiki-en-small:forward``; default all that it has, their probabilities averaged. Each
direction that is finished is kept in --cache.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import two_files
from conditions import conditions

from ulmfit_lib import LanguageModel, TextTable, fit_lm, pretrain, read_csv
from ulmfit_lib.data.splitting import stratified_split
from ulmfit_lib.evaluation.baseline import TfidfBaseline
from ulmfit_lib.models.devices import find_device
from ulmfit_lib.pair import predict_by_heads
from ulmfit_lib.stages import CLASSIFY, PRETRAIN, read_features

NONE = "none"
Features = npt.NDArray[np.float32]


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--bases", nargs="+", default=[NONE, "wiki-en-small", "reviews-en-small"])
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lm-epochs", type=int, default=2, help="after the first, which trains the embedding alone")
    parser.add_argument("--cache", type=Path, default=Path("pretraining-features"))
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = read_csv(arguments.train, **columns), read_csv(arguments.test, **columns).labelled()
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
                found = predict_by_heads(learnt, targets[chosen], tested, CLASSIFY, seed)
                scores.append(float((found.argmax(1) == truth).mean()))
            rows.append({"base": base, "labels": n, **facts, **_summary(scores)})
            print(json.dumps(rows[-1]), file=sys.stderr)
    for n in arguments.labels:
        scores = []
        for seed in range(arguments.seeds):
            part = labelled.select(_draw(targets, n, seed).tolist())
            probabilities = TfidfBaseline.fit(part.texts, part.targets()).predict_proba(test.texts)
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
) -> tuple[list[tuple[Features, Features]], dict[str, Any]]:
    """Per direction: the pooled labelled and test texts under the base once it has read all texts of ``train``."""
    model, _, direction = name.partition(":")
    base = None if model == NONE else LanguageModel.from_pretrained(model)
    ways = base.directions(direction or None) if base else ["forward"]
    features, perplexities, seconds = [], [], 0.0
    for way in ways:
        file = arguments.cache / f"{model.replace('/', '_')}-{way}.npz"
        if not file.is_file():
            started = time.monotonic()
            start = base or pretrain(train.texts, recipe=replace(PRETRAIN, epochs=0))
            lm = fit_lm(train.texts, base=start, direction=way, epochs=arguments.lm_epochs)
            options: dict[str, Any] = {"direction": way, "pooling": CLASSIFY.pooling, "device": find_device()}
            pooled = [read_features(lm, part.texts, **options)[way] for part in (train.labelled(), test)]
            perplexity = lm.training["stages"][-1]["validation"]["perplexity_per_word"]
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, train=pooled[0], test=pooled[1], seconds=time.monotonic() - started, perplexity=perplexity)
        kept = np.load(file)
        features.append((kept["train"], kept["test"]))
        perplexities.append(round(float(kept["perplexity"]), 1))
        seconds += float(kept["seconds"])
    return features, {"directions": list(ways), "perplexity_per_word": perplexities, "seconds": round(seconds)}


def _draw(targets: npt.NDArray[np.int64], n: int, seed: int) -> npt.NDArray[np.int64]:
    if n >= len(targets):
        return np.arange(len(targets))
    return np.array(stratified_split(targets.tolist(), n / len(targets), seed=seed))


def _summary(scores: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(scores)), "spread": float(np.std(scores)), "accuracies": scores}


if __name__ == "__main__":
    main()
