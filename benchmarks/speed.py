"""How fast is each job beside plain fastai, and how much of what this machine can do is that?

    python benchmarks/speed.py [reviews.csv --text review --label sentiment] [--quick] [--json]

Both do the same job on the same texts with the same architecture (400 / 1152 / 3), in turns; rates are medians, the
ratio's spread is its lowest and highest round. Without a file: made-up reviews. Each row says how it was checked that
the results agree.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import fastai_peer
import numpy as np
import numpy.typing as npt
import torch
from conditions import conditions
from fastai.text.core import tokenize_texts
from fastai_peer import FULL_SIZE
from made_up_texts import reviews
from measuring import Row, in_turns, machine_limits, seconds

from ulmfit_lib import Dropouts, LanguageModel, TextClassifier, TextTable, fit_classifier, read_csv
from ulmfit_lib.data.corpus import Documents, tokenize_corpus
from ulmfit_lib.data.tokenizing import WordTokenizer
from ulmfit_lib.models.awd_lstm import Encoder, LanguageModelNet, read_weights
from ulmfit_lib.models.classifier import pool_documents
from ulmfit_lib.models.frozen import FrozenEncoder
from ulmfit_lib.models.pooling import ClassifierNet, Head
from ulmfit_lib.stages import CLASSIFY, PRETRAIN
from ulmfit_lib.training.classifying import fine_tune, fit_head
from ulmfit_lib.training.language_modelling import train_language_model

CPU = torch.device("cpu")
FASTAI_DROPOUTS = Dropouts(output=0.1, input=0.25, weight=0.2, embedding=0.02, hidden=0.15)
LM_RATE, CLASSIFIER_RATE = 5e-3, 1e-3
SHORT_TEXT_WORDS = 20


@dataclass(frozen=True)
class Sizes:
    """How much work a row is given."""

    tokenize_texts: int
    lm_texts: int
    classifier_texts: int
    predict_texts: int
    rounds: int


QUICK = Sizes(tokenize_texts=3000, lm_texts=150, classifier_texts=48, predict_texts=96, rounds=3)
FULL = Sizes(tokenize_texts=20_000, lm_texts=2000, classifier_texts=256, predict_texts=512, rounds=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--quick", action="store_true", help="less of everything: under five minutes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    if arguments.file:
        table = read_csv(arguments.file, text=arguments.text, label=arguments.label).labelled()
    else:
        texts, labels = zip(*islice(reviews(), sizes.tokenize_texts), strict=True)
        table = TextTable.from_lists(list(texts), list(labels))
    limits = machine_limits()
    result: Row = {"texts": str(arguments.file or "made up"), **conditions(), "limits": limits}
    for name in arguments.rows:
        result[name] = ROWS[name](table, sizes)
        if "work" in result[name]:
            result[name]["share_of_limit"] = round(result[name]["work"] / 1e9 / limits["bfloat16_gflops"], 2)
        print(name, json.dumps(result[name]), file=sys.stderr)
    if arguments.json:
        print(json.dumps(result))
        return
    for name in arguments.rows:
        row = result[name]
        beside = f"fastai {row['fastai']:,.6g}, ratio {row['ratio']}" if "fastai" in row else ""
        print(f"{name:18} {row['ours']:>12,.6g} {row['unit']:10} {beside:34} {row['check']}")


def tokenize_cold(table: TextTable, sizes: Sizes) -> Row:
    texts = table.texts[: sizes.tokenize_texts]
    found: dict[str, Any] = {}

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            started = time.perf_counter()
            corpus = tokenize_corpus(texts, WordTokenizer(), cache=Path(cache))
            spent = time.perf_counter() - started
            found["ours"] = [[corpus.types[i] for i in ids] for ids in np.split(corpus.ids, corpus.offsets[1:-1])]
        return len(corpus.ids) / spent

    def fastai() -> float:
        spent = seconds(lambda: found.update(fastai=tokenize_texts(texts, n_workers=2)))
        return sum(map(len, found["fastai"])) / spent

    row = in_turns(sizes.rounds, ours, fastai, "tokens/s", better="higher")
    different = sum(a != list(b) for a, b in zip(found["ours"], found["fastai"], strict=True))
    return {**row, "check": f"{different} of {len(texts)} texts differ"}


def tokenize_cached(table: TextTable, sizes: Sizes) -> Row:
    texts = table.texts[: sizes.tokenize_texts]
    with tempfile.TemporaryDirectory() as cache:
        first = tokenize_corpus(texts, WordTokenizer(), cache=Path(cache))
        tokenizer = WordTokenizer()

        def ours() -> float:
            return len(first.ids) / seconds(lambda: tokenize_corpus(texts, tokenizer, cache=Path(cache)))

        def fastai() -> float:
            return len(first.ids) / seconds(lambda: tokenize_texts(texts, n_workers=2))

        row = in_turns(sizes.rounds, ours, fastai, "tokens/s", better="higher")
        again = tokenize_corpus(texts, tokenizer, cache=Path(cache))
        same = np.array_equal(first.ids, again.ids) and first.types == again.types
    return {**row, "check": f"the same ids: {same}"}


def lm_train(table: TextTable, sizes: Sizes) -> Row:
    n_valid = sizes.lm_texts // 5
    dls = fastai_peer.language_model_batches(table.texts[: sizes.lm_texts], table.texts[sizes.lm_texts :][:n_valid])
    documents, losses = fastai_peer.documents(dls.train_ds), {}
    nothing = documents.select([])
    recipe = replace(PRETRAIN, batch_size=64, window=72, lr=LM_RATE, dropouts=FASTAI_DROPOUTS)

    def ours() -> float:
        net = LanguageModelNet(FULL_SIZE, len(dls.vocab), FASTAI_DROPOUTS)
        counts = documents.counts(len(dls.vocab)) + 0.5
        net.bias.data.copy_(torch.from_numpy(np.log(counts / counts.sum())))
        spent = train_language_model(net, documents, nothing, recipe, seed=0, device=CPU, description="ours")[-1]
        peer = fastai_peer.language_model(dls)
        theirs = Encoder.named_weights(peer.model[0]) | {"decoder.bias": peer.model[1].decoder.bias}
        with torch.no_grad():
            for name, parameter in net.named_weights().items():
                theirs[name].copy_(parameter)
        losses["ours"] = fastai_peer.validate(peer)[0]
        return documents.n_tokens / spent["phase_seconds"]

    def fastai() -> float:
        learn = fastai_peer.language_model(dls)
        spent = fastai_peer.fit(learn, LM_RATE)
        losses["fastai"] = fastai_peer.validate(learn)[0]
        return documents.n_tokens / spent

    row = in_turns(sizes.rounds, ours, fastai, "tokens/s", better="higher")
    perplexities = {name: round(float(np.exp(loss)), 1) for name, loss in losses.items()}
    n_weights = sum(np.prod(s) for name, s in FULL_SIZE.weight_shapes(0).items() if ".weight_" in name)
    products = 6 * (n_weights + FULL_SIZE.embedding * recipe.samples)  # forward, and twice as much backward
    return {
        **row, "work": float(products * row["ours"]), "vocabulary": len(dls.vocab),
        "check": f"full-softmax validation perplexity after {documents.n_tokens:,} tokens: {perplexities}",
    }  # fmt: skip


class Classifiers:
    """fastai's learner and our network on the same token ids, both with random weights at first."""

    def __init__(self, table: TextTable, sizes: Sizes) -> None:
        n, m = sizes.classifier_texts, sizes.classifier_texts // 2
        self.train, self.valid = table.select(range(n)), table.select(range(n, n + m))
        self.learn = fastai_peer.classifier(self.train, self.valid)
        vocabulary = self.learn.dls.vocab[0]
        self.documents, self.held_out = (
            fastai_peer.documents(part) for part in (self.learn.dls.train_ds, self.learn.dls.valid_ds)
        )
        classes = self.train.classes
        self.targets, self.truth = (
            np.array([classes.index(label) for label in part.targets()]) for part in (self.train, self.valid)
        )
        self.recipe = replace(
            CLASSIFY, pooling="concat", head_hidden=50, head_epochs=10, phase_epochs=0, epochs=1,
            lr=CLASSIFIER_RATE, decay=1.0,
            dropouts=Dropouts(input=0.2, weight=0.25, embedding=0.025, hidden=0.15),
        )  # fmt: skip
        encoder = Encoder(FULL_SIZE, len(vocabulary), self.recipe.dropouts)
        self.net = ClassifierNet(encoder, "concat", Head(3 * FULL_SIZE.embedding, len(classes), hidden=50, dropout=0.1))

    def pool(self, documents: Documents) -> npt.NDArray[np.float32]:
        frozen = FrozenEncoder(FULL_SIZE, read_weights(self.net.encoder))
        return pool_documents(frozen, "concat", documents, "forward", 1)

    def accuracy(self, head: Head) -> float:
        pooled = torch.from_numpy(self.pool(self.held_out))
        return float((head.eval()(pooled).argmax(1).numpy() == self.truth).mean())


def classifier_train(table: TextTable, sizes: Sizes) -> Row:
    both = Classifiers(table, sizes)

    def ours() -> float:
        spent = seconds(lambda: fine_tune(
            both.net, both.documents, both.targets, both.recipe, pad_id=1, seed=0, device=CPU, description="ours"
        ))  # fmt: skip
        return len(both.train) / spent

    def fastai() -> float:
        return len(both.train) / fastai_peer.fit(both.learn, CLASSIFIER_RATE)

    row = in_turns(sizes.rounds, ours, fastai, "texts/s", better="higher")
    scores = f"ours {both.accuracy(both.net.head):.3f}, fastai {fastai_peer.validate(both.learn)[1]:.3f}"
    return {**row, "check": f"held-out accuracy after {sizes.rounds} epochs: {scores} of {len(both.valid)}"}


def head_epochs(table: TextTable, sizes: Sizes) -> Row:
    both = Classifiers(table, sizes)
    both.learn.freeze()
    heads: list[Head] = []
    pooled = both.pool(both.documents)

    def ours() -> float:
        spent = seconds(lambda: heads.append(fit_head(pooled, both.targets, both.recipe, seed=0)))
        return len(both.train) * both.recipe.head_epochs / spent

    def fastai() -> float:
        return len(both.train) / fastai_peer.fit(both.learn, CLASSIFIER_RATE)

    row = in_turns(sizes.rounds, ours, fastai, "texts/s", better="higher")
    scores = f"ours {both.accuracy(heads[-1]):.3f} after {both.recipe.head_epochs} epochs"
    scores += f", fastai {fastai_peer.validate(both.learn)[1]:.3f} after {sizes.rounds}"
    return {**row, "check": f"held-out accuracy on random encoders: {scores}"}


def predict_bulk(table: TextTable, sizes: Sizes) -> Row:
    learn = fastai_peer.classifier(*_some(table, sizes))
    classifier = fastai_peer.same_classifier(learn)
    texts = _within_fastais_limit(table, sizes.predict_texts)
    found: Row = {}

    def ours() -> float:
        return len(texts) / seconds(lambda: found.update(ours=classifier.predict_proba(texts)))

    def fastai() -> float:
        return len(texts) / seconds(lambda: found.update(fastai=fastai_peer.probabilities(learn, texts)))

    row = in_turns(sizes.rounds, ours, fastai, "texts/s", better="higher")
    return {**row, "check": _agreement(found["ours"], found["fastai"])}


def predict_one(table: TextTable, sizes: Sizes) -> Row:
    learn = fastai_peer.classifier(*_some(table, sizes))
    classifier = fastai_peer.same_classifier(learn)
    texts = [" ".join(text.split()[:SHORT_TEXT_WORDS]) for text in table.texts[:8]]
    found: Row = {}

    def ours() -> float:
        spent = [seconds(partial(classifier.predict_proba, [text])) for text in texts]
        return 1000 * float(np.median(spent))

    def fastai() -> float:
        with fastai_peer.quiet(learn):
            spent = [seconds(partial(learn.predict, text)) for text in texts]
        return 1000 * float(np.median(spent))

    row = in_turns(sizes.rounds, ours, fastai, "ms", better="lower")
    found = {"ours": classifier.predict_proba(texts), "fastai": fastai_peer.probabilities(learn, texts)}
    return {**row, "check": _agreement(found["ours"], found["fastai"])}


def predict_bulk_small(table: TextTable, sizes: Sizes) -> Row:
    learn, classifier = fastai_peer.classifier(*_some(table, sizes)), _small_classifier(table, sizes)
    texts = _within_fastais_limit(table, sizes.predict_texts)
    row = in_turns(
        sizes.rounds, lambda: len(texts) / seconds(lambda: classifier.predict_proba(texts)),
        lambda: len(texts) / seconds(lambda: fastai_peer.probabilities(learn, texts)), "texts/s", better="higher",
    )  # fmt: skip
    return {**row, "check": "another model (wiki-en-small) beside fastai's default: benchmarks/accuracy.py compares"}


def start_help(table: TextTable, sizes: Sizes) -> Row:
    spent = [_process("-m", "ulmfit_lib.cli", "--help") for _ in range(5)]
    spread = [round(min(spent), 3), round(max(spent), 3)]
    return {"ours": round(float(np.median(spent)), 3), "unit": "s", "spread": spread, "check": "exit status 0"}


def cold_predict(table: TextTable, sizes: Sizes) -> Row:
    text = " ".join(table.texts[0].split()[:SHORT_TEXT_WORDS])
    with tempfile.TemporaryDirectory() as folder:
        texts, model, export = (Path(folder, name) for name in ("texts.csv", "model", "learner.pkl"))
        texts.write_text(f'review\n"{text}"\n', encoding="utf-8")
        learn = fastai_peer.classifier(*_some(table, sizes))
        learn.export(export)
        fastai_peer.same_classifier(learn).save(model)
        peer = f"from fastai.text.learner import load_learner; load_learner({str(export)!r}).predict({text!r})"
        command = ["-m", "ulmfit_lib.cli", "predict", str(model), str(texts), "--text", "review"]
        ours, fastai = partial(_process, *command), partial(_process, "-c", peer)
        row = in_turns(sizes.rounds, ours, fastai, "s", better="lower")
    return {**row, "check": "exit status 0; predict_one compares the probabilities"}


def _some(table: TextTable, sizes: Sizes) -> tuple[TextTable, TextTable]:
    n = sizes.classifier_texts
    return table.select(range(n)), table.select(range(n, n + n // 2))


def _small_classifier(table: TextTable, sizes: Sizes) -> TextClassifier:
    lm = LanguageModel.from_pretrained("wiki-en-small")
    return fit_classifier(_some(table, sizes)[0], lm=lm, strategy="features")


def _within_fastais_limit(table: TextTable, count: int) -> list[str]:
    """Texts that fastai pools whole: it drops all but the last 1,440 tokens."""
    return [text for text in table.texts if len(text.split()) < 900][:count]


def _agreement(ours: Any, fastai: Any) -> str:
    labels = int((ours.argmax(1) != fastai.argmax(1)).sum())
    return (
        f"{labels} of {len(ours)} labels differ; largest difference of a probability {np.abs(ours - fastai).max():.1g}"
    )


def _process(*arguments: str) -> float:
    command = [sys.executable, "-W", "ignore", *arguments]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


ROWS: dict[str, Callable[[TextTable, Sizes], Row]] = {
    "tokenize_cold": tokenize_cold, "tokenize_cached": tokenize_cached, "lm_train": lm_train,
    "classifier_train": classifier_train, "head_epochs": head_epochs, "predict_bulk": predict_bulk,
    "predict_one": predict_one, "predict_bulk_small": predict_bulk_small, "help": start_help,
    "cold_predict": cold_predict,
}  # fmt: skip

if __name__ == "__main__":
    main()
