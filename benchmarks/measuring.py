"""How to measure: in turns, by medians, and beside what the machine can do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from ulmfit_lib import TextTable
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.models.cpu_products import Int8Matrix, has_bfloat16, int8_steps

Row = dict[str, Any]
CLOCKS = ("perf_counter", "monotonic")  # that count all seconds, unless ``count_cpu_seconds`` says otherwise
FULL_SIZE = Architecture(400, 1152, 3)  # fastai's default


@dataclass(frozen=True)
class Workload:
    """How much work a row is given."""

    tokenize_texts: int
    lm_texts: int
    classifier_texts: int
    predict_texts: int
    growth: tuple[int, ...]
    rounds: int = 3
    device: str = "cpu"
    sizes: Architecture = FULL_SIZE
    vocabulary: int = 30_000  # words, as the bases that come with the library have


def in_turns(rounds: int, ours: Callable[[], float], fastai: Callable[[], float], unit: str, *, better: str) -> Row:
    """Both measured ``rounds`` times, alternating; ``better`` is ``higher`` (a rate) or ``lower`` (a time)."""
    pairs = [(ours(), fastai()) for _ in range(rounds)]
    mine, theirs = np.median(pairs, axis=0)
    ratios = [a / b if better == "higher" else b / a for a, b in pairs]
    return {
        "ours": float(f"{mine:.4g}"),
        "fastai": float(f"{theirs:.4g}"),
        "unit": unit,
        "ratio": round(float(np.median(ratios)), 2),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def seconds(job: Callable[[], Any]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def count_cpu_seconds() -> None:
    """From now on one thread works, and its seconds on a CPU count, so that other work on the machine does not."""
    torch.set_num_threads(1)
    for clock in CLOCKS:
        setattr(time, clock, time.process_time)


def machine_limits() -> dict[str, int]:
    """What a bare matrix product and a bare copy reach here."""
    found = {}
    dtypes = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if has_bfloat16() else {})
    for name, dtype in dtypes.items():  # what is emulated takes minutes, and nothing uses it
        a = torch.ones(2048, 2048, dtype=dtype)
        found[f"{name}_gflops"] = round(2 * 2048**3 / fastest(partial(torch.mm, a, a)) / 1e9)
    if (steps := int8_steps()) is not None:
        matrix, rows = Int8Matrix(torch.ones(2048, 2048), steps=steps), torch.ones(2048, 2048)
        found["int8_gflops"] = round(2 * 2048**3 / fastest(partial(matrix, rows)) / 1e9)
    block = torch.ones(1 << 26)
    copy = torch.empty_like(block)
    found["copied_gigabytes_per_second"] = round(2 * block.nbytes / fastest(partial(copy.copy_, block)) / 1e9)
    return found


def fastest(job: Callable[[], Any], *, of: int = 6) -> float:
    """Seconds of the best of several runs."""
    return min(seconds(job) for _ in range(of))


def classifier_tables(table: TextTable, work: Workload) -> tuple[TextTable, TextTable]:
    """Labelled texts to learn from, and half as many to measure on."""
    n = work.classifier_texts
    return table.select(range(n)), table.select(range(n, n + n // 2))
