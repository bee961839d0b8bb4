"""Served classifiers by name, read again when their folder is replaced."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ulmfit_lib.arrays import Floats
from ulmfit_lib.artifact.format import STATIC, read_config
from ulmfit_lib.errors import OptionError, UlmfitError
from ulmfit_lib.evaluation.certainty import Precision
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.progress import note
from ulmfit_lib.server.batching import Batches
from ulmfit_lib.serving.predictor import Predictor
from ulmfit_lib.serving.static_classifier import StaticClassifier

Served = Predictor | StaticClassifier
LOOKED_AFTER = 2.0  # seconds from which on a folder is looked at again


class ServedModel:
    """One classifier, and the folder that it comes from."""

    def __init__(self, path: Path) -> None:
        self.path, self.predictor, self.folder_name = path, _load(path), path.resolve().name
        self._stamp, self._looked, self._lock = self._changed(), time.monotonic(), threading.Lock()

    async def ready(self) -> Served:
        """``current``, which may take a while, so that other requests are answered meanwhile."""
        looked = time.monotonic() - self._looked <= LOOKED_AFTER
        return self.predictor if looked else await asyncio.to_thread(self.current)

    def current(self) -> Served:
        """The classifier; read anew first if its folder was replaced. One that cannot be read leaves the old one."""
        if time.monotonic() - self._looked > LOOKED_AFTER and self._lock.acquire(blocking=False):
            try:
                self._looked = time.monotonic()
                if (stamp := self._changed()) != self._stamp:
                    self._stamp = stamp
                    self.predictor, self.folder_name = _load(self.path), self.path.resolve().name
                    note(f"{self.path} was replaced and is read anew")
            except (UlmfitError, OSError) as error:
                note(f"{self.path} was replaced, but the old model stays: {error}")
            finally:
                self._lock.release()
        return self.predictor

    def _changed(self) -> tuple[int, int]:
        facts = (self.path / "config.json").stat()
        return facts.st_mtime_ns, facts.st_ino


def _load(path: Path) -> Served:
    if read_config(path)["kind"] == STATIC:
        return StaticClassifier.load(path)
    return Predictor.load(path, threads=1)


def _name(path: Path) -> str:
    on_hub = Repository.of_folder(path)
    return on_hub.name.split("/")[1] if on_hub else path.resolve().name


class Models:
    """Every served classifier, and the threads that ask them; so many texts may wait and no more.

    A name is the folder's; an OptionError says if two folders have the same.
    """

    def __init__(self, paths: Sequence[Path], *, threads: int, waiting: int) -> None:
        names = [_name(path) for path in paths]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise OptionError(f"two models are called {twice[0]!r}: give one of the folders another name")
        self.by_name = {name: ServedModel(path) for name, path in zip(names, paths, strict=True)}
        self.waiting = waiting
        self.under_way = 0  # texts; changed in the server's only event loop
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self.batches = Batches(self.pool, threads)

    def add(self, path: Path) -> str:
        """Serve one more, or another of the same name."""
        name = _name(path)
        self.by_name[name] = ServedModel(path)
        return name

    def find(self, name: str | None) -> ServedModel | None:
        """By name, or the first one."""
        return self.by_name.get(name) if name else next(iter(self.by_name.values()), None)


def answer(
    predictor: Served,
    texts: Sequence[str],
    min_precision: Precision | None,
    probabilities: Floats | None = None,
    *,
    scope: float | None = None,
) -> list[dict[str, Any]]:
    """A JSON-ready answer a text: its label, "" where it is blank; how sure that is; and every class's probability.

    What is said of them, (n_texts, n_classes) ``probabilities``, may be known where no text can be out of scope.
    """
    threshold = 0.0 if min_precision is None else predictor.thresholds(min_precision)
    said, outside = predictor.judge(texts, scope) if probabilities is None else (probabilities, None)
    labels, confidence = predictor.decode(said, threshold, outside), predictor.confidence(said)
    return [
        {
            "label": label if text.strip() else "",
            "confidence": round(float(sure), 6),
            "probabilities": {name: round(float(p), 6) for name, p in zip(predictor.classes, row, strict=True)},
        }
        for text, label, sure, row in zip(texts, labels, confidence, said, strict=True)
    ]
