"""What contrastive learning of words in context adds to a linear probe, on labelled sets.

    python benchmarks/contrast.py --sets DIR --work DIR [--names so_emotions] [--labels 100] [--each 8 16] [--json]
    python benchmarks/contrast.py --sets DIR --work DIR --names reuters_topics lounge_stars --ratings lounge_stars

Of each draw, rows at random or so many of each class (not of tags), these learn:

linear-probe   heads on the frozen base, and TF-IDF, weighed as `fit` does
contrast       the same after words in context have learnt which rows belong together
kept           what `fit` keeps of the two by cross-validation, if there is time for all epochs

Seconds are those of one core, for the cross-validation and the last fit of each. What is finished stays in --work.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from conditions import conditions
from decisions import summary
from labelled_sets import LabelledSet, Rows, find_sets
from measuring import count_cpu_seconds
from peer_classifiers import table_of

from ulmfit_lib import LanguageModel, TextTable
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.files import write_file
from ulmfit_lib.labels.ratings import Ratings
from ulmfit_lib.pipeline.candidates import Candidate, EvaluatedCandidate, evaluate
from ulmfit_lib.pipeline.out_of_fold import OF_WHAT_PAYS, clearly_worse, stratified_folds
from ulmfit_lib.progress import set_quiet
from ulmfit_lib.training.classifying import CONTRAST, LINEAR_PROBE
from ulmfit_lib.training.run import Run

SHOWN = ("accuracy", "macro_f1", "log_loss", "seconds")
Scores = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="folder of sets")
    parser.add_argument("--names", nargs="+", help="of sets; default all")
    parser.add_argument("--ratings", nargs="+", default=[], help="of sets whose labels are learnt as numbers")
    parser.add_argument("--labels", type=int, nargs="*", default=[100], help="rows drawn at random")
    parser.add_argument("--each", type=int, nargs="*", default=[8, 16], help="rows drawn of each class")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--test-rows", type=int, default=400, help="the first of each set")
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--work", type=Path, default=Path("contrast-work"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    set_quiet(True)
    count_cpu_seconds()
    rows = summary(measure(options))
    if options.json:
        asked = {name: getattr(options, name) for name in ("base", "draws", "test_rows")}
        print(json.dumps({**asked, "summary": rows, **conditions()}))
        return
    for row in rows:
        shown = "  ".join(f"{name} {row[name]:.3g}" for name in SHOWN if name in row)
        print(f"{row['set']:22} {row['draw']:>8} {row['method']:12} {shown}")


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The scores of each set, draw and method; those that --work holds are not measured again."""
    lm, cells = LanguageModel.from_pretrained(options.base), []
    for folder in find_sets(options.sets, options.names):
        one = LabelledSet.read(folder, options.test_rows)
        as_ratings, each = one.name in options.ratings, [] if one.has_tags else options.each
        draws = {(f"{n}", i): one.draw(n, i) for n in options.labels for i in range(options.draws)}
        draws |= {(f"{n} each", i): one.draw_of_each(n, i) for n in each for i in range(options.draws)}
        for (name, number), rows in draws.items():
            kind = "-ratings" if as_ratings else ""
            file = options.work / one.name / f"{name.replace(' ', '-')}-{number}{kind}.json"
            if not file.is_file():
                table = ratings_of(rows) if as_ratings else table_of(one, rows)
                write_file(file, json.dumps(measure_draw(one, table, Candidate(lm))).encode())
            scores = json.loads(file.read_text(encoding="utf-8"))
            cells += [{"set": one.name, "draw": name, "method": method, **some} for method, some in scores.items()]
    return cells


def ratings_of(rows: Rows) -> TextTable:
    """Rows whose labels begin with a number, such as "3 stars", which is their rating."""
    return TextTable.from_lists(rows.texts, [label.split()[0] for label in rows.labels]).with_kind(Ratings())


def measure_draw(one: LabelledSet, table: TextTable, candidate: Candidate) -> dict[str, Scores]:
    """The scores of each method that learns from a table."""
    run = Run(device="cpu")
    whole = {label.split()[0]: label for label in one.train.labels} if isinstance(table.kind, Ratings) else {}
    splits = stratified_folds(table, seed=run.seed)
    found: dict[str, Scores] = {}
    evaluated: dict[str, EvaluatedCandidate] = {}
    for strategy in (LINEAR_PROBE, CONTRAST):
        started = time.monotonic()
        other = evaluated[strategy] = evaluate(candidate.changed(strategy=strategy), table, splits, run)
        classifier = other.fit(table, run)
        seconds = time.monotonic() - started
        probabilities = classifier.probabilities(one.test.texts)[ENSEMBLE]
        said = [whole.get(label, label) for label in classifier.decode(probabilities)]
        classes = [whole.get(name, name) for name in table.classes]
        found[strategy] = {**one.score(said, probabilities, classes), "seconds": seconds}
    losses = [evaluated[strategy].row_losses for strategy in (CONTRAST, LINEAR_PROBE)]
    kept = LINEAR_PROBE if clearly_worse(*losses, errors=OF_WHAT_PAYS) else CONTRAST
    return {**found, "kept": found[kept]}


if __name__ == "__main__":
    main()
