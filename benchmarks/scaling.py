"""What does each stage cost per million tokens, on one core?

    python benchmarks/scaling.py [--stages fit-lm predict-int8 ...] [--note "..."] [--json]

Each stage runs in a process of its own, with one thread, on made-up reviews, in one direction of an embedded base. The
seconds are those that the CPU spent on it, so that other work on the machine counts for little.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from conditions import conditions
from light_side import resident
from made_up_texts import reviews
from measuring import count_cpu_seconds

from ulmfit_lib import LanguageModel, TextTable, fit_classifier, fit_lm, pretrain
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.data.reading import read_parts
from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.stages.distill import DISTILL, distill
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.stages.fit_lm import FINE_TUNE
from ulmfit_lib.stages.pretrain import PRETRAIN
from ulmfit_lib.tokens.documents import encode_texts
from ulmfit_lib.tokens.words import WordTokenizer
from ulmfit_lib.training.run import Run

BASE, NOT_DISTILLED, WAY = "general-en-small", "wiki-en-small", "forward"
LEARNT = 64  # texts, where only predicting is measured
VECTOR = 384  # numbers of the vector that a teacher such as all-MiniLM-L6-v2 gives
PROBE = replace(CLASSIFY, frozen_pooling="layers")  # the LSTM is read, as where it was fine-tuned
LARGE = Architecture(400, 1152, 3), 40_000  # of the base that waits for a GPU (GPU.md), and its vocabulary
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print(json.dumps(measure(*STAGES[arguments.stage])))
        return
    count_cpu_seconds()
    result: dict[str, Any] = {**conditions(), "networks": networks(), "stages": {}}
    result |= {"note": arguments.note} if arguments.note else {}
    for stage in arguments.stages:
        command = [sys.executable, "-W", "ignore", __file__, "--stage", stage]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result["stages"][stage] = json.loads(done.stdout)
        print(stage, done.stdout.strip(), file=sys.stderr)
    print(json.dumps(result) if arguments.json else json.dumps(result["stages"], indent=1))


def measure(count: int, stage: Callable[[TextTable], Found]) -> Found:
    count_cpu_seconds()
    texts, labels = zip(*islice(reviews(), count), strict=True)
    found = stage(TextTable.from_lists(texts, labels))
    spent = found["seconds"] * 1e6 / found["tokens"]
    return {
        "texts": count,
        "tokens": found["tokens"],
        "seconds": round(found["seconds"], 2),
        "seconds_per_million_tokens": float(f"{spent:.4g}"),
        "peak_mb": round(resident("VmHWM")),
    }


def networks() -> dict[str, Found]:
    """Parameters of a direction that language-model training changes, and tokens that a process reads a step."""
    base = LanguageModel.from_pretrained(BASE)
    step = PRETRAIN.batch_size * PRETRAIN.window
    sizes = {"small": (replace(base.architecture, distilled=0), len(base.vocabulary)), "large": LARGE}
    return {
        name: {
            "embedding": one.embedding,
            "hidden": one.hidden,
            "layers": one.layers,
            "vocabulary": words,
            "parameters": sum(int(np.prod(shape)) for shape in one.weight_shapes(words).values()),
            "tokens_a_step": step,
        }
        for name, (one, words) in sizes.items()
    }


class StandIn:
    """A teacher that knows nothing: what a real one costs depends on which it is."""

    name = "a stand-in"

    def fingerprint(self) -> str:
        return "a stand-in"

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.random.default_rng(0).standard_normal((len(texts), VECTOR), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _trained(lm: LanguageModel) -> Found:
    """Tokens that the last stage read, and the seconds that its training took."""
    stage = lm.training.last
    rows = stage.history[WAY]
    return {"tokens": (stage.tokens_per_epoch or 0) * len(rows), "seconds": _seconds(rows)}


def _seconds(rows: Sequence[Found]) -> float:
    return sum(row.get("phase_seconds", 0) for row in rows)


def _read(table: TextTable) -> Found:
    tokens = sum(map(len, WordTokenizer()(table.texts)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reviews.csv"
        pd.DataFrame({"review": table.texts}).to_csv(file, index=False)
        started = time.perf_counter()
        for _ in read_parts(file, text="review"):
            pass
        return {"tokens": tokens, "seconds": time.perf_counter() - started}


def _tokenize(table: TextTable) -> Found:
    started = sum(os.times()[:4])  # its workers' too
    tokens = sum(map(len, WordTokenizer()(table.texts)))
    return {"tokens": tokens, "seconds": sum(os.times()[:4]) - started}


def _pretrain(table: TextTable) -> Found:
    base = LanguageModel.from_pretrained(NOT_DISTILLED)
    return _trained(pretrain(table.texts, base=base.only(WAY), run=Run(device="cpu")))


def _distill(table: TextTable) -> Found:
    base = LanguageModel.from_pretrained(NOT_DISTILLED)
    recipe = replace(DISTILL, epochs=1)
    return _trained(
        distill(table.texts, base=base.only(WAY), teachers=[StandIn()], recipe=recipe, run=Run(device="cpu"))
    )


def _fit_lm(table: TextTable) -> Found:
    base, recipe = LanguageModel.from_pretrained(BASE), replace(FINE_TUNE, frozen_epochs=0, epochs=1)
    return _trained(fit_lm(table.texts, base=base.only(WAY), recipe=recipe, run=Run(device="cpu")))


def _fit_classifier(table: TextTable, **options: Any) -> Found:
    lm = LanguageModel.from_pretrained(BASE)
    tokens = _tokens(table, lm)
    started = time.perf_counter()
    learnt = fit_classifier(table, lm=lm.only(WAY), run=Run(device="cpu"), **options)
    spent = time.perf_counter() - started
    rows = learnt.training.last.history.get(WAY)
    return {"tokens": tokens * len(rows), "seconds": _seconds(rows)} if rows else {"tokens": tokens, "seconds": spent}


def _predict(table: TextTable, *, precision: str) -> Found:
    lm = LanguageModel.from_pretrained(BASE)
    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder) / "model", Path(folder) / "onnx"
        few = table.select(range(LEARNT))
        fit_classifier(few, lm=lm.only(WAY), strategy="linear-probe", recipe=PROBE, run=Run(device="cpu")).save(model)
        export_checked(model, out, precision=precision, texts=table.texts[:LEARNT])
        predictor, started = Predictor.load(out, threads=1), time.perf_counter()
        predictor.predict_proba(table.texts)
    return {"tokens": _tokens(table, lm), "seconds": time.perf_counter() - started}


def _tokens(table: TextTable, lm: LanguageModel) -> int:
    return int(encode_texts(table.texts, lm.tokenizer, lm.vocabulary).n_tokens)


STAGES: dict[str, tuple[int, Callable[[TextTable], Found]]] = {  # texts, so that each takes some seconds
    "read": (4000, _read),
    "tokenize": (4000, _tokenize),
    "pretrain": (400, _pretrain),
    "distill": (400, _distill),
    "fit-lm": (900, _fit_lm),  # from which on its batches are whole
    "fit-classifier": (300, partial(_fit_classifier, strategy="fine-tune", recipe=CLASSIFY.with_epochs(1))),
    "heads": (400, partial(_fit_classifier, strategy="linear-probe", recipe=PROBE)),
    "predict-float32": (400, partial(_predict, precision="float32")),
    "predict-int8": (400, partial(_predict, precision="int8")),
}

if __name__ == "__main__":
    main()
