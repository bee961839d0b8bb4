import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from ulmfit_lib import LanguageModel, TextClassifier
from ulmfit_lib.artifact.catalogue import EMBEDDED, embedded_models
from ulmfit_lib.artifact.tensors import ByteRows, is_finite, read_tensors, write_tensors
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.files import new_folder
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.training.tfidf import fit_tfidf


@pytest.fixture(scope="module")
def saved(tiny_classifier, fruit, tmp_path_factory):
    from dataclasses import replace

    path = tmp_path_factory.mktemp("artifacts") / "model"
    baseline = fit_tfidf(fruit.texts, fruit.targets())
    replace(tiny_classifier, tfidf={"baseline": baseline, "topics": baseline}, blend=Blend(1.0, 1.0, 1.0)).save(path)
    return path


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def edit(path, **changes):
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **changes}))


def test_an_artifact_is_json_and_safetensors_only(saved):
    names = {file.name for file in saved.iterdir()}
    assert names == {
        "config.json",
        "vocab.json",
        "model.safetensors",
        "training.json",
        "README.md",
        "splitting.json",
        "baseline_terms.json",
        "topics_terms.json",
    }
    for name in names - {"model.safetensors", "README.md"}:
        json.loads((saved / name).read_text())


FILES = ["config.json", "vocab.json", "model.safetensors", "training.json", "baseline_terms.json", "topics_terms.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_a_damaged_file_is_named(copy, name, damage):
    content = (copy / name).read_bytes()
    (copy / name).unlink()
    if damage != "missing":
        (copy / name).write_bytes(content[: len(content) // 2] if damage == "half" else b"")
    with pytest.raises(ArtifactError, match=name):
        TextClassifier.load(copy)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_version": 99}, "pip install"),
        ({"format": "other"}, "not written by ulmfit_lib"),
        ({"kind": "language-model"}, "classifier is needed"),
        ({"classes": ["only"]}, "classes"),
        ({"classes": ["a", "b", "c"]}, "shape"),
        ({"pooling": "magic"}, "pooling"),
        ({"direction": "sideways"}, "direction"),
        ({"direction": "forward"}, "not part of"),
        ({"blend": {"ulmfit": -1, "baseline": 0}}, "blend"),
        ({"architecture": {"name": "awd-lstm", "embedding": 10**9, "hidden": 1, "layers": 1}}, "out of range"),
        ({"architecture": {"name": "transformer"}}, "architecture"),
        ({"tokenizer": {"kind": "magic", "language": "en", "rules": []}}, "rules"),
    ],
)
def test_an_edited_config_is_refused(copy, changes, said):
    edit(copy / "config.json", **changes)
    with pytest.raises(ArtifactError, match=said):
        TextClassifier.load(copy)


def test_a_vocabulary_of_another_size_is_refused(copy):
    tokens = json.loads((copy / "vocab.json").read_text())
    (copy / "vocab.json").write_text(json.dumps([*tokens, "more"]))
    with pytest.raises(ArtifactError, match=r"encoder\.weight has shape"):
        TextClassifier.load(copy)


def test_an_existing_model_is_not_replaced_unless_told(tiny_lm, tiny_classifier, saved, tmp_path):
    with pytest.raises(ArtifactError, match="exists already"):
        tiny_classifier.save(saved)
    tiny_lm.save(tmp_path / "lm")
    tiny_classifier.save(tmp_path / "lm", overwrite=True)
    assert TextClassifier.load(tmp_path / "lm").classes == tiny_classifier.classes
    (tmp_path / "photos").mkdir()
    with pytest.raises(ArtifactError, match="no saved model"):
        tiny_classifier.save(tmp_path / "photos", overwrite=True)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "model") as folder:
        (folder / "config.json").write_text("{}")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        TextClassifier.load(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="wiki-en-small"):
        LanguageModel.from_pretrained("wiki-xx")


@pytest.mark.parametrize("name", ["wiki-en-small", "general-en-small"])
def test_the_embedded_models_are_small_and_read_english(name):
    assert name in embedded_models()
    folder, model = EMBEDDED / name, LanguageModel.from_pretrained(name)
    word_vectors = 12e6 if model.architecture.words else 0  # shared by both directions, as are the blocks of context
    context = 2e6 * model.architecture.context
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6 * len(model.weights) + word_vectors + context
    english = "The city is the capital of the province and lies on the river, not far from the coast."
    shuffled = "coast the from far not , river the on lies and province the of capital the is city The ."
    assert model.perplexity([english]) < 60 < model.perplexity([shuffled])
    assert "perplexity" in (folder / "README.md").read_text()


def test_bytes_are_taken_where_they_cost_nothing_and_the_card_says_so(tiny_classifier, fruit, tmp_path, monkeypatch):
    from ulmfit_lib.models import precision

    said = precision.save_smallest(tiny_classifier, tmp_path / "small", fruit)
    assert "as int8" in said and "int8_costs" in (tmp_path / "small" / "training.json").read_text()
    monkeypatch.setattr(precision, "MOST_NATS", -1.0)
    assert "as float32" in precision.save_smallest(tiny_classifier, tmp_path / "large", fruit)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("small", "large")]
    assert sizes[0] < sizes[1] / 2


def test_one_row_that_changes_its_label_is_chance_and_two_are_not():
    from ulmfit_lib.models.precision import is_clearly_worse

    before = np.array([True] * 8 + [False] * 2)
    one, two = before.copy(), before.copy()
    one[0] = two[0] = two[1] = False
    assert not is_clearly_worse(one, before)
    assert is_clearly_worse(two, before)
    assert not is_clearly_worse(before, two)
    one[8] = True
    assert not is_clearly_worse(one, before)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_transposed_array_is_stored_row_by_row(tmp_path, precision):
    turned = np.arange(12, dtype=np.float32).reshape(3, 4).T
    write_tensors(tmp_path / "t.safetensors", {"map.weight": turned, "encoder.weight": turned}, precision)
    for array in read_tensors(tmp_path / "t.safetensors").values():
        np.testing.assert_allclose(array, turned, atol=0.05)


def test_a_taught_map_has_a_scale_a_column(tmp_path):
    uneven = np.array([[1000.0, 0.001], [500.0, 0.002]], np.float32)
    write_tensors(tmp_path / "t.safetensors", {"forward.map.weight": uneven, "forward.encoder.weight": uneven}, "int8")
    found = read_tensors(tmp_path / "t.safetensors")
    np.testing.assert_allclose(found["forward.map.weight"], uneven, rtol=1e-2)
    assert found["forward.encoder.weight"][0, 1] == 0


def test_a_table_that_stays_in_bytes_has_the_rows_that_it_has_as_floats(tmp_path):
    table = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    write_tensors(tmp_path / "t.safetensors", {"words.weight": table, "encoder.weight": table}, "int8")
    floats, kept = (read_tensors(tmp_path / "t.safetensors", table_in_bytes=stays) for stays in (False, True))
    assert isinstance(kept["words.weight"], ByteRows) and isinstance(kept["encoder.weight"], np.ndarray)
    for rows in (np.array([3, 0, 3]), 5, slice(2, 4)):
        np.testing.assert_array_equal(kept["words.weight"][rows], floats["words.weight"][rows])
    np.testing.assert_array_equal(np.asarray(kept["words.weight"]), floats["words.weight"])
    write_tensors(tmp_path / "again.safetensors", kept, "int8")
    np.testing.assert_allclose(read_tensors(tmp_path / "again.safetensors")["words.weight"], floats["words.weight"])


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("scale", "finite"), [(1e36, True), (3e38, False), (np.nan, False)])
def test_bytes_are_finite_where_their_numbers_are(tmp_path, kept, scale, finite):
    stored = {"words.weight": np.full((2, 3), 127, np.int8), "words.weight.row_scale": np.full(2, scale, np.float32)}
    save_file(stored, tmp_path / "t.safetensors")
    found = read_tensors(tmp_path / "t.safetensors", table_in_bytes=kept)["words.weight"]
    assert isinstance(found, ByteRows) is kept and is_finite(found) is finite
