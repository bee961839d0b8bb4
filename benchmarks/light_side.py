"""One side of light.py in a process of its own, so that nothing that another side needs is loaded.

    python benchmarks/light_side.py SIDE MODEL TEXTS.json

Prints two lines: what the first text was answered with, as soon as it is; then, as JSON, all that is measured.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Answers = Callable[[Sequence[str]], Any]


def load(side: str, model: str) -> tuple[Answers, Answers]:
    """What answers one text and what answers many: (n, n_classes) probabilities."""
    if side == "static":
        from ulmfit_lib.serving.static_classifier import StaticClassifier

        static = StaticClassifier.load(model).predict_proba
        return static, static
    if side.startswith("minilm"):
        from minilm_peer import MiniLm

        peer = MiniLm(Path(model)).predict_proba
        return peer, peer
    if side.startswith(("light", "old")):
        from ulmfit_lib.serving.predictor import Predictor

        light = Predictor.load(model).predict_proba
        return light, light
    if side == "torch":
        from ulmfit_lib.models.classifier import TextClassifier

        heavy = TextClassifier.load(model).predict_proba
        return heavy, heavy
    from fastai.text.learner import load_learner

    learn = load_learner(model)

    def one(texts: Sequence[str]) -> Any:
        with learn.no_bar(), learn.no_logging():
            return [learn.predict(text)[2].tolist() for text in texts]

    def many(texts: Sequence[str]) -> Any:
        with learn.no_bar(), learn.no_logging():
            return learn.get_preds(dl=learn.dls.test_dl(list(texts)))[0].tolist()

    return one, many


def resident(name: str) -> float:
    """Megabytes of this process by Linux's count: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000, 1)


def main() -> None:
    side, model, file = sys.argv[1:]
    texts = json.loads(Path(file).read_text(encoding="utf-8"))
    one, many = load(side, model)
    print(json.dumps(list(map(float, one(texts["short"][:1])[0]))), flush=True)
    megabytes = resident("VmRSS")
    spent, spent_before = [], time.process_time()
    for text in texts["short"]:
        started = time.perf_counter()
        one([text])
        spent.append(1000 * (time.perf_counter() - started))
    core_ms = 1000 * (time.process_time() - spent_before) / len(spent)
    started = time.perf_counter()
    spent_before = time.process_time()
    many(texts["many"])
    rate = len(texts["many"]) / (time.perf_counter() - started)
    rate_of_core = len(texts["many"]) / (time.process_time() - spent_before)
    said = [list(map(float, row)) for text in texts["short"] for row in one([text])]
    measured = {
        "resident_mb": megabytes,
        "peak_mb": resident("VmHWM"),
        "ms_per_text": round(statistics.median(spent), 3),
        "core_ms_per_text": round(core_ms, 3),
        "texts_per_second": round(rate, 1),
        "texts_per_core_second": round(rate_of_core, 1),
        "said": said,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
