"""What each part of a base's distilled vectors is worth: logistic regression on them, beside other bases' vectors.

    python benchmarks/base_parts.py --sets DATA/dev --names product_sentences hwu64_intents --draws 3 --test-rows 400
    python benchmarks/base_parts.py --sets DATA/dev --bases before=FOLDER --json
    python benchmarks/base_parts.py --sets DATA/dev --typos 0.2 --json   # a mistake in every fifth word of test texts
    python benchmarks/base_parts.py --sets DATA/dev --teachers mpnet=FOLDER e5=FOLDER --json

words      the weighted mean of word vectors, in context where the base reads them so
unknown    the same where all words outside the vocabulary are one, whatever their spelling
encoder    the projection of what is pooled of the LSTM's outputs
together   their sum, which is the distilled vector of the base
teachers   the sentence transformers' own vectors of --teachers, side by side, and their strongest components alone, as
           many as the name says: what the base could know at best of what it was distilled from

Sets and draws are those of `peers.py`, but sets of tags are left out. C is 10; vectors have length 1. Seconds are those
of one core.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import conditions
from encoded_texts import EncodedTexts
from labelled_sets import LabelledSet, Rows, find_sets
from peer_classifiers import LogisticPeer, vectors
from peers import find_teachers

from ulmfit_lib import LanguageModel
from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.progress import bar, quietly
from ulmfit_lib.training.joint_targets import JointTargets

C = 10.0
PARTS = {
    "words": ("words", ()),
    "unknown": ("words", ()),
    "encoder": ("distilled", ("words.projection",)),
    "together": ("distilled", ()),
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHORTEST = 4  # letters of a word that is misspelled
WIDTH, STRONGEST = 512, (16, 64)  # components of the teachers' vectors
Row = dict[str, Any]
Embed = Callable[[list[str]], npt.NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="folder of sets")
    parser.add_argument("--names", nargs="+", help="of sets; default all")
    parser.add_argument("--base", default="general-en-small", help="whose parts are measured")
    parser.add_argument("--bases", nargs="+", default=[], metavar="NAME=FOLDER", help="others, as a whole")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--test-rows", type=int, help="the first of each set; default all")
    parser.add_argument("--typos", type=float, default=0.0, help="share of the test texts' words that are misspelled")
    parser.add_argument("--teachers", nargs="*", default=[], metavar="PEER=FOLDER", help="as in peers.py")
    parser.add_argument("--work", type=Path, default=Path("base-parts-work"), help="where their vectors are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        models = find_models(options.base, options.bases)
        find_teachers(options.teachers)
        sets = [LabelledSet.read(folder, options.test_rows) for folder in find_sets(options.sets, options.names)]
    except UlmfitError as error:
        parser.error(str(error))
    sets = [one for one in sets if not one.has_tags]
    embed: dict[str, Embed] = {
        name: partial(model.embed, pooling=PARTS[name][0] if name in PARTS else model.usual_pooling)
        for name, model in models.items()
    }
    if options.teachers:
        embed |= teachers_vectors(sets, options)
    rows = []
    with bar(total=len(sets) * len(embed), description="vectors", unit="sets") as progress:
        for one in sets:
            for name, vectors_of in embed.items():
                rows.append(measure(one, name, vectors_of, options))
                progress.update(1)
    if options.json:
        asked = {name: getattr(options, name) for name in ("base", "labels", "draws", "test_rows", "typos")}
        print(json.dumps({**asked, "rows": rows, **conditions()}))
    else:
        print(markdown(rows, list(embed)))


def find_models(base: str, others: Sequence[str]) -> dict[str, LanguageModel]:
    """Each part of the base, and other bases, by name.

    Raises:
        ArtifactError: no such base.
        OptionError: a base without word vectors, or another that is not given as NAME=FOLDER.
    """
    model = LanguageModel.from_pretrained(base)
    if not model.architecture.words:
        raise OptionError(f"--base {base}: it has no word vectors, so that there are no parts to compare")
    models = {part: without(model, names) for part, (_, names) in PARTS.items()}
    models["unknown"] = replace(model, architecture=replace(model.architecture, spelling=False))
    for one in others:
        name, _, folder = one.partition("=")
        if not folder:
            raise OptionError(f"--bases {one}: give NAME=FOLDER")
        models[name] = LanguageModel.from_pretrained(folder)
    return models


def without(model: LanguageModel, names: Sequence[str]) -> LanguageModel:
    """The same with some tensors of zeros."""
    weights = {
        way: {name: tensor.new_zeros(tensor.shape) if name in names else tensor for name, tensor in some.items()}
        for way, some in model.weights.items()
    }
    return replace(model, weights=weights)


def misspelled(word: str, draw: np.random.Generator) -> str:
    """A word with a letter left out, doubled, exchanged with the next or replaced; short ones stay."""
    if len(word) < SHORTEST or not word.isalpha():
        return word
    place = int(draw.integers(1, len(word) - 1))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    kinds = after, letter + letter + after, after[0] + letter + after[1:], str(draw.choice(list(LETTERS))) + after
    return before + kinds[draw.integers(len(kinds))]


def with_typos(texts: Sequence[str], share: float) -> list[str]:
    """Texts with a share of their words misspelled."""
    draw = np.random.default_rng(0)
    return [
        " ".join(misspelled(word, draw) if draw.random() < share else word for word in text.split(" "))
        for text in texts
    ]


def texts_of(one: LabelledSet, options: argparse.Namespace) -> tuple[list[Rows], list[str], list[str]]:
    """The draws of a set, its test texts, and all of its texts that are needed."""
    drawn = [one.draw(options.labels, number) for number in range(options.draws)]
    asked = with_typos(one.test.texts, options.typos) if options.typos else one.test.texts
    return drawn, asked, sorted({text for some in (asked, *(rows.texts for rows in drawn)) for text in some})


def teachers_vectors(sets: Sequence[LabelledSet], options: argparse.Namespace) -> dict[str, Embed]:
    """What makes the teachers' joint vectors, whole and reduced to the strongest components of all sets' texts."""
    texts = [text for one in sets for text in texts_of(one, options)[2]]
    teachers = find_teachers(options.teachers)
    by_teacher = []
    for name in (given.partition("=")[0] for given in options.teachers):
        encoded = EncodedTexts.open(options.work / f"{name}.npz")
        encoded.add(texts, teachers[name], description=name)
        by_teacher.append(encoded)
    joint = JointTargets.fit([one[texts].astype(np.float16) for one in by_teacher], WIDTH)

    def embed(some: list[str], width: int) -> npt.NDArray[np.float32]:
        joined = joint.join([one[some].astype(np.float16) for one in by_teacher])
        return joined[:, :width].astype(np.float32)

    widths = {"teachers": WIDTH} | {f"teachers, {width}": width for width in STRONGEST}
    return {name: partial(embed, width=width) for name, width in widths.items()}


def measure(one: LabelledSet, name: str, embed: Embed, options: argparse.Namespace) -> Row:
    """Accuracy and macro F1 in %, means over the draws, and how long the vectors took, unless teachers made them."""
    drawn, asked, texts = texts_of(one, options)
    started = time.process_time()
    with quietly():
        embedded = embed(texts)
    seconds = time.process_time() - started
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    found = dict(zip(texts, embedded, strict=True))
    scores = []
    for rows in drawn:
        peer = LogisticPeer(one, vectors(lambda some: np.array([found[text] for text in some], np.float32)), C)
        scores.append(one.score(*peer.fit(rows).predict(asked)))
    row = {
        "set": one.name,
        "vectors": name,
        "accuracy": round(float(np.mean([score["accuracy"] for score in scores])), 2),
        "macro_f1": round(float(np.mean([score["macro_f1"] for score in scores])), 2),
    }
    return row if name.startswith("teachers") else {**row, "milliseconds_a_text": round(1000 * seconds / len(texts), 3)}


def markdown(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Accuracies as a Markdown table, a row for each set."""
    lines = [f"| set | {' | '.join(names)} |", "|---" + "|---:" * len(names) + "|"]
    by_place = {(row["set"], row["vectors"]): row["accuracy"] for row in rows}
    sets = list(dict.fromkeys(row["set"] for row in rows))
    for one in sets:
        lines.append(f"| {one} | {' | '.join(f'{by_place[one, name]:.1f}' for name in names)} |")
    means = [float(np.mean([by_place[one, name] for one in sets])) for name in names]
    return "\n".join([*lines, f"| mean | {' | '.join(f'{mean:.1f}' for mean in means)} |"])


if __name__ == "__main__":
    main()
