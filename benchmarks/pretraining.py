"""What is pretraining worth? Accuracy at several label counts from several bases: same texts, same rows, same seeds.

    python benchmarks/pretraining.py train.csv test.csv --bases none wiki-en-small reviews-en-small [--json]

Each base reads all texts of train.csv (``fit_lm``; labels play no part in that), then a head learns from a few labelled
rows on the frozen encoder. ``none`` is a language model with random weights that starts with the same texts.
A base may carry a direction: ``wiki-en-small:forward``; default all that it has. Finished bases are kept in --cache.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ulmfit_lib import LanguageModel, TextTable, fit_classifier, fit_lm, pretrain, read_csv
from ulmfit_lib.data.splitting import stratified_split
from ulmfit_lib.evaluation.baseline import TfidfBaseline
from ulmfit_lib.pipeline import predict_by_head
from ulmfit_lib.stages import CLASSIFY, PRETRAIN

NONE = "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    parser.add_argument("--bases", nargs="+", default=[NONE, "wiki-en-small", "reviews-en-small"])
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lm-epochs", type=int, default=2, help="after the first, which trains the embedding alone")
    parser.add_argument("--cache", type=Path, default=Path("pretraining-features"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = read_csv(arguments.train, **columns), read_csv(arguments.test, **columns)
    labelled, rows = train.labelled(), []
    classes = labelled.classes
    targets, truth = (np.array([classes.index(label) for label in part.targets()]) for part in (labelled, test))
    for base in arguments.bases:
        features, facts = _features(base, train, test, arguments)
        for n in arguments.labels:
            scores = []
            for seed in range(arguments.seeds):
                chosen = _draw(targets, n, seed)
                parts = [
                    predict_by_head(pool[chosen], targets[chosen], tested, CLASSIFY, seed)
                    for pool, tested in features
                ]
                scores.append(float((np.mean(parts, axis=0).argmax(1) == truth).mean()))
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
        machine = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "torch": version("torch")}
        counts = {"texts": len(train), "test_rows": len(test), "seeds": arguments.seeds}
        print(json.dumps({**counts, **machine, "date": time.strftime("%Y-%m-%d"), "results": rows}))
    else:
        for row in rows:
            shown = f"{100 * row['mean']:.1f} % (+- {100 * row['spread']:.1f})"
            print(f"{row['base']:32} {row['labels']:6} labels: {shown}")


def _features(
    name: str, train: TextTable, test: TextTable, arguments: argparse.Namespace
) -> tuple[list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]], dict[str, Any]]:
    """Per direction: the pooled labelled and test texts under the base once it has read all texts of ``train``."""
    file = arguments.cache / f"{name.replace('/', '_').replace(':', '-')}.npz"
    if not file.is_file():
        started = time.monotonic()
        model, _, direction = name.partition(":")
        recipe = replace(PRETRAIN, epochs=0)
        base = pretrain(train.texts, recipe=recipe) if model == NONE else LanguageModel.from_pretrained(model)
        lm = fit_lm(train.texts, base=base, direction=direction or None, epochs=arguments.lm_epochs)
        classifier = fit_classifier(train.labelled(), lm=lm, strategy="features")
        pools, tested = classifier.features(train.labelled().texts), classifier.features(test.texts)
        facts = {"perplexity": lm.training["stages"][-1]["validation"]["perplexity_per_word"]}
        arrays: dict[str, Any] = {f"{way}-train": pool for way, pool in pools.items()}
        arrays |= {f"{way}-test": pool for way, pool in tested.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, seconds=time.monotonic() - started, **facts, **arrays)
    kept = np.load(file)
    ways = [way for way in ("forward", "backward") if f"{way}-train" in kept]
    facts = {"seconds": round(float(kept["seconds"])), "perplexity_per_word": round(float(kept["perplexity"]), 1)}
    return [(kept[f"{way}-train"], kept[f"{way}-test"]) for way in ways], facts


def _draw(targets: npt.NDArray[np.int64], n: int, seed: int) -> npt.NDArray[np.int64]:
    if n >= len(targets):
        return np.arange(len(targets))
    return np.array(stratified_split(targets.tolist(), n / len(targets), seed=seed))


def _summary(scores: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(scores)), "spread": float(np.std(scores)), "accuracies": scores}


if __name__ == "__main__":
    main()
