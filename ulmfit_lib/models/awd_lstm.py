"""The architecture: fastai's AWD-LSTM with its state in the open, and the language model on top of it.

    ids (batch, time)
        |  embedding: vocabulary x 400, rows dropped out            \
        |  dropout of inputs                                         |
    (batch, time, 400)                                               |
        |  LSTM 400 -> 1152, recurrent weights dropped out           |  one matrix:
        |  dropout between layers                                    |  the decoder is the
        |  LSTM 1152 -> 1152                                         |  embedding, transposed
        |  LSTM 1152 -> 400                                          |
    (batch, time, 400)  --> pooled over time: what a classifier sees |
        |  dropout of outputs                                        |
        |  decoder: 400 -> vocabulary, and a bias                   /
    (batch, time, vocabulary)

Each LSTM layer hands its state, two times (1, batch, width), to the next window of the same texts. The sizes are those
of ULMFiT; other models here have other ones.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from fastai.text.models.awdlstm import AWD_LSTM, RNNDropout, WeightDropout
from torch import Tensor, nn

from ulmfit_lib.artifact.architecture import PAD_ID, Architecture
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.lstm import LSTM
from ulmfit_lib.models.pooling import Projection
from ulmfit_lib.models.tensors import State, Weights
from ulmfit_lib.models.word_vectors import WordVectors


class Encoder(AWD_LSTM):
    """fastai's AWD-LSTM, but with the recurrent state as argument and result, and every layer's output returned."""

    def __init__(self, architecture: Architecture, vocab_size: int, dropouts: Dropouts | None = None) -> None:
        dropouts = dropouts or Dropouts()
        super().__init__(
            vocab_size,
            architecture.embedding,
            architecture.hidden,
            architecture.layers,
            pad_token=PAD_ID,
            hidden_p=dropouts.hidden,
            input_p=dropouts.input,
            embed_p=dropouts.embedding,
            weight_p=dropouts.weight,
        )
        self.architecture, self.vocab_size = architecture, vocab_size
        width, words = architecture.distilled, architecture.words
        self.map = nn.Linear(architecture.pooled_width("all"), width) if width else None
        self.words: WordVectors | None = None  # no stage after distillation changes them
        if words:
            context = architecture.context, architecture.context_width
            self.words = WordVectors(vocab_size, words, width, *context).requires_grad_(False)
        self._drawn = False

    @property
    def projection(self) -> Projection | None:
        """What makes a distilled vector; None where nothing was distilled into this encoder."""
        if self.map is None:
            return None
        return Projection(self.map.weight, self.map.bias, self.words)

    @contextmanager
    def one_draw(self) -> Iterator[None]:
        """Weight dropout leaves out the same weights in all that is read meanwhile; drawing them takes its time."""
        for rnn in self.rnns:
            if isinstance(rnn, WeightDropout):
                rnn._setweights()
        self._drawn = True
        try:
            yield
        finally:
            self._drawn = False

    def _one_rnn(self, n_in: int, n_out: int, bidir: bool, weight_p: float, layer: int) -> nn.Module:
        rnn = LSTM(n_in, n_out)
        return WeightDropout(rnn, weight_p) if weight_p else rnn  # fastai's WeightDropout breaks at probability 0

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Read (batch, time) ids after those that an earlier call left in ``state``; None at the start of a text.

        Returns:
            The embedded tokens and each layer's output, (batch, time, width), and the state after the last
                token.
        """
        if state is None:
            zeros = [self.encoder.weight.new_zeros(1, len(ids), width) for width in self.architecture.widths]
            state = [(zero, zero) for zero in zeros]
        output = self.input_dp(self.encoder_dp(ids))
        outputs: list[Tensor] = [output]
        new_state: State = []
        for rnn, dropout, layer_state in zip(self.rnns, self.hidden_dps, state, strict=True):
            layer = rnn.module if self._drawn and isinstance(rnn, WeightDropout) else rnn
            output, last = layer(output, layer_state)
            new_state.append(last)
            if len(outputs) < self.n_layers:
                output = dropout(output)
            outputs.append(output)
        return outputs, new_state

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The parameters under our stable names; weight dropout's raw matrix counts as ``weight_hh``."""
        named: dict[str, nn.Parameter] = {"encoder.weight": self.encoder.weight}
        for layer, rnn in enumerate(self.rnns):
            for name, parameter in rnn.named_parameters():
                stable = re.sub(r"^module\.|_l0(_raw)?$", "", name)
                named[f"rnns.{layer}.{stable}"] = parameter
        if self.map is not None:
            named |= {f"map.{name}": parameter for name, parameter in self.map.named_parameters()}
        if self.words is not None:
            named |= self.words.named_weights()
        return named

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters in groups for discriminative rates, lowest first: the embedding, then each LSTM layer.

        The projection of distilled vectors, if there is one, learns with the last layer; word vectors stay as they are.
        """
        groups = [[self.encoder.weight], *([*rnn.parameters()] for rnn in self.rnns)]
        groups[-1] += [*self.map.parameters()] if self.map is not None else []
        return groups


class LanguageModelNet(nn.Module):
    """An encoder and a decoder tied to its embedding; carries its state from batch to batch of one stream."""

    def __init__(self, architecture: Architecture, vocab_size: int, dropouts: Dropouts | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, vocab_size, dropouts)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.output_dropout = RNNDropout((dropouts or Dropouts()).output)
        self.state: State | None = None
        self.mixed_precision = False

    def autocast(self) -> torch.autocast:
        """bfloat16 for the matrix products while a training run asks for it; measured results stay in float32."""
        return torch.autocast(self.bias.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision)

    def reset(self) -> None:
        """Forget the stream: the next batch starts new texts."""
        self.state = None

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, time) ids -> (batch, time, embedding) vectors; ``logits`` turns them into scores."""
        if self.state is not None and self.state[0][0].shape[1] != len(ids):
            self.state = None
        with self.autocast():
            outputs, state = self.encoder(ids, self.state)
        self.state = [(hidden.detach(), cell.detach()) for hidden, cell in state]
        return self.output_dropout(outputs[-1])

    def logits(self, vectors: Tensor) -> Tensor:
        """(..., embedding) -> (..., vocabulary)."""
        with self.autocast():
            return F.linear(vectors, self.encoder.encoder.weight, self.bias).float()

    def cross_entropies(self, vectors: Tensor, targets: Tensor, *, rows: int = 1024) -> Tensor:
        """Exact nats for each target, (n,), from (n, embedding) vectors; ``rows`` at a time, to bound memory."""
        pieces = zip(vectors.split(rows), targets.split(rows), strict=True)
        return torch.cat([F.cross_entropy(self.logits(v), t, reduction="none") for v, t in pieces])

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The parameters under our stable names, the tied matrix once."""
        return {**self.encoder.named_weights(), "decoder.bias": self.bias}

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """LSTM layers from the lowest up, then embedding and decoder, which are one matrix (fastai's order)."""
        embedding, *layers = self.encoder.layer_groups()
        return [*layers, [*embedding, self.bias]]


def copy_weights(module: Encoder | LanguageModelNet, weights: Weights) -> None:
    """Set a module's parameters from tensors of the same names and shapes; extra tensors are ignored."""
    with torch.no_grad():
        for name, parameter in module.named_weights().items():
            if weights[name].shape != parameter.shape:
                raise ValueError(f"{name}: shape {tuple(weights[name].shape)}, expected {tuple(parameter.shape)}")
            parameter.copy_(weights[name])


def read_weights(module: Encoder | LanguageModelNet) -> Weights:
    """A detached copy of a module's parameters, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in module.named_weights().items()}
