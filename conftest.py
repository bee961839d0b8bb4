"""What the tests and the docstrings' examples share: a cache of their own, texts, and models that train in seconds."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ulmfit_lib.artifact.cards import Card
from ulmfit_lib.stages.pretrain import LanguageModelConfig
from ulmfit_lib.training.run import Run

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    os.environ["ULMFIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)  # the models of these tests are too small for more


@pytest.fixture(scope="session")
def reviews():
    from ulmfit_lib import read_table

    return read_table(EXAMPLES / "reviews.csv", text="review", label="sentiment")


@pytest.fixture(scope="session")
def tiny_recipe():
    from ulmfit_lib.training.language_modelling import LanguageModelRecipe

    return LanguageModelRecipe(epochs=3, lr=1e-2, batch_size=8, window=16, samples=64)


@pytest.fixture(scope="session")
def tiny_lm(reviews, tiny_recipe):
    """A language model of both directions, small enough to train in seconds."""
    from ulmfit_lib import pretrain
    from ulmfit_lib.artifact.architecture import Architecture

    return pretrain(
        reviews.texts,
        recipe=replace(tiny_recipe, min_count=2),
        run=Run(device="cpu"),
        config=LanguageModelConfig(architecture=Architecture(16, 24, 2), direction="both"),
        card=Card("tiny"),
    )


@pytest.fixture(scope="session")
def words_lm(tiny_lm):
    """A base with words in context whose blocks have learnt nothing yet."""
    import torch

    from ulmfit_lib.training.contrast import with_words, words_of

    sizes = replace(tiny_lm.architecture, distilled=16, words=12, context=1, context_width=14)
    shapes = sizes.weight_shapes(len(tiny_lm.vocabulary))
    torch.manual_seed(0)
    new = {name: 0.3 * torch.randn(shape) for name, shape in shapes.items() if name.startswith(("words.", "near."))}
    maps = {
        way: {f"map.{part}": torch.randn(shapes[f"map.{part}"]) for part in ("weight", "bias")}
        for way in tiny_lm.weights
    }
    base = replace(
        tiny_lm,
        architecture=sizes,
        weights={way: {**weights, **new, **maps[way]} for way, weights in tiny_lm.weights.items()},
    )
    return with_words(base, words_of(base.only("forward")))


@pytest.fixture(scope="session")
def lm_folder(tiny_lm, tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "lm"
    tiny_lm.save(path)
    return path


@pytest.fixture(scope="session")
def fruit():
    """Texts whose label one word gives away, so that anything that learns gets it right."""
    from ulmfit_lib import TextTable

    texts, labels = [], []
    for i in range(48):
        good = i % 2 == 0
        texts.append(f"number {i} : the film was {'great great' if good else 'terrible terrible'} and that was all")
        labels.append("positive" if good else "negative")
    return TextTable.from_lists(texts, labels)


@pytest.fixture(scope="session")
def tiny_classifier(tiny_lm, fruit):
    from ulmfit_lib import fit_classifier

    return fit_classifier(fruit, lm=tiny_lm, strategy="linear-probe", run=Run(device="cpu"))


@pytest.fixture(scope="session")
def film_classifier(tiny_lm, fruit):
    """An ensemble with TF-IDF, which one word is enough for."""
    from ulmfit_lib import fit

    return fit(fruit, base=tiny_lm, strategy="linear-probe")


READY_FOR_EXAMPLES = {"reviews": "reviews", "lm": "tiny_lm", "classifier": "film_classifier"}


@pytest.fixture(autouse=True)
def _examples_in_docstrings(request, doctest_namespace, tmp_path, monkeypatch):
    """They find ``reviews.csv`` in their folder, and ``reviews``, ``lm`` and ``classifier`` if they speak of them."""
    if isinstance(request.node, pytest.DoctestItem):
        shutil.copy(EXAMPLES / "reviews.csv", tmp_path)
        monkeypatch.chdir(tmp_path)
        code = "".join(example.source for example in request.node.dtest.examples)
        for name, fixture in READY_FOR_EXAMPLES.items():
            if re.search(rf"\b{name}\b", code):
                doctest_namespace[name] = request.getfixturevalue(fixture)
