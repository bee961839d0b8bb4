import copy
import io
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib import TextClassifier, fit_classifier
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.format import PREDICTOR
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.serving.onnx_encoder import OnnxEncoder
from ulmfit_lib.serving.onnx_graph import WIDE, build_graph, usual_precision
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.tokens.documents import Documents
from ulmfit_lib.training.heads import HeadConfig
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import fit_tfidf

pytest.importorskip("onnxruntime")
TEXTS = ["the film was great great", "terrible", "", "number 7 : " + "word and " * 120 + "terrible"]


@pytest.fixture(scope="module")
def whole(tiny_lm, fruit):
    """A classifier whose neural part and baseline both count."""
    weak = HeadConfig("layers", 1e-3)  # else all probabilities are 0 or 1
    made = fit_classifier(fruit, lm=tiny_lm, strategy="linear-probe", head=weak, run=Run(device="cpu"))
    return replace(made, tfidf={"baseline": fit_tfidf(fruit.texts, fruit.targets())}, blend=Blend(1.0, 0.5))


@pytest.fixture(scope="module")
def exported(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    whole.save(folder / "model")
    return export_checked(folder / "model", folder / "onnx", precision="float32", texts=TEXTS), folder


def test_an_exported_classifier_says_the_same(whole, exported):
    check, folder = exported
    assert check.largest < 1e-5 and check.changed == 0 and check.texts == len(TEXTS)
    found, expected = Predictor.load(folder / "onnx").probabilities(TEXTS), whole.probabilities(TEXTS)
    assert found.keys() == expected.keys()
    for part, probabilities in found.items():
        np.testing.assert_allclose(probabilities, expected[part], atol=1e-3)  # which may use bfloat16


HEAVY = ("torch", "fastai", "pandas", "spacy", "sklearn", "scipy", "onnx")


@pytest.mark.parametrize("folder", ["model", "onnx"])
@pytest.mark.parametrize(
    "asked", [[TEXTS[0]], ["FILE", "--text", "review", "--sets", "0.9"], ["FILE", "--text", "review"]]
)
def test_predicting_imports_nothing_heavy(exported, tmp_path, folder, asked):
    (tmp_path / "texts.csv").write_text("review\nthe film was great\n")
    asked = [str(tmp_path / "texts.csv") if one == "FILE" else one for one in asked]
    code = (
        "import sys\nfrom ulmfit_lib.cli import main\ntry:\n    main()\nfinally:\n"
        f"    print('heavy:', [one for one in {HEAVY} if one in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "predict", str(exported[1] / folder), *asked]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "heavy: []" in done.stderr and ("positive" in done.stdout or "--sets" in asked), done.stderr


def test_wide_encoders_are_read_as_bytes():
    assert [usual_precision(Architecture(8, hidden, 1)) for hidden in (WIDE - 1, WIDE)] == ["float32", "int8"]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_graphs_are_what_onnx_calls_valid(whole, precision):
    onnx = pytest.importorskip("onnx")
    graph = build_graph(whole.architecture, whole.weights["forward"], precision=precision)
    onnx.checker.check_model(onnx.load_from_string(graph))


def test_predicting_reports_to_nobody(exported, tmp_path):
    code = f"from ulmfit_lib.serving.predictor import Predictor; Predictor.load({str(exported[1] / 'onnx')!r})"
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "XDG_CACHE_HOME")}  # it heeds these
    home = {**kept, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=home)
    assert not list(tmp_path.iterdir())  # onnxruntime would leave reports there until they are sent


@pytest.mark.parametrize("pooling", ["concat", "all", "layers"])
def test_every_pooling_and_a_hidden_head_say_the_same(tiny_lm, fruit, tmp_path, pooling):
    from ulmfit_lib.training.recipes import CPU, override

    recipe = override(CPU.fit_classifier, pooling=pooling, epochs=1, head_hidden=6)
    fit_classifier(fruit, lm=tiny_lm, recipe=recipe, run=Run(device="cpu")).save(tmp_path / "model")
    assert export_checked(tmp_path / "model", tmp_path / "onnx", precision="float32", texts=TEXTS).largest < 1e-5


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_text_gets_the_same_answer_alone_and_among_others(exported, precision, tmp_path):
    export_checked(exported[1] / "model", tmp_path / "onnx", precision=precision, texts=TEXTS)
    predictor = Predictor.load(tmp_path / "onnx", threads=1)
    texts = [*TEXTS, *("great terrible film " * words for words in range(40))]  # several windows, and several groups
    among = predictor.predict_proba(texts)
    for text, row in zip(texts, among, strict=True):
        np.testing.assert_array_equal(predictor.predict_proba([text])[0], row)


def test_bytes_are_rounded_alike_whatever_is_read_with_them():
    rng, architecture, lengths = np.random.default_rng(3), Architecture(32, 64, 2), [5, 20, 3, 160, 7, 1]
    shapes = architecture.weight_shapes(50)
    weights = {
        name: (rng.standard_cauchy(shape).clip(-30, 30) / 10).astype(np.float32) for name, shape in shapes.items()
    }
    texts = Documents(rng.integers(0, 50, sum(lengths)), np.cumsum([0, *lengths]))
    found = {}
    for precision in ("float32", "int8"):
        graph = build_graph(architecture, weights, precision=precision)
        encoder = OnnxEncoder(graph, architecture, "forward", threads=1)
        found[precision] = encoder.pool(texts, "all")
        for place in range(len(lengths)):  # alone
            np.testing.assert_array_equal(encoder.pool(texts.select([place]), "all")[0], found[precision][place])
    assert np.abs(found["int8"] - found["float32"]).mean() < 0.05  # of numbers up to 3


def test_no_product_of_bytes_overflows_16_bits():
    from ulmfit_lib.serving.rounding import row_bytes

    weights = np.random.default_rng(0).standard_cauchy((200, 30)).astype(np.float32)  # far outliers, often neighbours
    weights[0] = 1
    numbers, scale = row_bytes(weights)
    fours = np.sort(np.abs(np.pad(numbers.astype(int), ((0, 0), (0, 2)))).reshape(200, -1, 4), axis=2)
    assert 255 * fours[:, :, 2:].sum(2).max() <= 32_767
    assert (np.abs(numbers * scale[:, None] - weights).max(1) <= 0.501 * scale).all()
    assert np.abs(numbers[1:]).max(1).mean() > 90  # finer than if every weight had to do with half of the steps


def test_both_directions_are_read_side_by_side_with_the_same_bits(exported):
    two = Predictor.load(exported[1] / "onnx", threads=2)
    alone = Predictor.load(exported[1] / "onnx", threads=1)
    assert two.direction == "both"
    for text in TEXTS:
        np.testing.assert_array_equal(two.predict_proba([text]), alone.predict_proba([text]))


def test_bytes_are_smaller_and_nearly_the_same(exported, tmp_path, whole):
    check = export_checked(exported[1] / "model", tmp_path / "onnx", precision="int8", texts=TEXTS)
    graphs = [(folder / "forward.onnx").stat().st_size for folder in (tmp_path / "onnx", exported[1] / "onnx")]
    assert graphs[0] < graphs[1] and check.largest < 0.05
    assert Predictor.load(tmp_path / "onnx").predict(TEXTS[:2]) == whole.predict(TEXTS[:2])


def test_a_classifiers_own_folder_can_be_loaded_too(exported, whole):
    np.testing.assert_allclose(
        Predictor.load(exported[1] / "model").predict_proba(TEXTS), whole.predict_proba(TEXTS), atol=1e-3
    )


def test_graphs_that_say_something_else_are_refused(exported, tmp_path, monkeypatch):
    monkeypatch.setattr("ulmfit_lib.serving.onnx_graph.GATES", (0, 1, 2, 3))
    with pytest.raises(ArtifactError, match="differ from the classifier"):
        export_checked(exported[1] / "model", tmp_path / "onnx", precision="float32", texts=TEXTS)
    assert not (tmp_path / "onnx").exists()


def test_a_predictor_embeds_and_explains_as_the_classifier_does(whole, exported):
    predictor = Predictor.load(exported[1] / "onnx")
    assert np.sum(predictor.embed(TEXTS) * whole.embed(TEXTS), axis=1).min() > 0.999
    assert predictor.embed([]).shape == (0, whole.embed(TEXTS).shape[1])
    found, expected = predictor.explain(TEXTS[0]), whole.explain(TEXTS[0])
    assert found.label == expected.label and found.words == expected.words
    np.testing.assert_allclose(found.contributions, expected.contributions, atol=0.05)


def test_a_copy_of_a_predictor_by_pickle_says_the_same_to_the_last_bit(exported):
    for folder in ("onnx", "model"):
        predictor = Predictor.load(exported[1] / folder, threads=2)
        again = pickle.loads(pickle.dumps(predictor))
        assert again.threads == 2 and copy.deepcopy(predictor) is predictor
        np.testing.assert_array_equal(again.predict_proba(TEXTS), predictor.predict_proba(TEXTS))


def test_a_predictor_that_has_answered_answers_in_a_child_that_was_forked(exported):
    predictor = Predictor.load(exported[1] / "onnx", threads=2)
    expected = predictor.predict_proba(TEXTS)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: sender.send(predictor.predict_proba(TEXTS)))
    child.start()
    try:
        assert receiver.poll(30), "the child hangs"
        np.testing.assert_array_equal(receiver.recv(), expected)
    finally:
        child.kill()
        child.join()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_predictor_goes_to_a_child_that_was_started_afresh(exported, method):
    predictor = Predictor.load(exported[1] / "onnx", threads=2)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as children:
        found = children.submit(predictor.predict_proba, TEXTS).result(timeout=60)
    np.testing.assert_array_equal(found, predictor.predict_proba(TEXTS))


def test_a_damaged_export_is_refused_in_one_sentence(exported, tmp_path):
    shutil.copytree(exported[1] / "onnx", tmp_path / "onnx")
    (tmp_path / "onnx" / "forward.onnx").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=r"forward\.onnx: it is not as it was written"):
        Predictor.load(tmp_path / "onnx")
    with pytest.raises(ArtifactError, match=f"this is a {PREDICTOR}, and a classifier is needed"):
        TextClassifier.load(exported[1] / "onnx")


@pytest.mark.slow
def test_predicting_loads_neither_torch_nor_fastai(exported):
    code = (
        "import sys; from ulmfit_lib.serving.predictor import Predictor\n"
        "print(Predictor.load(sys.argv[1]).predict(['the film was great great'])[0])\n"
        "assert not {'torch', 'fastai', 'sklearn', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(exported[1] / "onnx")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0 and found.stdout.strip() == "positive", found.stderr


def test_the_terminal_answers_a_text_and_lines(ulmfit, exported, monkeypatch):
    model = exported[1] / "onnx"
    code, out, _ = ulmfit("predict", model, "the film was terrible terrible")
    assert code == 0 and out.startswith("negative  (negative ") and ", positive " in out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the film was great great\nterrible terrible\n")))
    code, out, _ = ulmfit("predict", model)
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == ["positive", "negative"]
    code, _, err = ulmfit("predict", model, model / "config.json")
    assert code == 2 and "is a file: name the column of its texts with --text" in err


def test_the_export_command_says_what_it_found(ulmfit, exported, write_csv, fruit, tmp_path):
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    options = ["--check", data, "--text", "review", "--precision", "int8"]
    code, out, _ = ulmfit("export", exported[1] / "model", "--out", tmp_path / "onnx", *options)
    assert code == 0 and "compared on 48 texts" in out and "saved in" in out
    code, out, _ = ulmfit("predict", tmp_path / "onnx", data, "--text", "review", "--out", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert code == 0 and [row["prediction"] for row in rows] == list(fruit.labels)
    with pytest.raises(OptionError, match="--check needs --text"):
        from ulmfit_lib.models.exporting import check_texts

        check_texts(data, [])
