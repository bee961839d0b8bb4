"""Do our tokens equal fastai's, text for text, and how fast are both?

    python benchmarks/token_parity.py imdb.parquet --text text [--json]

Without a file: on the example reviews. Both tokenise the same texts, in alternating chunks, in one process.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

from conditions import conditions
from fastai.text.core import TokenizeWithRules
from fastai.text.core import WordTokenizer as FastaiWordTokenizer

from ulmfit_lib.data.reading import read_table
from ulmfit_lib.progress import bar
from ulmfit_lib.tokens.words import WordTokenizer

EXAMPLES = Path(__file__).parent.parent / "examples" / "reviews.csv"
CHUNK = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=EXAMPLES)
    parser.add_argument("--text", default="review")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = read_table(arguments.file, text=arguments.text).texts
    ours, theirs = WordTokenizer(), TokenizeWithRules(FastaiWordTokenizer())
    seconds = {"ours": 0.0, "fastai": 0.0}
    tokens = different = 0
    with bar(total=len(texts), description="comparing", unit="text") as progress:
        for start in itertools.count(0, CHUNK):
            chunk = texts[start : start + CHUNK]
            if not chunk:
                break
            found: list[list[str]] = []
            expected: list[list[str]] = []
            for name, tokenize, result in (("ours", ours, found), ("fastai", theirs, expected)):
                started = time.perf_counter()
                result.extend(list(one) for one in tokenize(chunk))
                seconds[name] += time.perf_counter() - started
            tokens += sum(map(len, expected))
            different += sum(one != other for one, other in zip(found, expected, strict=True))
            progress.update(len(chunk))
    rates = {name: round(tokens / spent) for name, spent in seconds.items()}
    ratio = round(seconds["fastai"] / seconds["ours"], 2)
    if arguments.json:
        counts = {"texts": len(texts), "tokens": tokens, "different_texts": different}
        print(json.dumps({**counts, **rates, "ratio": ratio, **conditions()}))
    else:
        print(f"{len(texts):,} texts, {tokens:,} tokens: {different} texts differ")
        print(f"tokens/s in one process: ours {rates['ours']:,}, fastai {rates['fastai']:,} ({ratio} x)")
    raise SystemExit(1 if different else 0)


if __name__ == "__main__":
    main()
