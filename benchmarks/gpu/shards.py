"""Numericalise a Wikipedia corpus and reviews into small files that can be carried to a GPU machine.

    python benchmarks/gpu/shards.py shards --wiki train-*.jsonl.xz --valid valid.jsonl.xz --reviews reviews.parquet

One vocabulary serves all: the commonest words of both. Each file holds 16-bit ids, xz-compressed, texts one after the
other (each starts with xxbos). The last 250 of the shuffled reviews are kept apart to measure on.
"""

import argparse
import json
import lzma
from pathlib import Path

import numpy as np

from ulmfit_lib import read_table
from ulmfit_lib.progress import track
from ulmfit_lib.tokens.corpus import Corpus, tokenize_corpus
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer

HELD_OUT_REVIEWS = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wiki", type=Path, nargs="+", required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--reviews", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--vocab-size", type=int, default=40_000)
    parser.add_argument("--shard-tokens", type=int, default=20_000_000, help="some 24 MB compressed")
    arguments = parser.parse_args()
    reviews = read_table(arguments.reviews, text=arguments.text).texts
    order = np.random.default_rng(0).permutation(len(reviews))
    texts = {
        "wiki": [text for file in arguments.wiki for text in read_table(file, text=arguments.text).texts],
        "wiki-valid": read_table(arguments.valid, text=arguments.text).texts,
        "reviews": [reviews[i] for i in order[:-HELD_OUT_REVIEWS]],
        "reviews-valid": [reviews[i] for i in order[-HELD_OUT_REVIEWS:]],
    }
    corpora = {name: tokenize_corpus(part, WordTokenizer()) for name, part in texts.items()}
    vocabulary = _shared_vocabulary(corpora["wiki"], corpora["reviews"], arguments.vocab_size)
    arguments.out.mkdir(parents=True, exist_ok=True)
    vocabulary.save(arguments.out / "vocab.json")
    manifest = {}
    for name, corpus in corpora.items():
        documents = corpus.numericalize(vocabulary)
        ends = documents.offsets[1:]
        n_shards = max(1, -(-documents.n_tokens // arguments.shard_tokens))
        bounds = np.searchsorted(ends, np.linspace(0, documents.n_tokens, n_shards + 1)[1:-1])
        for number, places in enumerate(
            track(np.split(np.arange(len(documents)), bounds), total=n_shards, description=name, unit="shard")
        ):
            ids = documents.select(places).stored[:].astype(np.uint16)
            (arguments.out / f"{name}-{number:02}.xz").write_bytes(lzma.compress(ids.tobytes(), preset=6))
        words = sum(len(text.split()) for text in texts[name])
        manifest[name] = {
            "texts": len(texts[name]),
            "tokens": documents.n_tokens,
            "words": words,
            "unknown_share": float(documents.counts(len(vocabulary))[vocabulary.unknown_id]) / documents.n_tokens,
        }
    (arguments.out / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    print(json.dumps(manifest))


def _shared_vocabulary(wiki: Corpus, reviews: Corpus, size: int) -> Vocabulary:
    counts = dict(zip(wiki.types, wiki.counts, strict=True))
    for token, count in zip(reviews.types, reviews.counts, strict=True):
        counts[token] = counts.get(token, 0) + count
    types = list(counts)
    return Vocabulary.from_counts(types, np.array([counts[token] for token in types]), max_size=size)


if __name__ == "__main__":
    main()
