"""Where a training step's time goes: the share of each function, of a language model's steps and of a classifier's.

    python benchmarks/training_profile.py reviews.csv --text review --label sentiment

The network is speed.py's, 400 / 1152 / 3.
"""

import argparse
import inspect
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from fastai.text.models.awdlstm import EmbeddingDropout, RNNDropout, WeightDropout
from fastai_peer import FULL_SIZE
from measuring import Workload
from speed_training import FASTAI_DROPOUTS, LM_RATE, Classifiers

from ulmfit_lib import read_csv
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.models.lstm import _Layer
from ulmfit_lib.stages.pretrain import PRETRAIN
from ulmfit_lib.training.classifying import fine_tune
from ulmfit_lib.training.language_modelling import train_language_model
from ulmfit_lib.training.losses import _LogSumExp

WATCHED: dict[str, tuple[Any, str]] = {
    "LSTM forward": (_Layer, "forward"),
    "LSTM backward": (_Layer, "backward"),
    "softmax forward": (_LogSumExp, "forward"),
    "softmax backward": (_LogSumExp, "backward"),
    "weight dropout": (WeightDropout, "_setweights"),
    "other dropout": (RNNDropout, "forward"),
    "embedding dropout": (EmbeddingDropout, "forward"),
    "optimizer": (torch.optim.AdamW, "step"),
}
WORK = Workload(tokenize_texts=0, lm_texts=0, classifier_texts=64, predict_texts=0, growth=())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    arguments = parser.parse_args()
    table = read_csv(arguments.file, text=arguments.text, label=arguments.label).labelled()
    spent: dict[str, float] = defaultdict(float)
    for name, (owner, method) in WATCHED.items():
        watch(owner, method, name, spent)
    both = Classifiers(table, WORK)
    n_words = len(both.learn.dls.vocab[0])
    recipe = replace(PRETRAIN, batch_size=64, window=72, lr=LM_RATE, dropouts=FASTAI_DROPOUTS)
    net = LanguageModelNet(FULL_SIZE, n_words, FASTAI_DROPOUTS)
    nothing = both.documents.select([])
    options: dict[str, Any] = {"seed": 0, "device": both.device, "description": "profile"}
    jobs: dict[str, Callable[[], object]] = {
        "language model": lambda: train_language_model(net, both.documents, nothing, recipe, **options),
        "classifier": lambda: fine_tune(both.net, both.documents, both.targets, both.recipe, pad_id=1, **options),
    }
    for job, run in jobs.items():
        spent.clear()
        started = time.perf_counter()
        run()
        whole = time.perf_counter() - started
        shares = ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in sorted(spent.items()))
        print(f"{job}: {shares}")


def watch(owner: Any, method: str, name: str, spent: dict[str, float]) -> None:
    """Count the seconds that go into a method."""
    original, static = getattr(owner, method), isinstance(inspect.getattr_static(owner, method), staticmethod)

    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return original(*arguments, **options)
        finally:
            spent[name] += time.perf_counter() - started

    setattr(owner, method, staticmethod(timed) if static else timed)


if __name__ == "__main__":
    main()
