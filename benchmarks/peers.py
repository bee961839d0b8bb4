"""`fit` beside what else a user could take, on labelled sets: the same rows to learn, the same rows to be tested on.

    python benchmarks/peers.py --sets DATA/dev --test-rows 500 --work peers-work
    python benchmarks/peers.py --sets DATA/dev --peers mpnet --teachers mpnet=FOLDER --labels 500 --draws 1 --json

A set is a folder with train.csv and test.csv, columns text and label; where labels hold ";" they are tags. Draws are
random, not stratified, and nested: the 500 rows contain the 100. Sets of 14 classes and more (but tags) start with ten
rows of each class instead. With --each, so many rows of each class are drawn. Each peer learns the drawn rows alone.

tfidf      TF-IDF of words and word pairs + logistic regression
minilm     all-MiniLM-L6-v2 + logistic regression
mpnet      all-mpnet-base-v2 + logistic regression
e5         multilingual-e5-small + logistic regression
static     vectors of single tokens, distilled from all-MiniLM-L6-v2 by model2vec, + logistic regression
setfit     SetFit: all-MiniLM-L6-v2 fine-tuned on pairs of the rows; slow, and only where it is asked for
delivered  `ulmfit_lib.fit` with its defaults; delivered-NAME is the same, kept apart to compare versions (PYTHONPATH)

Logistic regression is measured twice: with C by cross-validated log loss (PEER-cv), and with C = 10 (PEER-c10).
Sentence transformers read the first 128 tokens, in bfloat16 where the CPU has it. Seconds are those of one core, and
time limits count them, too, so that other work on the machine does not matter.

All that is finished, scores and vectors, stays in --work: the same command goes on where it was stopped.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions
from encoded_texts import EncodedTexts, Teacher
from labelled_sets import LabelledSet, Rows, find_sets
from measuring import count_cpu_seconds
from peer_classifiers import Delivered, LogisticPeer, SetFit, static_vectors, tfidf, vectors

from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.files import write_file
from ulmfit_lib.progress import bar, note

TEACHERS = {
    "minilm": Teacher("sentence-transformers/all-MiniLM-L6-v2"),
    "mpnet": Teacher("sentence-transformers/all-mpnet-base-v2"),
    "e5": Teacher("intfloat/multilingual-e5-small", prompt="query: "),
}
PEERS = ("tfidf", *TEACHERS, "static", "delivered")
HEADS = {"cv": None, "c10": 10.0}  # C of the logistic regression; None: by cross-validation
SHOWN = {
    "accuracy": "Accuracy in %; of tags, the share of rows with exactly the right ones",
    "macro_f1": "Macro F1 in %",
    "mean_average_precision": "Mean average precision of tags in %",
    "mean_absolute_error": "Mean absolute error of stars",
    "log_loss": "Log loss",
    "rarest_recall": "Recall of the rarest class in %",
    "seconds": "Seconds to learn, encoding included",
}

Cell = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a cell belongs: a draw of a set, so many rows at random or of each class, and what learns it."""

    one: LabelledSet
    count: int
    of_each: bool
    draw: int
    peer: str
    head: str
    work: Path

    @property
    def name(self) -> str:
        """Of what learns."""
        return f"{self.peer}-{self.head}" if self.head else self.peer

    @cached_property
    def rows(self) -> Rows:
        """The rows to learn."""
        return (self.one.draw_of_each if self.of_each else self.one.draw)(self.count, self.draw)

    @property
    def labels(self) -> int | str:
        """How many rows are drawn."""
        return f"{self.count} each" if self.of_each else self.count

    @property
    def file(self) -> Path:
        """The finished cell, by how many rows were drawn: a set of many classes has as many for 100 and 500 labels."""
        rows = f"{self.count}-each" if self.of_each else f"{len(self.rows)}-rows"
        name = f"{self.name}-{rows}-draw-{self.draw}-{len(self.one.test)}-test-rows.json"
        return self.work / "cells" / self.one.name / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="folder of sets")
    parser.add_argument("--names", nargs="+", help="of sets; default all")
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 500], help="rows drawn at random")
    parser.add_argument("--each", type=int, nargs="*", default=[], help="rows drawn of each class; not of tags")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--test-rows", type=int, help="the first of each set; default all")
    parser.add_argument(
        "--peers", nargs="+", default=PEERS, type=peer_name, metavar="PEER", help="default all but setfit"
    )
    parser.add_argument("--teachers", nargs="+", default=[], metavar="PEER=FOLDER", help="default from the hub")
    parser.add_argument("--work", type=Path, default=Path("peers-work"))
    parser.add_argument("--finished", action="store_true", help="measure nothing; show what --work holds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count_cpu_seconds()
    try:
        cells, complete = measure(options)
    except UlmfitError as error:
        parser.error(str(error))
    rows = summary(cells)
    if options.json:
        print(json.dumps({"threads": 1, "summary": rows, "cells": cells, **conditions()}))
    else:
        print("\n\n".join(filter(None, (markdown(rows, score, title) for score, title in SHOWN.items()))))
    sys.exit(0 if complete else 1)


def peer_name(name: str) -> str:
    if name in (*PEERS, "setfit") or name.startswith("delivered-"):
        return name
    raise argparse.ArgumentTypeError(f"no peer {name!r}; known are {', '.join(PEERS)}, setfit, delivered-NAME")


def measure(options: argparse.Namespace) -> tuple[list[Cell], bool]:
    """The cells that are asked for, and whether all of them are there: one that fails is reported and left out."""
    teachers = find_teachers(options.teachers)
    sets = [LabelledSet.read(folder, options.test_rows) for folder in find_sets(options.sets, options.names)]
    counts = [(count, False) for count in options.labels] + [(count, True) for count in options.each]
    groups = [
        [
            Place(one, count, of_each, draw, peer, head, options.work)
            for count, of_each in counts
            if not (of_each and one.has_tags)
            for draw in range(options.draws)
            for head in ([""] if peer.startswith(("delivered", "setfit")) else HEADS)
        ]
        for peer in options.peers
        for one in sets
    ]
    if not options.finished:
        with bar(total=sum(map(len, groups)), description="cells", unit="cells") as progress:
            for group in groups:
                measure_group([place for place in group if not place.file.is_file()], teachers)
                progress.update(len(group))
    places = [place for group in groups for place in group]
    finished = [place for place in places if place.file.is_file()]
    cells = [{"labels": place.labels, **json.loads(place.file.read_text(encoding="utf-8"))} for place in finished]
    return cells, len(finished) == len(places)


def find_teachers(given: Sequence[str]) -> dict[str, Teacher]:
    """All teachers, those that are given as PEER=FOLDER from there.

    Raises:
        OptionError: no such peer or folder.
    """
    teachers = dict(TEACHERS)
    for one in given:
        name, _, folder = one.partition("=")
        if name not in teachers or not Path(folder).is_dir():
            raise OptionError(f"--teachers {one}: give PEER=FOLDER, where PEER is one of {', '.join(teachers)}")
        teachers[name] = replace(teachers[name], source=folder)
    return teachers


def measure_group(places: Sequence[Place], teachers: dict[str, Teacher]) -> None:
    """Measure cells of one set and peer, whose texts are encoded together."""
    for place in places:
        try:
            features, seconds_a_text = find_features(place, places, teachers)
            cell = measure_cell(place, classifier(place, features, teachers), seconds_a_text)
        except Exception as error:  # whatever stops one peer, the others go on
            note(f"{place.one.name}, {len(place.rows)} rows, draw {place.draw}, {place.name}: failed ({error!r})")
            continue
        write_file(place.file, json.dumps(cell).encode())
        note(json.dumps(cell))


def find_features(place: Place, group: Sequence[Place], teachers: dict[str, Teacher]) -> tuple[Any, float]:
    """What turns texts into features for logistic regression, and the seconds that a text took beforehand."""
    if place.peer == "tfidf":
        return tfidf(), 0.0
    if place.peer == "static":
        return vectors(static_vectors(teachers["minilm"].source, place.work / "static")), 0.0
    if place.peer not in teachers:
        return None, 0.0
    encoded = EncodedTexts.open(place.work / "vectors" / place.peer / f"{place.one.name}.npz")
    texts = [text for other in group for text in other.rows.texts]
    encoded.add([*texts, *place.one.test.texts], teachers[place.peer], description=f"{place.one.name}, {place.peer}")
    return vectors(encoded.__getitem__), encoded.seconds_a_text


def classifier(place: Place, features: Any, teachers: dict[str, Teacher]) -> LogisticPeer | Delivered | SetFit:
    """What learns a cell's rows."""
    if place.head:
        return LogisticPeer(place.one, features, HEADS[place.head])
    return SetFit(place.one, teachers["minilm"].source) if place.peer == "setfit" else Delivered(place.one)


def measure_cell(place: Place, model: LogisticPeer | Delivered | SetFit, seconds_a_text: float) -> Cell:
    """Fit a model to the drawn rows and score it on the test rows."""
    started = time.monotonic()
    model.fit(place.rows)
    seconds = time.monotonic() - started + seconds_a_text * len(place.rows)
    scores = place.one.score(*model.predict(place.one.test.texts))
    return {
        "set": place.one.name,
        "rows": len(place.rows),
        "draw": place.draw,
        "peer": place.name,
        "test_rows": len(place.one.test),
        **{name: round(value, 4) for name, value in scores.items()},
        "seconds": round(seconds, 2),
    }


def summary(cells: Sequence[Cell]) -> list[Cell]:
    """Means over the draws by number of labels, set and peer, and the standard deviation of accuracy."""
    groups: dict[tuple[int | str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell["labels"], cell["set"], cell["peer"]), []).append(cell)
    rows = []
    for (labels, name, peer), group in groups.items():
        row = {"labels": labels, "set": name, "peer": peer, "rows": group[0]["rows"], "draws": len(group)}
        for score in SHOWN:
            if score in group[0]:
                row[score] = round(float(np.mean([cell[score] for cell in group])), 4)
        rows.append({**row, "spread": round(float(np.std([cell["accuracy"] for cell in group])), 4)})
    return rows


def markdown(rows: Sequence[Cell], score: str, title: str) -> str:
    """One score as a Markdown table, a row for each set and number of labels, a column for each peer.

    Empty where no peer has the score.
    """
    shown = [row for row in rows if score in row]
    if not shown:
        return ""
    peers = list(dict.fromkeys(row["peer"] for row in shown))
    places = list(dict.fromkeys((row["labels"], row["set"]) for row in shown))
    found = {(row["labels"], row["set"], row["peer"]): row for row in shown}
    digits = 2 if score in ("log_loss", "mean_absolute_error") else 1
    lines = [f"{title}.", "", f"| set | labels | {' | '.join(peers)} |", "|---|---:" + "|---:" * len(peers) + "|"]
    for labels, name in sorted(places, key=lambda place: str(place[0])):
        cells = [found.get((labels, name, peer)) for peer in peers]
        values = [f"{cell[score]:.{digits}f}" if cell else "" for cell in cells]
        lines.append(f"| {name} | {next(filter(None, cells))['rows']} | {' | '.join(values)} |")
    for labels in sorted({place[0] for place in places}, key=str):
        whole = [name for n, name in places if n == labels and all((labels, name, peer) in found for peer in peers)]
        if len(whole) > 1:
            means = [np.mean([found[labels, name, peer][score] for name in whole]) for peer in peers]
            values = [f"{mean:.{digits}f}" for mean in means]
            lines.append(f"| mean of {len(whole)} sets | {labels} | {' | '.join(values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
