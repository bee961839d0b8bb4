"""An encoder that only reads, and the vectors that it makes of texts."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ulmfit_lib.arrays import Features, Ints, Vectors, projected
from ulmfit_lib.artifact.architecture import DISTILLED, LAYER_WEIGHTS, WORDS, Architecture, is_distilled
from ulmfit_lib.errors import DataError
from ulmfit_lib.models.cpu_products import int8_steps
from ulmfit_lib.models.devices import fast_bfloat16, is_out_of_memory
from ulmfit_lib.models.int8_encoder import Int8Encoder
from ulmfit_lib.models.pooling import BPTT_WINDOW, Projection, find_projection, pool
from ulmfit_lib.models.tensors import State, Weights
from ulmfit_lib.models.word_vectors import end_to_end
from ulmfit_lib.progress import bar
from ulmfit_lib.serving.onnx_graph import WIDE
from ulmfit_lib.tokens.documents import Documents, group_by_length, pad_texts

TEXTS = 64  # read together, at most


class FrozenEncoder(Protocol):
    """An encoder in evaluation, without gradients."""

    architecture: Architecture
    device: torch.device
    window: int  # tokens of several texts read at a time
    projection: Projection | None  # what makes a distilled vector

    def __call__(self, ids: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Read tokens: ids (batch, time) and the state before them -> as ``awd_lstm.Encoder.forward``."""


def freeze(architecture: Architecture, weights: Weights, device: str | torch.device = "cpu") -> FrozenEncoder:
    """The fastest encoder there for a language model's tensors, by name."""
    if torch.device(device).type == "cpu" and architecture.hidden >= WIDE and int8_steps() is not None:
        return Int8Encoder(architecture, weights)
    return FloatEncoder(architecture, weights, device)


class FloatEncoder:
    """What ``awd_lstm.Encoder`` gives in evaluation, without fastai, gradients or dropout.

    By default in bfloat16 if that is faster there. Float32 on the CPU shares the memory of ``weights``.
    """

    window = BPTT_WINDOW

    def __init__(
        self,
        architecture: Architecture,
        weights: Weights,
        device: str | torch.device = "cpu",
        *,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.architecture, self.device = architecture, torch.device(device)
        self.dtype = dtype or (torch.bfloat16 if fast_bfloat16(self.device) else torch.float32)
        moved = {
            name: tensor.to(self.device, self.dtype)
            for name, tensor in weights.items()
            if not name.startswith(DISTILLED)
        }
        self._embedding = moved.get("encoder.weight")  # None where words are read in context alone
        self.projection = find_projection(weights, self.device)
        self._layers = [[moved[f"rnns.{i}.{name}"] for name in LAYER_WEIGHTS] for i in range(architecture.layers)]

    def __call__(self, ids: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Read tokens: ids (batch, time) and the state before them -> as ``awd_lstm.Encoder.forward``."""
        if len(ids) == 1 and self.dtype == torch.bfloat16:  # a matrix product for a single row rounds differently
            twice = [(hidden.repeat(1, 2, 1), cell.repeat(1, 2, 1)) for hidden, cell in state] if state else None
            both, ends = self(ids.repeat(2, 1), twice)
            return [output[:1] for output in both], [(hidden[:, :1], cell[:, :1]) for hidden, cell in ends]
        assert self._embedding is not None  # else no pooling reads with the LSTM
        output = F.embedding(ids, self._embedding)
        outputs, new_state = [output], []
        for i, weights in enumerate(self._layers):
            width = self.architecture.widths[i]
            before = state[i] if state else (output.new_zeros(1, len(ids), width), output.new_zeros(1, len(ids), width))
            output, hidden, cell = torch.lstm(output, before, weights, True, 1, 0.0, False, False, True)
            outputs.append(output)
            new_state.append((hidden, cell))
        return outputs, new_state


def read_directions(encoders: Mapping[str, FrozenEncoder], pooling: str, documents: Documents, pad_id: int) -> Features:
    """By direction, one vector per text, (n_texts, width), in order; everything that predicts goes through here.

    Word vectors that the directions share are read in context once. The pooling ``words`` is their weighted mean,
    projected, of length 1; as it says the same from either end, it is that of one direction.
    """
    if pooling == WORDS:
        way, encoder = next(iter(encoders.items()))
        assert encoder.projection is not None and encoder.projection.words is not None  # whoever asks has looked
        found = _word_means(encoder, documents.in_direction(way))
        return {way: projected(encoder.projection.words.projection.cpu().numpy(), found)}
    means = None
    if is_distilled(pooling) and len(encoders) > 1:
        (way, first), *others = encoders.items()
        if all(_shares_words(first, other) for _, other in others):
            means = _word_means(first, documents.in_direction(way))
    return {way: _pool_documents(one, pooling, documents, way, pad_id, means) for way, one in encoders.items()}


def _shares_words(one: FrozenEncoder, other: FrozenEncoder) -> bool:
    words = [encoder.projection.words if encoder.projection else None for encoder in (one, other)]
    tables = [some.weight.data_ptr() for some in words if some is not None and len(some.context)]
    return len(tables) == 2 and tables[0] == tables[1]


def _word_means(encoder: FrozenEncoder, documents: Documents) -> Vectors:
    """The weighted mean of each text's word vectors, (n_texts, mean_width), in order."""
    assert encoder.projection is not None and encoder.projection.words is not None  # whoever asks has looked
    words, lock = encoder.projection.words, Lock()

    def read(places: Ints) -> tuple[Ints, Vectors]:
        with lock:
            texts = [documents[place] for place in places]
        with torch.inference_mode():
            ids, starts = end_to_end(texts)
            return places, words(ids.to(encoder.device), starts.to(encoder.device)).cpu().numpy()

    return _read_groups(read, documents, encoder.architecture.mean_width, encoder.device, "words in context")


def _pool_documents(
    encoder: FrozenEncoder, pooling: str, documents: Documents, direction: str, pad_id: int, means: Vectors | None
) -> Vectors:
    documents, lock = documents.in_direction(direction), Lock()

    def read(places: Ints) -> tuple[Ints, Vectors]:
        with lock:  # documents may lie in a file, which has one position
            batch = pad_texts(documents, places, pad_id)
        known = None if means is None else torch.from_numpy(means[batch.indices])
        with torch.inference_mode():
            ids, lengths = torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths)
            return batch.indices, _pool_within_memory(encoder, pooling, ids, lengths, known).numpy()

    width = encoder.architecture.pooled_width(pooling)
    return _read_groups(read, documents, width, encoder.device, direction)


def _read_groups(
    read: Callable[[Ints], tuple[Ints, Vectors]], documents: Documents, width: int, device: torch.device, what: str
) -> Vectors:
    """What ``read`` makes of texts of like length, by their places, put in order."""
    result = np.zeros((len(documents), width), np.float32)
    groups = group_by_length(documents.lengths, max_texts=TEXTS)
    with (
        bar(total=len(documents), description=f"reading {what}", unit="text") as progress,
        _side_by_side(device, len(groups)) as each,
    ):
        for places, vectors in each(read, groups):
            result[places] = vectors
            progress.update(len(places))
    return result


@contextmanager
def _side_by_side(device: torch.device, calls: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """``map``, but on a CPU a call on each core: the steps of a recurrence are too small to be parted well.

    Few calls differ too much in length for that.
    """
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores < 2 or calls < 2 * cores:
        yield map
        return
    workers = ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield workers.map
    finally:
        workers.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)  # what threads of the future start with


def _pool_within_memory(
    encoder: FrozenEncoder, pooling: str, ids: Tensor, lengths: Tensor, means: Tensor | None
) -> Tensor:
    """``pooling.pool``, by halves of the batch where it does not fit into memory."""
    try:
        window = BPTT_WINDOW if len(ids) == 1 else encoder.window
        known = None if means is None else means.to(encoder.device)
        read = ids.to(encoder.device)
        return pool(encoder, pooling, read, lengths, encoder.projection, means=known, window=window).cpu()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(ids) == 1:
            raise DataError(f"a text of {ids.shape[1]:,} tokens does not fit into memory: shorten it") from error
    half = len(ids) // 2
    parts = [slice(0, half), slice(half, None)]
    return torch.cat(
        [
            _pool_within_memory(encoder, pooling, ids[part], lengths[part], None if means is None else means[part])
            for part in parts
        ]
    )
