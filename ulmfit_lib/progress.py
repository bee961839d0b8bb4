"""One progress bar for everything long: on stderr, with an ETA, silent when nobody watches."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Switch progress bars and notes off (or on again) for this process."""
    global _quiet
    _quiet = quiet


@contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """While it lasts, no progress bars and no notes; with False, all as it was."""
    before = _quiet
    set_quiet(before or quiet)
    try:
        yield
    finally:
        set_quiet(before)


def note(message: str) -> None:
    """Say something to a person on stderr, without tearing a running bar apart."""
    if not _quiet:
        tqdm.write(message, file=sys.stderr)


def counted(number: int, thing: str) -> str:
    """A number of things as a sentence says it.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class")
    ('1 row', '1,200 rows', '2 classes')
    """
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def bar(*, total: float, description: str, unit: str, initial: float = 0) -> tqdm:
    """A bar that the caller moves with ``update``; use it as a context manager."""
    disable = True if _quiet or os.environ.get("ULMFIT_QUIET") else None  # None: silent when stderr is no terminal
    return tqdm(
        total=total, initial=initial, desc=description, unit=unit, unit_scale=True, disable=disable,
        dynamic_ncols=True, leave=False, file=sys.stderr,
    )  # fmt: skip


def track(items: Iterable[Item], *, total: int, description: str, unit: str) -> Iterator[Item]:
    """Pass items through while a bar counts them."""
    with bar(total=total, description=description, unit=unit) as progress:
        for item in items:
            yield item
            progress.update()
