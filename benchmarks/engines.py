"""What does scoring on Ray cost beside `predict` in one process, and what does a second worker bring?

    python benchmarks/engines.py [--reviews 100 800] [--short 2000 20000] [--rounds 3] [--note "..."] [--json]

Every figure is of whole commands. The seconds of a small and of a large file give the rate, and what a start costs. A
file of reviews is scored by a classifier on the embedded base, in int8; one of short texts by a network of next to
nothing, so that what a row costs the engine can be seen. One process may use as many cores as the engine reserves.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from conditions import conditions
from made_up_texts import reviews

from ulmfit_lib import Architecture, LanguageModel, TextTable, fit_classifier, pretrain
from ulmfit_lib.models.exporting import export_checked

SIDES = (1, 2)  # cores, and workers of one core each
LEARNT = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, nargs=2, default=[100, 800], help="of the small and the large file")
    parser.add_argument("--short", type=int, nargs=2, default=[2000, 20000], help="the same of short texts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"rounds": arguments.rounds, **conditions()}
    result["versions"] |= {"ray": version("ray"), "onnxruntime": version("onnxruntime")}
    result |= {"note": arguments.note} if arguments.note else {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tiny = pretrain(texts(200, 230), architecture=Architecture(4, 4, 1), epochs=0, vocab_size=1000, device="cpu")
        jobs = {
            "reviews": (LanguageModel.from_pretrained("general-en-small"), arguments.reviews, 230),
            "short": (tiny, arguments.short, 12),
        }
        for name, (lm, sizes, words) in jobs.items():
            result[name] = compare(work / name, lm, sizes, words, arguments.rounds)
            print(name, json.dumps(result[name]), file=sys.stderr)
    print(json.dumps(result) if arguments.json else json.dumps({name: result[name] for name in jobs}, indent=1))


def texts(count: int, words: int) -> list[str]:
    return [text for text, _ in islice(reviews(mean_words=words), count)]


def compare(work: Path, lm: LanguageModel, sizes: Sequence[int], words: int, rounds: int) -> dict[str, Any]:
    work.mkdir()
    learnt, labels = zip(*islice(reviews(mean_words=words), LEARNT), strict=True)
    fit_classifier(TextTable.from_lists(learnt, labels), lm=lm, strategy="features", device="cpu").save(work / "model")
    export_checked(work / "model", work / "onnx", precision="int8", texts=learnt)
    for size in sizes:
        pd.DataFrame({"review": texts(size, words)}).to_parquet(work / f"{size}.parquet")
    seconds: dict[tuple[str, int, int], list[float]] = {}
    for _ in range(rounds):
        for engine in ("none", "ray"):
            for cores in SIDES:
                for size in sizes:
                    seconds.setdefault((engine, cores, size), []).append(run(work, engine, cores, size))
    sides = []
    for engine in ("none", "ray"):
        for cores in SIDES:
            small, large = (statistics.median(seconds[engine, cores, size]) for size in sizes)
            a_row = (large - small) / (sizes[1] - sizes[0])
            sides.append({
                "engine": engine, "cores": cores, "texts_per_second": round(1 / a_row, 2),
                "start_seconds": round(small - sizes[0] * a_row, 2), "milliseconds_a_text": round(1000 * a_row, 3),
            })  # fmt: skip
    lengths = [len(text.split()) for text in texts(sizes[1], words)]
    return {"texts": list(sizes), "words_per_text": round(statistics.mean(lengths)), "sides": sides}


def run(work: Path, engine: str, cores: int, size: int) -> float:
    """Seconds of a command."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / ("out.parquet" if engine == "none" else "out")
        command = [sys.executable, "-W", "ignore", "-m", "ulmfit_lib.cli", "predict", str(work / "onnx")]
        command += [str(work / f"{size}.parquet"), "--text", "review", "--quiet", "--out", str(out)]
        if engine == "ray":
            command += ["--engine", "ray", "--workers", str(cores)]
        limit = partial(os.sched_setaffinity, 0, sorted(os.sched_getaffinity(0))[:cores])
        started = time.perf_counter()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, preexec_fn=limit if engine == "none" else None)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
