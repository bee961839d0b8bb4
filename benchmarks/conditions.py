"""Where and with what a benchmark ran."""

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def conditions() -> dict[str, Any]:
    """Machine, versions and date, as every result records them."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    packages = ("torch", "fastai", "spacy", "scikit-learn")
    return {
        "machine": f"{name}, {torch.get_num_threads()} threads of {len(names) or 'unknown'} cores",
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "date": time.strftime("%Y-%m-%d"),
    }
