"""Texts of classes that had no label: how many of them are found where 95 % of the others are kept.

    python benchmarks/scope.py --sets DIR [--names hwu64_intents] [--each 10 20] [--draws 6] [--json]
    python benchmarks/scope.py --sets DIR --each 10 --draws 2 --contrast      # some minutes for each draw

A set is a folder with train.csv and test.csv, columns text and label. A third of its classes are held out. Some rows of
each other class have a label, and the scope that `fit` would learn of them is measured, given

none        nothing else
in scope    up to 1,000 texts without a label, all of the other classes
mixture     up to 1,000 texts without a label, of all classes
other N     N texts of the classes held out, as with `fit --other`

`found` is the share of the test rows of the classes held out that are out of scope, `kept` that of the others that are
not, `far` the share of texts of another set, --far, that are out of scope. `class N`: what logistic regression (C = 10)
finds with the same N texts as one more class, where as many of the others are kept. With --contrast, words in context
have learnt from the labels first, and held-out rows tell how near new texts come, as in `fit`.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import conditions
from labelled_sets import LabelledSet, find_sets

from ulmfit_lib import LanguageModel, TextTable
from ulmfit_lib.arrays import Floats, Ints, side_by_side
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.linear.scope import KEPT, Scope, nearness
from ulmfit_lib.models.word_vectors import WordVectors
from ulmfit_lib.pipeline.candidates import MOST_IN_FOLDS
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.progress import set_quiet
from ulmfit_lib.training.contrast import ContrastRecipe, TokenizedTexts, learn_contrast
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
    parser.add_argument("--contrast", action="store_true", help="after contrastive learning")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    set_quiet(True)
    rows = measure(options)
    if options.json:
        asked = {name: getattr(options, name) for name in ("base", "names", "far", "each", "draws", "contrast")}
        print(json.dumps({**asked, "rows": rows, **conditions()}))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Means over the draws, with the standard error of what is found."""
    lm = LanguageModel.from_pretrained(options.base)
    far = LabelledSet.read(find_sets(options.sets, [options.far])[0]).test.texts
    rows = []
    for folder in find_sets(options.sets, options.names):
        one = LabelledSet.read(folder)
        frozen = None if options.contrast else Encoded(*map(lm.embed, (one.train.texts, one.test.texts, far)))
        for each in options.each:
            cells: dict[str, list[tuple[float, ...]]] = {}
            for draw in range(options.draws):
                drawn = Drawn.of(one, each=each, number=draw)
                encoded, held_out = (frozen, None) if frozen else contrasted(lm, one, far, drawn)
                for given, cell in measure_draw(one, drawn, encoded, held_out).items():
                    cells.setdefault(given, []).append(cell)
            for given, some in cells.items():
                kept, found, away = 100 * np.mean(some, axis=0)
                error = 100 * float(np.std([cell[1] for cell in some])) / np.sqrt(len(some))
                numbers = {"kept": kept, "found": found, "error": error, "far": away}
                rounded = {name: round(float(number), 1) for name, number in numbers.items()}
                rows.append({"set": one.name, "each": each, "given": given, **rounded})
    return rows


@dataclass(frozen=True)
class Encoded:
    """(n, width) vectors of length 1, as a classifier's scope compares them."""

    train: Vectors
    test: Vectors
    far: Vectors


@dataclass(frozen=True)
class Drawn:
    """Which classes have labelled rows, and which rows these are."""

    known: list[str]  # the classes, sorted
    places: Ints  # of the labelled rows among the training rows
    targets: Ints  # their classes
    free: Ints  # places of the other rows, in a random order

    @classmethod
    def of(cls, one: LabelledSet, *, each: int, number: int) -> "Drawn":
        """A third of the classes are left out."""
        random = np.random.default_rng(number)
        labels = np.array(one.train.labels)
        classes = random.permutation(np.unique(labels))
        known = classes[max(1, len(classes) // 3) :]
        places = np.concatenate([random.permutation(np.flatnonzero(labels == name))[:each] for name in known])
        free = random.permutation(np.setdiff1d(np.arange(len(labels)), places))
        return cls(sorted(known), places, np.searchsorted(np.sort(known), labels[places]), free)


HeldOut = Callable[[Ints], Floats]  # what `nearness` says of held-out rows beside the training rows at these places


def contrasted(lm: LanguageModel, one: LabelledSet, far: Sequence[str], drawn: Drawn) -> tuple[Encoded, HeldOut]:
    """Vectors of a base whose words in context have learnt from the labelled rows, and from those of each fold."""
    labelled = [one.train.texts[place] for place in drawn.places]
    read = {part: TokenizedTexts.of(lm, texts) for part, texts in (("labelled", labelled), ("train", one.train.texts))}
    read |= {"test": TokenizedTexts.of(lm, one.test.texts), "far": TokenizedTexts.of(lm, far)}

    def learn(rows: Ints) -> WordVectors:
        some = TokenizedTexts([read["labelled"].ids[row] for row in rows], read["labelled"].direction)
        return learn_contrast(some, drawn.targets[rows], Classes(), lm, ContrastRecipe(), seed=0)

    def vectors(part: str, words: WordVectors) -> Vectors:
        return side_by_side(read[part].features(words))

    table = TextTable.from_lists(labelled, [drawn.known[target] for target in drawn.targets])
    folds = [(learnt, asked, vectors("train", learn(learnt))) for learnt, asked in stratified_folds(table, seed=0)]

    def held_out(others: Ints) -> Floats:
        places, targets = drawn.places, drawn.targets
        return np.concatenate(
            [
                nearness(train[places[asked]], train[places[learnt]], targets[learnt], train[others])
                for learnt, asked, train in folds
            ]
        )

    words = learn(np.arange(len(labelled)))
    return Encoded(*(vectors(part, words) for part in ("train", "test", "far"))), held_out


def measure_draw(
    one: LabelledSet, drawn: Drawn, encoded: Encoded, held_out: HeldOut | None
) -> dict[str, tuple[float, ...]]:
    """By what is given: the shares of texts of the classes that are kept, of others that are found, and of far ones."""
    labels, places, targets, free = np.array(one.train.labels), drawn.places, drawn.targets, drawn.free
    train, test, far = encoded.train, encoded.test, encoded.far
    known = np.isin(labels[free], drawn.known)
    out = free[~known]
    given = {"none": free[:0], "in scope": free[known][:MOST_OTHERS], "mixture": free[:MOST_OTHERS]}
    given |= {f"other {count}": out[:count] for count in OTHERS}
    is_out = ~np.isin(one.test.labels, drawn.known)
    found = {}
    for name, others in given.items():
        others = others[:MOST_IN_FOLDS] if held_out else others
        near = held_out(others) if held_out else None
        scope = Scope.fit(train[places], targets, train[others], held_out=near)
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
