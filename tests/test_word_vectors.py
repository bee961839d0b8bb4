"""Word vectors: their weighted mean, the same in all texts or in context, by PyTorch and by ONNX Runtime."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.models.cpu_products import int8_steps
from ulmfit_lib.models.word_vectors import WordVectors, mirrored
from ulmfit_lib.serving.distilled_vectors import Projection, WordMeans, context_by_graph
from ulmfit_lib.serving.onnx_distilled import build_context
from ulmfit_lib.serving.plain_context import plain_context
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.distillation_recipe import ContextRecipe, WordVectorRecipe
from ulmfit_lib.training.word_vectors import fit_word_vectors, projected_means

VOCABULARY, WIDTH, DISTILLED = 30, 8, 12
PLAIN = Architecture(4, 6, 2, distilled=DISTILLED, words=WIDTH, context=2)
WIDENED = Architecture(4, 6, 2, distilled=DISTILLED, words=WIDTH, context=2, context_width=WIDTH + 4)
LENGTHS = (1, 9, 3, 40)


@pytest.fixture(scope="module", params=[PLAIN, WIDENED], ids=["plain", "widened"])
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def weights(architecture):
    """Of blocks that add much, as trained ones do."""
    torch.manual_seed(0)
    shapes = architecture.weight_shapes(VOCABULARY)
    return {name: torch.randn(shape) / 2 for name, shape in shapes.items() if name.startswith(("words.", "near."))}


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [rng.integers(0, VOCABULARY, length) for length in LENGTHS]


def means(weights, texts, *, steps=None):
    vectors = WordVectors.of(weights)
    if steps:
        vectors.use_bytes(steps)
    starts = np.cumsum([0, *map(len, texts[:-1])])
    with torch.inference_mode():
        return vectors(torch.from_numpy(np.concatenate(texts)), torch.from_numpy(starts)).numpy()


def test_the_tensors_of_an_architecture_are_those_of_its_word_vectors(weights, architecture):
    named = WordVectors(VOCABULARY, WIDTH, DISTILLED, 2, architecture.context_width).named_weights()
    assert {name: tuple(tensor.shape) for name, tensor in named.items()} == {
        name: tuple(tensor.shape) for name, tensor in weights.items()
    }


def test_words_in_context_do_not_depend_on_the_texts_beside_theirs(weights, texts):
    together = means(weights, texts)
    for text, mean in zip(texts, together, strict=True):
        np.testing.assert_allclose(means(weights, [text])[0], mean, atol=1e-5)


def test_the_same_words_in_another_order_mean_something_else(weights, texts):
    turned = means(weights, [text[::-1].copy() for text in texts])
    assert not np.allclose(turned[1:], means(weights, texts)[1:], atol=1e-2)


def test_an_encoder_that_reads_backward_sees_the_same_neighbours(weights, texts):
    backward = means(mirrored(weights), [text[::-1].copy() for text in texts])
    np.testing.assert_allclose(backward, means(weights, texts), atol=1e-5)


@pytest.mark.skipif(int8_steps() is None, reason="no products of bytes here")
def test_bytes_change_little(weights, texts):
    exact, rounded = means(weights, texts), means(weights, texts, steps=int8_steps())
    assert (F.cosine_similarity(torch.from_numpy(exact), torch.from_numpy(rounded)) > 0.995).all()


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("int8", 0.1)])
def test_onnx_runtime_reads_words_in_context_as_pytorch_does(weights, architecture, texts, precision, tolerance):
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    documents = Documents(np.concatenate(texts), np.cumsum([0, *LENGTHS]))
    read = WordMeans(
        arrays, context_by_graph(build_context(architecture, arrays, precision=precision)), direction="forward"
    )
    found = read(documents, 2)
    np.testing.assert_allclose(found, means(weights, texts), atol=tolerance * np.abs(found).max())
    for place in range(len(texts)):
        np.testing.assert_array_equal(read(documents.select([place]), 1)[0], found[place])


def test_numpy_reads_words_in_context_as_pytorch_does(weights, architecture, texts):
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    documents = Documents(np.concatenate(texts), np.cumsum([0, *LENGTHS]))
    read = WordMeans(arrays, plain_context(arrays, architecture), direction="forward")
    found = read(documents, 2)
    np.testing.assert_allclose(found, means(weights, texts), atol=1e-5 * np.abs(found).max())
    for place in range(len(texts)):
        np.testing.assert_array_equal(read(documents.select([place]), 1)[0], found[place])


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_onnx_runtime_projects_as_pytorch_does_with_the_same_bits_for_a_text_alone(weights, precision):
    rng = np.random.default_rng(1)
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    arrays["map.weight"] = rng.normal(size=(DISTILLED, 50)).astype(np.float32) ** 5  # a few are much larger than others
    arrays["map.bias"] = rng.normal(size=DISTILLED).astype(np.float32)
    arrays["words.projection"] = rng.normal(size=(DISTILLED, WIDTH)).astype(np.float32)
    pooled = rng.normal(size=(20, 50)).astype(np.float32) ** 5
    words = rng.normal(size=(20, WIDTH)).astype(np.float32)
    project = Projection(arrays, precision)
    found = project(pooled, words)
    tensors = [torch.from_numpy(arrays[name]) for name in ("map.weight", "map.bias", "words.projection")]
    sums = F.linear(torch.from_numpy(pooled), *tensors[:2]) + torch.from_numpy(words) @ tensors[2].T
    np.testing.assert_allclose(found, F.normalize(sums, dim=1).numpy(), atol=1e-3)
    for place in range(len(pooled)):
        np.testing.assert_array_equal(project(pooled[[place]], words[[place]])[0], found[place])


def test_context_learns_what_the_order_of_words_tells():
    rng = np.random.default_rng(0)
    order = rng.integers(0, 2, 600)  # whether word 3 comes before word 4 or after it
    texts = [np.concatenate([rng.integers(5, VOCABULARY, 2), [3, 4] if first else [4, 3]]) for first in order]
    documents = Documents(np.concatenate(texts), np.arange(len(texts) + 1) * 4)
    targets = np.eye(WIDTH, dtype=np.float16)[order]
    of_words = rng.normal(size=(VOCABULARY, WIDTH)).astype(np.float16)
    shares = {}
    block = ContextRecipe(blocks=1, epochs=20, lr=1e-2, batch_size=32)
    for context in (None, block, replace(block, width=WIDTH + 4)):
        recipe = WordVectorRecipe(width=WIDTH, epochs=2, batch_size=32, dropout=0.0, context=context)
        found = projected_means(fit_word_vectors(documents, targets, of_words, recipe=recipe, seed=0), documents)
        shares[context] = float((found[:, :2].argmax(1).numpy() == order).mean())
    without, *within = shares.values()
    assert without < 0.7 and min(within) > 0.95


def test_blocks_narrower_than_the_word_vectors_are_refused():
    with pytest.raises(OptionError, match="--context-width 4: the word vectors are 8 wide"):
        WordVectorRecipe(width=WIDTH, context=ContextRecipe(width=4))


def test_context_without_word_vectors_is_refused():
    sizes = {"name": "awd-lstm", "embedding": 4, "hidden": 6, "layers": 2, "distilled": 4, "context": 1}
    with pytest.raises(ArtifactError, match="context needs word vectors"):
        Architecture.from_config(sizes, "config.json")
