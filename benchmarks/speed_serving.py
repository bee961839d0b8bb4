"""The rows of speed.py about tokens, predictions and starting up."""

import math
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import fastai_peer
import numpy as np
import torch
from fastai.text.core import tokenize_texts
from measuring import Row, Workload, classifier_tables, in_turns, seconds

from ulmfit_lib import LanguageModel, TextClassifier, TextTable, fit_classifier
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import encode_texts
from ulmfit_lib.tokens.words import WordTokenizer

SHORT_TEXT_WORDS = 20
CHECKED_TEXTS = 32


def tokenize_cold(table: TextTable, work: Workload) -> Row:
    texts = table.texts[: work.tokenize_texts]
    found: dict[str, Any] = {}

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            started = time.perf_counter()
            corpus = tokenize_corpus(texts, WordTokenizer(), cache=Path(cache))
            spent = time.perf_counter() - started
            found["ours"] = [[corpus.types[i] for i in ids] for ids in np.split(corpus.ids[:], corpus.offsets[1:-1])]
        return len(corpus.ids) / spent

    def fastai() -> float:
        spent = seconds(lambda: found.update(fastai=tokenize_texts(texts, n_workers=2)))
        return sum(map(len, found["fastai"])) / spent

    row = in_turns(work.rounds, ours, fastai, "tokens/s", better="higher")
    different = sum(a != list(b) for a, b in zip(found["ours"], found["fastai"], strict=True))
    return {**row, "check": f"{different} of {len(texts)} texts differ"}


def tokenize_cached(table: TextTable, work: Workload) -> Row:
    texts = table.texts[: work.tokenize_texts]
    with tempfile.TemporaryDirectory() as cache:
        first = tokenize_corpus(texts, WordTokenizer(), cache=Path(cache))
        tokenizer = WordTokenizer()

        def ours() -> float:
            return len(first.ids) / seconds(lambda: tokenize_corpus(texts, tokenizer, cache=Path(cache)))

        def fastai() -> float:
            return len(first.ids) / seconds(lambda: tokenize_texts(texts, n_workers=2))

        row = in_turns(work.rounds, ours, fastai, "tokens/s", better="higher")
        again = tokenize_corpus(texts, tokenizer, cache=Path(cache))
        same = np.array_equal(first.ids[:], again.ids[:]) and first.types == again.types
    return {**row, "check": f"the same ids: {same}"}


def predict_bulk(table: TextTable, work: Workload) -> Row:
    learn = _peer(table, work)
    classifier = fastai_peer.same_classifier(learn).to(work.device)
    texts = _within_fastais_limit(table, work.predict_texts)
    row = in_turns(
        work.rounds,
        lambda: len(texts) / seconds(lambda: classifier.predict_proba(texts)),
        lambda: len(texts) / seconds(lambda: fastai_peer.probabilities(learn, texts)),
        "texts/s",
        better="higher",
    )
    return {**row, **_products(classifier, texts, row["ours"]), "check": _agreement(table, work, texts)}


def predict_one(table: TextTable, work: Workload) -> Row:
    learn = _peer(table, work)
    classifier = fastai_peer.same_classifier(learn).to(work.device)
    texts = [" ".join(text.split()[:SHORT_TEXT_WORDS]) for text in table.texts[:8]]

    def ours() -> float:
        spent = [seconds(partial(classifier.predict_proba, [text])) for text in texts]
        return 1000 * float(np.median(spent))

    def fastai() -> float:
        with fastai_peer.quiet(learn):
            spent = [seconds(partial(learn.predict, text)) for text in texts]
        return 1000 * float(np.median(spent))

    row = in_turns(work.rounds, ours, fastai, "ms", better="lower")
    return {**row, "check": _agreement(table, work, texts)}


def predict_bulk_small(table: TextTable, work: Workload) -> Row:
    learn = _peer(table, work)
    classifier = _small_classifier(table, work)
    texts = _within_fastais_limit(table, work.predict_texts)
    row = in_turns(
        work.rounds,
        lambda: len(texts) / seconds(lambda: classifier.predict_proba(texts)),
        lambda: len(texts) / seconds(lambda: fastai_peer.probabilities(learn, texts)),
        "texts/s",
        better="higher",
    )
    check = "another model (wiki-en-small, forward) beside fastai's default: benchmarks/accuracy.py compares"
    return {**row, **_products(classifier, texts, row["ours"]), "check": check}


def predict_any_length(table: TextTable, work: Workload) -> Row:
    """Tokens per second in texts of 3 to 3,000 words, beside texts that all have as many."""
    words = " ".join(table.texts[: work.predict_texts]).split()
    lengths = np.geomspace(3, 3000, work.predict_texts).astype(int)
    mean = int(lengths.mean())
    starts = np.random.default_rng(0).integers(0, len(words) - 3000, len(lengths))
    mixed = [" ".join(words[start : start + n]) for start, n in zip(starts, lengths, strict=True)]
    even = [" ".join(words[start : start + mean]) for start in starts]
    classifier = _small_classifier(table, work)

    def rate(texts: list[str]) -> float:
        n_tokens = encode_texts(texts, classifier.tokenizer, classifier.vocabulary).n_tokens
        return n_tokens / seconds(lambda: classifier.predict_proba(texts))

    row = in_turns(work.rounds, lambda: rate(mixed), lambda: rate(even), "tokens/s", better="higher")
    check = f"wiki-en-small, forward; {len(lengths)} texts of 3 to 3,000 words beside as many of {mean}"
    return {**{"even" if key == "fastai" else key: value for key, value in row.items()}, "check": check}


def start_help(table: TextTable, work: Workload) -> Row:
    spent = [_process("-m", "ulmfit_lib.cli", "--help") for _ in range(5)]
    spread = [round(min(spent), 3), round(max(spent), 3)]
    return {"ours": round(float(np.median(spent)), 3), "unit": "s", "spread": spread, "check": "exit status 0"}


def cold_predict(table: TextTable, work: Workload) -> Row:
    text = " ".join(table.texts[0].split()[:SHORT_TEXT_WORDS])
    with tempfile.TemporaryDirectory() as folder:
        texts, model, export = (Path(folder, name) for name in ("texts.csv", "model", "learner.pkl"))
        texts.write_text(f'review\n"{text}"\n', encoding="utf-8")
        learn = _peer(table, work)
        learn.export(export)
        fastai_peer.same_classifier(learn).save(model)
        peer = f"from fastai.text.learner import load_learner; load_learner({str(export)!r}).predict({text!r})"
        command = ["-m", "ulmfit_lib.cli", "predict", str(model), str(texts), "--text", "review"]
        ours, fastai = partial(_process, *command), partial(_process, "-c", peer)
        row = in_turns(work.rounds, ours, fastai, "s", better="lower")
    return {**row, "check": "exit status 0; predict_one compares the probabilities"}


def _peer(table: TextTable, work: Workload) -> Any:
    """fastai's learner with random weights."""
    return fastai_peer.classifier(*classifier_tables(table, work), torch.device(work.device), sizes=work.sizes)


def _small_classifier(table: TextTable, work: Workload) -> TextClassifier:
    lm = LanguageModel.from_pretrained("wiki-en-small")
    return fit_classifier(classifier_tables(table, work)[0], lm=lm.only("forward"), strategy="linear-probe").to(
        work.device
    )


def _products(classifier: TextClassifier, texts: list[str], rate: float) -> dict[str, float]:
    """Multiplications and additions per second in the LSTM's matrix products, at ``rate`` texts/s."""
    n_tokens = encode_texts(texts, classifier.tokenizer, classifier.vocabulary).n_tokens
    shapes = classifier.architecture.weight_shapes(0)
    n_weights = sum(math.prod(shape) for name, shape in shapes.items() if ".weight_" in name)
    return {"products_per_second": 2.0 * n_weights * len(classifier.weights) * n_tokens / len(texts) * rate}


def _within_fastais_limit(table: TextTable, count: int) -> list[str]:
    """Texts that fastai pools whole: it drops all but the last 1,440 tokens."""
    return [text for text in table.texts if len(text.split()) < 900][:count]


def _agreement(table: TextTable, work: Workload, texts: list[str]) -> str:
    """With a trained encoder, since a random one tells texts apart by rounding errors.

    fastai gets one text at a time: its answer for a short one changes with the texts beside it.
    """
    texts = texts[:CHECKED_TEXTS]
    lm = LanguageModel.from_pretrained("wiki-en-small")
    learn = fastai_peer.classifier(*classifier_tables(table, work), torch.device(work.device), lm=lm)
    ours = fastai_peer.same_classifier(learn).to(work.device).predict_proba(texts)
    fastai = np.concatenate([fastai_peer.probabilities(learn, [text]) for text in texts])
    labels, gap = int((ours.argmax(1) != fastai.argmax(1)).sum()), float(np.abs(ours - fastai).max())
    return f"with wiki-en-small's weights, {labels} of {len(ours)} labels differ, probabilities by {gap:.1g} at most"


def _process(*arguments: str) -> float:
    command = [sys.executable, "-W", "ignore", *arguments]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))
