"""Do the words that an explanation names really move the prediction?

    python benchmarks/explanations.py train.csv test.csv --text text --label label --name sentences [--json]

A classifier learns ``--labels`` rows of train.csv, its parts weighed together as ``fit`` weighs them, and is
explained on ``--texts`` rows of test.csv by three methods and at random:

    occlusion      what ``explain`` does: exact for TF-IDF and topics, an unknown word in each word's place for ULMFiT
    gradients      the same, but integrated gradients for ULMFiT (Sundararajan et al. 2017), from unknown words
    whole          an unknown word in each word's place, and what the log odds of the ensemble's probability lose
    random         any order of the words

No method is judged by its own definition. The best words, 1, 5, 10, 20 and 50 % of a text, are taken out together:
``comprehensiveness`` is the probability that this costs, the more the better. Or all others are taken out:
``sufficiency`` is the probability that this costs, the less the better (ERASER, DeYoung et al. 2020; the mean over the
shares is its AOPC). ``seconds`` are those of one text.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import two_files
from conditions import conditions

from ulmfit_lib import TextClassifier, read_table
from ulmfit_lib.arrays import Floats
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.labels.decision import LIKELIEST
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.frozen import FloatEncoder
from ulmfit_lib.models.head import Head
from ulmfit_lib.models.pooling import pool
from ulmfit_lib.models.tensors import State, Weights, as_tensors
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.label_budget import nested_order
from ulmfit_lib.pipeline.out_of_fold import stratified_folds
from ulmfit_lib.serving.classifier import Classifier
from ulmfit_lib.serving.explanations import Span, explain, find_spans, log_odds, occlude
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.tokens.rules import SPECIAL_TOKENS, UNKNOWN
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import learn_topics

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of a text's words
STEPS = 32  # of the integral


def main() -> None:
    parser = two_files.parser(__doc__)
    parser.add_argument("--name", required=True, help="what the texts are called")
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--texts", type=int, default=100)
    arguments = parser.parse_args()
    columns = {"text": arguments.text, "label": arguments.label}
    train, test = (read_table(path, **columns).labelled() for path in (arguments.train, arguments.test))
    known = train.select(nested_order(train.targets(), 0)[: arguments.labels])
    lm, _ = load_base(arguments.base, known.texts)
    recipe = replace(CLASSIFY, frozen_pooling="layers")  # gradients are of the LSTM's inputs
    candidate = Candidate(lm, recipe=recipe, topics=learn_topics(train.texts, labelled=len(known), seed=0))
    run = Run(seed=0, device="cpu")
    classifier = evaluate(candidate, known, stratified_folds(known, seed=0), run).fit(known, run)
    texts = test.texts[: arguments.texts]
    rows = compare(classifier, texts)
    words = float(np.mean([len(text.split()) for text in texts]))
    result = {
        "name": arguments.name,
        "labels": arguments.labels,
        "texts": len(texts),
        "words_per_text": round(words),
        "shares": SHARES,
        "methods": rows,
    }
    if arguments.json:
        print(json.dumps({**result, **conditions()}))
        return
    for row in rows:
        print(json.dumps(row))


def compare(classifier: TextClassifier, texts: Sequence[str]) -> list[dict[str, float | str]]:
    """One row a method: the mean over texts, and the standard error."""
    methods: dict[str, Callable[[str, list[Span]], Floats]] = {
        "occlusion": lambda text, spans: explain(classifier, text).contributions,
        "gradients": Gradients(classifier),
        "whole": lambda text, spans: occlude_whole(classifier, text, spans),
        "random": lambda text, spans: np.random.default_rng(len(text)).random(len(spans)),
    }
    rows: list[dict[str, float | str]] = []
    for name, method in methods.items():
        started, found = time.perf_counter(), []
        orders = [np.argsort(-method(text, find_spans(text)), kind="stable") for text in texts]
        seconds = (time.perf_counter() - started) / len(texts)
        for text, order in zip(texts, orders, strict=True):
            found.append(judge(classifier, text, order.tolist()))
        mean, error = np.mean(found, axis=0), np.std(found, axis=0) / len(found) ** 0.5
        row: dict[str, float | str] = {"method": name, "seconds": round(seconds, 3)}
        for place, score in enumerate(("comprehensiveness", "sufficiency")):
            row |= {score: round(float(mean[place]), 4), f"{score}_error": round(float(error[place]), 4)}
        rows.append(row)
    return rows


def judge(classifier: TextClassifier, text: str, order: list[int]) -> tuple[float, float]:
    """Comprehensiveness and sufficiency of an order of a text's words, the mean over ``SHARES``."""
    spans, counts = find_spans(text), [max(1, round(share * len(order))) for share in SHARES]
    removed = [occlude(text, spans, order[:count]) for count in counts]
    kept = [occlude(text, spans, order[count:]) for count in counts]
    found = classifier.probabilities([text, *removed, *kept])["ensemble"]
    lost = found[0].max() - found[1:, found[0].argmax()]
    return float(lost[: len(SHARES)].mean()), float(lost[len(SHARES) :].mean())


def occlude_whole(classifier: TextClassifier, text: str, spans: list[Span]) -> Floats:
    """Leave one out, the blend seen from outside."""
    found = classifier.probabilities([text, *(occlude(text, spans, [place]) for place in range(len(spans)))])
    odds = log_odds(found["ensemble"], int(found["ensemble"][0].argmax()), classifier.kind)
    return np.asarray(odds[0] - odds[1:])


class Interpolated(FloatEncoder):
    """Reads mixtures of a text's tokens and unknown ones; their embeddings can have gradients."""

    inputs: torch.Tensor

    def mix(self, ids: torch.Tensor, unknown_id: int) -> torch.Tensor:
        """(STEPS, time, width): from unknown tokens to ``ids``, (time,); kept as what is read next."""
        steps = ((torch.arange(STEPS) + 0.5) / STEPS)[:, None, None]
        assert self._embedding is not None  # an encoder with an LSTM
        start, end = self._embedding[unknown_id].float(), self._embedding[ids].float()
        self.inputs = (start + steps * (end - start)).requires_grad_()
        return end - start

    def __call__(self, ids: torch.Tensor, state: State | None = None) -> tuple[list[torch.Tensor], State]:
        output, outputs = self.inputs, [self.inputs]
        for width, layer in zip(self.architecture.widths, self._layers, strict=True):
            zero = output.new_zeros(1, len(output), width)
            weights = [weight.float() for weight in layer]
            output, _, _ = torch.lstm(output, (zero, zero), weights, True, 1, 0.0, False, False, True)
            outputs.append(output)
        return outputs, []


def build_head(weights: Weights) -> Head:
    """A head, ready to predict, from its tensors."""
    hidden = weights["layers.1.bias"].numel() if "layers.1.bias" in weights else 0
    head = Head(weights["mean"].numel(), len(weights["output.bias"]), hidden=hidden)
    head.load_state_dict(weights, strict=False)  # batch norm's step counter is no weight
    return head.eval()


class Gradients:
    """Exact for TF-IDF and topics as ``explain`` is; integrated gradients for ULMFiT."""

    def __init__(self, classifier: TextClassifier) -> None:
        self.classifier = classifier
        self.encoders = {
            way: Interpolated(classifier.architecture, as_tensors(arrays)) for way, arrays in classifier.weights.items()
        }
        self.heads = {way: build_head(as_tensors(arrays)) for way, arrays in classifier.heads.items()}

    def __call__(self, text: str, spans: list[Span]) -> Floats:
        one = self.classifier
        exact = explain(cast(Classifier, _WithoutUlmfit(one)), text).contributions
        number = int(one.probabilities([text])["ensemble"][0].argmax())
        tokens = next(iter(one.tokenizer([text])))
        ids = torch.tensor(one.vocabulary.encode(tokens))
        by_token = np.zeros(len(ids))
        for way, encoder in self.encoders.items():
            read = ids if way == "forward" else ids.flip(0)
            change = encoder.mix(read, one.vocabulary.unknown_id)
            lengths = torch.full((STEPS,), len(read))
            pooled = pool(encoder, one.pooling, read.repeat(STEPS, 1), lengths, encoder.projection, window=len(read))
            logits = self.heads[way](pooled).log_softmax(1)
            others = (logits.sum(1) - logits[:, number]) / (logits.shape[1] - 1)
            (logits[:, number] - others).sum().backward()
            assert encoder.inputs.grad is not None
            part = (encoder.inputs.grad.mean(0) * change).sum(1).numpy()
            by_token += (part if way == "forward" else part[::-1]) / len(self.encoders)
        added = np.zeros(len(spans))
        np.add.at(added, owners(text, tokens, spans), by_token)
        return np.asarray(exact + one.blend.ulmfit * added)


class _WithoutUlmfit:  # as much of a classifier as `explain` asks for
    """A classifier whose neural part has no opinion."""

    def __init__(self, classifier: TextClassifier) -> None:
        self.classes, self.kind, self.blend = classifier.classes, Classes(), classifier.blend
        self.tfidf, self.rule, self._whole = classifier.tfidf, LIKELIEST, classifier

    def probabilities(self, texts: Sequence[str]) -> dict[str, Floats]:
        ensemble = self._whole.probabilities(texts[:1])["ensemble"].repeat(len(texts), axis=0)
        return {"ensemble": ensemble, "ulmfit": np.full(ensemble.shape, 1 / len(self.classes))}


def owners(text: str, tokens: list[str], spans: list[Span]) -> npt.NDArray[np.int64]:
    """The number of the span that each token comes from, (n_tokens,); marks belong to the word after them."""
    lowered, place, found = text.lower(), 0, []
    for token in tokens:
        at = -1 if token in SPECIAL_TOKENS and token != UNKNOWN else lowered.find(token, place, place + 60)
        found.append(place if at < 0 else at)
        place = place if at < 0 else at + len(token)
    starts = [start for start, _ in spans]
    return np.asarray((np.searchsorted(starts, found, side="right") - 1).clip(min=0))


if __name__ == "__main__":
    main()
