"""Accuracy against the number of labels: ULMFiT beside TF-IDF + logistic regression and sentence embeddings.

    python benchmarks/accuracy.py train.csv test.csv --text review --label sentiment --cache DIR [--quick] [--json]

The base reads all texts of train.csv, with or without a label, once for all (``fit_lm``, each direction by itself).
Then, for each number of labels and each seed, every method learns the same labelled rows, drawn in their proportions,
the fewer among the more. Nothing reads a test row before it is scored, and test rows that are copies or near copies of
any training row are left out. What is finished stays in --cache: the same command goes on where it was stopped.

tfidf       TF-IDF + logistic regression
embeddings  the sentence-transformers model --embeddings + logistic regression, its strength cross-validated
untouched   heads on the base's frozen encoders, which have not read these texts
forward     heads on the frozen forward encoder, which has
both        the same in both directions, averaged
topics      logistic regression on topics of all texts of train.csv, where most of them have no label
delivered   (the ensemble) ``both``, ``tfidf`` and ``topics`` weighed together by cross-validation, as ``fit`` does
"""

import hashlib
import json
import resource
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import two_files
from conditions import conditions
from frozen_features import directions_of, frozen_features
from frozen_heads import predict_by_heads

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.arrays import Features, Floats
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.near_copies import near_copies
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import Topics, fit_tfidf, mostly_unlabelled

QUICK_ROWS = 400


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 200, 500, 1000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--base", default="auto")
    parser.add_argument("--lm-epochs", type=int, default=1, help="after the first, which trains the embedding alone")
    parser.add_argument("--embeddings", help="name or folder for sentence-transformers")
    parser.add_argument("--cache", type=Path, default=Path("accuracy-cache"))
    parser.add_argument("--quick", action="store_true", help="a few hundred rows, two seeds, up to 200 labels")
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, whole = read_table(arguments.train, **columns), read_table(arguments.test, **columns).labelled()
    if arguments.quick:
        train, whole = (part.select(range(min(QUICK_ROWS, len(part)))) for part in (train, whole))
        arguments.labels, arguments.seeds = [n for n in arguments.labels if n <= 200], 2
    if min(arguments.labels) > len(train.labelled()):
        parser.error(f"{arguments.train}: {len(train.labelled())} rows have a label, fewer than any of --labels")
    test_places = without_copies(whole, train)
    test, labelled = whole.select(test_places), train.labelled()
    lm, why = load_base(arguments.base, train.texts)
    name = lm.training.name if arguments.base == "auto" else arguments.base
    data = hashlib.sha256(f"{train.sha256()} {whole.sha256()} {arguments.lm_epochs}".encode()).hexdigest()[:12]
    arguments.cache /= data
    started = time.monotonic()
    known, facts = read_all(name, train, whole, arguments.lm_epochs, arguments.cache)
    untouched, _ = read_all(name, train, whole, 0, arguments.cache)
    if arguments.embeddings:
        untouched |= {"embeddings": embed([*labelled.texts, *whole.texts], arguments.embeddings, arguments.cache)}
    rows = [*range(len(labelled)), *(len(labelled) + place for place in test_places)]
    both = TextTable.from_lists([*labelled.texts, *whole.texts], [*labelled.targets(), *whole.targets()]).select(rows)
    features = {way: vectors[rows] for way, vectors in known.items()}
    recipe = replace(CLASSIFY, frozen_pooling="layers")  # as the features were read
    plain, rich = (Candidate(lm, recipe=recipe, topics=topics) for topics in (None, Topics.learn(train.texts, seed=0)))
    for candidate in (plain, rich):
        candidate.remember(both.texts, features)
    train_rows, test_rows = both.select(range(len(labelled))), both.select(range(len(labelled), len(both)))
    truth = np.array([labelled.classes.index(label) for label in test.targets()])
    others = {way: vectors[rows] for way, vectors in untouched.items()}
    cells = []
    for n in arguments.labels:
        if n > len(labelled):
            continue
        for seed in range(arguments.seeds):
            file = arguments.cache / f"{name.replace('/', '_')}-{n}-{seed}.json"
            if not file.is_file():
                part = train_rows.select(nested_order(labelled.targets(), seed)[:n])
                chosen = rich if mostly_unlabelled(train.texts, n) else plain
                file.write_text(json.dumps(score_all(chosen, both, part, test_rows, others, truth, seed)))
            cells.append({"labels": n, "seed": seed, **json.loads(file.read_text())})
            print(json.dumps(cells[-1]), file=sys.stderr)
    result = {
        "train": arguments.train.name,
        "texts": len(train),
        "test": arguments.test.name,
        "test_rows": len(test),
        "test_rows_left_out_as_copies": len(whole) - len(test),
        "base": why,
        "base_has_read": [stage.source for stage in lm.training.stages],
        "lm_epochs": arguments.lm_epochs,
        "reading": facts,
        "seconds": round(time.monotonic() - started),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "summary": summary(cells),
        "cells": cells,
        **conditions(),
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for n, methods in result["summary"].items():
        shown = "  ".join(f"{method} {one['mean']:.1f} +- {one['spread']:.1f}" for method, one in methods.items())
        print(f"{n:>6} labels, errors in %: {shown}")


def read_all(
    name: str, train: TextTable, test: TextTable, lm_epochs: int, cache: Path
) -> tuple[Features, dict[str, Any]]:
    """Per direction, the labelled and then the test texts' vectors; and what reading them took."""
    vectors: Features = {}
    facts: dict[str, Any] = {}
    for way in directions_of(name):
        pair, facts[way] = frozen_features(name, way, train, test, lm_epochs=lm_epochs, cache=cache)
        vectors[way] = np.concatenate(pair)
    return vectors, facts


def score_all(
    candidate: Candidate,
    both: TextTable,
    part: TextTable,
    test: TextTable,
    untouched: Features,
    truth: npt.NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """Accuracy, log loss and seconds of each method that learns from ``part``, as ``test`` some rows of ``both``."""
    learnt, tested = (np.searchsorted(both.rows, table.rows) for table in (part, test))
    targets, run = part.class_numbers(), Run(seed=0)
    known = candidate.features(both.texts, run)
    spent, found = {}, {}

    def timed(method: str, probabilities: Any) -> Floats:
        started = time.monotonic()
        found[method] = probabilities()
        spent[method] = round(time.monotonic() - started, 2)
        return found[method]

    def heads(vectors: Features) -> Floats:
        pairs = ({way: one[rows] for way, one in vectors.items()} for rows in (learnt, tested))
        pool, rest = pairs
        distilled = 0 if "embeddings" in vectors else candidate.lm.architecture.distilled_width(candidate.pooling)
        return predict_by_heads(pool, targets, rest, candidate.recipe, kind=part.kind, seed=seed, distilled=distilled)

    def delivered() -> Floats:
        classifier = evaluate(candidate, part, stratified_folds(part, seed=run.seed), run).fit(part, run)
        return candidate.predict(classifier, test.texts, run)[ENSEMBLE]

    groups = {
        "embeddings": {way: one for way, one in untouched.items() if way == "embeddings"},
        "untouched": {way: one for way, one in untouched.items() if way != "embeddings"},
        "forward": {way: one for way, one in known.items() if way == "forward"},
        "both": known,
    }
    timed("tfidf", lambda: fit_tfidf(part.texts, targets).predict_proba(test.texts))
    for method, vectors in groups.items():
        if vectors:
            timed(method, lambda vectors=vectors: heads(vectors))
    if topics := candidate.topics:
        learn = partial(topics.classifier, part.texts, targets, kind=part.kind, class_weights=None, seed=run.seed)
        timed("topics", lambda: learn().predict_proba(test.texts))
    timed("delivered", delivered)
    return {
        method: {
            "accuracy": float((one.argmax(1) == truth).mean()),
            "log_loss": float(-np.log(np.clip(one[np.arange(len(truth)), truth], 1e-12, 1)).mean()),
            "seconds": spent[method],
        }
        for method, one in found.items()
    }


def summary(cells: list[dict[str, Any]]) -> dict[int, dict[str, dict[str, float]]]:
    """Mean error and its standard deviation over the seeds, in per cent, by number of labels and method."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    for n in sorted({cell["labels"] for cell in cells}):
        group = [cell for cell in cells if cell["labels"] == n]
        for method in (key for key in group[0] if key not in ("labels", "seed")):
            errors = [100 * (1 - cell[method]["accuracy"]) for cell in group]
            mean, spread = round(float(np.mean(errors)), 2), round(float(np.std(errors)), 2)
            found.setdefault(n, {})[method] = {"mean": mean, "spread": spread}
    return found


def embed(texts: list[str], name: str, cache: Path) -> npt.NDArray[np.float32]:
    """Sentence embeddings, (n_texts, width)."""
    file = cache / "embeddings.npy"
    if not file.is_file():
        from sentence_transformers import SentenceTransformer

        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, SentenceTransformer(name, device="cpu").encode(texts).astype(np.float32))
    return np.load(file)


def without_copies(test: TextTable, train: TextTable) -> list[int]:
    """The places of those test rows that no training row is like."""
    n = len(train)
    groups = near_copies([*train.texts, *test.texts], range(n, n + len(test)))
    read = set(groups[:n].tolist())
    return [i for i in range(len(test)) if groups[n + i] not in read]


if __name__ == "__main__":
    main()
