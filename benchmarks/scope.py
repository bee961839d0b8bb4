"""Texts of classes that had no label: how many of them are found where 95 % of the others are kept.

    python benchmarks/scope.py --sets DIR [--names hwu64_intents] [--each 10 20] [--draws 6] [--json]

A set is a folder with train.csv and test.csv, columns text and label. A third of its classes are held out. Some rows of
each other class have a label, and the scope that `fit` would learn of them is measured, given

none        nothing else
in scope    up to 1,000 texts without a label, all of the other classes
mixture     up to 1,000 texts without a label, of all classes
other N     N texts of the classes held out, as with `fit --other`

`found` is the share of the test rows of the classes held out that are out of scope, `kept` that of the others that are
not, `far` the share of texts of another set, --far, that are out of scope. `class N`: what logistic regression (C = 10)
finds with the same N texts as one more class, where as many of the others are kept.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import conditions
from labelled_sets import LabelledSet, find_sets

from ulmfit_lib import LanguageModel
from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.linear.scope import KEPT, Scope
from ulmfit_lib.progress import set_quiet
from ulmfit_lib.training.regression import solve

MOST_OTHERS = 1000
OTHERS = (20, 50, 200)
Vectors = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="folder of sets")
    parser.add_argument("--names", nargs="+", default=["hwu64_intents"])
    parser.add_argument("--far", default="product_sentences", help="set of another domain")
    parser.add_argument("--each", type=int, nargs="+", default=[10, 20], help="labelled rows of each class")
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    set_quiet(True)
    rows = measure(options)
    if options.json:
        asked = {name: getattr(options, name) for name in ("base", "names", "far", "each", "draws")}
        print(json.dumps({**asked, "rows": rows, **conditions()}))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Means over the draws, with the standard error of what is found."""
    lm = LanguageModel.from_pretrained(options.base)
    far = embed(lm, LabelledSet.read(find_sets(options.sets, [options.far])[0]).test.texts)
    rows = []
    for folder in find_sets(options.sets, options.names):
        one = LabelledSet.read(folder)
        train, test = (embed(lm, part.texts) for part in (one.train, one.test))
        for each in options.each:
            cells: dict[str, list[tuple[float, ...]]] = {}
            for draw in range(options.draws):
                for given, cell in measure_draw(one, train, test, far, each=each, draw=draw).items():
                    cells.setdefault(given, []).append(cell)
            for given, some in cells.items():
                kept, found, away = 100 * np.mean(some, axis=0)
                error = 100 * float(np.std([cell[1] for cell in some])) / np.sqrt(len(some))
                numbers = {"kept": kept, "found": found, "error": error, "far": away}
                rounded = {name: round(float(number), 1) for name, number in numbers.items()}
                rows.append({"set": one.name, "each": each, "given": given, **rounded})
    return rows


def embed(lm: LanguageModel, texts: Sequence[str]) -> Vectors:
    """(n, width) vectors of length 1, as a classifier's scope compares them."""
    return lm.embed(texts)


def measure_draw(
    one: LabelledSet, train: Vectors, test: Vectors, far: Vectors, *, each: int, draw: int
) -> dict[str, tuple[float, ...]]:
    """By what is given: the shares of texts of the classes that are kept, of others that are found, and of far ones."""
    random = np.random.default_rng(draw)
    labels, truth = np.array(one.train.labels), np.array(one.test.labels)
    classes = random.permutation(np.unique(labels))
    held_out, known = np.split(classes, [max(1, len(classes) // 3)])
    places = np.concatenate([random.permutation(np.flatnonzero(labels == name))[:each] for name in known])
    targets = np.searchsorted(np.sort(known), labels[places])
    free = random.permutation(np.setdiff1d(np.arange(len(labels)), places))
    out = free[np.isin(labels[free], held_out)]
    given = {
        "none": free[:0],
        "in scope": free[np.isin(labels[free], known)][:MOST_OTHERS],
        "mixture": free[:MOST_OTHERS],
    }
    given |= {f"other {count}": out[:count] for count in OTHERS}
    is_out = np.isin(truth, held_out)
    found = {}
    for name, others in given.items():
        scope = Scope.fit(train[places], targets, train[others])
        outside = scope.outside(test, KEPT)
        shares = (1 - outside[~is_out].mean(), outside[is_out].mean(), scope.outside(far, KEPT).mean())
        found[name] = tuple(map(float, shares))
    for count in OTHERS:
        scores = class_scores(train[places], targets, train[out[:count]], np.concatenate([test, far]))
        least = np.quantile(scores[: len(test)][~is_out], 1 - found[f"other {count}"][0])
        below = scores < least
        parts = (~below[: len(test)][~is_out], below[: len(test)][is_out], below[len(test) :])
        found[f"class {count}"] = tuple(float(part.mean()) for part in parts)
    return found


def class_scores(vectors: Vectors, targets: Ints, others: Vectors, asked: Vectors) -> Floats:
    """(n,) how far the best score of the classes is above that of one more class, to which the others belong."""
    more = int(targets.max()) + 1
    inputs, truth = np.concatenate([vectors, others]), np.append(targets, np.full(len(others), more))
    coefficients, intercepts = solve(inputs, truth, c=10.0)
    scores = asked @ coefficients.T + intercepts
    return np.asarray(scores[:, :more].max(1) - scores[:, more], np.float64)


if __name__ == "__main__":
    main()
