"""All three stages from one table: split, fine-tune, classify, score beside the baseline, deliver."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import binomtest

from ulmfit_lib.data.corpus import tokenize_corpus
from ulmfit_lib.data.reading import read_csv
from ulmfit_lib.data.table import TextTable, check_labels
from ulmfit_lib.errors import OptionError
from ulmfit_lib.evaluation.baseline import Blend, Floats, TfidfBaseline, folds, softmax
from ulmfit_lib.evaluation.certainty import Certainty
from ulmfit_lib.evaluation.metrics import Scores, score
from ulmfit_lib.models.classifier import Features, TextClassifier, build_head, head_weights
from ulmfit_lib.models.devices import fast_bfloat16, find_device
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.pretrained import AUTO, load_base
from ulmfit_lib.progress import note
from ulmfit_lib.stages import CLASSIFY, FINE_TUNE, STRATEGIES, fit_classifier, fit_lm, override, read_features
from ulmfit_lib.training.classifying import ClassifierRecipe, fit_head

BASELINE_NAME = "TF-IDF + logistic regression"
LM_TOKENS = 4_500_000  # that the language models read by default, epoch after epoch: some 12 minutes of two cores
FEWEST_PASSES, MOST_PASSES = 2, 12  # over the texts, the frozen epoch included


def fit_csv(
    path: str | Path,
    *,
    text: str | Sequence[str],
    label: str,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    base: str | Path | LanguageModel = AUTO,
    strategy: str = "features",
    seed: int = 42,
    device: str = "auto",
) -> TextClassifier:
    """A CSV of texts, some or all with labels -> a classifier: ``fit`` on ``read_csv``, the rest at its defaults."""
    table = read_csv(path, text=text, label=label, encoding=encoding, delimiter=delimiter)
    return fit(table, base=base, strategy=strategy, seed=seed, device=device)


def fit(
    data: TextTable,
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    strategy: str = "features",
    test_fraction: float = 0.2,
    lm_epochs: int | None = None,
    class_weights: str | None = None,
    with_baseline: bool = True,
    transductive: bool = False,
    seed: int = 42,
    device: str = "auto",
    checkpoint: Path | None = None,
) -> TextClassifier:
    """All of ULMFiT from one table, and an honest word on what it is worth.

    1. A fifth of the labelled rows is held out; no model reads them before they are scored.
    2. The base goes on reading all other texts, labelled or not (``fit_lm``).
    3. Classifiers learn the other rows' labels: ULMFiT, TF-IDF + logistic regression, and both weighed together by
       log loss on rows of theirs that they had not learnt from. All are scored on the held-out rows.
    4. What is delivered is the weighed pair, its classifiers now fitted to all labelled rows.

    Args:
        data: texts; a row without a label feeds the language model only.
        base: a pretrained model's name, a folder, a language model; or ``auto``: the embedded model that predicts a
            sample of the texts best.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        strategy: ``features`` (the head alone learns the labels) or ``fine-tune`` (then the encoder, too; slower).
        test_fraction: share of the labelled rows that is held out.
        lm_epochs: epochs of the language model; default by the length of the texts.
        class_weights: ``balanced`` or None.
        with_baseline: off, ULMFiT alone is scored and delivered.
        transductive: the language model reads the held-out texts, too (never their labels), and the report says so:
            right where the texts to be labelled are all there already.
        seed: of the split and all training.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: a folder for the language model's checkpoints.

    Returns:
        The classifier; its ``training["report"]`` holds the held-out scores and one sentence about them.

    Raises:
        DataError: labels that cannot be learnt from.
        ArtifactError: no such base.
        OptionError: an option out of range.
    """
    if strategy not in STRATEGIES:
        raise OptionError(f"strategy {strategy!r}; known are {', '.join(STRATEGIES)}")
    started = time.monotonic()
    check_labels(data)  # before the base is read
    train, test = data.split(test_fraction, seed=seed)
    base, why = load_base(base, train.texts, direction=direction, seed=seed)
    note(why)
    texts = data.texts if transductive else train.texts
    n_tokens = len(tokenize_corpus(texts, base.tokenizer).ids)
    ways = len(base.directions(direction))
    passes = int(np.clip(round(LM_TOKENS / (n_tokens * ways)), FEWEST_PASSES, MOST_PASSES))
    epochs = lm_epochs or passes - FINE_TUNE.frozen_epochs
    note(_plan(data, train, test, n_tokens, epochs, base, find_device(device), direction))
    lm = fit_lm(
        texts, base=base, direction=direction, epochs=epochs, seed=seed, device=device, source=data.source,
        checkpoint=checkpoint,
    )  # fmt: skip
    recipe = override(CLASSIFY, class_weights=class_weights)
    known = _Known.read(train.labelled(), lm, recipe, find_device(device))
    options: dict[str, Any] = {"lm": lm, "strategy": strategy, "recipe": recipe, "seed": seed, "device": device}
    unseen = _out_of_fold(train.labelled(), known, options, with_baseline)
    blend = unseen.blend() if unseen else Blend(0.5, 0.5) if with_baseline else Blend()
    trial = _fit_pair(train.labelled(), known, options, with_baseline, blend)
    held_out = trial.features(test.texts, device=find_device(device))
    read = [stage.get("source", "") for stage in base.training.get("stages", [])]
    report = {
        **_report(trial, train, test, held_out, unseen), "base": why, "base_has_read": read, "copies": train.copies,
        "transductive": transductive,
    }  # fmt: skip
    if transductive:
        report["sentence"] += " The language model had read these rows' texts, without their labels (transductive)."
    if strategy == "features":
        known = known.and_of(test, held_out)
    else:
        known = _Known.read(data.labelled(), lm, recipe, find_device(device))
    final = _fit_pair(data.labelled(), known, options, with_baseline, blend)
    stages = final.training["stages"]
    stages[-1] = {**stages[-1], "all_seconds": round(time.monotonic() - started)}
    return replace(final, training={**final.training, "report": report, "stages": stages})


@dataclass(frozen=True)
class _Known:
    """Labelled texts' features on the frozen encoder, read once for all that follows."""

    features: Features
    places: dict[int, int]  # by row

    @classmethod
    def read(cls, table: TextTable, lm: LanguageModel, recipe: ClassifierRecipe, device: torch.device) -> "_Known":
        features = read_features(lm, table.texts, direction=None, pooling=recipe.pooling, device=device)
        return cls(features, {row: place for place, row in enumerate(table.rows)})

    def and_of(self, table: TextTable, features: Features) -> "_Known":
        joined = {way: np.concatenate([vectors, features[way]]) for way, vectors in self.features.items()}
        return _Known(joined, self.places | {row: len(self.places) + i for i, row in enumerate(table.rows)})

    def of(self, table: TextTable) -> Features:
        places = [self.places[row] for row in table.rows]
        return {way: vectors[places] for way, vectors in self.features.items()}


def _fit_pair(
    table: TextTable, known: _Known, options: dict[str, Any], with_baseline: bool, blend: Blend
) -> TextClassifier:
    """ULMFiT and the baseline on a labelled table, weighed by ``blend``."""
    classifier = fit_classifier(table, features=known.of(table), **options)
    baseline = _fit_baseline(table, options) if with_baseline else None
    return replace(classifier, baseline=baseline, blend=blend)


def _fit_baseline(table: TextTable, options: dict[str, Any]) -> TfidfBaseline:
    return TfidfBaseline.fit(table.texts, table.targets(), class_weights=options["recipe"].class_weights)


class _Unseen(NamedTuple):
    """Probabilities, (n, n_classes) each, and class numbers, (n,), of rows that neither part had learnt from."""

    ulmfit: Floats
    baseline: Floats | None
    targets: npt.NDArray[np.int64]

    def blend(self) -> Blend:
        return Blend.fit(*self)


def _out_of_fold(
    table: TextTable, known: _Known, options: dict[str, Any], with_baseline: bool
) -> _Unseen | None:
    """Predictions for a labelled table by cross-validation; None where a class is too rare for two folds."""
    recipe, seed, device = options["recipe"], options["seed"], find_device(options["device"])
    targets = np.array([table.classes.index(label) for label in table.targets()])
    splits = folds(targets, seed=seed)
    if not splits:
        return None
    fine_tuned = options["strategy"] == "fine-tune"
    if fine_tuned:
        splits = splits[:1]  # one fold costs as much as the whole classifier
    ulmfit = np.zeros((len(table), len(table.classes)))
    baseline = ulmfit.copy()
    features = known.of(table)
    for train, test in splits:
        part, rest = table.select(train), table.select(test)
        if with_baseline:
            baseline[test] = _fit_baseline(part, options).predict_proba(rest.texts)
        if fine_tuned:
            trial = fit_classifier(part, features=known.of(part), **options)
            ulmfit[test] = trial.ulmfit_proba(trial.features(rest.texts, device=device))
        else:
            heads = [predict_by_head(f[train], targets[train], f[test], recipe, seed) for f in features.values()]
            ulmfit[test] = np.mean(heads, axis=0)
    places = np.concatenate([test for _, test in splits])
    return _Unseen(ulmfit[places], baseline[places] if with_baseline else None, targets[places])


def predict_by_head(
    train: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], test: npt.NDArray[np.float32],
    recipe: ClassifierRecipe, seed: int,
) -> Floats:  # fmt: skip
    """Probabilities for pooled texts, (n_texts, n_classes), from a head that learnt other pooled texts' classes."""
    head = build_head(head_weights(fit_head(train, targets, recipe, seed=seed)))
    with torch.inference_mode():
        return softmax(head(torch.from_numpy(test)).double().numpy())


def _report(
    classifier: TextClassifier, train: TextTable, test: TextTable, features: Features, unseen: _Unseen | None
) -> dict[str, Any]:
    """Scores on the held-out rows, what they mean in one sentence, and how far confidence can be trusted."""
    targets = classifier.targets(test)
    probabilities = classifier.probabilities(test.texts, features=features)
    scores = {name: score(p, targets, classifier.classes) for name, p in probabilities.items()}
    learnt = classifier.targets(train.labelled())
    majority = float((targets == np.bincount(learnt).argmax()).mean())
    correct = {name: p.argmax(1) == targets for name, p in probabilities.items()}
    confidence, right = probabilities["delivered"].max(1), correct["delivered"]
    if unseen:
        blended = classifier.blend.apply(unseen.ulmfit, unseen.baseline)
        confidence = np.concatenate([confidence, blended.max(1)])
        right = np.concatenate([right, blended.argmax(1) == unseen.targets])
    return {
        "held_out_rows": len(test),
        "labelled_rows": len(learnt),
        "majority": majority,
        **{name: s.as_dict() for name, s in scores.items()},
        "blend": asdict(classifier.blend),
        "certainty": asdict(Certainty.measure(confidence, right)),
        "sentence": _sentence(scores, correct, majority),
    }


def _sentence(scores: dict[str, Scores], correct: dict[str, npt.NDArray[np.bool_]], majority: float) -> str:
    def shown(name: str) -> str:
        s = scores[name]
        return f"{100 * s.accuracy:.1f} % ({100 * s.low:.1f} to {100 * s.high:.1f})"

    ulmfit = scores["ulmfit"]
    start = f"On {ulmfit.n} held-out rows, ULMFiT is right for {shown('ulmfit')}"
    if "baseline" not in scores:
        return f"{start}; always the commonest label would be right for {100 * majority:.1f} %."
    start += f", {BASELINE_NAME} for {shown('baseline')}, both weighed together for {shown('delivered')}"
    start += f", always the commonest label for {100 * majority:.1f} %. "
    ahead = int((correct["delivered"] & ~correct["baseline"]).sum())
    behind = int((~correct["delivered"] & correct["baseline"]).sum())
    if ahead == behind:
        verdict = "What is delivered (both) ties with the baseline alone, which is the simpler choice"
    else:
        better, worse = ("Both together win", "the baseline") if ahead > behind else ("The baseline wins", "both")
        chance = binomtest(min(ahead, behind), ahead + behind).pvalue
        doubt = "" if chance < 0.05 else ", though so few rows could say so by chance"
        verdict = f"{better} over {worse} by {abs(ahead - behind)} rows (McNemar p = {chance:.2g}){doubt}"
    return start + verdict + "."


def _plan(
    data: TextTable, train: TextTable, test: TextTable, n_tokens: int, epochs: int, base: LanguageModel,
    device: torch.device, direction: str | None,
) -> str:  # fmt: skip
    """What will happen, and about how long it will take here."""
    epochs += FINE_TUNE.frozen_epochs
    passes = (epochs + 0.5) * len(base.directions(direction))  # half a pass for the classifier, which only reads
    minutes = n_tokens * passes / _tokens_per_second(base, device) / 60
    shown = f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{max(10, round(minutes * 6) * 10)} seconds"
    unlabelled = len(train) - len(train.labelled())
    skipped = f" ({data.skipped} blank texts skipped)" if data.skipped else ""
    copies = f" ({train.copies} rows are copies or near copies of others)" if train.copies else ""
    return (
        f"{data.source}: {len(train) - unlabelled} labelled rows to learn from, {unlabelled} unlabelled, "
        f"{len(test)} held out{skipped}{copies}; {n_tokens:,} tokens, {epochs} epochs of the language model: "
        f"about {shown} on this machine."
    )


def _tokens_per_second(base: LanguageModel, device: torch.device) -> float:
    """Time a training step's matrix products on this machine."""
    net = base.net(next(iter(base.weights))).to(device).train()
    net.mixed_precision = fast_bfloat16(device)
    ids = torch.randint(len(base.vocabulary), (FINE_TUNE.batch_size, FINE_TUNE.window), device=device)
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        net.reset()
        net(ids).square().mean().backward()
        seconds.append(time.monotonic() - started)
    return 0.7 * ids.numel() / min(seconds)  # the rest goes to the softmax and the optimiser
