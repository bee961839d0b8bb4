"""Where and with what a benchmark ran."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ulmfit_lib.models.cpu_products import SWITCH

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16")
ONLY_AVX2 = {  # what makes PyTorch, oneDNN, FBGEMM and MKL do without AVX-512; set before they are loaded
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def cpu_kind() -> str:
    """``avx512`` or ``avx2``, by what PyTorch uses here; or another of its names."""
    return torch.backends.cpu.get_cpu_capability().lower()


def conditions() -> dict[str, Any]:
    """Machine, versions and date, as every result records them."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    packages = ("torch", "fastai", "spacy", "scikit-learn")
    return {
        "machine": f"{name}, {torch.get_num_threads()} threads of {len(names) or 'unknown'} cores",
        "cpu": {
            "kind": cpu_kind(),
            "features": [feature for feature in FEATURES if feature in flags],
            "switched_off_by": {name: os.environ[name] for name in (*ONLY_AVX2, SWITCH) if name in os.environ},
        },
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "date": time.strftime("%Y-%m-%d"),
    }
