"""Does memory stay flat as a MediaWiki dump grows? Generates dumps and pretrains from each in a process of its own.

    python benchmarks/dump_memory.py --megabytes 50 500 [--json]

The articles are random words under a natural distribution, with links, templates, tables and references between them.
Each process parses, stores and tokenises its whole dump and trains a tiny model on all of it.
"""

import argparse
import bz2
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conditions import conditions
from made_up_texts import WordSource

PIECES = [
    "[[{0}|{1}]]", "{{{{cite|title={0}|url=http://{1}.org}}}}", "''{0}''", "<ref name={0}>{1} {0}</ref>",
    "\n== {0} ==\n", "\n{{| class=wikitable\n| {0} || {1}\n|}}\n", "[[File:{0}.jpg|thumb|{1}]]",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pretrain-from", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pretrain_from:
        _pretrain(arguments.pretrain_from)
        return
    results = []
    for megabytes in arguments.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            dump = Path(folder) / "dump.xml.bz2"
            _write_dump(dump, megabytes)
            environment = {"ULMFIT_CACHE": folder, "OMP_NUM_THREADS": "1", "PATH": ""}
            command = [sys.executable, "-W", "ignore", __file__, "--pretrain-from", str(dump)]
            finished = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            results.append({"dump_megabytes": megabytes, **json.loads(finished.stdout)})
            print(results[-1], file=sys.stderr)
    if arguments.json:
        print(json.dumps({**conditions(), "results": results}))
    else:
        for one in results:
            print(f"{one['dump_megabytes']} MB: peak {one['peak_megabytes']} MB, {one['seconds']} seconds")


def _pretrain(dump: Path) -> None:
    from dataclasses import replace

    from ulmfit_lib.data.corpus import tokenize_corpus
    from ulmfit_lib.data.tokenizing import WordTokenizer
    from ulmfit_lib.data.wikipedia import store_dumps
    from ulmfit_lib.models.architecture import Architecture
    from ulmfit_lib.stages import PRETRAIN, pretrain

    started = time.monotonic()
    texts = store_dumps([dump])
    stored = time.monotonic()
    n_tokens = len(tokenize_corpus(texts, WordTokenizer()).ids)
    recipe = replace(PRETRAIN, batch_size=512, samples=64)
    pretrain(texts, architecture=Architecture(4, 4, 1), recipe=recipe, vocab_size=1000, device="cpu")
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({
        "articles": len(texts), "tokens": n_tokens, "parse_seconds": round(stored - started),
        "seconds": round(time.monotonic() - started), "peak_megabytes": round(peaks[0]),
        "peak_megabytes_of_a_worker": round(peaks[1]),
    }))  # fmt: skip


def _write_dump(path: Path, megabytes: int) -> None:
    source, written = WordSource(), 0
    with bz2.open(path, "wb", compresslevel=1) as file:
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


if __name__ == "__main__":
    main()
