import csv
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _silence_ends_with_the_test():
    """``--quiet``, and readers on Ray, hold for the whole process."""
    from ulmfit_lib.progress import set_quiet

    yield
    set_quiet(False)


@pytest.fixture
def write_csv(tmp_path):
    def write(rows, name="data.csv", header=("review", "sentiment")):
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def ulmfit(monkeypatch, capsys):
    """Run a command line; returns exit code, stdout, stderr."""

    from ulmfit_lib.cli import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ulmfit", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def killed_often(monkeypatch):
    """Run something that is killed every few batches, and once at the end of each epoch, again and again.

    Returns how often, and what came at the end.
    """
    from ulmfit_lib.training.checkpoints import Checkpointer

    class Killed(BaseException):
        pass

    save, batches, ends = Checkpointer._save, 0, set()
    after_epoch = Checkpointer.after_epoch

    def count(self):
        nonlocal batches
        if self.learn.training:
            batches += 1
            if batches % 11 == 7:
                save(self, self.learn.epoch, self.learn.dls.train.position)
            if batches % 11 == 10:
                raise Killed  # three batches after the last checkpoint

    def end(self):
        after_epoch(self)
        if self.resumed is None and (self.path, self.learn.epoch) not in ends:
            ends.add((self.path, self.learn.epoch))
            raise Killed

    def run(job):
        monkeypatch.setattr(Checkpointer, "after_batch", count)
        monkeypatch.setattr(Checkpointer, "after_epoch", end)
        for kills in range(100):
            try:
                return kills, job()
            except Killed:
                pass
        raise AssertionError("it never came to its end")

    return run


@pytest.fixture
def eventually():
    """Wait for a condition that must come true soon."""

    def wait(condition, seconds=20):
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.01)

    return wait


@pytest.fixture
def runs():
    """Whether there is a process of a number, on Linux; one that nobody has buried yet counts as none."""

    def look(pid):
        stat = Path("/proc", pid, "stat")
        return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"

    return look
