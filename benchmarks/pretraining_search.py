"""Which sizes and settings give the best language model in equal time?

    python benchmarks/pretraining_search.py wiki-00.jsonl.xz --valid valid.jsonl.xz --minutes 10 [--json]
        [--candidates 256/512/3@0.003 320/640/2@0.005,rows=40,samples=4096,words=20000,passes=2 ...]

A candidate is embedding/hidden/layers@rate, then what differs from 80 rows of the token stream, 2,048 words in the
sampled softmax, 30,000 words in the vocabulary and one pass. Steps of all candidates are timed in turns; then each
reads as many tokens as it can in the time (with two passes half as many, twice), and is measured by the full softmax.
An unknown word counts as one token, so that a small vocabulary has it easier: see ``unknown``.
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

from ulmfit_lib import LanguageModel, read_csv
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.models.awd_lstm import LanguageModelNet, read_weights
from ulmfit_lib.stages.pretrain import PRETRAIN
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer
from ulmfit_lib.training.language_modelling import train_language_model

BEST = "320/640/2@0.005"
DEFAULT = [
    BEST,
    "256/512/3@0.005",
    "320/640/2@0.003",
    f"{BEST},rows=40",
    f"{BEST},rows=160",
    f"{BEST},samples=1024",
    f"{BEST},samples=4096",
    f"{BEST},words=20000",
    f"{BEST},passes=2",
]
USUAL = {"rows": PRETRAIN.batch_size, "samples": PRETRAIN.samples, "words": 30_000, "passes": 1}
TIMED_TOKENS, ROUNDS, VALID_TEXTS = 40_000, 3, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--candidates", nargs="+", default=DEFAULT)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = [text for file in arguments.files for text in read_csv(file, text=arguments.text).texts]
    corpus = tokenize_corpus(texts, WordTokenizer())
    held_out = read_csv(arguments.valid, text=arguments.text).texts[:VALID_TEXTS]

    def train(candidate: str, tokens: float) -> tuple[LanguageModel, float]:
        """The model, and the tokens that it read in a second; ``tokens`` are read in all passes together."""
        architecture, settings = _parse(candidate)
        vocabulary = Vocabulary.from_counts(corpus.types, corpus.counts, max_size=settings["words"])
        documents = corpus.numericalize(vocabulary)
        recipe = replace(
            PRETRAIN,
            lr=settings["rate"],
            batch_size=settings["rows"],
            samples=settings["samples"],
            epochs=settings["passes"],
        )
        if documents.n_tokens < tokens / recipe.epochs:
            raise SystemExit(f"{candidate}: the files hold {documents.n_tokens:,} tokens; it could read more")
        part = documents.select(np.arange(np.searchsorted(documents.offsets, tokens / recipe.epochs)))
        torch.manual_seed(arguments.seed)
        net = LanguageModelNet(architecture, len(vocabulary))
        frequencies = (documents.counts(len(vocabulary)) + 0.5) / documents.n_tokens
        net.bias.data.copy_(torch.from_numpy(np.log(frequencies)))
        history = train_language_model(
            net, part, part.select([]), recipe, seed=arguments.seed, device=torch.device("cpu"), description=candidate
        )
        model = LanguageModel(architecture, vocabulary, WordTokenizer(), {"forward": read_weights(net)})
        return model, part.n_tokens * recipe.epochs / history[-1]["phase_seconds"]

    rounds = [[train(candidate, TIMED_TOKENS)[1] for candidate in arguments.candidates] for _ in range(ROUNDS)]
    results = []
    for candidate, fastest in zip(arguments.candidates, np.max(rounds, axis=0), strict=True):
        tokens = fastest * 60 * arguments.minutes
        model, rate = train(candidate, tokens)
        score = model.score(held_out)
        results.append(
            {
                "candidate": candidate,
                "tokens": round(tokens),
                "seconds": round(tokens / rate),
                "perplexity": round(score.perplexity, 2),
                "perplexity_per_word": round(score.perplexity_per_word, 1),
                "unknown": round(score.unknown_share, 4),
            }
        )
        print(json.dumps(results[-1]), file=sys.stderr)
    if arguments.json:
        print(json.dumps({"minutes": arguments.minutes, **conditions(), "results": results}))
    else:
        for one in results:
            print(f"{one['candidate']:32} {one['tokens']:>12,} tokens  perplexity {one['perplexity']}")


def _parse(candidate: str) -> tuple[Architecture, dict[str, Any]]:
    start, *changes = candidate.split(",")
    sizes = re.fullmatch(r"(\d+)/(\d+)/(\d+)@([\d.e-]+)", start)
    pairs = dict(change.partition("=")[::2] for change in changes)
    if not sizes or not pairs.keys() <= USUAL.keys():
        raise SystemExit(f"candidate {candidate!r}: it reads like 256/512/3@0.003,rows=40; known: {', '.join(USUAL)}")
    changed = {name: int(value) for name, value in pairs.items()}
    return Architecture(*map(int, sizes.group(1, 2, 3))), {**USUAL, "rate": float(sizes[4]), **changed}


if __name__ == "__main__":
    main()
