"""fastai's saved language models -> tensors and tokens; nothing in them is trusted, and no pickle is executed."""

import io
import pickle
import pickletools
import re
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch

from ulmfit_lib.artifact.architecture import PAD_ID, Architecture
from ulmfit_lib.artifact.record import Stage
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.models.tensors import Weights
from ulmfit_lib.tokens.vocabulary import Vocabulary

LARGEST_VOCABULARY = 64 << 20  # bytes
LARGEST_WEIGHTS = 2 << 30
# What a pickle of lists, strings and numbers consists of. Nothing here can look up or call anything.
HARMLESS = re.compile(
    "PROTO|FRAME|STOP|MARK|EMPTY_LIST|LIST|APPEND|APPENDS|MEMOIZE|PUT|BINPUT|LONG_BINPUT|GET|BINGET|LONG_BINGET|UNICODE|"
    "BINUNICODE|SHORT_BINUNICODE|BINUNICODE8|INT|BININT|BININT1|BININT2|LONG|LONG1|FLOAT|BINFLOAT"
)
DAMAGED = (ValueError, LookupError, AttributeError, TypeError, EOFError, OverflowError, pickle.UnpicklingError)


class FastaiModel(NamedTuple):
    """What fastai's files hold: one direction of a language model."""

    architecture: Architecture
    vocabulary: Vocabulary
    weights: Weights


def read_fastai(weights: Path, vocabulary: Path) -> FastaiModel:
    """A language model that fastai saved, its ``.pth`` weights and its pickled list of tokens, under our names.

    An ArtifactError names a file that is missing, damaged, hostile, or of no AWD-LSTM language model of fastai's.
    """
    tokens = read_vocabulary(vocabulary)
    found = read_weights(weights)
    embedded = found["encoder.weight"].shape[0]
    if len(tokens) != embedded:
        raise ArtifactError(f"{vocabulary}: {len(tokens):,} tokens, but {weights} has rows for {embedded:,}")
    try:
        words = Vocabulary(tokens)
    except ValueError as error:
        raise ArtifactError(f"{vocabulary}: {error}") from error
    if words.pad_id != PAD_ID:
        raise ArtifactError(f"{vocabulary}: xxpad is at {words.pad_id} and must be at {PAD_ID}")
    layers = sum(key.endswith("weight_ih") for key in found)
    architecture = Architecture(found["encoder.weight"].shape[1], found["rnns.0.weight_hh"].shape[1], layers)
    for key, shape in architecture.weight_shapes(embedded).items():
        actual = tuple(found[key].shape) if key in found else "missing"
        if actual != shape:
            raise ArtifactError(f"{weights}: {key} is {actual}, and an AWD-LSTM of these sizes has {shape}")
    return FastaiModel(architecture, words, found)


def imported_stage(source: str) -> Stage:
    """What a model's record says of where it is from."""
    return Stage("imported from fastai", source=source)


def read_archive(archive: Path, *, folder: Path, direction: str) -> FastaiModel:
    """One of fastai's ``.tgz`` archives, which hold a ``.pth`` and a ``.pkl``; unpacked into ``folder``."""
    unpacked: dict[str, Path] = {}
    limits = {".pth": LARGEST_WEIGHTS, ".pkl": LARGEST_VOCABULARY}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                suffix = PurePosixPath(member.name).suffix
                if suffix not in limits or not member.isfile() or suffix in unpacked:
                    continue
                if member.size > limits[suffix]:
                    raise ArtifactError(f"{archive}: {member.name} claims {member.size:,} bytes, which is too large")
                unpacked[suffix] = folder / f"{direction}{suffix}"  # the archive decides no path
                with tar.extractfile(member) as source, unpacked[suffix].open("wb") as target:  # type: ignore[union-attr]
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(f"{archive}: cannot be unpacked ({error})") from error
    if missing := limits.keys() - unpacked.keys():
        raise ArtifactError(f"{archive}: no {min(missing)} file in it, so it is not one of fastai's language models")
    return read_fastai(unpacked[".pth"], unpacked[".pkl"])


class _PlainUnpickler(pickle.Unpickler):
    """Builds nothing that has a class of its own, whatever the instructions are."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it asks for an object outside the file")


def read_vocabulary(path: Path) -> list[str]:
    """A pickled list of strings; a pickle with any instruction beyond lists, strings and numbers is refused."""
    try:
        if path.stat().st_size > LARGEST_VOCABULARY:
            raise ArtifactError(f"{path}: {path.stat().st_size:,} bytes are too many for a vocabulary")
        content = path.read_bytes()
        for count, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if not HARMLESS.fullmatch(instruction.name):
                raise ArtifactError(
                    f"{path}: this pickle holds more than lists, strings and numbers ({instruction.name}); "
                    f"it could run code, so it is not read"
                )
            if "PUT" in instruction.name and not 0 <= int(argument or 0) <= count:
                raise ArtifactError(f"{path}: damaged pickle")  # a huge memo index would take all memory
        tokens: Any = _PlainUnpickler(io.BytesIO(content)).load()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from error
    except DAMAGED as error:
        raise ArtifactError(f"{path}: damaged pickle ({error})") from error
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ArtifactError(f"{path}: a vocabulary is a list of strings, and this is not")
    return tokens


def read_weights(path: Path) -> Weights:
    """fastai's tensors under our names; tied weights once, weight dropout's raw matrix instead of its copy."""
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no set of errors for damaged files
        raise ArtifactError(f"{path}: no readable weights ({str(error)[:200] or type(error).__name__})") from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]  # learn.save keeps the optimiser beside the model
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ArtifactError(f"{path}: a dictionary of tensors is needed")
    weights: Weights = {}
    for name, tensor in sorted(state.items(), key=lambda item: str(item[0]).endswith("_raw")):  # a raw matrix wins
        ours = our_name(str(name))
        if ours is None:
            raise ArtifactError(f"{path}: tensor {name} is not part of fastai's AWD-LSTM language model")
        if ours == "encoder.weight" and ours in weights and not torch.equal(weights[ours], tensor.float()):
            raise ArtifactError(f"{path}: {name} should be tied to the embedding, and is not")
        weights[ours] = tensor.float().contiguous()
    if not {"encoder.weight", "decoder.bias", "rnns.0.weight_hh"} <= weights.keys():
        raise ArtifactError(f"{path}: not fastai's AWD-LSTM language model: embedding, layers or decoder are missing")
    return weights


def our_name(name: str) -> str | None:
    """What we call a tensor of fastai's language model; None for one that it does not have."""
    if name in ("0.encoder.weight", "0.encoder_dp.emb.weight", "1.decoder.weight"):
        return "encoder.weight"
    if name == "1.decoder.bias":
        return "decoder.bias"
    found = re.fullmatch(r"0\.rnns\.(\d+)\.(?:module\.)?((?:weight|bias)_(?:ih|hh))_l0(?:_raw)?", name)
    return f"rnns.{int(found[1])}.{found[2]}" if found else None
