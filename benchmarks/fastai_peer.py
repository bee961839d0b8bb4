"""The same jobs in plain fastai, with its defaults, for the benchmarks to compare with."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from fastai.callback.core import Callback, CancelValidException
from fastai.metrics import accuracy
from fastai.text.data import TextDataLoaders
from fastai.text.learner import language_model_learner, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config, awd_lstm_lm_config
from measuring import FULL_SIZE
from torch import nn

from ulmfit_lib import LanguageModel, TextClassifier, TextTable
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.models.awd_lstm import Encoder, copy_weights, read_weights
from ulmfit_lib.models.fastai_files import our_name
from ulmfit_lib.models.head import Head, head_arrays
from ulmfit_lib.models.tensors import to_arrays
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.tokens.rules import SPECIAL_TOKENS
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer


def vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """The commonest tokens of some texts, filled up to ``size`` with names that no text has."""
    corpus = tokenize_corpus(texts, WordTokenizer())
    counts = np.bincount(corpus.ids[:], minlength=len(corpus.types))
    common = [corpus.types[i] for i in np.argsort(-counts, kind="stable")]
    tokens = [*SPECIAL_TOKENS, *(token for token in common if token not in SPECIAL_TOKENS)][:size]
    return tokens + [f"xxnone{i}" for i in range(size - len(tokens))]


def language_model_batches(
    texts: Sequence[str], valid: Sequence[str], device: torch.device, *, vocabulary: list[str]
) -> Any:
    """64 rows of 72 tokens at a time."""
    frame = pd.DataFrame({"text": [*texts, *valid], "is_valid": [False] * len(texts) + [True] * len(valid)})
    options: dict[str, Any] = {"is_lm": True, "bs": 64, "seq_len": 72, "device": device, "text_vocab": vocabulary}
    return TextDataLoaders.from_df(frame, text_col="text", valid_col="is_valid", **options)


def language_model(dls: Any, sizes: Architecture) -> Any:
    """A learner with random weights."""
    return language_model_learner(dls, AWD_LSTM, pretrained=False, config=_config(awd_lstm_lm_config, sizes))


def classifier(
    train: TextTable,
    valid: TextTable,
    device: torch.device,
    *,
    sizes: Architecture = FULL_SIZE,
    lm: LanguageModel | None = None,
) -> Any:
    """A learner, all of it unfrozen; 32 texts at a time.

    Args:
        train: what it would learn from; batch norm has met these texts, so that probabilities are not all near a half.
        valid: what it would be validated on.
        device: where to compute.
        sizes: of the network, where no language model decides them.
        lm: whose sizes, vocabulary and weights it takes; None: random weights.
    """
    frame = pd.DataFrame({"text": [*train.texts, *valid.texts], "label": [*train.labels, *valid.labels]})
    frame["is_valid"] = [False] * len(train) + [True] * len(valid)
    options: dict[str, Any] = {"label_col": "label", "bs": 32, "device": device}
    options["text_vocab"] = list(lm.vocabulary.tokens) if lm else None
    dls = TextDataLoaders.from_df(frame, text_col="text", valid_col="is_valid", **options)
    sizes = lm.architecture if lm else sizes
    config = _config(awd_lstm_clas_config, sizes)
    learn = text_classifier_learner(dls, AWD_LSTM, pretrained=False, config=config, metrics=accuracy)
    if lm:
        with torch.no_grad():
            for name, parameter in named_weights(learn.model[0].module).items():
                parameter.copy_(lm.weights["forward"][name])
    pooled = torch.from_numpy(same_classifier(learn).features(train.texts)["forward"])
    norm, order = learn.model[1].layers[0][0], _order(sizes)
    with torch.no_grad():
        norm.running_mean[order] = pooled.mean(0).to(device)
        norm.running_var[order] = pooled.var(0).to(device)
    return learn


def named_weights(encoder: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of fastai's AWD-LSTM under the names of ours; weight dropout's raw matrix counts, not its copy."""
    found = {our_name(f"0.{name}"): parameter for name, parameter in encoder.named_parameters()}
    return {name: parameter for name, parameter in found.items() if name is not None}


def fit(learn: Any, lr: float) -> float:
    """Seconds of one epoch, without its validation."""
    with quiet(learn):
        started = time.perf_counter()
        learn.fit_one_cycle(1, lr, cbs=_NoValidation())
        return time.perf_counter() - started


def validate(learn: Any) -> list[float]:
    """Loss in nats (a language model's by the full softmax) and metrics on the validation texts."""
    with quiet(learn):
        return [float(number) for number in learn.validate()]


@contextlib.contextmanager
def quiet(learn: Any) -> Iterator[None]:
    """No bars, no tables."""
    with learn.no_bar(), learn.no_logging():
        yield


def documents(dataset: Any) -> Documents:
    """The token ids of one of fastai's datasets."""
    texts = [np.asarray(item[0], np.int32) for item in dataset]
    return Documents(np.concatenate(texts), np.cumsum([0, *map(len, texts)]))


def same_classifier(learn: Any) -> TextClassifier:
    """Our classifier with the very weights of fastai's."""
    vocabulary, classes = Vocabulary(learn.dls.vocab[0]), list(learn.dls.vocab[1])
    theirs = learn.model[0].module
    sizes = Architecture(theirs.emb_sz, theirs.n_hid, theirs.n_layers)
    encoder, order = Encoder(sizes, len(vocabulary)), _order(sizes)
    copy_weights(encoder, {name: one.detach() for name, one in named_weights(theirs).items()})
    layers: Any = learn.model[1].layers
    (norm, _, hidden, _), (second_norm, _, output) = layers
    head = Head(3 * sizes.embedding, len(classes), hidden=hidden.out_features)
    scale, shift = _as_affine(second_norm)
    with torch.no_grad():
        head.scale.copy_(1 / _as_affine(norm)[0][order])
        head.mean.copy_(norm.running_mean[order])
        middle: Any = head.layers[1]
        middle.weight.copy_(hidden.weight[:, order])
        middle.bias.copy_(hidden.weight @ norm.bias)
        head.output.weight.copy_(output.weight * scale)
        head.output.bias.copy_(output.weight @ shift)
    weights = read_weights(encoder)
    return TextClassifier(
        classes,
        sizes,
        vocabulary,
        WordTokenizer(),
        {"forward": to_arrays(weights)},
        {"forward": head_arrays(head)},
        "concat",
    )


def probabilities(learn: Any, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """``get_preds`` on raw texts."""
    with quiet(learn):
        return learn.get_preds(dl=learn.dls.test_dl(list(texts)))[0].double().numpy()


def _config(defaults: dict[str, Any], sizes: Architecture) -> dict[str, Any]:
    return {**defaults, "emb_sz": sizes.embedding, "n_hid": sizes.hidden, "n_layers": sizes.layers}


class _NoValidation(Callback):
    def before_validate(self) -> None:
        raise CancelValidException


def _order(sizes: Architecture) -> torch.Tensor:
    """The places of our mean, maximum and last output in fastai's last, maximum and mean."""
    return torch.arange(3 * sizes.embedding).view(3, -1).flip(0).flatten()


def _as_affine(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch norm in use, as a factor and a summand."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale
