"""Pieces of weights that came back from a GPU machine -> a model folder that ``from_pretrained`` reads.

python benchmarks/gpu/assemble.py wiki pieces --shards shards --out models/wiki-en
python -m ulmfit_lib.cli models add models/wiki-en
"""

import argparse
import io
import json
import math
from pathlib import Path

import torch

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.models.tensors import Weights
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer

SOURCES = {
    "wiki": "English Wikipedia articles of at least 1,000 characters (CC BY-SA)",
    "reviews": "wiki, then the train and unlabelled texts of the Large Movie Review Dataset, none of its test texts",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=sorted(SOURCES))
    parser.add_argument("pieces", type=Path)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    weights: dict[str, Weights] = {}
    stages = []
    for direction in ("forward", "backward"):
        name = f"{arguments.corpus}-{direction}"
        pieces = sorted(arguments.pieces.glob(f"{name}.[0-9][0-9].piece"))
        if not pieces:
            continue
        content = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
        stored = torch.load(content, map_location="cpu", weights_only=True)
        scales = {key: stored.pop(f"{key}.scale") for key in list(stored) if f"{key}.scale" in stored}
        weights[direction] = {
            key: tensor.float() * scales[key][:, None] if key in scales else tensor.float()
            for key, tensor in stored.items()
        }
        result = json.loads((arguments.pieces / f"{name}.json").read_text(encoding="utf-8"))
        manifest = json.loads((arguments.shards / "manifest.json").read_text(encoding="utf-8"))
        valid = manifest[f"{arguments.corpus}-valid"]
        nats = result["nats_per_token_int8"]
        validation = {
            "perplexity": math.exp(nats),
            "perplexity_per_word": math.exp(nats * valid["tokens"] / valid["words"]),
            "unknown_share": valid["unknown_share"],
            "tokens": valid["tokens"],
            "words": valid["words"],
        }
        stages.append({"stage": "pretrain", "source": SOURCES[arguments.corpus], **result, "validation": validation})
    if not weights:
        raise SystemExit(f"{arguments.pieces}: no pieces of {arguments.corpus}")
    model = LanguageModel(
        Architecture(*stages[0]["architecture"]),
        Vocabulary.load(arguments.shards / "vocab.json"),
        WordTokenizer(),
        weights,
        TrainingRecord.from_json({"name": f"{arguments.corpus}-en", "stages": stages}),
    )
    model.save(arguments.out, precision="int8")
    print(f"saved in {arguments.out}")


if __name__ == "__main__":
    main()
