"""The time that ``fit`` may take, and what it decided to do with it."""

import json
import math
import time
from pathlib import Path

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import read_json, write_file

FEW, SHORT, LONG = 1.0, 2.0, 10.0  # minutes by default: for few and for more short texts, and for LONG_TOKENS
FEW_ROWS, SHORT_ROWS = 100, 500  # with a label
LONG_TOKENS = 1_500_000  # of 1,000 reviews with a label and 4,000 without
MOST = 60.0
SPENT = "seconds spent"  # what the file of decisions calls them
RESERVE = 0.1  # of the budget is kept for the last fit and for saving


def default_minutes(n_tokens: int, labelled: int) -> float:
    """What ``fit`` takes if nobody says how long it may, by the length of all texts and the number of labelled ones.

    >>> default_minutes(0, 100), default_minutes(0, 500), default_minutes(1_500_000, 1000)
    (1.0, 2.0, 10.0)
    """
    more = min(1.0, max(0.0, (labelled - FEW_ROWS) / (SHORT_ROWS - FEW_ROWS)))
    short = FEW + (SHORT - FEW) * more
    return min(MOST, short + (LONG - short) * n_tokens / LONG_TOKENS)


def check_minutes(minutes: float) -> None:
    """Whether so much time can be spent.

    Raises:
        OptionError: none at all, or no number.
    """
    if not 0 < minutes < math.inf:
        raise OptionError(f"--minutes {minutes:g}: give a number of minutes that is more than 0")


class Budget:
    """Minutes to spend, counted from when it is made.

    What it decided is remembered beside the checkpoints, so that a run that was stopped goes on as it had begun, with
    what it had left.

    Args:
        minutes: how many.
        folder: of the checkpoints; None: nothing is remembered.
        before: seconds that were spent before, where something else remembers them.
    """

    def __init__(self, minutes: float, folder: Path | None = None, *, before: float = 0.0) -> None:
        self.seconds, self.started = 60 * minutes, time.monotonic()
        self._file = folder / "decisions.json" if folder else None
        self._numbers: dict[str, float] = {}
        later = 0.0
        if folder and self._file and self._file.is_file():
            later = max(file.stat().st_mtime for file in folder.rglob("*")) - self._file.stat().st_mtime
            known = read_json(self._file)
            self._numbers = {str(name): float(number) for name, number in known.items()}
        self._before = self._numbers.pop(SPENT, 0.0) + later + before  # until the last checkpoint

    def going_on(self) -> str:
        """Where an earlier run was stopped, and what is left of its time; empty where there was none."""
        if not self._numbers:
            return ""
        *_, last = self._numbers
        stage = "fine-tuning the encoder" if last.startswith("fine-tuning") else "reading your texts"
        left = shown(max(0.0, self.seconds - self.spent()))
        return (
            f" This goes on with a run that was stopped. It had got as far as {stage}, after {shown(self._before)}; "
            f"what is done is not done again, and at most {left} are left."
        )

    def spent(self) -> float:
        """Seconds so far, with those of a run that was stopped."""
        return self._before + time.monotonic() - self.started

    def left(self) -> float:
        """Seconds that may still be spent before the last fit; never below 0."""
        return max(0.0, (1 - RESERVE) * self.seconds - self.spent())

    def decide(self, name: str, number: float) -> float:
        """``number``, or what was decided under this name before the run was stopped."""
        if name not in self._numbers:
            self._numbers[name] = number
            if self._file:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_file(self._file, json.dumps({**self._numbers, SPENT: self.spent()}).encode())
        return self._numbers[name]

    def allows(self, name: str, seconds: float) -> bool:
        """Whether there is time for something that takes so many seconds; decided once for each name."""
        return bool(self.decide(name, float(seconds <= self.left())))


def shown(seconds: float) -> str:
    """A span of time for people.

    >>> shown(8.4), shown(75), shown(600)
    ('8 s', '75 s', '10 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
