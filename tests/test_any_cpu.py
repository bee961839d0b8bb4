"""The same on every CPU and with every version of PyTorch: what some of them lack is taken away in child processes."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ulmfit_lib import LanguageModel, fit_classifier
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.models import cpu_products
from ulmfit_lib.models.cpu_products import FULL, REDUCED, SWITCH, Int8Matrix
from ulmfit_lib.serving.onnx_graph import build_graph
from ulmfit_lib.training.run import Run

ONLY_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
NO_VECTORS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
WITHOUT = "import torch, types; torch.ops.mkldnn = torch.ops.quantized = types.SimpleNamespace()"
LACKING = {  # environment, what is run first, and whether products of bytes may be there
    "AVX-512": (ONLY_AVX2, "", True),
    "vectors": (NO_VECTORS, "", False),
    "private operations": ({}, WITHOUT, False),
    "what the switch leaves out": ({SWITCH: "plain"}, "", False),
}
PREDICT = """
import json, sys
from ulmfit_lib import TextClassifier
from ulmfit_lib.models import cpu_products
say, texts = TextClassifier.load(sys.argv[1]).predict_proba, json.loads(sys.argv[2])
print(json.dumps({
    "bfloat16": cpu_products.has_bfloat16() or cpu_products.packs_bfloat16(), "steps": cpu_products.int8_steps(),
    "together": say(texts).tolist(), "alone": [say([text])[0].tolist() for text in texts],
}))
"""
TEXTS = ["the film was great great", "terrible terrible", "that was all and then some more of it " * 30, "great"]


@pytest.fixture(params=LACKING)
def lacking(request):
    """Runs a Python program with arguments where something is lacking; whether products of bytes may be there."""
    settings, first, bytes_there = LACKING[request.param]

    def run(program, *arguments):
        command = [sys.executable, "-W", "ignore", "-c", f"{first}\n{program}", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1", **settings},
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    return run, bytes_there


@pytest.fixture(scope="module")
def saved(fruit, tmp_path_factory):
    """A classifier wide enough for products of bytes, and what it says where there are none."""
    base = LanguageModel.from_pretrained("wiki-en-small")
    classifier = fit_classifier(fruit, lm=base.only("forward"), strategy="linear-probe", run=Run(device="cpu"))
    folder = tmp_path_factory.mktemp("saved") / "classifier"
    classifier.save(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "plain")
        classifier._encoders.clear()
        return folder, classifier.predict_proba(TEXTS)


@pytest.mark.slow
def test_a_saved_model_predicts_alike_whatever_is_lacking(saved, lacking):
    (folder, expected), (run, bytes_there) = saved, lacking
    found = json.loads(run(PREDICT, folder, json.dumps(TEXTS)))
    assert not found["bfloat16"]
    assert found["steps"] is None or (bytes_there and tuple(found["steps"]) == REDUCED)
    np.testing.assert_allclose(found["alone"], found["together"], atol=1e-5)
    np.testing.assert_allclose(found["together"], expected, atol=0.03 if found["steps"] else 1e-4)


@pytest.mark.slow
def test_encoders_and_gradients_are_right_whatever_is_lacking(lacking):
    run, _ = lacking
    tests = ["tests/test_frozen.py", "tests/test_training.py", "-k", "pooled or alone or bytes or bfloat16 or fused"]
    run("import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.parametrize("level, finest", [("auto", FULL), ("avx2", REDUCED), ("plain", None)])
def test_the_switch_narrows_what_is_used(level, finest, monkeypatch):
    monkeypatch.setenv(SWITCH, level)
    assert cpu_products.int8_steps() in (finest, REDUCED if finest else None, None)
    if level != "auto":
        assert not cpu_products.has_bfloat16() and not cpu_products.packs_bfloat16()


def test_products_of_bytes_that_overflow_are_not_used(monkeypatch):
    monkeypatch.setattr(Int8Matrix, "__call__", lambda matrix, inputs: inputs.new_full((len(inputs), 32), 3.0))
    cpu_products._int8_is_exact.cache_clear()
    try:
        assert cpu_products.int8_steps() is None
    finally:
        cpu_products._int8_is_exact.cache_clear()


@pytest.mark.skipif(cpu_products.int8_steps() is None, reason="this CPU does not multiply bytes")
def test_a_product_of_bytes_is_the_sum_of_whole_numbers(monkeypatch):
    monkeypatch.setenv(SWITCH, "avx2")
    steps = cpu_products.int8_steps()
    inputs, weight = torch.tensor([[1.0], [0.5]]).repeat(1, 256), torch.ones(64, 256)
    weight[7, ::2] = -1.0
    sums, bias = torch.full((2, 64), 256.0), torch.arange(64.0)
    sums[1] *= round(0.5 * steps.inputs) / steps.inputs
    sums[:, 7] = 0.0
    torch.testing.assert_close(Int8Matrix(weight, bias, steps=steps)(inputs), sums + bias)


READ_GRAPH = """
import json, sys
import numpy as np
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.serving.onnx_encoder import OnnxEncoder
from ulmfit_lib.tokens.documents import Documents
lengths = [5, 20, 3, 80, 7, 1]
texts = Documents(np.random.default_rng(0).integers(0, 50, sum(lengths)), np.cumsum([0, *lengths]))
encoder = OnnxEncoder(open(sys.argv[1], "rb").read(), Architecture(32, 64, 2), "forward", threads=1)
together = encoder.pool(texts, "all")
alone = np.concatenate([encoder.pool(texts.select([place]), "all") for place in range(len(texts))])
print(json.dumps({"same": bool((together == alone).all()), "vectors": together.tolist()}))
"""
QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")


@pytest.mark.slow
@pytest.mark.skipif(
    QEMU is None or platform.machine() != "x86_64",
    reason="ONNX Runtime has no switch that narrows what it uses of a CPU, so QEMU is needed to be another",
)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_graphs_say_the_same_on_a_cpu_that_has_avx2_alone(tmp_path, precision):
    architecture, rng = Architecture(32, 64, 2), np.random.default_rng(3)
    shapes = architecture.weight_shapes(50)
    weights = {name: rng.standard_cauchy(shape).clip(-30, 30) / 10 for name, shape in shapes.items()}
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(
        build_graph(architecture, {k: w.astype(np.float32) for k, w in weights.items()}, precision=precision)
    )
    command = [sys.executable, "-W", "ignore", "-c", READ_GRAPH, str(graph)]
    found = [
        json.loads(subprocess.run([*before, *command], check=True, capture_output=True, text=True).stdout)
        for before in ([], [QEMU, "-cpu", "Haswell"])
    ]
    assert all(one["same"] for one in found)
    np.testing.assert_allclose(*(one["vectors"] for one in found), atol=1e-5)
