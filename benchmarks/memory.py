"""Does memory stay flat as the input grows? Each job runs on generated files, in a process of its own.

    python benchmarks/memory.py dump --megabytes 50 500 [--json]    # pretrain from a MediaWiki dump
    python benchmarks/memory.py csv --megabytes 100 1000 [--json]   # tokenise, fit-lm and predict a CSV

The texts are random words under a natural distribution; a dump has links, templates, tables and references between
them. The models are tiny, so that the figures are the library's own.
"""

import argparse
import bz2
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from conditions import conditions
from made_up_texts import WordSource, reviews

PIECES = [
    "[[{0}|{1}]]",
    "{{{{cite|title={0}|url=http://{1}.org}}}}",
    "''{0}''",
    "<ref name={0}>{1} {0}</ref>",
    "\n== {0} ==\n",
    "\n{{| class=wikitable\n| {0} || {1}\n|}}\n",
    "[[File:{0}.jpg|thumb|{1}]]",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--megabytes", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    write, jobs = KINDS[arguments.kind]
    if arguments.job:
        _measure(jobs[arguments.job], arguments.folder)
        return
    results = []
    for megabytes in arguments.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), megabytes)
            environment = {"ULMFIT_CACHE": folder, "OMP_NUM_THREADS": "1", "PATH": ""}
            for job in jobs:
                command = [sys.executable, "-W", "ignore", __file__, arguments.kind, "--job", job, "--folder", folder]
                finished = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                results.append({"megabytes": megabytes, "job": job, **json.loads(finished.stdout)})
                print(results[-1], file=sys.stderr)
    if arguments.json:
        print(json.dumps({"kind": arguments.kind, **conditions(), "results": results}))
    else:
        for one in results:
            print(f"{one['megabytes']} MB, {one['job']}: peak {one['peak_megabytes']} MB, {one['seconds']} seconds")


def _measure(job: Callable[[Path], dict[str, Any]], folder: Path) -> None:
    started = time.monotonic()
    facts = job(folder)
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                **facts,
                "seconds": round(time.monotonic() - started),
                "peak_megabytes": round(peaks[0]),
                "peak_megabytes_of_a_worker": round(peaks[1]),
            }
        )
    )


def _pretrain(folder: Path) -> dict[str, Any]:
    from ulmfit_lib.artifact.architecture import Architecture
    from ulmfit_lib.data.wikipedia import store_dumps
    from ulmfit_lib.stages.pretrain import PRETRAIN, LanguageModelConfig, pretrain
    from ulmfit_lib.training.run import Run

    started = time.monotonic()
    texts = store_dumps([folder / "dump.xml.bz2"])
    parsed = time.monotonic()
    recipe = replace(PRETRAIN, batch_size=512, samples=64)
    config = LanguageModelConfig(Architecture(4, 4, 1), vocab_size=1000)
    lm = pretrain(texts, config=config, recipe=recipe, run=Run(device="cpu"))
    tokens = lm.training.last.tokens_per_epoch or 0
    return {"articles": len(texts), "tokens": tokens, "parse_seconds": round(parsed - started)}


def _tokenize(folder: Path) -> dict[str, Any]:
    from ulmfit_lib import read_table
    from ulmfit_lib.tokens.corpus import tokenize_corpus
    from ulmfit_lib.tokens.words import WordTokenizer

    texts = read_table(folder / "reviews.csv", text="review").texts
    return {"texts": len(texts), "tokens": len(tokenize_corpus(texts, WordTokenizer()).ids)}


def _fit_lm(folder: Path) -> dict[str, Any]:
    from ulmfit_lib import fit_lm, pretrain, read_table
    from ulmfit_lib.artifact.architecture import Architecture
    from ulmfit_lib.stages.fit_lm import FINE_TUNE
    from ulmfit_lib.stages.pretrain import PRETRAIN, LanguageModelConfig
    from ulmfit_lib.training.run import Run

    texts = read_table(folder / "reviews.csv", text="review").texts
    short = replace(PRETRAIN, epochs=0)
    config, run = LanguageModelConfig(Architecture(4, 4, 1), vocab_size=1000), Run(device="cpu")
    base = pretrain(texts[:200], config=config, recipe=short, run=run)
    recipe = replace(FINE_TUNE, batch_size=512, samples=64, frozen_epochs=0, epochs=1)
    lm = fit_lm(texts, base=base, recipe=recipe, run=run)
    lm.save(folder / "lm")
    return {"tokens": lm.training.last.tokens_per_epoch or 0}


def _predict(folder: Path) -> dict[str, Any]:
    from ulmfit_lib import LanguageModel, fit_classifier, read_table
    from ulmfit_lib.cli import main as cli

    with (folder / "reviews.csv").open(encoding="utf-8") as file, (folder / "few.csv").open("w") as few:
        few.writelines(line for line, _ in zip(file, range(101), strict=False))
    table = read_table(folder / "few.csv", text="review", label="sentiment")
    fit_classifier(table, lm=LanguageModel.load(folder / "lm"), strategy="linear-probe").save(folder / "classifier")
    names = (str(folder / name) for name in ("classifier", "reviews.csv"))
    sys.argv = ["ulmfit", "predict", *names, "--text", "review", "--out", str(folder / "out.csv"), "--quiet"]
    try:
        cli()
    except SystemExit as ended:
        assert not ended.code, ended.code
    return {"written_megabytes": round((folder / "out.csv").stat().st_size / 1e6)}


def write_dump(folder: Path, megabytes: int, *, seed: int = 0) -> None:
    source, written = WordSource(seed), 0
    with bz2.open(folder / "dump.xml.bz2", "wb", compresslevel=1) as file:
        file.write(b'<mediawiki><siteinfo><namespaces><namespace key="0"/></namespaces></siteinfo>')
        while written < megabytes * 1_000_000:
            chosen = source.take(600)
            for place in source.draw.integers(0, 599, size=30):
                chosen[place] = PIECES[place % len(PIECES)].format(chosen[place], chosen[place + 1])
            text = " ".join(chosen).replace("<", "&lt;").replace(">", "&gt;")
            page = f"<page><ns>0</ns><revision><text>{text}</text></revision></page>\n".encode()
            file.write(page)
            written += len(page)
        file.write(b"</mediawiki>")


def _write_csv(folder: Path, megabytes: int) -> None:
    path = folder / "reviews.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        source = reviews()
        while file.tell() < megabytes * 1_000_000:
            writer.writerows(islice(source, 1000))


KINDS: dict[str, tuple[Callable[[Path, int], None], dict[str, Callable[[Path], dict[str, Any]]]]] = {
    "dump": (write_dump, {"pretrain": _pretrain}),
    "csv": (_write_csv, {"tokenize": _tokenize, "fit-lm": _fit_lm, "predict": _predict}),
}

if __name__ == "__main__":
    main()
