"""Do several processes tokenise many files to the same bytes as one, and is that faster?

    python benchmarks/parallel_tokens.py [--kinds csv dump] [--files 4] [--megabytes 4] [--rounds 3] [--json]

Made-up reviews in CSV files, or articles in MediaWiki dumps, are read and tokenised on one core and on all cores, in
turns, each time with an empty cache. CPU seconds include those of the workers.
"""

import argparse
import csv
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conditions import conditions
from made_up_texts import reviews
from memory import write_dump

from ulmfit_lib import read_table
from ulmfit_lib.data.wikipedia import store_dumps
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.words import WordTokenizer

NAMES = {"csv": "reviews.csv", "dump": "dump.xml.bz2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=4, help="of each file, before compression")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    kinds = {kind: compare(kind, arguments.files, arguments.megabytes, arguments.rounds) for kind in arguments.kinds}
    if arguments.json:
        sizes = {name: getattr(arguments, name) for name in ("files", "megabytes", "rounds")}
        print(json.dumps({**sizes, "kinds": kinds, **conditions()}))
    else:
        for kind, found in kinds.items():
            print(f"{kind}: {found['tokens']:,} tokens; the same bytes: {found['same_bytes']}")
            for side in found["sides"]:
                print(f"  {side['cores']} cores: {side['seconds']} s, {side['cpu_seconds']} s of CPU")
    raise SystemExit(0 if all(found["same_bytes"] for found in kinds.values()) else 1)


def compare(kind: str, files: int, megabytes: int, rounds: int) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) / NAMES[kind] for number in range(files)]
        for seed, path in enumerate(paths):
            path.parent.mkdir()
            if kind == "csv":
                write_reviews(path, megabytes, seed=seed)
            else:
                write_dump(path.parent, megabytes, seed=seed)
        turns = [[tokenize(paths, cores[:count]) for count in (1, len(cores))] for _ in range(rounds)]
    os.sched_setaffinity(0, cores)
    sides = [
        {"cores": side[0]["cores"]}
        | {name: round(statistics.median(one[name] for one in side), 2) for name in ("seconds", "cpu_seconds")}
        for side in zip(*turns, strict=True)
    ]
    same = len({one["sha256"] for turn in turns for one in turn}) == 1
    return {"tokens": turns[0][0]["tokens"], "same_bytes": same, "sides": sides}


def write_reviews(path: Path, megabytes: int, *, seed: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review"])
        for text, _ in reviews(seed=seed):
            writer.writerow([text])
            if file.tell() >= megabytes * 1_000_000:
                return


def tokenize(files: Sequence[Path], cores: Sequence[int]) -> dict[str, Any]:
    """One run on these cores: seconds of reading and tokenising, and a hash of all that was written."""
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ULMFIT_CACHE"] = cache
        before, started = sum(os.times()[:4]), time.perf_counter()
        if files[0].name == NAMES["dump"]:
            texts: Sequence[str] = store_dumps(files)
        else:
            texts = [text for file in files for text in read_table(file, text="review").texts]
        corpus = tokenize_corpus(texts, WordTokenizer())
        spent, used = time.perf_counter() - started, sum(os.times()[:4]) - before
        digest = hashlib.sha256()
        for path in sorted(path for path in Path(cache).rglob("*") if path.is_file()):
            digest.update(path.name.encode() + path.read_bytes())
    return {
        "cores": len(cores),
        "seconds": spent,
        "cpu_seconds": used,
        "tokens": len(corpus.ids),
        "sha256": digest.hexdigest(),
    }


if __name__ == "__main__":
    main()
