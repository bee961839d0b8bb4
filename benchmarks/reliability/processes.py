"""Processes that start with everything imported, so that one can run, and kill, hundreds of them."""

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

IMPORTED = [
    "ulmfit_lib.cli", "ulmfit_lib.pipeline", "ulmfit_lib.data.reading", "ulmfit_lib.data.writing",
    "ulmfit_lib.models.pretrained", "spacy.lang.en", "sklearn.linear_model", "sklearn.model_selection",
    "pyarrow.parquet", "torch._dynamo",
]  # fmt: skip


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
