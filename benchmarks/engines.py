"""What does scoring on Ray cost beside `predict` in one process, and what does a second worker bring?

    python benchmarks/engines.py [--jobs reviews short] [--reviews 100 800] [--short 2000 20000] [--cores 1 2]
        [--rounds 3] [--note "..."] [--json]

Every figure is of whole commands. A small and a large file give what a text costs, and what is left is the start: in
seconds of the clock, and in seconds that the CPU spent on all processes of a command, for which other work counts for
little. A file of reviews is scored by a classifier on the embedded base, in int8; one of short texts by a
network of next to nothing, so that what a row costs the engine can be seen. One process may use as many cores as the
engine reserves.
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
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from conditions import conditions
from made_up_texts import reviews

from ulmfit_lib import LanguageModel, TextTable, fit_classifier, pretrain
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.stages.pretrain import PRETRAIN, LanguageModelConfig
from ulmfit_lib.training.run import Run

JOBS = ("reviews", "short")
LEARNT = 64
WATCHED = 0.1  # seconds between two looks at the processes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    parser.add_argument("--reviews", type=int, nargs=2, default=[100, 800], help="of the small and the large file")
    parser.add_argument("--short", type=int, nargs=2, default=[2000, 20000], help="the same of short texts")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="and workers of one core each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"rounds": arguments.rounds, **conditions()}
    result["versions"] |= {"ray": version("ray"), "onnxruntime": version("onnxruntime")}
    result |= {"note": arguments.note} if arguments.note else {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in arguments.jobs:
            lm, sizes, words = (
                (LanguageModel.from_pretrained("general-en-small"), arguments.reviews, 230)
                if name == "reviews"
                else (tiny_model(), arguments.short, 12)
            )
            result[name] = compare(work / name, lm, sizes, words, arguments)
            print(name, json.dumps(result[name]), file=sys.stderr)
    print(
        json.dumps(result) if arguments.json else json.dumps({name: result[name] for name in arguments.jobs}, indent=1)
    )


def tiny_model() -> LanguageModel:
    config = LanguageModelConfig(Architecture(4, 4, 1), vocab_size=1000)
    return pretrain(texts(200, 230), config=config, recipe=replace(PRETRAIN, epochs=0), run=Run(device="cpu"))


def texts(count: int, words: int) -> list[str]:
    return [text for text, _ in islice(reviews(mean_words=words), count)]


def compare(
    work: Path, lm: LanguageModel, sizes: Sequence[int], words: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    work.mkdir()
    learnt, labels = zip(*islice(reviews(mean_words=words), LEARNT), strict=True)
    fit_classifier(TextTable.from_lists(learnt, labels), lm=lm, strategy="linear-probe", run=Run(device="cpu")).save(
        work / "model"
    )
    export_checked(work / "model", work / "onnx", precision="int8", texts=learnt)
    for size in sizes:
        pd.DataFrame({"review": texts(size, words)}).to_parquet(work / f"{size}.parquet")
    spent: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        for engine in ("none", "ray"):
            for cores in arguments.cores:
                for size in sizes:
                    spent.setdefault((engine, cores, size), []).append(run(work, engine, cores, size))
    sides = []
    for engine in ("none", "ray"):
        for cores in arguments.cores:
            small, large = (np.median(spent[engine, cores, size], axis=0) for size in sizes)
            text = (large - small) / (sizes[1] - sizes[0])
            start = small - sizes[0] * text
            sides.append(
                {
                    "engine": engine,
                    "cores": cores,
                    "texts_per_second": round(1 / text[0], 2),
                    "start_seconds": round(start[0], 2),
                    "cpu_milliseconds_a_text": round(1000 * text[1], 3),
                    "cpu_seconds_a_start": round(start[1], 2),
                }
            )
    lengths = [len(text.split()) for text in texts(sizes[1], words)]
    return {"texts": list(sizes), "words_per_text": round(statistics.mean(lengths)), "sides": sides}


def run(work: Path, engine: str, cores: int, size: int) -> tuple[float, float]:
    """Seconds of a command by the clock, and of the CPU in all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / ("out.parquet" if engine == "none" else "out")
        command = [sys.executable, "-W", "ignore", "-m", "ulmfit_lib.cli", "predict", str(work / "onnx")]
        command += [str(work / f"{size}.parquet"), "--text", "review", "--quiet", "--out", str(out)]
        if engine == "ray":
            command += ["--engine", "ray", "--workers", str(cores)]
        limit = partial(os.sched_setaffinity, 0, sorted(os.sched_getaffinity(0))[:cores])
        started, used = time.perf_counter(), {}
        process = psutil.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=limit if engine == "none" else None)
        while process.poll() is None:
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    used[one.pid] = sum(one.cpu_times()[:2])
            time.sleep(WATCHED)
        if process.returncode:
            sys.exit(f"{' '.join(command)}: ended with status {process.returncode}")
        return time.perf_counter() - started, sum(used.values())


if __name__ == "__main__":
    main()
