"""The time that ``fit`` may take, and what it decided to do with it."""

import json
import math
import time
from enum import Enum
from pathlib import Path

from ulmfit_lib.errors import OptionError
from ulmfit_lib.files import read_json, write_file

# Minutes by default: for few and for more short texts, and for LONG_TOKENS.
FEW = 1.0
SHORT = 2.0
LONG = 10.0
FEW_ROWS, FEW_TOKENS = 100, 3_000  # with a label; in all texts
SHORT_ROWS, SHORT_TOKENS = 500, 10_000
LONG_TOKENS = 1_500_000  # of 1,000 reviews with a label and 4,000 without
MAX_MINUTES = 60.0
RESERVE = 0.1  # of the budget is kept for the last fit and for saving


class Step(Enum):
    """What ``fit`` may spend minutes on; the value is what a sentence calls it."""

    SCORING = "the first score"
    READING = "fine-tuning the language model on your texts"
    CONTRASTING = "contrastive learning on the labels"
    FINE_TUNING = "fine-tuning the encoder on the labels"


def default_minutes(n_tokens: int, labelled: int) -> float:
    """What ``fit`` takes if nobody says how long it may, by the length of all texts and the number of labelled ones.

    >>> default_minutes(0, 100), default_minutes(0, 500), default_minutes(1_500_000, 1000)
    (1.0, 2.0, 10.0)
    """
    rows = (labelled - FEW_ROWS) / (SHORT_ROWS - FEW_ROWS)
    tokens = (n_tokens - FEW_TOKENS) / (SHORT_TOKENS - FEW_TOKENS)
    short = FEW + (SHORT - FEW) * min(1.0, max(0.0, rows, tokens))
    return min(MAX_MINUTES, short + (LONG - short) * n_tokens / LONG_TOKENS)


def check_minutes(minutes: float) -> None:
    """Raise OptionError for no time at all, or for no number."""
    if not 0 < minutes < math.inf:
        raise OptionError(f"--minutes {minutes:g}: give a number of minutes that is more than 0")


class Budget:
    """Minutes to spend, counted from when it is made, ``before`` which seconds may have been spent already.

    What was decided is remembered beside the checkpoints, in their ``folder`` if there is one, so that a run that was
    stopped decides the same when it is started again, with the time that it had left.
    """

    def __init__(self, minutes: float, folder: Path | None = None, *, before: float = 0.0) -> None:
        self.seconds = 60 * minutes
        self.started = time.monotonic()
        self._file = folder / "decisions.json" if folder else None
        self._decisions: dict[str, dict[str, float]] = {}  # by the name of the step
        self._before, self._stopped_at = before, ""
        if folder and self._file and self._file.is_file():
            stored = read_json(self._file)
            self._decisions = stored["decisions"]
            self._stopped_at = next(reversed(self._decisions), "")
            newest = max(file.stat().st_mtime for file in folder.rglob("*"))
            self._before += stored["seconds_spent"] + newest - self._file.stat().st_mtime  # until the last checkpoint

    def resumed(self) -> str:
        """Where an earlier run was stopped, and what is left of its time; empty where there was none."""
        if not self._stopped_at:
            return ""
        left = shown(max(0.0, self.seconds - self.spent()))
        return (
            f" This continues a run that was stopped. It had got as far as {Step[self._stopped_at].value}, after "
            f"{shown(self._before)}; what is done is not done again, and at most {left} are left."
        )

    def spent(self) -> float:
        """Seconds so far, with those of a run that was stopped."""
        return self._before + time.monotonic() - self.started

    def left(self) -> float:
        """Seconds that may still be spent before the last fit; never below 0."""
        return max(0.0, (1 - RESERVE) * self.seconds - self.spent())

    def decide(self, step: Step, name: str, number: float) -> float:
        """``number``, or what was decided under this name before the run was stopped."""
        decided = self._decisions.setdefault(step.name, {})
        if name not in decided:
            decided[name] = number
            if self._file:
                stored = {"decisions": self._decisions, "seconds_spent": self.spent()}
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_file(self._file, json.dumps(stored).encode())
        return decided[name]

    def allows(self, step: Step, name: str, seconds: float) -> bool:
        """Whether there is time for something that takes so many seconds; decided once for each name."""
        return bool(self.decide(step, name, float(seconds <= self.left())))


def shown(seconds: float) -> str:
    """A span of time for people.

    >>> shown(8.4), shown(75), shown(600)
    ('8 s', '75 s', '10 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
