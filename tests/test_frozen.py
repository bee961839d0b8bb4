"""Encoders that only read: what they give beside the network that learns."""

import numpy as np
import pytest
import torch

from ulmfit_lib.artifact.architecture import POOLINGS, WORDS, Architecture
from ulmfit_lib.models import frozen
from ulmfit_lib.models.awd_lstm import Encoder, read_weights
from ulmfit_lib.models.cpu_products import REDUCED, SWITCH, int8_steps
from ulmfit_lib.models.frozen import FloatEncoder, freeze, read_directions
from ulmfit_lib.models.int8_encoder import Int8Encoder
from ulmfit_lib.models.pooling import BPTT_WINDOW, pool
from ulmfit_lib.models.word_vectors import mirrored
from ulmfit_lib.tokens.documents import Documents

ARCHITECTURE = Architecture(24, 40, 2, distilled=16, words=12)
LENGTHS = torch.tensor([2 * BPTT_WINDOW + 9, BPTT_WINDOW, 5, 1])
bytes_here = pytest.mark.skipif(int8_steps() is None, reason="this CPU does not multiply bytes")


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    encoder = Encoder(ARCHITECTURE, 100).eval()
    with torch.no_grad():
        for name, weight in encoder.named_weights().items():
            weight.normal_(std=1.0 if name == "encoder.weight" else 0.3 if name.startswith("rnns") else 0.1)
    return encoder


@pytest.fixture(scope="module")
def ids():
    drawn = torch.randint(2, 100, (len(LENGTHS), int(LENGTHS[0])), generator=torch.Generator().manual_seed(1))
    return drawn.masked_fill(torch.arange(drawn.shape[1]) >= LENGTHS[:, None], 1)


READERS = [
    (FloatEncoder, "plain", 1e-5),
    (FloatEncoder, "auto", 0.02),
    pytest.param((Int8Encoder, "auto", 0.03), marks=bytes_here),
    pytest.param((Int8Encoder, "avx2", 0.03), marks=bytes_here),
]
READ_BY_LSTM = [pooling for pooling in POOLINGS if pooling != WORDS]


@pytest.fixture(params=READERS)
def reader(request, encoder, monkeypatch):
    kind, level, request.node.rounding = request.param
    monkeypatch.setenv(SWITCH, level)
    return kind(ARCHITECTURE, read_weights(encoder))


@pytest.mark.parametrize("pooling", READ_BY_LSTM)
def test_texts_are_pooled_as_by_the_network_that_learns(encoder, reader, ids, pooling, request):
    with torch.inference_mode():
        expected, found = (pool(one, pooling, ids, LENGTHS, one.projection) for one in (encoder, reader))
    error = float((found - expected).norm() / expected.norm())
    assert error < request.node.rounding
    assert float((found - expected).abs().max()) < 5 * request.node.rounding


@pytest.mark.parametrize("pooling", READ_BY_LSTM)
def test_a_text_is_the_same_alone_and_among_others(reader, ids, pooling):
    with torch.inference_mode():
        together = pool(reader, pooling, ids, LENGTHS, reader.projection)
        for text, length, expected in zip(ids, LENGTHS, together, strict=True):
            alone = pool(reader, pooling, text[None, :length], length[None], reader.projection)[0]
            torch.testing.assert_close(alone, expected)


@bytes_here
@pytest.mark.parametrize("level", ["auto", "avx2"])
@pytest.mark.parametrize("width", [40, 43, 64])
def test_bytes_are_multiplied_without_rounding(width, level, ids, monkeypatch):
    monkeypatch.setenv(SWITCH, level)
    torch.manual_seed(0)
    sizes = Architecture(24, width, 2)
    weights = {name: torch.randn(shape) * 0.3 for name, shape in sizes.weight_shapes(100).items()}
    reader = Int8Encoder(sizes, weights)
    with torch.inference_mode():
        together, _ = reader(ids)
        for text, expected in zip(ids, together[-1], strict=True):
            assert torch.equal(reader(text[None])[0][-1][0], expected)


def test_bytes_are_for_wide_layers_where_the_cpu_multiplies_them(encoder, monkeypatch):
    monkeypatch.setattr(frozen, "WIDE", 40)
    monkeypatch.setattr(frozen, "int8_steps", lambda: None)
    assert isinstance(freeze(ARCHITECTURE, read_weights(encoder)), FloatEncoder)
    monkeypatch.setattr(frozen, "int8_steps", lambda: REDUCED)
    monkeypatch.setattr(frozen, "Int8Encoder", lambda *_: "bytes")
    assert freeze(ARCHITECTURE, read_weights(encoder)) == "bytes"
    monkeypatch.setattr(frozen, "WIDE", 41)
    assert isinstance(freeze(ARCHITECTURE, read_weights(encoder)), FloatEncoder)


def test_on_several_cores_texts_are_read_side_by_side(encoder, monkeypatch):
    monkeypatch.setattr(frozen, "TEXTS", 2)
    reader, cores = freeze(ARCHITECTURE, read_weights(encoder)), torch.get_num_threads()
    documents = Documents(np.arange(600) % 97 + 2, np.arange(0, 601, 30))
    try:
        torch.set_num_threads(1)
        one_by_one = read_directions({"backward": reader}, "all", documents, 1)["backward"]
        torch.set_num_threads(2)
        side_by_side = read_directions({"backward": reader}, "all", documents, 1)["backward"]
        np.testing.assert_array_equal(side_by_side, one_by_one)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(cores)


@pytest.mark.parametrize("level", ["plain", "auto"])
def test_word_vectors_that_both_directions_have_are_read_in_context_once(level, monkeypatch):
    monkeypatch.setenv(SWITCH, level)
    torch.manual_seed(0)
    sizes = Architecture(24, 40, 2, distilled=16, words=12, context=1)
    forward = {name: torch.randn(shape) * 0.3 for name, shape in sizes.weight_shapes(100).items()}
    encoders = {"forward": freeze(sizes, forward), "backward": freeze(sizes, mirrored(forward))}
    documents = Documents(np.arange(60) % 97 + 2, np.array([0, 25, 55, 60]))
    apart = {way: read_directions({way: one}, "distilled", documents, 1)[way] for way, one in encoders.items()}
    read, once = [], frozen._word_means
    monkeypatch.setattr(frozen, "_word_means", lambda *arguments: read.append(1) or once(*arguments))
    together = read_directions(encoders, "distilled", documents, 1)
    assert read == [1]
    for way, vectors in together.items():
        np.testing.assert_allclose(vectors, apart[way], atol=1e-3)
