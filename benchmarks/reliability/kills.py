"""Kill trainings at random moments, run each again until it ends, and compare with one that nobody disturbed.

    python benchmarks/reliability/kills.py --kills 200 --json

All four commands that train, with a checkpoint after every batch, so that many kills hit a file that is being written.
After each kill the place of the result must be empty or hold a whole model; at the end its weights must be equal, bit
for bit, to those of the undisturbed run.
"""

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from processes import command_line, conditions, start

from ulmfit_lib.artifact.format import load_artifact
from ulmfit_lib.artifact.seal import check_seal, hash_file
from ulmfit_lib.errors import UlmfitError

REVIEWS = Path(__file__).parents[2] / "examples" / "reviews.csv"
ROWS = 100
SIZES = "--embedding 12 --hidden 16 --layers 2 --batch-size 8 --vocab-size 400"


@dataclass
class Counts:
    """What happened.

    Attributes:
        kills: processes killed.
        while_writing: of these, how many left a half-written file.
        runs: trainings that came to their end, by command.
        different: of these, the commands that ended with other weights than the undisturbed run, and in which files.
        broken: kills after which the result's place held neither nothing nor a whole model.
    """

    kills: int
    while_writing: int
    runs: dict[str, int]
    different: list[str] = field(default_factory=list)
    broken: int = 0


def commands(folder: Path) -> dict[str, list[str]]:
    """The command lines that train, without ``--out``; the later ones need what the first one makes."""
    data = [str(folder / "reviews.csv"), "--text", "review"]
    base, labels = str(folder / "pretrain"), ["--label", "sentiment"]
    few = ["--direction", "forward", "--strategy", "fine-tune"]
    return {
        "pretrain": ["pretrain", *data, *SIZES.split(), "--direction", "both", "--epochs", "2"],
        "fit-lm": ["fit-lm", *data, "--base", base, "--epochs", "2"],
        "fit-classifier": ["fit-classifier", *data, *labels, "--lm", base, *few, "--epochs", "2"],
        "fit": ["fit", *data, *labels, "--base", base, *few, "--lm-epochs", "1"],
    }


def weights(model: Path) -> dict[str, str]:
    """Hashes of all that decides what a model says."""
    files = ("model.safetensors", "vocab.json", "baseline_terms.json", "topics_terms.json")
    hashes = {name: hash_file(model / name) for name in files if (model / name).exists()}
    return hashes | {"blend": str(json.loads((model / "config.json").read_text()).get("blend"))}


def is_whole(model: Path) -> bool:
    """Nothing, or a model that can be read."""
    try:
        if model.exists():
            check_seal(load_artifact(model).config, model)
    except UlmfitError:
        return False
    return True


def killed_often(arguments: list[str], out: Path, seconds: float, counts: Counts, most: int) -> bool:
    """Run a command line, killed up to ``most`` times, until it ends; whether it ended well."""
    while True:
        process = start(command_line, arguments, out.parent / "log.txt")
        process.join(random.uniform(0, seconds) if counts.kills < most else None)
        if process.is_alive():
            process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            return process.exitcode == 0
        counts.kills += 1
        counts.while_writing += any(out.parent.rglob(".*.writing"))
        counts.broken += not is_whole(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        undisturbed, disturbed = Path(temporary) / "undisturbed", Path(temporary) / "disturbed"
        expected, seconds = {}, {}
        frequent = ["--device", "cpu", "--checkpoint-every", "0", "--overwrite", "--out"]
        os.environ["ULMFIT_CACHE"] = str(undisturbed / "cache")
        undisturbed.mkdir()
        lines = REVIEWS.read_text(encoding="utf-8").splitlines(keepends=True)
        (undisturbed / "reviews.csv").write_text("".join(lines[:ROWS]), encoding="utf-8")
        for name, arguments in commands(undisturbed).items():
            started = time.monotonic()
            process = start(command_line, [*arguments, *frequent, str(undisturbed / name)], undisturbed / "log.txt")
            process.join()
            if process.exitcode:
                raise SystemExit((undisturbed / "log.txt").read_text())
            seconds[name] = time.monotonic() - started
            expected[name] = weights(undisturbed / name)
        counts = Counts(0, 0, dict.fromkeys(expected, 0))
        while counts.kills < options.kills:
            name = min(counts.runs, key=lambda one: counts.runs[one])
            shutil.rmtree(disturbed, ignore_errors=True)
            disturbed.mkdir()
            out = disturbed / "model"
            if counts.runs[name] % 2:  # an older model is there, which a kill must not harm
                shutil.copytree(undisturbed / "pretrain", out)
            arguments = [*commands(undisturbed)[name], *frequent, str(out)]
            if not killed_often(arguments, out, seconds[name], counts, options.kills):
                raise SystemExit((disturbed / "log.txt").read_text())
            counts.runs[name] += 1
            if others := [file for file, found in weights(out).items() if found != expected[name][file]]:
                counts.different.append(f"{name}: {', '.join(others)}")
    print(json.dumps(vars(counts) | conditions()) if options.json else counts)


if __name__ == "__main__":
    main()
