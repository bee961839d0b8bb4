"""Damage saved models at random and load them: each must say the very same as before, or be refused with a sentence.

    python benchmarks/reliability/corruptions.py --cases 10000 --json

Files are cut short, emptied, removed, grown, swapped with another model's, have bits flipped, sizes in the safetensors
header inflated, and values in the JSON exchanged for others. Each case is seeded by its number: --first 123 --cases 1
repeats case 123 and shows what was done. A process that dies, hangs for a minute or takes a gigabyte counts as failed.
"""

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from processes import parse_cases, peak_megabytes, print_summary, reset_peak, run_cases

from ulmfit_lib import LanguageModel, TextClassifier, fit_classifier, pretrain, read_table
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.errors import UlmfitError
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.stages.pretrain import LanguageModelConfig
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import fit_tfidf

REVIEWS = Path(__file__).parents[2] / "examples" / "reviews.csv"
TEXTS = ["The hotel was clean and the staff were very kind .", "It broke after a week , a waste of money !", "ok"]


def make_models(folder: Path) -> list[str]:
    """Language models and classifiers, of words and subwords, in float32 and int8, with a baseline and without."""
    reviews = read_table(REVIEWS, text="review", label="sentiment")
    few = reviews.labelled().select(range(60))
    for tokens in ("words", "subwords"):
        config = LanguageModelConfig(Architecture(6, 8, 1), tokens, vocab_size=300, direction="both")
        lm = pretrain(reviews.texts[:100], config=config, run=Run(device="cpu"))
        classifier = fit_classifier(few, lm=lm, strategy="linear-probe", run=Run(device="cpu"))
        baseline = fit_tfidf(few.texts, few.targets())
        pair = replace(classifier, tfidf={"baseline": baseline, "topics": baseline}, blend=Blend(0.5, 0.3, 0.2))
        lm.save(folder / f"lm-{tokens}")
        lm.save(folder / f"lm-{tokens}-int8", precision="int8")
        classifier.save(folder / f"classifier-{tokens}-int8", precision="int8")
        pair.save(folder / f"pair-{tokens}")
    return sorted(path.name for path in folder.iterdir())


def say(model: Path) -> Any:
    """What a model says of a few texts."""
    if model.name.startswith("lm"):
        lm = LanguageModel.load(model)
        return [lm.perplexity(TEXTS), lm.vocabulary.tokens]
    classifier = TextClassifier.load(model)
    return [classifier.predict_proba(TEXTS).tolist(), classifier.classes]


def corrupt(model: Path, others: list[Path], rng: random.Random) -> str:
    """Damage one file of a model, in place; returns what was done."""
    file = rng.choice([file for file in sorted(model.iterdir()) if file.name != "README.md"])
    ways: list[Callable[[Path, random.Random], str]] = [cut, flip, flip, grow, overwrite_bytes]
    if file.suffix == ".json":
        ways += [edit_json] * 4
    if file.suffix == ".safetensors":
        ways += [inflate] * 2
    way = rng.choice([*ways, remove, None])
    if way is None:
        other = rng.choice(others)
        source = other / file.name
        if not source.exists() or source.read_bytes() == file.read_bytes():
            return f"nothing: {other.name} has no other {file.name}"
        shutil.copyfile(source, file)
        return f"{file.name} swapped with that of {other.name}"
    return f"{file.name}: {way(file, rng)}"


def remove(file: Path, rng: random.Random) -> str:
    file.unlink()
    return "removed"


def cut(file: Path, rng: random.Random) -> str:
    content = file.read_bytes()
    size = rng.choice([0, 1, 7, 8, 9, rng.randrange(len(content)), len(content) - 1])
    file.write_bytes(content[:size])
    return f"cut to {size} bytes"


def grow(file: Path, rng: random.Random) -> str:
    more = rng.randbytes(rng.randint(1, 100))
    file.write_bytes(file.read_bytes() + more)
    return f"grown by {more!r}"


def flip(file: Path, rng: random.Random) -> str:
    content = bytearray(file.read_bytes())
    first = rng.choice([len(content), 200])  # half of them where headers are
    places = [(rng.randrange(min(first, len(content))), rng.randrange(8)) for _ in range(rng.choice([1, 1, 2, 16]))]
    for byte, bit in places:
        content[byte] ^= 1 << bit
    file.write_bytes(content)
    return f"bits flipped at {places}"


def overwrite_bytes(file: Path, rng: random.Random) -> str:
    content = bytearray(file.read_bytes())
    place = rng.randrange(len(content))
    noise = rng.choice([bytes(16), b"\xff" * 16, rng.randbytes(16), b"9" * 16, b'"', b"[" * 5000, b"NaN", b"1e999"])
    content[place : place + len(noise)] = noise
    file.write_bytes(content)
    return f"{noise[:20]!r} written at {place}"


def inflate(file: Path, rng: random.Random) -> str:
    """A safetensors header that claims other sizes."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.3:
        size = rng.choice([0, length - 1, length + 1, 10**9, 2**63, 2**64 - 1])
        file.write_bytes(size.to_bytes(8, "little") + content[8:])
        return f"header said to be {size} bytes long"
    header = json.loads(content[8 : 8 + length])
    said = mutate(header, rng)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    return f"header: {said}"


def edit_json(file: Path, rng: random.Random) -> str:
    value = json.loads(file.read_text(encoding="utf-8"))
    said = mutate(value, rng)
    file.write_text(json.dumps(value), encoding="utf-8")
    return said


def mutate(value: Any, rng: random.Random) -> str:
    """Change one value, somewhere inside a list or a dict."""
    path: list[Any] = []
    while True:
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not places:
            return "nothing: it is empty"
        place = rng.choice(places)
        path.append(place)
        if isinstance(value[place], dict | list) and value[place] and rng.random() < 0.8:
            value = value[place]
            continue
        break
    before = value[place]
    if isinstance(value, dict) and rng.random() < 0.2:
        if rng.random() < 0.5:
            del value[place]
            return f"{path} removed"
        value[str(place) + "x"] = value.pop(place)
        return f"{path} renamed"
    numbers = [before + 1, -before, before * 10**9] if isinstance(before, int | float) else []
    choices: list[Any] = [None, True, 0, -1, 1, 2**31, 2**64, 1e308, float("nan")]
    choices += ["", "x", "\ud800", "a" * 10_000, [], {}, [[]]]
    value[place] = rng.choice([*choices, *numbers, *([before[::-1], before[:-1]] if isinstance(before, str) else [])])
    return f"{path}: {str(before)[:40]!r} became {str(value[place])[:40]!r}"


def try_cases(folder: Path, expected: dict[str, Any], first: int, count: int, report: Path) -> None:
    """Cases ``first`` up to ``first + count``, each written down before it is tried."""
    import torch

    torch.set_num_threads(1)
    for model in folder.iterdir():
        say(model)  # what is loaded once counts for none
    floor = peak_megabytes()
    with report.open("w", encoding="utf-8") as file, tempfile.TemporaryDirectory() as temporary:
        for case in range(first, first + count):
            rng = random.Random(case)
            model = folder / rng.choice(sorted(expected))
            copy = Path(shutil.copytree(model, Path(temporary) / model.name, dirs_exist_ok=False))
            done = corrupt(copy, [folder / name for name in sorted(expected) if name != model.name], rng)
            found: dict[str, Any] = {"case": case, "model": model.name, "done": done}
            file.write(json.dumps(found) + "\n")
            file.flush()
            reset_peak()
            started = time.monotonic()
            try:
                same = np.array_equal(str(say(copy)), str(expected[model.name]))
                found["result"] = "same" if same else "different"
            except UlmfitError as error:
                found["result"], found["said"] = "refused", str(error)[:300]
            except BaseException as error:
                found["result"], found["said"] = "crashed", f"{type(error).__name__}: {error}"[:300]
            found["seconds"] = round(time.monotonic() - started, 3)
            found["megabytes"] = peak_megabytes() - floor
            file.write(json.dumps(found) + "\n")
            shutil.rmtree(copy)


def main() -> None:
    cases, as_json = parse_cases(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "models"
        folder.mkdir()
        expected = {name: say(folder / name) for name in make_models(folder)}
        results = run_cases(try_cases, [folder, expected], Path(temporary) / "report.jsonl", cases)
    print_summary(results, ("same", "refused"), most_megabytes=1000, as_json=as_json)


if __name__ == "__main__":
    main()
