"""ONNX Runtime, as all graphs here are run."""

import os
from typing import Any

from ulmfit_lib.errors import OptionError


def open_graph(graph: bytes) -> Any:
    """A graph, ready to run in the caller's own thread; an OptionError where the package onnxruntime is missing."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on, it reports to its makers unless told not to
    try:
        import onnxruntime
    except ImportError as error:
        raise OptionError(
            "a classifier that is not static needs the package onnxruntime: pip install 'ulmfit-predict[network]'"
        ) from error
    onnxruntime.disable_telemetry_events()  # which counts where somebody else had imported it before
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the steps of a recurrence are too small to part
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
