"""Which texts are worth labelling, and which labels are wrong?

    python benchmarks/label_loop.py train.csv test.csv --text text --label label --name sentences [--json]

**suggestions**: labels are bought 16, 32, 64 ... at a time, from ``--pool`` rows of train.csv, and the accuracy on
test.csv follows. ``typical then uncertain`` is what ``suggest-labels`` does (without its random share); ``saved`` is
the share of labels that it takes less than random draws to the same accuracy, by the curve of the random draws.

**label errors**: ``--planted`` of the labels of ``--checked`` rows are changed to another class. ``found`` is the share
of them among as many rows as were changed, the most doubtful first: by the plain out-of-fold probability of the label,
which is what ``check-labels`` does, and by cleanlab (Northcutt et al. 2021), from the same probabilities.

What is fitted is what ``fit`` returns with ``--strategy linear-probe``: heads on features of a frozen encoder, read
once, and TF-IDF, weighed together out of fold. Mean and standard deviation over ``--seeds`` seeds.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import two_files
from conditions import conditions

from ulmfit_lib import TextTable, read_table
from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.insight.label_errors import out_of_fold_by, own_probabilities
from ulmfit_lib.insight.suggestions import FEW_LABELS, find_typical, find_uncertain, margin
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.training.run import Run

SIZES = (16, 32, 64, 128, 256)
STRATEGIES = ("random", "margin", "typical", "typical then uncertain")


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--name", required=True, help="what the texts are called")
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--tested", type=int, default=800)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of labels")
    parser.add_argument("--checked", type=int, default=500)
    parser.add_argument("--planted", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--without-cleanlab", action="store_true", help="which is no package that this library needs")
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = (read_table(path, **columns).labelled() for path in (arguments.train, arguments.test))
    train, test = (
        train.select(range(min(arguments.pool, len(train)))),
        test.select(range(min(arguments.tested, len(test)))),
    )
    whole = TextTable.from_lists([*train.texts, *test.texts], [*train.targets(), *test.targets()])
    lm, _ = load_base(arguments.base, train.texts)
    candidate, run = Candidate(lm), Run(seed=0, device="cpu")
    pool = whole.select(range(len(train)))
    read = candidate.features(whole.texts, run)
    vectors = np.concatenate([part[: len(pool), : lm.architecture.distilled] for part in read.values()], axis=1)
    curves: dict[str, list[list[float]]] = {name: [] for name in STRATEGIES}
    errors: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        for name in STRATEGIES:
            curves[name].append(buy_labels(name, candidate, whole, len(pool), vectors, seed, arguments.sizes))
            print(json.dumps({"seed": seed, "strategy": name, "accuracy": curves[name][-1]}), file=sys.stderr)
        orders = {"loss": by_loss} if arguments.without_cleanlab else {"loss": by_loss, "cleanlab": by_cleanlab}
        for name, share in plant(candidate, pool, arguments.checked, arguments.planted, seed, orders).items():
            errors.setdefault(name, []).append(share)
    result: dict[str, Any] = {
        "name": arguments.name,
        "pool": len(pool),
        "test_rows": len(test),
        "seeds": arguments.seeds,
        "sizes": arguments.sizes,
        "checked": arguments.checked,
        "planted": arguments.planted,
        "suggestions": {
            name: {
                "mean": np.mean(found, axis=0).round(4).tolist(),
                "sd": np.std(found, axis=0, ddof=1).round(4).tolist(),
                "saved": saved(arguments.sizes, np.mean(found, axis=0), np.mean(curves["random"], axis=0)),
            }
            for name, found in curves.items()
        },
        "label_errors": {
            name: {"mean": float(np.mean(found)), "sd": float(np.std(found, ddof=1))} for name, found in errors.items()
        },
    }
    print(json.dumps({**result, **conditions()} if arguments.json else result))


def buy_labels(
    strategy: str,
    candidate: Candidate,
    whole: TextTable,
    n_pool: int,
    vectors: npt.NDArray[np.float32],
    seed: int,
    sizes: Sequence[int],
) -> list[float]:
    """The accuracy on the rows of ``whole`` after the first ``n_pool``, which labels are bought of, at each size."""
    random, classes = np.random.default_rng(seed), whole.classes
    truth = whole.class_numbers()[n_pool:]
    said = np.full((len(whole), len(classes)), 1 / len(classes))
    chosen: list[int] = []
    found: list[float] = []
    for size in sizes:
        free, n = np.setdiff1d(np.arange(n_pool), chosen), size - len(chosen)
        if strategy == "random" or (strategy == "margin" and not chosen):
            chosen += random.permutation(free)[:n].tolist()
        elif strategy == "margin":
            chosen += free[np.argsort(margin(said[free]), kind="stable")[:n]].tolist()
        elif strategy == "typical" or len(chosen) < FEW_LABELS:
            chosen += find_typical(vectors, free, labelled=chosen, n=n, seed=seed)
        else:
            chosen += find_uncertain(vectors, free, said, n=n, seed=seed)
        said = predict(candidate, whole.select(chosen), whole, all_classes=classes)
        found.append(float((said[n_pool:].argmax(1) == truth).mean()))
    return found


def predict(candidate: Candidate, train: TextTable, test: TextTable, *, all_classes: list[str]) -> Floats:
    """Probabilities, (n_texts, n_classes); 0 for classes that no row of ``train`` has."""
    found = np.zeros((len(test), len(all_classes)))
    columns = [all_classes.index(name) for name in train.classes]
    if len(columns) == 1:
        found[:, columns] = 1
        return found
    run = Run(seed=0, device="cpu")
    splits = stratified_folds(train, seed=0)
    classifier = (evaluate(candidate, train, splits, run) if splits else candidate).fit(train, run)
    found[:, columns] = candidate.predict(classifier, test.texts, run)["ensemble"]
    return found


def saved(sizes: Sequence[int], curve: Floats, random: Floats) -> list[float | None]:
    """The share of labels saved at each size; None where random draws never come so far."""
    shares: list[float | None] = []
    rising = np.maximum.accumulate(random)
    for size, accuracy in zip(sizes, curve, strict=True):
        if accuracy > rising[-1] or accuracy < rising[0]:
            shares.append(None)
            continue
        needed = float(np.exp(np.interp(accuracy, rising, np.log(sizes))))
        shares.append(round(1 - size / needed, 3))
    return shares


Order = Callable[[TextTable, Floats], Ints]  # rows, the most doubtful first, by probabilities out of fold


def by_loss(table: TextTable, said: Floats) -> Ints:
    return np.argsort(own_probabilities(table, said).min(1), kind="stable")


def by_cleanlab(table: TextTable, said: Floats) -> Ints:
    from cleanlab.filter import find_label_issues

    first: list[int] = find_label_issues(
        table.class_numbers(), said, return_indices_ranked_by="normalized_margin", n_jobs=1
    ).tolist()
    return np.array([*first, *(i for i in by_loss(table, said).tolist() if i not in set(first))])


def plant(
    candidate: Candidate, pool: TextTable, checked: int, share: float, seed: int, orders: Mapping[str, Order]
) -> dict[str, float]:
    """The share of planted label errors that is among as many most doubtful rows."""
    random = np.random.default_rng(seed)
    table = pool.select(random.permutation(len(pool))[:checked].tolist())
    classes, labels = table.classes, list(table.targets())
    wrong = random.permutation(len(labels))[: round(share * len(labels))]
    for place in wrong.tolist():
        labels[place] = str(random.choice([name for name in classes if name != labels[place]]))
    planted = TextTable(table.texts, labels, table.rows)
    said = out_of_fold_by(candidate, planted, Run(seed=seed, device="cpu")).probabilities[ENSEMBLE]
    return {name: float(np.isin(order(planted, said)[: len(wrong)], wrong).mean()) for name, order in orders.items()}


if __name__ == "__main__":
    main()
