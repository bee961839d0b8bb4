"""One progress bar for everything long: on stderr, or in a notebook's cell; with an ETA, silent when nobody watches."""

import html
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Item = TypeVar("Item")
SECONDS_A_FRAME = 0.25
SECONDS_BEFORE_A_BAR = 1.0  # in a notebook, where each bar leaves an output: work that is over sooner has none
_quiet = False
_free_display: tuple[int | None, Any] | None = None  # of a cell, in which a bar has left nothing
_listener: Callable[[str], object] | None = None
_quiet_here = ContextVar("_quiet_here", default=False)  # in this thread; others may speak
_kept_here = ContextVar[list[str] | None]("_kept_here", default=None)  # what this thread has said, where that is kept


def set_quiet(quiet: bool) -> None:
    """Switch progress bars and notes off (or on again) for this process."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether bars are switched off, by ``set_quiet`` or by ``ULMFIT_QUIET``."""
    return _quiet or _quiet_here.get() or bool(os.environ.get("ULMFIT_QUIET"))


@contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """While it lasts, no progress bars and no notes from this thread; with False, all as it was."""
    before = _quiet_here.set(quiet or _quiet_here.get())
    try:
        yield
    finally:
        _quiet_here.reset(before)


@contextmanager
def keeping_notes() -> Iterator[list[str]]:
    """While it lasts, what this thread says is also put into the list that it gives, each sentence once."""
    kept: list[str] = []
    before = _kept_here.set(kept)
    try:
        yield kept
    finally:
        _kept_here.reset(before)


def note(message: str) -> None:
    """Say something to a person without tearing a running bar apart: on stderr, which notebooks would show in red."""
    kept = _kept_here.get()
    if kept is not None and message not in kept and not _quiet_here.get():
        kept.append(message)
    if _listener is not None:
        _listener(message)
    elif not (_quiet or _quiet_here.get()):
        from tqdm import tqdm  # which takes a while, and the most do without

        tqdm.write(message, file=sys.stdout if in_notebook() else sys.stderr)


def tell_notes_to(listener: Callable[[str], object]) -> None:
    """Let this process give its notes to a function, such as the ``send`` of a connection to another process."""
    global _listener
    _listener = listener


def counted(number: int, thing: str) -> str:
    """A number of things as a sentence says it.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class")
    ('1 row', '1,200 rows', '2 classes')
    """
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def bar(*, total: float, description: str, unit: str, initial: float = 0) -> Any:
    """A bar that the caller moves with ``update``; use it as a context manager."""
    if not is_quiet() and in_notebook():
        return NotebookBar(total, description, unit, initial)
    from tqdm import tqdm

    disable = True if is_quiet() else None  # None: silent when stderr is no terminal
    return tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit=unit,
        unit_scale=True,
        disable=disable,
        dynamic_ncols=True,
        leave=False,
        file=sys.stderr,
    )


def in_notebook() -> bool:
    """Whether what runs is a cell of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _this_cell() -> int | None:
    """The number of the cell that runs."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "execution_count", None) if ipython else None


class NotebookBar:
    """A bar in a notebook's cell with the methods of tqdm's that are used here; of a training, the table stays.

    A cell keeps an output for each display for ever, so that what is over at once displays nothing, and bars that leave
    no table share one.
    """

    def __init__(self, total: float, description: str, unit: str, initial: float = 0) -> None:
        self.total, self.description, self.unit, self.n = total, description, unit, initial
        self.initial, self.postfix, self.rows = initial, "", list[Mapping[str, str]]()
        self.started = self.drawn = time.monotonic()
        self.handle: Any = None

    def __enter__(self) -> "NotebookBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """Move on, and show it a few times a second."""
        self.n += n
        now = time.monotonic()
        if now - self.drawn >= SECONDS_A_FRAME and (self.handle or now - self.started >= SECONDS_BEFORE_A_BAR):
            self.draw()

    def set_postfix(self, refresh: bool = True, **values: str) -> None:
        """What stands behind the bar, such as the loss."""
        self.postfix = ", ".join(f"{name} {value}" for name, value in values.items())

    def add_row(self, **values: str) -> None:
        """Another row of the table under the bar, such as an epoch's losses."""
        self.rows.append(values)
        self.draw()

    def draw(self) -> None:
        """Show it as it is now."""
        self.drawn = time.monotonic()
        self._show(self.as_html())

    def close(self) -> None:
        """Take the bar away, and leave the table."""
        global _free_display
        if self.handle or self.rows:
            self._show(self.as_table())
        if self.handle and not self.rows:
            _free_display = _this_cell(), self.handle

    def _show(self, content: str) -> None:
        global _free_display
        from IPython.display import HTML, display

        if self.handle is None and _free_display and _free_display[0] == _this_cell():
            self.handle, _free_display = _free_display[1], None
        if self.handle is None:
            self.handle = display(HTML(content), display_id=True)
        else:
            self.handle.update(HTML(content))

    def as_html(self) -> str:
        """The bar, what is left to do, and the table."""
        done, passed = self.n - self.initial, time.monotonic() - self.started
        left = f", about {passed / done * (self.total - self.n):,.0f} s left" if done else ""
        words = f"{self.description}: {self.n:,.0f} of {self.total:,.0f} {self.unit}{left}"
        words += f" ({self.postfix})" if self.postfix else ""
        return f'<progress value="{self.n}" max="{self.total}"></progress> {html.escape(words)}{self.as_table()}'

    def as_table(self) -> str:
        """The rows so far; nothing without any."""
        if not self.rows:
            return ""
        head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in self.rows[0])
        cells = (f"<td>{html.escape(value)}</td>" for row in self.rows for value in row.values())
        width = len(self.rows[0])
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*[cells] * width, strict=True))
        caption = f"<caption>{html.escape(self.description)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def track(items: Iterable[Item], *, total: int, description: str, unit: str) -> Iterator[Item]:
    """Pass items through while a bar counts them."""
    with bar(total=total, description=description, unit=unit) as progress:
        for item in items:
            yield item
            progress.update()
