import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clean_environment import make_environment, required_by

PACKAGE = Path(__file__).parent.parent / "ulmfit_lib"
LONGEST_MODULE = 300  # lines


def test_every_module_can_be_read_in_one_sitting():
    modules = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules.items()}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


MAX_PARAMETERS = 8
# scikit-learn copies an estimator by its parameters, and its searches set them one by one: a bundle would hide them.
MORE_PARAMETERS = {"estimators/classifier.py: UlmfitClassifier.__init__"}


def parameters(function):
    """The number of values that a caller may give."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return len([one for one in named if one.arg not in ("self", "cls")])


def functions(node, prefix=""):
    """All functions within a node, methods under the name of their class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
        yield from functions(child, f"{child.name}." if isinstance(child, ast.ClassDef) else prefix)


def test_no_function_has_more_than_eight_parameters():
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name, function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if parameters(function) > MAX_PARAMETERS
    }
    assert found == MORE_PARAMETERS


HEAVY = "print([m for m in ('torch', 'fastai', 'spacy', 'pandas') if m in sys.modules])"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_loads_no_torch():
    assert run(f"import sys, ulmfit_lib; {HEAVY}").strip() == "[]"


def test_help_loads_no_torch():
    code = (
        "import sys; sys.argv = ['ulmfit', '--help']\n"
        "from ulmfit_lib.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"{HEAVY}"
    )
    assert run(code).strip().endswith("[]")


def test_every_public_name_exists():
    import ulmfit_lib

    for name in ulmfit_lib.__all__:
        assert getattr(ulmfit_lib, name) is not None
    assert set(ulmfit_lib.__all__) == set(ulmfit_lib._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        ulmfit_lib.magic  # noqa: B018


STORED = Path(__file__).parent / "data" / "version-2"
EXAMPLE = PACKAGE.parent / "examples" / "tiny-test.csv"
ABSENT = {"torch", "fastai", "pandas", "scikit-learn"}
PREDICTS = ["numpy", "onnxruntime", "safetensors", "tqdm", "platformdirs", "click"]
SMALL = PACKAGE.parent / "packaging" / "predict" / "pyproject.toml"
PREDICT_WITHOUT_TORCH = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np
from ulmfit_lib.artifact.catalogue import describe_model
from ulmfit_lib.artifact.format import LANGUAGE_MODEL, load_artifact
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.serving.classifier import blend_parts
from ulmfit_lib.serving.stored_classifier import StoredClassifier
folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
load_artifact(folder / "language-model", kind=LANGUAGE_MODEL).language_model_weights()
classifier = StoredClassifier.load(folder / "classifier")
tokens = list(classifier.tokenizer(expected["texts"]))
assert tokens == expected["tokens"]
assert [classifier.vocabulary.decode(classifier.vocabulary.encode(one))[0] for one in tokens] == ["xxbos"] * len(tokens)
wanted = {name.replace("delivered", "ensemble"): np.array(p) for name, p in expected["probabilities"].items()}
found = {name: member.predict_proba(expected["texts"]) for name, member in classifier.tfidf.items()}
for name in ("baseline", "topics"):
    np.testing.assert_allclose(found[name], wanted[name], atol=1e-9)
blended = blend_parts({"ulmfit": wanted["ulmfit"], **found}, classifier.blend, classifier.kind)
np.testing.assert_allclose(blended, wanted["ensemble"], atol=1e-9)
assert classifier.kind.decode(blended, classifier.classes) == expected["labels"]
predictor = Predictor.load(sys.argv[2])
found = predictor.probabilities(expected["texts"])
for name, probabilities in wanted.items():
    np.testing.assert_allclose(found[name], probabilities, atol=3e-3)  # which were read in bfloat16
assert predictor.predict(expected["texts"]) == expected["labels"]
assert describe_model(folder / "classifier")["classes"] == classifier.classes
try:
    load_artifact(folder / "classifier", kind=LANGUAGE_MODEL)
except ArtifactError as error:
    assert "language-model is needed" in str(error)
print([name for name in ("torch", "fastai", "pandas", "sklearn") if importlib.util.find_spec(name)])
"""


@pytest.mark.slow
def test_a_model_predicts_where_torch_is_not_installed(tmp_path):
    from ulmfit_lib.models.exporting import export_checked

    pytest.importorskip("onnxruntime")
    texts = json.loads((STORED / "expected.json").read_text(encoding="utf-8"))["texts"]
    export_checked(STORED / "classifier", tmp_path / "exported", precision="float32", texts=texts)  # same to 1e-4
    installed = required_by([*PREDICTS, "spacy"])  # which old models need
    assert not ABSENT & set(installed)
    python = make_environment(tmp_path / "env", list(installed.values()))
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [python, "-c", PREDICT_WITHOUT_TORCH, str(STORED), str(tmp_path / "exported")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
    python = make_environment(tmp_path / "small", list(required_by(PREDICTS).values()))
    terminal = [python, "-m", "ulmfit_lib.cli"]
    options = {"capture_output": True, "text": True, "env": environment, "check": False}
    done = subprocess.run([*terminal, "predict", tmp_path / "exported", "A fine film."], **options)
    assert done.returncode == 0 and "%" in done.stdout, done.stderr


def test_the_small_distribution_asks_for_what_predicting_needs_and_nothing_else():
    asked = SMALL.read_text(encoding="utf-8")
    lines = re.findall(r'^(?:    |network = \[)"([a-z]+)>=', asked, re.MULTILINE)
    assert sorted(lines) == sorted(PREDICTS)
    assert "onnxruntime" not in asked.partition("dependencies = [")[2].partition("]")[0]  # static classifiers need none


@pytest.mark.parametrize("absent", ["matplotlib.axes", "ulmfit_lib.pipeline.label_budget"])
def test_what_the_small_distribution_leaves_out_is_said_in_a_sentence(ulmfit, monkeypatch, absent):
    for name in ("plots", "figure_style"):  # which other tests may have imported
        monkeypatch.delitem(sys.modules, f"ulmfit_lib.evaluation.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "ulmfit_lib.training", None)
    monkeypatch.setitem(sys.modules, absent, None)
    code, _, said = ulmfit("label-budget", EXAMPLE, "--text", "review", "--label", "sentiment")
    assert code == 2 and said.count("\n") == 1 and "pip install ulmfit-lib" in said


@pytest.mark.parametrize(
    ("package", "command", "install"),
    [
        ("pooch", ["models", "download", "--quiet"], "run pip install ulmfit-lib again"),
        ("python_multipart", ["serve", "model"], "pip install 'ulmfit-lib[serve]'"),
    ],
)
def test_a_package_that_is_missing_is_named_in_a_sentence(ulmfit, monkeypatch, tmp_path, package, command, install):
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path))
    monkeypatch.delenv("ULMFIT_OFFLINE", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    code, _, said = ulmfit(*command)
    assert code == 2 and said.count("\n") == 1 and package in said and install in said


def test_the_workflow_runs_what_ci_runs_with_actions_that_cannot_change():
    workflow = (PACKAGE.parent / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "- run: .ci/run\n" in workflow
    assert all(re.fullmatch(r"[0-9a-f]{40}", version) for version in re.findall(r"uses: .+@(\S+)", workflow))
