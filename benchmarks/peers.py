"""Ours beside what else a user could take: the same draws, test rows and cores, and the seconds beside the accuracy.

    python benchmarks/peers.py sets --teacher FOLDER --labels 50 100 500 1000 --draws 5 --work DIR [--json]
    python benchmarks/peers.py --csv reviews.csv --test-csv more.csv --text review --label sentiment --teacher FOLDER

`sets` holds NAME-train.csv and NAME-test.csv, columns text and label (`benchmarks/stand_ins.py` makes such). Each cell
runs in a process of its own with `--threads` threads, leaves its scores in `--work`, and is not repeated.

tfidf      TF-IDF of words and word pairs + logistic regression
teacher    the sentence transformer in --teacher (all-MiniLM-L6-v2) + logistic regression, C by cross-validation
static     vectors of single tokens distilled from it (model2vec) + logistic regression
fasttext   fastText's supervised mode, word pairs, 25 epochs
setfit     SetFit: the same sentence transformer, tuned on pairs of the labelled texts
ours       `ulmfit_lib.fit` with its defaults, within --minutes; `delivered`
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import conditions

from ulmfit_lib import TextTable, read_csv
from ulmfit_lib.evaluation.metrics import score
from ulmfit_lib.pipeline.label_budget import nested_order

Texts = Sequence[str]
Predict = Callable[[Texts], npt.NDArray[np.float64]]  # texts -> (n, n_classes) probabilities
Fitted = tuple[Predict, float]  # and megabytes of what must be on the disk
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
SPEED_TEXTS = 200


def tfidf(texts: Texts, targets: npt.NDArray[np.int64], options: argparse.Namespace) -> Fitted:
    from ulmfit_lib.training.tfidf import fit_tfidf

    fitted = fit_tfidf(texts, targets)
    return fitted.predict_proba, (fitted.coefficients.nbytes + sum(map(len, fitted.terms))) / 1e6


def teacher(texts: Texts, targets: npt.NDArray[np.int64], options: argparse.Namespace) -> Fitted:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(options.teacher), device="cpu")
    return on_vectors(lambda some: model.encode(list(some)), texts, targets), megabytes(options.teacher)


def static(texts: Texts, targets: npt.NDArray[np.int64], options: argparse.Namespace) -> Fitted:
    from model2vec import StaticModel

    folder = options.work / "static"
    if not folder.is_dir():
        from model2vec.distill import distill

        distill(model_name=str(options.teacher), pca_dims=256).save_pretrained(str(folder))
    model = StaticModel.from_pretrained(str(folder))
    return on_vectors(lambda some: model.encode(list(some)), texts, targets), megabytes(folder)


def on_vectors(encode: Callable[[Texts], Any], texts: Texts, targets: npt.NDArray[np.int64]) -> Predict:
    """Logistic regression on unit vectors, C by cross-validated log loss where every class has two rows."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

    def unit(some: Texts) -> Any:
        vectors = np.asarray(encode(some), np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)

    model: Any = LogisticRegression(C=10.0, max_iter=2000)
    if np.bincount(targets).min() >= 2:
        folds = int(min(3, np.bincount(targets).min()))
        model = LogisticRegressionCV(Cs=STRENGTHS, cv=folds, scoring="neg_log_loss", max_iter=2000)
    model.fit(unit(texts), targets)
    return lambda some: np.asarray(model.predict_proba(unit(some)))


def fasttext(texts: Texts, targets: npt.NDArray[np.int64], options: argparse.Namespace) -> Fitted:
    import fasttext as peer

    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        file.writelines(f"__label__{target} {one_line(text)}\n" for target, text in zip(targets, texts, strict=True))
    model = peer.train_supervised(file.name, wordNgrams=2, epoch=25, lr=0.5, thread=options.threads, verbose=0)
    n_classes = int(targets.max()) + 1

    def predict(some: Texts) -> npt.NDArray[np.float64]:
        said = np.zeros((len(some), n_classes))
        for row, text in enumerate(some):
            for p, label in model.f.predict(f"{one_line(text)}\n", n_classes, 0.0, "strict"):
                said[row, int(label.removeprefix("__label__"))] = p
        return said

    model.save_model(file.name)
    size = Path(file.name).stat().st_size / 1e6
    Path(file.name).unlink()
    return predict, size


def one_line(text: str) -> str:
    return " ".join(text.lower().split())


def setfit(texts: Texts, targets: npt.NDArray[np.int64], options: argparse.Namespace) -> Fitted:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(options.teacher))
    arguments = TrainingArguments(batch_size=16, num_epochs=1, report_to="none", max_steps=options.setfit_steps)
    data = Dataset.from_dict({"text": list(texts), "label": targets.tolist()})
    Trainer(model=model, args=arguments, train_dataset=data).train()
    return lambda some: np.asarray(model.predict_proba(list(some)), np.float64), megabytes(options.teacher)


def ours(texts: Texts, targets: npt.NDArray[np.int64], options: argparse.Namespace) -> Fitted:
    from ulmfit_lib import fit

    names = [f"{target:04}" for target in targets]  # in the order of the class numbers
    classifier = fit(TextTable.from_lists(texts, names), minutes=options.minutes)
    with tempfile.TemporaryDirectory() as folder:
        classifier.save(Path(folder) / "model", precision="int8")
        return classifier.predict_proba, megabytes(Path(folder) / "model")


PEERS = {"tfidf": tfidf, "teacher": teacher, "static": static, "fasttext": fasttext, "setfit": setfit, "ours": ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="?")
    parser.add_argument("--names", nargs="+", help="default all")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--test-csv", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 500, 1000])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("--pool", type=int, default=3000, help="training rows that draws come from")
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--teacher", type=Path, help="folder of a sentence transformer")
    parser.add_argument("--minutes", type=float, help="for ours; default its own choice")
    parser.add_argument("--setfit-steps", type=int, default=-1, help="at most; default SetFit's own number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("peers-work"))
    parser.add_argument("--cell", nargs=4, metavar=("SET", "LABELS", "DRAW", "PEER"), help=argparse.SUPPRESS)
    parser.add_argument("--collect", action="store_true", help="measure nothing; gather what --work holds")
    parser.add_argument("--plot", type=Path, help="picture of accuracy against seconds to write (.svg, .png)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(one_cell(options)))
        return
    if options.csv is None and options.sets is None and not options.collect:
        parser.error("give a folder of sets, or --csv and --test-csv")
    cells = collect(options.work) if options.collect else measure(options)
    if options.plot:
        plot(summary(cells), options.plot)
    if options.json:
        print(json.dumps({"threads": options.threads, "summary": summary(cells), "cells": cells, **conditions()}))
        return
    for row in summary(cells):
        print("  ".join(f"{key} {value}" for key, value in row.items()))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All cells that are asked for, one after the other."""
    options.work.mkdir(parents=True, exist_ok=True)
    found = sorted(file.name.removesuffix("-train.csv") for file in (options.sets or Path()).glob("*-train.csv"))
    names = [options.csv.stem] if options.csv else options.names or found
    draws = range(options.first_draw, options.first_draw + options.draws)
    return [
        cell
        for n in options.labels
        for name in names
        for draw in draws
        for peer in options.peers
        if (cell := run_cell(options, name, n, draw, peer))
    ]


def collect(work: Path) -> list[dict[str, Any]]:
    """The cells that earlier runs left, of those draws on which ours, TF-IDF and the teacher were all measured."""
    cells = [json.loads(file.read_text()) for file in sorted(work.glob("*-*-*-*.json"))]
    peers: dict[tuple[str, int, int], set[str]] = {}
    for cell in cells:
        peers.setdefault((cell["set"], cell["labels"], cell["draw"]), set()).add(cell["peer"])
    whole = {draw for draw, some in peers.items() if {"ours", "tfidf", "teacher"} <= some}
    return [cell for cell in cells if (cell["set"], cell["labels"], cell["draw"]) in whole]


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Accuracy against seconds, a panel for each number of labels; each peer's points, and their mean."""
    import matplotlib.pyplot as plt

    from ulmfit_lib.evaluation.plots import COLOURS

    counts = sorted({row["labels"] for row in rows if row["labels"] <= 1000 and row["set"] != "kinds"})
    figure, panels = plt.subplots(1, len(counts), figsize=(3.2 * len(counts), 3.4), sharey=True, layout="constrained")
    for panel, count in zip(np.atleast_1d(panels), counts, strict=True):
        for peer, colour in zip(PEERS, COLOURS, strict=False):
            some = [row for row in rows if (row["labels"], row["peer"]) == (count, peer) and row["set"] != "kinds"]
            seconds, right = [max(row["seconds"], 0.1) for row in some], [row["accuracy"] for row in some]
            if some:
                panel.scatter(seconds, right, 14, color=colour, alpha=0.35)
                panel.scatter(np.exp(np.mean(np.log(seconds))), np.mean(right), 90, color=colour, label=peer)
        panel.set(xscale="log", xlabel="seconds to learn", title=f"{count:,} labels")
        panel.grid(alpha=0.3)
    np.atleast_1d(panels)[0].set_ylabel("right (%)")
    np.atleast_1d(panels)[-1].legend(loc="lower right", fontsize=8)
    figure.savefig(file, dpi=110)


def run_cell(options: argparse.Namespace, name: str, n: int, draw: int, peer: str) -> dict[str, Any] | None:
    """One cell's scores, from the folder or from a process of its own; None where the peer failed, which is said."""
    done = options.work / f"{name}-{n}-{draw}-{peer}.json"
    if not done.is_file():
        threads = {f"{library}_NUM_THREADS": str(options.threads) for library in ("OMP", "OPENBLAS", "MKL")}
        command = [sys.executable, "-W", "ignore", *sys.argv, "--cell", name, str(n), str(draw), peer]
        child = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, check=False, text=True)
        if child.returncode:
            print(f"{name} {n} {draw} {peer}: failed", file=sys.stderr)
            return None
        beside = done.with_suffix(".tmp")
        beside.write_text(child.stdout.strip().splitlines()[-1])
        beside.rename(done)
        print(done.read_text(), file=sys.stderr, flush=True)
    return dict(json.loads(done.read_text()))


def one_cell(options: argparse.Namespace) -> dict[str, Any]:
    """Fit one peer on one draw, in this process, and score it on the test rows."""
    import torch

    torch.set_num_threads(options.threads)
    name, n, draw, peer = options.cell[0], int(options.cell[1]), int(options.cell[2]), options.cell[3]
    files = (
        [options.csv, options.test_csv]
        if options.csv
        else [options.sets / f"{name}-{part}.csv" for part in ("train", "test")]
    )
    pool, test = (read_csv(file, text=options.text, label=options.label).labelled() for file in files)
    pool, test = pool.select(range(min(options.pool, len(pool)))), test.select(range(min(options.test_rows, len(test))))
    part = pool.select(nested_order(pool.targets(), draw)[:n])
    targets, started = part.class_numbers(), time.monotonic()
    predict, size = PEERS[peer](list(part.texts), targets, options)
    seconds = time.monotonic() - started
    known = [*part.classes, *sorted(set(test.classes) - set(part.classes))]
    predict(list(test.texts[:5]))
    started = time.monotonic()
    said = np.asarray(predict(list(test.texts)), np.float64)
    each = (time.monotonic() - started) / len(test)
    padded = np.pad(said, ((0, 0), (0, len(known) - said.shape[1])))
    scores = score(padded, test.class_numbers(known), known)
    return {
        "set": name,
        "labels": len(part),
        "draw": draw,
        "peer": peer,
        "accuracy": round(100 * scores.accuracy, 2),
        "macro_f1": round(100 * scores.macro_f1, 2),
        "log_loss": round(scores.log_loss, 4),
        "seconds": round(seconds, 1),
        "ms_a_text": round(1000 * each, 2),
        "megabytes": round(size, 1),
    }


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the draws, by set, number of labels and peer."""
    rows = []
    for key in sorted({(cell["labels"], cell["set"], cell["peer"]) for cell in cells}):
        group = [cell for cell in cells if (cell["labels"], cell["set"], cell["peer"]) == key]
        row: dict[str, Any] = {"labels": key[0], "set": key[1], "peer": key[2], "draws": len(group)}
        for name in ("accuracy", "macro_f1", "log_loss", "seconds", "ms_a_text", "megabytes"):
            row[name] = round(float(np.mean([cell[name] for cell in group])), 2)
        rows.append({**row, "spread": round(float(np.std([cell["accuracy"] for cell in group])), 2)})
    return rows


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
