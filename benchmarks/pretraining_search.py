"""Which sizes and rates give the best language model in equal time?

    python benchmarks/pretraining_search.py wiki-00.jsonl.xz --valid valid.jsonl.xz --minutes 10 [--json]
        [--candidates 256/512/3@0.003x80 320/640/2@0.003x80 ...]

A candidate is embedding/hidden/layers@rate x rows of the token stream. All share one vocabulary. Their steps are timed
in turns; then each reads, once, as many tokens as it can in the time, and is measured by the full softmax.
"""

import argparse
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conditions import conditions

from ulmfit_lib import read_csv
from ulmfit_lib.data.corpus import Documents, tokenize_corpus
from ulmfit_lib.data.tokenizing import WordTokenizer
from ulmfit_lib.data.vocabulary import Vocabulary
from ulmfit_lib.models.architecture import Architecture
from ulmfit_lib.models.awd_lstm import LanguageModelNet
from ulmfit_lib.stages import PRETRAIN
from ulmfit_lib.training.language_modelling import LanguageModelRecipe, train_language_model

DEFAULT = ["256/512/3@0.003x80", "320/640/2@0.003x80", "256/768/2@0.003x80", "256/512/3@0.006x80", "256/512/3@0.003x40"]
TIMED_TOKENS, ROUNDS = 40_000, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--candidates", nargs="+", default=DEFAULT)
    parser.add_argument("--vocab-size", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = [text for file in arguments.files for text in read_csv(file, text=arguments.text).texts]
    corpus = tokenize_corpus(texts, WordTokenizer())
    vocabulary = Vocabulary.from_corpus(corpus, max_size=arguments.vocab_size)
    held_out = tokenize_corpus(read_csv(arguments.valid, text=arguments.text).texts[:100], WordTokenizer())
    train, valid = corpus.numericalize(vocabulary), held_out.numericalize(vocabulary)
    log_frequencies = torch.tensor(np.log((train.counts(len(vocabulary)) + 0.5) / train.n_tokens), dtype=torch.float32)

    def read(candidate: str, tokens: float, valid: Documents) -> tuple[int, dict[str, Any]]:
        architecture, recipe = _parse(candidate)
        part = train.select(np.arange(np.searchsorted(train.offsets, tokens)))
        torch.manual_seed(arguments.seed)
        net = LanguageModelNet(architecture, len(vocabulary))
        net.bias.data.copy_(log_frequencies)
        (row,) = train_language_model(
            net, part, valid, recipe, seed=arguments.seed, device=torch.device("cpu"), description=candidate
        )
        return part.n_tokens, row

    def rate(candidate: str) -> float:
        tokens, row = read(candidate, TIMED_TOKENS, valid.select([0]))
        return tokens / row["phase_seconds"]

    rounds = [[rate(candidate) for candidate in arguments.candidates] for _ in range(ROUNDS)]
    results = []
    for candidate, fastest in zip(arguments.candidates, np.max(rounds, axis=0), strict=True):
        tokens, row = read(candidate, fastest * 60 * arguments.minutes, valid)
        seconds, perplexity = round(row["phase_seconds"]), round(row["perplexity"], 2)
        results.append({"candidate": candidate, "tokens": tokens, "seconds": seconds, "perplexity": perplexity})
        print(json.dumps(results[-1]), file=sys.stderr)
    if arguments.json:
        print(json.dumps({"minutes": arguments.minutes, **conditions(), "results": results}))
    else:
        for one in results:
            print(f"{one['candidate']:24} {one['tokens']:>12,} tokens  perplexity {one['perplexity']}")


def _parse(candidate: str) -> tuple[Architecture, LanguageModelRecipe]:
    sizes = re.fullmatch(r"(\d+)/(\d+)/(\d+)@([\d.e-]+)x(\d+)", candidate)
    if not sizes:
        raise SystemExit(f"candidate {candidate!r}: it reads like 256/512/3@0.003x80")
    recipe = replace(PRETRAIN, lr=float(sizes[4]), batch_size=int(sizes[5]))
    return Architecture(*map(int, sizes.group(1, 2, 3))), recipe


if __name__ == "__main__":
    main()
