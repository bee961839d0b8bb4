"""Every benchmark in a form of seconds, on made-up texts: does it still run?

    python benchmarks/quick.py            # those that take some seconds each
    python benchmarks/quick.py --all      # also the one that needs Ray
    python benchmarks/quick.py accuracy light

The figures mean nothing. Those in `reliability/` have a form of their own, `--cases` or `--kills`.
"""

import argparse
import csv
import itertools
import runpy
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from made_up_texts import reviews
from measuring import CLOCKS

BENCHMARKS = Path(__file__).resolve().parent
TRAIN_ROWS, TEST_ROWS, WORDS = 80, 40, 12
SUBJECTS = ("weather", "music", "money", "trains", "bread", "sleep")
TWO_FILES = "{folder}/reviews-train.csv {folder}/reviews-test.csv --text text --label label"
FAST = {
    "accuracy": f"{TWO_FILES} --quick --labels 20 --base {{folder}}/base --cache {{folder}}/accuracy",
    "base_parts": "--sets {folder}/sets --names reviews --labels 20 --draws 1",
    "contrast": "--sets {folder}/sets --names reviews --labels 16 --each --draws 1 --test-rows 20 "
    "--work {folder}/contrast",
    "decisions": "--sets {folder}/sets --names reviews --labels 20 --each 5 --draws 1 --test-rows 20 "
    "--base {folder}/base --work {folder}/decisions",
    "explanations": f"{TWO_FILES} --name reviews --base {{folder}}/base --labels 20 --texts 2",
    "few_labels": "{folder}/reviews-train.csv --text text --label label --base {folder}/base --labels 20 --seeds 1 "
    "--valid-rows 20 --recipes features",
    "label_budget": f"{TWO_FILES} --base {{folder}}/base --known 40 --target 60 --seeds 1",
    "label_loop": f"{TWO_FILES} --name reviews --pool 60 --tested 20 --sizes 16 --checked 40 --seeds 1 "
    "--without-cleanlab",
    "light": "--base {folder}/base --many 4 --rounds 1",
    "memory": "dump --megabytes 1",
    "parallel_tokens": "--files 2 --megabytes 1 --rounds 1",
    "peers": "--sets {folder}/sets --names reviews --labels 20 --each 5 --draws 1 --peers tfidf --work {folder}/peers",
    "pretraining": f"{TWO_FILES} --bases {{folder}}/base --labels 20 --seeds 1 --cache {{folder}}/pretraining",
    "readers": "--readers ours polars --megabytes 1 2 --rounds 1",
    "scaling": "--stages read",
    "scope": "--sets {folder}/sets --names subjects --far reviews --each 4 --draws 1",
    "scope-contrast": "--sets {folder}/sets --names subjects --far reviews --each 4 --draws 1 --contrast",
    "serving": "--model {folder}/model --seconds 0.1 --rounds 1 --answers 20",
    "several_processes": "--base {folder}/base --tokens 500 --rounds 1 --sides 2x1",
    "speed": "--workload seconds --rows lm_train classifier_train head_epochs predict_one",
    "token_parity": "{folder}/reviews-train.csv --text text",
    "tuning": "{folder} --base {folder}/base --labels 40 --minutes 0.1 --fit-minutes 0.05 --work {folder}/tuning",
    "verdicts": "{folder} --labels 20 --draws 1 --rows 60 --base {folder}/base --work {folder}/verdicts",
    "zero_labels": "{folder} --names reviews --rows 10",
}
WITH_RAY = {"engines": "--jobs short --short 20 40 --cores 1 --rounds 1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*FAST, *WITH_RAY, []])
    parser.add_argument("--all", action="store_true", help="also the one that needs Ray")
    arguments = parser.parse_args()
    names = arguments.names or [*FAST, *(WITH_RAY if arguments.all else ())]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_texts(folder)
        for name in names:
            started = time.perf_counter()
            run(name, folder)
            print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)


def script_of(name: str) -> Path:
    """The benchmark's own script; what follows a hyphen tells its forms apart."""
    return BENCHMARKS / f"{name.partition('-')[0]}.py"


def run(name: str, folder: Path) -> None:
    """One benchmark, as from a command line with --json; ``folder`` is what ``write_texts`` has filled."""
    script = script_of(name)
    before, clocks = sys.argv, {name: getattr(time, name) for name in CLOCKS}
    sys.argv = [str(script), *(FAST | WITH_RAY)[name].format(folder=folder).split(), "--json"]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stop:
        if stop.code:
            raise
    finally:
        sys.argv = before
        for name, clock in clocks.items():
            setattr(time, name, clock)  # some benchmarks count their CPU seconds instead


def write_texts(folder: Path) -> None:
    """Labelled texts to learn from and to test on, a tiny language model in ``base``, a classifier in ``model``."""
    from ulmfit_lib import TextTable, fit_classifier, pretrain
    from ulmfit_lib.artifact.architecture import Architecture
    from ulmfit_lib.stages.pretrain import PRETRAIN, LanguageModelConfig

    rows = list(itertools.islice(reviews(mean_words=WORDS), TRAIN_ROWS + TEST_ROWS))
    subjects = [(f"{text} {subject}", subject) for (text, _), subject in zip(rows, itertools.cycle(SUBJECTS))]
    for start, some in (("reviews-", rows), ("sets/reviews/", rows), ("sets/subjects/", subjects)):
        write_rows(folder / f"{start}train.csv", some[:TRAIN_ROWS])
        write_rows(folder / f"{start}test.csv", some[TRAIN_ROWS:])
    texts = [text for text, _ in rows]
    config = LanguageModelConfig(Architecture(8, 12, 1), vocab_size=200)
    base = pretrain(texts, config=config, recipe=replace(PRETRAIN, epochs=0))
    base.save(folder / "base")
    fit_classifier(TextTable.from_lists(texts, [label for _, label in rows]), lm=base).save(folder / "model")


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


if __name__ == "__main__":
    main()
