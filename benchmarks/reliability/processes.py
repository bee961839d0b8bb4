"""Processes that start with everything imported, so that one can run, and kill, hundreds of them."""

import argparse
import json
import multiprocessing
import resource
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from conditions import conditions

PER_PROCESS = 250  # cases
MOST_SECONDS = 120  # for one case
IMPORTED = [
    "ulmfit_lib.cli",
    "ulmfit_lib.pipeline.fit",
    "ulmfit_lib.data.reading",
    "ulmfit_lib.rows.writer",
    "ulmfit_lib.models.bases",
    "spacy.lang.en",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "pyarrow.parquet",
    "torch._dynamo",
]


def start(job: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run ``job`` in a new process, forked from one that has done nothing but import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    process = context.Process(target=job, args=arguments)
    process.start()
    return process


def command_line(arguments: Sequence[str], log: Path) -> None:
    """What a process does that runs one command; all that it prints goes to ``log``."""
    import torch

    from ulmfit_lib.cli import main

    torch.set_num_threads(1)
    sys.argv = ["ulmfit", *arguments]
    with log.open("w", encoding="utf-8", errors="backslashreplace") as sys.stdout:
        sys.stderr = sys.stdout
        main()


def parse_cases(description: str | None) -> tuple[range, bool]:
    """The numbers of the cases to try, and whether to print JSON."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    return range(options.first, options.first + options.cases), options.json


def reset_peak() -> None:
    """Begin to measure ``peak_megabytes`` anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> int:
    """The most memory that this process has had."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run_cases(job: Callable[..., None], arguments: Sequence[Any], report: Path, cases: range) -> list[dict[str, Any]]:
    """Try cases some hundreds a process; where one dies or hangs, the next process goes on after that case.

    Args:
        job: called with the arguments, the first case, how many, and ``report``, where it writes a line of JSON before
            and after each case.
        arguments: of the job.
        report: a file.
        cases: their numbers.

    Returns:
        The last line about each case.
    """
    results: dict[int, dict[str, Any]] = {}
    first = cases.start
    while first < cases.stop:
        process = start(job, *arguments, first, min(PER_PROCESS, cases.stop - first), report)
        process.join(10 * PER_PROCESS)
        process.kill()
        process.join()
        for line in report.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            results[found["case"]] = {"result": f"died ({process.exitcode})", **found}
        first = max(results) + 1
    return list(results.values())


def print_summary(
    results: Sequence[dict[str, Any]], good: Sequence[str], *, most_megabytes: int, as_json: bool
) -> None:
    """Counts, the worst time and memory, and up to 20 cases that failed; or all, where they are a few."""
    failed = [
        one
        for one in results
        if one["result"] not in good or one["seconds"] > MOST_SECONDS or one["megabytes"] > most_megabytes
    ]
    counts = Counter(one["result"] for one in results)
    summary: dict[str, Any] = {
        "cases": len(results),
        **{name: counts[name] for name in good},
        "failed": len(failed),
        "worst_seconds": max(one.get("seconds", 0) for one in results),
        "worst_megabytes": max(one.get("megabytes", 0) for one in results),
        "examples": results if len(results) < 5 else failed[:20],
    }
    lines = [f"{name}: {value}" for name, value in summary.items()]
    print(json.dumps(summary | conditions()) if as_json else "\n".join(lines))
