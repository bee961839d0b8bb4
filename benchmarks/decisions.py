"""Which label is said: `fit`'s decisions beside those of its probabilities alone, and beside logistic regression.

    python benchmarks/decisions.py --sets DIR --work DIR [--names sms_spam] [--labels 100] [--each 8 16] [--json]

A set is a folder with train.csv and test.csv, columns text and label; tags are joined by ";". Of each draw, rows at
random or so many of each class, these learn:

likeliest   `fit`'s linear probes and linear members on the frozen base, the likeliest class said
auto        the same probabilities, the label said by the rule that `fit` learns by default
macro-f1    the same with `--decide-for macro-f1`
own         logistic regression (C = 10) on the base's vectors of length 1; own-balanced with balanced class weights
mpnet, minilm   the same on the vectors of a sentence transformer, if --teachers names it
tfidf       TF-IDF of words and word pairs under logistic regression (C = 10)
setfit      SetFit with its defaults (contrastive tuning of a sentence transformer, then logistic regression), if
            --setfit names the folder of one; of draws with at most --setfit-rows of each class

Beside the scores of LabelledSet.score stand the calibration error, in points, and whether one class was said of all
texts. Of draws at random, `coverage` is the share of test rows in %, whose class is in the 90 % prediction set, and
`size` the mean size of these sets.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import conditions
from encoded_texts import EncodedTexts
from labelled_sets import DELIMITER, LabelledSet, Rows, find_sets
from peers import find_teachers

from ulmfit_lib import LanguageModel, TextTable
from ulmfit_lib.arrays import Floats, Ints
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.evaluation.certainty import PredictionSets
from ulmfit_lib.evaluation.metrics import calibration_error
from ulmfit_lib.files import write_file
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import ACCURACY, BALANCE, MACRO_F1
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.labels.tags import Tags
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.deciding import Goal
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.progress import note, set_quiet
from ulmfit_lib.training.regression import solve
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import fit_tfidf

C = 10.0
COVERAGE = 0.9
GOALS = {"likeliest": ACCURACY, "auto": BALANCE, "macro-f1": MACRO_F1}
SHOWN = ("accuracy", "macro_f1", "rarest_recall", "log_loss", "calibration_error")
Scores = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="folder of sets")
    parser.add_argument("--names", nargs="+", help="of sets; default all")
    parser.add_argument("--labels", type=int, nargs="*", default=[100], help="rows drawn at random")
    parser.add_argument("--each", type=int, nargs="*", default=[8, 16, 64], help="rows drawn of each class")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--test-rows", type=int, default=1000, help="the first of each set")
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--teachers", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--setfit", metavar="FOLDER", help="sentence transformer that SetFit tunes")
    parser.add_argument("--setfit-rows", type=int, default=8, help="of each class, at most")
    parser.add_argument("--work", type=Path, default=Path("decisions-work"), help="what is done stays here")
    parser.add_argument("--json", action="store_true")
    cells = measure(options := parser.parse_args())
    rows = summary(cells)
    if options.json:
        asked = {name: getattr(options, name) for name in ("base", "draws", "test_rows")}
        names = list(dict.fromkeys(row["set"] for row in rows))
        print(json.dumps({**asked, "names": names, "summary": rows, "cells": cells, **conditions()}))
        return
    for row in rows:
        shown = "  ".join(f"{name} {row[name]:.3g}" for name in (*SHOWN, "coverage", "size") if name in row)
        print(f"{row['set']:22} {row['draw']:>8} {row['method']:15} {shown}")


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All cells; those that --work holds are not measured again."""
    set_quiet(True)
    cells = []
    for folder in find_sets(options.sets, options.names):
        one = LabelledSet.read(folder, options.test_rows)
        candidate = Candidate(LanguageModel.from_pretrained(options.base))
        draws = {(f"{n}", number): one.draw(n, number) for n in options.labels for number in range(options.draws)}
        if not one.has_tags:
            draws |= {(f"{n} each", i): one.draw_of_each(n, i) for n in options.each for i in range(options.draws)}
        vectors = teachers_vectors(one, draws.values(), options)
        for (name, number), rows in draws.items():
            file = options.work / one.name / f"{name.replace(' ', '-')}-{number}.json"
            if not file.is_file():
                found = measure_draw(one, rows, candidate, vectors)
                write_file(file, json.dumps(found).encode())
            count = int(name.removesuffix(" each"))
            if options.setfit and name.endswith("each") and count <= options.setfit_rows:
                add_setfit(file, one, rows, options.setfit)
            scores = json.loads(file.read_text(encoding="utf-8"))
            cells += [{"set": one.name, "draw": name, "number": number, "method": m, **s} for m, s in scores.items()]
    return cells


def teachers_vectors(one: LabelledSet, draws: Any, options: argparse.Namespace) -> dict[str, EncodedTexts]:
    """By the teachers that are named, vectors of all texts that are needed."""
    found = {}
    for name in (given.partition("=")[0] for given in options.teachers):
        found[name] = EncodedTexts.open(options.work / "vectors" / name / f"{one.name}.npz")
        texts = [text for rows in draws for text in rows.texts]
        teacher = find_teachers(options.teachers)[name]
        found[name].add([*texts, *one.test.texts], teacher, description=f"{one.name}, {name}")
    return found


def measure_draw(
    one: LabelledSet, rows: Rows, candidate: Candidate, vectors: dict[str, EncodedTexts]
) -> dict[str, Scores]:
    """The scores of each method that learns from some rows."""
    kind: LabelKind = Tags(DELIMITER) if one.has_tags else Classes()
    table, run, test = TextTable.from_lists(rows.texts, rows.labels).with_kind(kind), Run(device="cpu"), one.test.texts
    targets, classes = table.class_numbers(), table.classes
    candidate.features([*table.texts, *test], run)
    found: dict[str, Scores] = {}

    def score(method: str, probabilities: Floats, decided: Ints) -> None:
        said = _names(decided, classes)
        found[method] = one.score(said, probabilities, classes)
        if not one.has_tags:
            right = np.array([a == b for a, b in zip(said, one.test.labels, strict=True)])
            confidence = probabilities[np.arange(len(said)), decided]
            found[method]["calibration_error"] = 100 * calibration_error(confidence, right)
            found[method]["constant"] = float(len(set(said)) == 1)

    evaluated = evaluate(candidate, table, stratified_folds(table, seed=run.seed), run)
    p = candidate.predict(evaluated.fit(table, run), test, run)[ENSEMBLE]
    for method, goal in GOALS.items():
        score(method, p, kind.decide(p, evaluated.predictions.choose(Goal(goal)).rule))
    if not one.has_tags:
        kept = evaluated.predictions.targets
        sets = PredictionSets.measure(evaluated.ensemble[ENSEMBLE], kept, COVERAGE).contain(p)
        places = [classes.index(label) if label in classes else -1 for label in one.test.labels]
        inside = [place >= 0 and row[place] for place, row in zip(places, sets, strict=True)]
        found["auto"] |= {"coverage": 100 * float(np.mean(inside)), "size": float(sets.sum(1).mean())}
    tfidf = fit_tfidf(table.texts, targets, kind=kind).predict_proba(test)
    score("tfidf", tfidf, kind.decide(tfidf))
    inputs = {"own": tuple(own_vectors(candidate, texts, run) for texts in (table.texts, test))}
    inputs |= {name: (encoded[table.texts], encoded[test]) for name, encoded in vectors.items()}
    for name, (learnt, asked) in inputs.items():
        for ending, weights in (("", None), ("-balanced", "balanced")):
            coefficients, intercepts = solve(learnt, targets, c=C, class_weights=weights)
            said = kind.link(asked @ coefficients.T + intercepts)
            score(f"{name}{ending}", said, kind.decide(said))
    return found


def add_setfit(file: Path, one: LabelledSet, rows: Rows, folder: str) -> None:
    """The scores of SetFit, beside the others in a draw's file, unless they are there already."""
    found = json.loads(file.read_text(encoding="utf-8"))
    if "setfit" not in found:
        classes = sorted(set(rows.labels))
        started = time.monotonic()
        probabilities = setfit_probabilities(folder, rows, classes, one.test.texts)
        said = [classes[place] for place in probabilities.argmax(1)]
        found["setfit"] = {**one.score(said, probabilities, classes), "seconds": time.monotonic() - started}
        write_file(file, json.dumps(found).encode())


def setfit_probabilities(folder: str, rows: Rows, classes: list[str], texts: Sequence[str]) -> Floats:
    """(n_texts, n_classes) by SetFit, with its defaults."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    learnt = Dataset.from_dict({"text": rows.texts, "label": [classes.index(label) for label in rows.labels]})
    model = SetFitModel.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as temporary:
        settings = TrainingArguments(
            output_dir=temporary, report_to="none", save_strategy="no", show_progress_bar=False
        )
        Trainer(model=model, args=settings, train_dataset=learnt).train()
    return np.asarray(model.predict_proba(list(texts), as_numpy=True), np.float64)


def own_vectors(candidate: Candidate, texts: Sequence[str], run: Run) -> npt.NDArray[np.float32]:
    """The base's vectors of texts, distilled where it has such, (n_texts, width) of length 1."""
    width = candidate.lm.architecture.distilled_width(candidate.pooling) or None
    found = np.concatenate([vectors[:, :width] for vectors in candidate.features(texts, run).values()], axis=1)
    return found / np.linalg.norm(found, axis=1, keepdims=True).clip(min=1e-12)


def _names(decided: Ints, classes: list[str]) -> list[str]:
    if decided.ndim == 1:
        return [classes[place] for place in decided]
    return [DELIMITER.join(classes[place] for place in np.flatnonzero(row)) for row in decided]


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the draws, by set, kind of draw and method."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["set"], cell["draw"], cell["method"]), []).append(cell)
    rows = []
    for (name, draw, method), group in groups.items():
        scores = [score for score in group[0] if isinstance(group[0][score], float)]
        means = {score: round(float(np.mean([one[score] for one in group])), 4) for score in scores}
        rows.append({"set": name, "draw": draw, "method": method, "draws": len(group), **means})
    note(f"{len(cells)} cells")
    return rows


if __name__ == "__main__":
    main()
