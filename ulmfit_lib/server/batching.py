"""Texts of several requests are read together, so many tokens at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Protocol

import numpy as np

from ulmfit_lib.arrays import Floats

TOKENS = 2000  # that are read together, more or less: some 30 ms of a core in each direction
CHARACTERS = 5  # of a token, more or less


class Reader(Protocol):
    """What a served classifier is to those that read with it."""

    @property
    def classes(self) -> list[str]:
        """The columns of probabilities."""

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(n_texts, n_classes) probabilities, of each text whatever the texts beside it."""


class Waiting:
    """A request with one text or more, not all of which are read yet; ``finish`` makes its answer of probabilities."""

    def __init__(self, reader: Reader, texts: Sequence[str], finish: Callable[[Floats], Any]) -> None:
        self.reader, self.texts, self.finish = reader, texts, finish
        self.answer: Future[Any] = Future()
        self.taken = 0  # of its texts
        self._said = np.zeros((len(texts), len(reader.classes)))
        self._left = len(texts)

    def take(self) -> tuple[int, int]:
        """The place of its next text, and the text's tokens, more or less."""
        place, self.taken = self.taken, self.taken + 1
        return place, len(self.texts[place]) // CHARACTERS + 1

    def all_taken(self) -> bool:
        """Whether it needs no more turn; so it is when nobody waits for its answer any more."""
        return self.taken == len(self.texts) or self.answer.done()

    def hear(self, places: list[int], rows: Floats) -> bool:
        """Some of its texts have been read; whether these were the last."""
        self._said[places] = rows
        self._left -= len(places)
        return not self._left

    def give(self) -> None:
        """Its answer, if somebody still waits for it."""
        if self.answer.set_running_or_notify_cancel():
            try:
                self.answer.set_result(self.finish(self._said))
            except Exception as error:
                self.answer.set_exception(error)

    def fail(self, error: Exception) -> None:
        """Its texts could not be read."""
        if not self.answer.done() and self.answer.set_running_or_notify_cancel():
            self.answer.set_exception(error)


Batch = dict[Waiting, list[int]]  # the places of texts, by request


class Batches:
    """Requests, in the order in which they came, and the threads of a ``pool`` that read their texts.

    Half of a batch goes to the oldest request, the rest first to one text of each of the others: so long requests are
    answered one after the other, and short ones do not wait for them. Other tasks of the pool get their turn between
    two batches.
    """

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool, self._threads = pool, threads
        self._waiting: dict[Waiting, None] = {}  # ordered
        self._reading = 0  # threads
        self._lock = Lock()

    def ask(self, reader: Reader, texts: Sequence[str], finish: Callable[[Floats], Any]) -> "Future[Any]":
        """What ``finish`` makes of the texts' probabilities, once they are read."""
        one = Waiting(reader, texts, finish)
        with self._lock:
            self._waiting[one] = None
            if self._reading < self._threads:
                self._reading += 1
                self._pool.submit(self._read_next)
        return one.answer

    def _read_next(self) -> None:
        """Read one batch; then ask for another turn if more wait."""
        with self._lock:
            batch = self._gather()
        self._read(batch)
        with self._lock:
            if self._waiting:
                self._pool.submit(self._read_next)
            else:
                self._reading -= 1

    def _gather(self) -> Batch:
        batch: Batch = {}
        if not self._waiting:
            return batch
        oldest = next(iter(self._waiting))
        same = [one for one in self._waiting if one.reader is oldest.reader]
        left = TOKENS - _take(batch, oldest, TOKENS // 2)
        for one in same[1:]:
            left -= _take(batch, one, 1) if left > 0 else 0
        for one in same:
            left -= _take(batch, one, left)
        for one in same:
            if one.all_taken():
                del self._waiting[one]
        return batch

    def _read(self, batch: Batch) -> None:
        if not batch:
            return
        reader, texts = next(iter(batch)).reader, [one.texts[place] for one, some in batch.items() for place in some]
        try:
            rows = reader.predict_proba(texts)
        except Exception as error:
            if len(batch) == 1:
                next(iter(batch)).fail(error)
            else:  # it may be the fault of one of them
                for one, places in batch.items():
                    self._read({one: places})
            return
        start = 0
        for one, places in batch.items():
            with self._lock:
                was_last = one.hear(places, rows[start : start + len(places)])
            start += len(places)
            if was_last:
                one.give()


def _take(batch: Batch, one: Waiting, budget: int) -> int:
    """Add texts of a request to a batch until they reach ``budget`` tokens; how many these are."""
    tokens = 0
    while tokens < budget and not one.all_taken():
        place, size = one.take()
        batch.setdefault(one, []).append(place)
        tokens += size
    return tokens
