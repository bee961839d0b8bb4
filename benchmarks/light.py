"""What does it take to predict without torch, beside the torch path and beside fastai's ``load_learner().predict``?

    python benchmarks/light.py [reviews.csv --text review --label sentiment] [--model FOLDER] [--old CHECKOUT]
        [--minilm FOLDER] [--rounds 3] [--json]

The same network (a base's forward encoder under a hidden head) is saved, exported to ONNX in float32 and in int8, and
exported by fastai. Each side answers in a process of its own, in turns; figures are medians. With ``--model``, a
classifier that ``fit`` made is measured, too, where fastai has nothing to compare. ``--minilm`` names the folder of the
sentence transformer all-MiniLM-L6-v2, which answers under ONNX Runtime beside them, with a logistic regression on its
vectors; what exports it is in minilm_peer.py. Without a file: made-up reviews.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import fastai_peer
import minilm_peer
import numpy as np
import torch
from conditions import conditions
from made_up_texts import known_words, reviews
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ulmfit_lib import LanguageModel, TextTable, read_table
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.training.static_student import distil_static

BASE = "general-en-small"
NAMED_SIZES = 3  # distributions of each side whose size is said, the largest
SHORT_TEXT_WORDS, SHORT_TEXTS = 20, 32
LEARNT, CHECKED, DISTILLED_ON = 64, 200, 1000
NEEDS = {  # what is installed for each side, with all that these require
    "static": ["numpy", "safetensors", "tqdm", "platformdirs", "click"],
    "light": ["numpy", "onnxruntime", "safetensors", "tqdm", "platformdirs", "click"],
    "minilm": ["numpy", "onnxruntime", "tokenizers"],
    "torch": ["ulmfit-lib"],
    "old": ["numpy", "onnxruntime", "spacy", "safetensors", "tqdm", "filelock", "platformdirs", "typer"],
    "fastai": ["fastai"],
}
PARTS = {"numpy": ["numpy"], "onnxruntime": ["onnxruntime"]}  # whose size is not ours to choose
ASKED = {"cold_seconds": 0.4, "peak_mb": 300, "static_mb": 60, "installed_mb": 120, "ms_per_text": 3.0}
READ = "import sys; from ulmfit_lib import TextClassifier; TextClassifier.load(sys.argv[1])"
OWN = """
import json, sys
from ulmfit_lib import LanguageModel, TextTable, fit_classifier
from ulmfit_lib.errors import OptionError
texts, labels, base, direction, folder = json.loads(sys.argv[1])
table, lm = TextTable.from_lists(texts, labels), LanguageModel.from_pretrained(base).only(direction)
try:
    classifier = fit_classifier(table, lm=lm, strategy="linear-probe")
except OptionError:  # an earlier name of the strategy
    classifier = fit_classifier(table, lm=lm, strategy="features")
classifier.save(folder)
"""
OWN_MODEL = "own"
SMALL = ("static", "light")
SIDES = ("static", "light", "light-int8", "torch", "old", "old-int8", "minilm", "minilm-int8", "fastai")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--text", default="review")
    parser.add_argument("--label", default="sentiment")
    parser.add_argument("--base", default=BASE, help="whose forward encoder all sides share")
    parser.add_argument("--model", type=Path, help="a folder that `fit` made, measured as well")
    parser.add_argument("--old", type=Path, help="a checkout of an earlier release, whose light side is measured, too")
    parser.add_argument("--minilm", type=Path, help="a sentence transformer's folder, measured under ONNX Runtime")
    parser.add_argument("--many", type=int, default=100, help="texts that are answered in bulk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.file:
        table = read_table(arguments.file, text=arguments.text, label=arguments.label).labelled()
    else:
        made_up, labels = zip(*itertools.islice(reviews(words=known_words(arguments.base)), 2000), strict=True)
        table = TextTable.from_lists(list(made_up), list(labels))
    long_enough = [text for text in table.texts if len(text.split()) >= SHORT_TEXT_WORDS] or list(table.texts)
    short = [" ".join(text.split()[:SHORT_TEXT_WORDS]) for text in long_enough[:SHORT_TEXTS]]
    many = [text for text in table.texts if len(text.split()) < 900][: arguments.many]  # fastai drops what is longer
    found, installed = conditions(), {side: installed_megabytes(names) for side, names in (NEEDS | PARTS).items()}
    result: dict[str, Any] = {
        "texts": str(arguments.file or "made up"),
        **found,
        "asked": ASKED,
        "many": len(many),
        "words_per_text": round(float(np.mean([len(text.split()) for text in many]))),
        "installed_mb": {side: round(sum(sizes.values())) for side, sizes in installed.items()},
        "byte_code_mb": {side: round(sum(installed_megabytes(NEEDS[side], "*.pyc").values())) for side in SMALL},
        "largest_mb": {
            side: {name: round(size) for name, size in list(sizes.items())[:NAMED_SIZES]}
            for side, sizes in installed.items()
            if side in NEEDS
        },
        "networks": {},
    }
    result["versions"] = {**found["versions"], "onnxruntime": version("onnxruntime")}
    if arguments.note:
        result["note"] = arguments.note
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "texts.json").write_text(json.dumps({"short": short, "many": many}), encoding="utf-8")
        models = {f"{Path(arguments.base).name}, forward": same_network(table, arguments.base, work / "same")}
        if arguments.model:
            models["what fit made"] = exported(arguments.model, work / "made", table)
        peers = minilm_peer.export(arguments.minilm, work / "peers", *learnt(table)) if arguments.minilm else {}
        for name, paths in models.items():
            sides = {**paths, **peers}
            if arguments.old:
                old_work = work / f"old-{len(result['networks'])}"
                sides |= exported_by(arguments.old, paths["torch"], old_work, learnt(table))
            result["networks"][name] = in_turns(sides, work / "texts.json", rounds=arguments.rounds, old=arguments.old)
            print(name, json.dumps(result["networks"][name]), file=sys.stderr)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{found['machine']}; {', '.join(found['cpu']['features']) or 'no features that matter'}")
    print("installed, MB:", ", ".join(f"{side} {size:,}" for side, size in result["installed_mb"].items()))
    for name, sides in result["networks"].items():
        print(name)
        for side, row in sides.items():
            print(f"  {side:10}", ", ".join(f"{key} {value}" for key, value in row.items()))


def learnt(table: TextTable) -> tuple[list[str], list[str]]:
    """The rows that the sides which learn something do it from: texts, labels."""
    some = table.select(range(LEARNT))
    return list(some.texts), [str(label) for label in some.labels or []]


def exported_by(checkout: Path, model: Path, work: Path, rows: tuple[list[str], list[str]]) -> dict[str, Path]:
    """The classifier as an earlier release exports it, whose graphs are others; one of its own if it cannot read it."""
    work.mkdir()
    folders = {"old": work / "old", "old-int8": work / "old-int8"}
    if not read_by(checkout, model, work):
        loaded = TextClassifier.load(model)
        direction = loaded.direction if loaded.architecture.layers else "both"  # as `fit` did before words alone
        asked = json.dumps([*rows, Path(BASE).name, direction, str(work / OWN_MODEL)])
        one_process_of(checkout, ["-c", OWN, asked], work)
        model = work / OWN_MODEL
    for folder, precision in zip(folders.values(), ("float32", "int8"), strict=True):
        command = ["export", str(model), "--out", str(folder), "--precision", precision, "--quiet"]
        one_process_of(checkout, ["-m", "ulmfit_lib.cli", *command], work)
    return folders


def read_by(checkout: Path, model: Path, work: Path) -> bool:
    """Whether an earlier release knows the format of a model."""
    try:
        one_process_of(checkout, ["-c", READ, str(model.resolve())], work, stderr=subprocess.DEVNULL)
    except subprocess.CalledProcessError:
        return False
    return True


def one_process_of(checkout: Path, arguments: list[str], work: Path, *, stderr: int | None = None) -> None:
    """Python, where the library is that of a checkout."""
    path = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
    run, environment = [sys.executable, "-W", "ignore", *arguments], {**os.environ, "PYTHONPATH": path}
    subprocess.run(run, check=True, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)


def same_network(table: TextTable, base: str, work: Path) -> dict[str, Path]:
    """Each side's model; all of the same weights."""
    work.mkdir()
    lm = LanguageModel.from_pretrained(base)
    train, valid = table.select(range(LEARNT)), table.select(range(LEARNT, LEARNT + LEARNT // 2))
    learn = fastai_peer.classifier(train, valid, torch.device("cpu"), lm=lm)
    learn.export(work / "learner.pkl")
    fastai_peer.same_classifier(learn).save(work / "torch")
    return {**exported(work / "torch", work, table), "fastai": work / "learner.pkl"}


def exported(model: Path, work: Path, table: TextTable) -> dict[str, Path]:
    """A classifier's folder, its exports, and its static tier, distilled on the rows that no side has to answer."""
    work.mkdir(exist_ok=True)
    texts = [text for text, _ in itertools.islice(reviews(), CHECKED)]
    folders = {"light": work / "light", "light-int8": work / "light-int8"}
    for folder, precision in zip(folders.values(), ("float32", "int8"), strict=True):
        export_checked(model, folder, precision=precision, texts=texts)
    distil_static(TextClassifier.load(model), table.texts[-DISTILLED_ON:]).save(work / "static")
    return {**folders, "torch": model, "static": work / "static"}


def in_turns(
    models: dict[str, Path], texts: Path, *, rounds: int, old: Path | None = None
) -> dict[str, dict[str, Any]]:
    """Medians by side, and how far its answers are from those of float32 without torch."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES if side in models}
    for _ in range(rounds):
        for side, some in runs.items():
            some.append(one_process(side, models[side], texts, old if side.startswith("old") else None))
    expected = np.array(runs["light"][0].pop("said"))
    rows = {}
    for side, some in runs.items():
        said = expected if side == "light" else np.array(some[0]["said"])
        keys = [key for key in some[0] if key != "said"]
        rows[side] = {
            **{key: float(f"{statistics.median(one[key] for one in some):.4g}") for key in keys},
            "model_mb": round(size_of(models[side]) / 1e6, 1),
            **({} if is_another_network(side, models[side]) else differences(said, expected)),
        }
    return rows


def is_another_network(side: str, model: Path) -> bool:
    """Whether its answers cannot be compared with the others': it has learnt by itself."""
    return side.startswith("minilm") or (side.startswith("old") and (model.parent / OWN_MODEL).exists())


def differences(said: "np.ndarray[Any, Any]", expected: "np.ndarray[Any, Any]") -> dict[str, Any]:
    return {
        "largest_difference": float(f"{np.abs(said - expected).max():.2g}"),
        "labels_changed": int((said.argmax(1) != expected.argmax(1)).sum()),
        "compared": len(expected),
    }


def one_process(side: str, model: Path, texts: Path, old: Path | None = None) -> dict[str, Any]:
    """What a process of its own measures, and the seconds from its start to its first answer."""
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(old or here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "ignore", str(here / "light_side.py"), side, str(model), str(texts)]
    started = time.perf_counter()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # pip writes it
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**kept, "PYTHONPATH": path}) as run:
        assert run.stdout is not None
        run.stdout.readline()
        cold = time.perf_counter() - started
        rest = run.stdout.read()
    if run.returncode:
        sys.exit(f"{side}: its process ended with status {run.returncode}")
    return {"cold_seconds": round(cold, 3), **json.loads(rest)}


def installed_megabytes(names: list[str], pattern: str = "*") -> dict[str, float]:
    """Of these distributions and all that they require here, optional extras left out; the largest come first.

    Only files whose names fit the pattern count.
    """
    sizes: dict[str, int] = {}
    open_names = list(names)
    while open_names:
        name = canonicalize_name(open_names.pop())
        if name in sizes:
            continue
        try:
            one = distribution(name)
        except PackageNotFoundError:  # what this platform does not need
            sizes[name] = 0
            continue
        sizes[name] = sum(size_of(Path(str(file.locate()))) for file in one.files or [] if file.match(pattern))
        needed = map(Requirement, one.requires or [])
        open_names += [need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    return {name: size / 1e6 for name, size in sorted(sizes.items(), key=lambda one: -one[1])}


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir())
    return path.stat().st_size if path.is_file() else 0


if __name__ == "__main__":
    main()
