"""The rows of speed.py about training."""

import itertools
import time
from dataclasses import replace

import fastai_peer
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from measuring import Row, Workload, classifier_tables, in_turns, seconds
from torch import nn

from ulmfit_lib import TextTable
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.labels.classes import Classes
from ulmfit_lib.models.awd_lstm import Encoder, LanguageModelNet, read_weights
from ulmfit_lib.models.devices import fast_bfloat16
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.frozen import freeze, read_directions
from ulmfit_lib.models.head import ClassifierNet, Head
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.stages.pretrain import PRETRAIN
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.classifying import LabelledDocuments, fine_tune
from ulmfit_lib.training.heads import fit_hidden_head
from ulmfit_lib.training.language_modelling import LanguageModelRecipe, train_language_model
from ulmfit_lib.training.run import Run

FASTAI_DROPOUTS = Dropouts(output=0.1, input=0.25, weight=0.2, embedding=0.02, hidden=0.15)
LM_RATE, CLASSIFIER_RATE = 5e-3, 1e-3


def lm_train(table: TextTable, work: Workload) -> Row:
    n_valid = work.lm_texts // 5
    train, valid = table.texts[: work.lm_texts], table.texts[work.lm_texts :][:n_valid]
    device = torch.device(work.device)
    vocabulary = fastai_peer.vocabulary(table.texts, work.vocabulary)
    dls = fastai_peer.language_model_batches(train, valid, device, vocabulary=vocabulary)
    documents, losses = fastai_peer.documents(dls.train_ds), {}
    nothing = documents.select([])
    recipe = replace(PRETRAIN, batch_size=64, window=72, lr=LM_RATE, dropouts=FASTAI_DROPOUTS)

    def ours() -> float:
        net = LanguageModelNet(work.sizes, len(dls.vocab), FASTAI_DROPOUTS)
        counts = documents.counts(len(dls.vocab)) + 0.5
        net.bias.data.copy_(torch.from_numpy(np.log(counts / counts.sum())))
        rows = train_language_model(net, documents, nothing, recipe, run=Run(seed=0, device=device), description="ours")
        peer = fastai_peer.language_model(dls, work.sizes)
        theirs = fastai_peer.named_weights(peer.model[0]) | {"decoder.bias": peer.model[1].decoder.bias}
        with torch.no_grad():
            for name, parameter in net.named_weights().items():
                theirs[name].copy_(parameter)
        losses["ours"] = fastai_peer.validate(peer)[0]
        return documents.n_tokens / rows[-1]["phase_seconds"]

    def fastai() -> float:
        learn = fastai_peer.language_model(dls, work.sizes)
        spent = fastai_peer.fit(learn, LM_RATE)
        losses["fastai"] = fastai_peer.validate(learn)[0]
        return documents.n_tokens / spent

    row = in_turns(work.rounds, ours, fastai, "tokens/s", better="higher")
    rates = [_bare(work.sizes, len(dls.vocab), recipe, device) for _ in range(work.rounds)]
    perplexities = {name: round(float(np.exp(loss)), 1) for name, loss in losses.items()}
    n_weights = sum(np.prod(s) for name, s in work.sizes.weight_shapes(0).items() if ".weight_" in name)
    products = 6 * (n_weights + work.sizes.embedding * recipe.samples)  # forward, and twice as much backward
    return {
        **row,
        "products_per_second": float(products * row["ours"]),
        "vocabulary": len(dls.vocab),
        "bare_lstm_and_softmax": float(f"{np.median(rates):.4g}"),
        "check": f"full-softmax validation perplexity after {documents.n_tokens:,} tokens: {perplexities}",
    }


def _bare(
    sizes: Architecture, vocab_size: int, recipe: LanguageModelRecipe, device: torch.device, *, steps: int = 2
) -> float:
    """Tokens/s of plain LSTM layers under a full softmax of the same shapes, with nothing else to do."""
    widths = [sizes.embedding, *sizes.widths]
    layers = nn.ModuleList(nn.LSTM(n_in, n_out, batch_first=True) for n_in, n_out in itertools.pairwise(widths))
    layers, decoder = layers.to(device), nn.Linear(sizes.embedding, vocab_size).to(device)
    vectors = torch.randn(recipe.batch_size, recipe.window, sizes.embedding, device=device)
    targets = torch.randint(vocab_size, (recipe.batch_size * recipe.window,), device=device)

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast_bfloat16(device)):
            outputs = vectors
            for layer in layers:
                outputs, _ = layer(outputs)
            loss = F.cross_entropy(decoder(outputs).flatten(0, 1).float(), targets)
        loss.backward()
        loss.item()

    step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * len(targets) / (time.perf_counter() - started)


class Classifiers:
    """fastai's learner and our network on the same token ids, both with random weights at first."""

    def __init__(self, table: TextTable, work: Workload) -> None:
        self.device = torch.device(work.device)
        self.sizes = work.sizes
        self.train, self.valid = classifier_tables(table, work)
        self.learn = fastai_peer.classifier(self.train, self.valid, self.device, sizes=work.sizes)
        self.n_fastai = len(self.train) // 32 * 32  # it drops the last, smaller batch
        vocabulary = self.learn.dls.vocab[0]
        self.documents, self.held_out = (
            fastai_peer.documents(part) for part in (self.learn.dls.train_ds, self.learn.dls.valid_ds)
        )
        classes = self.train.classes
        self.targets, self.truth = (
            np.array([classes.index(label) for label in part.targets()]) for part in (self.train, self.valid)
        )
        self.recipe = replace(
            CLASSIFY,
            pooling="concat",
            head_hidden=50,
            head_epochs=10,
            phase_epochs=0,
            epochs=1,
            lr=CLASSIFIER_RATE,
            decay=1.0,
            dropouts=Dropouts(input=0.2, weight=0.25, embedding=0.025, hidden=0.15),
        )
        encoder = Encoder(work.sizes, len(vocabulary), self.recipe.dropouts)
        head = Head(3 * work.sizes.embedding, len(classes), hidden=50, dropout=0.1)
        self.net = ClassifierNet(encoder, "concat", head)

    def pool(self, documents: Documents) -> npt.NDArray[np.float32]:
        frozen = freeze(self.sizes, read_weights(self.net.encoder), self.device)
        return read_directions({"forward": frozen}, "concat", documents, 1)["forward"]

    def accuracy(self, head: Head) -> float:
        pooled = torch.from_numpy(self.pool(self.held_out))
        return float((head.eval()(pooled).argmax(1).numpy() == self.truth).mean())


def classifier_train(table: TextTable, work: Workload) -> Row:
    both = Classifiers(table, work)

    def ours() -> float:
        train = LabelledDocuments(both.documents, both.targets, Classes(), pad_id=1)
        run = Run(seed=0, device=both.device)
        return len(both.train) / seconds(lambda: fine_tune(both.net, train, both.recipe, run, description="ours"))

    def fastai() -> float:
        return both.n_fastai / fastai_peer.fit(both.learn, CLASSIFIER_RATE)

    row = in_turns(work.rounds, ours, fastai, "texts/s", better="higher")
    scores = f"ours {both.accuracy(both.net.head):.3f}, fastai {fastai_peer.validate(both.learn)[1]:.3f}"
    return {**row, "check": f"held-out accuracy after {work.rounds} epochs: {scores} of {len(both.valid)}"}


def head_epochs(table: TextTable, work: Workload) -> Row:
    both = Classifiers(table, work)
    both.learn.freeze()
    heads: list[Head] = []
    pooled = both.pool(both.documents)

    def ours() -> float:
        def learn() -> None:
            heads.append(fit_hidden_head(pooled, both.targets, both.recipe, kind=Classes(), seed=0))

        spent = seconds(learn)
        return len(both.train) * both.recipe.head_epochs / spent

    def fastai() -> float:
        return both.n_fastai / fastai_peer.fit(both.learn, CLASSIFIER_RATE)

    row = in_turns(work.rounds, ours, fastai, "texts/s", better="higher")
    scores = f"ours {both.accuracy(heads[-1]):.3f} after {both.recipe.head_epochs} epochs"
    scores += f", fastai {fastai_peer.validate(both.learn)[1]:.3f} after {work.rounds}"
    return {**row, "check": f"held-out accuracy on random encoders: {scores}"}
