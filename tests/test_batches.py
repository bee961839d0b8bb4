"""Texts of several requests are read together, and each request gets its own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ulmfit_lib.server.batching import CHARACTERS, TOKENS, Batches

WAIT = 10  # seconds


class Numbers:
    """Reads texts that are numbers; keeps which it was given together, and waits until it may go on."""

    classes = ("number", "half")

    def __init__(self):
        self.batches, self.go_on, self.started = [], threading.Event(), threading.Event()

    def predict_proba(self, texts):
        self.batches.append(list(texts))
        self.started.set()
        assert self.go_on.wait(WAIT)
        return np.array([[float(text), float(text) / 2] for text in texts])


@pytest.fixture
def reader():
    return Numbers()


@pytest.fixture
def batches():
    with ThreadPoolExecutor(1) as pool:
        yield Batches(pool, threads=1)


def hold(batches, reader):
    """Let the only thread be busy, so that what is asked next waits."""
    first = batches.ask(reader, ["0"], np.ndarray.tolist)
    assert reader.started.wait(WAIT)
    return first


def test_texts_of_several_requests_are_read_together_and_each_gets_its_own(batches, reader):
    first = hold(batches, reader)
    asked = [[str(number), str(number + 100)] for number in range(10)]
    answers = [batches.ask(reader, texts, lambda rows: rows[:, 0].tolist()) for texts in asked]
    reader.go_on.set()
    assert first.result(WAIT) == [[0, 0]]
    assert [one.result(WAIT) for one in answers] == [list(map(float, texts)) for texts in asked]
    assert len(reader.batches) == 2


def test_a_batch_holds_a_bounded_number_of_tokens(batches, reader):
    hold(batches, reader)
    long = "7".rjust(TOKENS * CHARACTERS // 4)
    answers = [batches.ask(reader, [long] * 3, len) for _ in range(4)]
    reader.go_on.set()
    assert [one.result(WAIT) for one in answers] == [3] * 4
    assert max(map(len, reader.batches)) <= 4


def test_a_short_request_does_not_wait_for_a_long_one(batches, reader):
    hold(batches, reader)
    long = batches.ask(reader, ["1"] * 10 * TOKENS, len)
    short = batches.ask(reader, ["2"], len)
    order = []
    long.add_done_callback(lambda _: order.append("long"))
    short.add_done_callback(lambda _: order.append("short"))
    reader.go_on.set()
    assert long.result(WAIT) == 10 * TOKENS and order == ["short", "long"]
    assert "2" in reader.batches[1]


def test_a_request_that_fails_fails_alone(batches, reader):
    hold(batches, reader)
    wrong, right = batches.ask(reader, ["no number"] * TOKENS, len), batches.ask(reader, ["1"], len)
    unfit = batches.ask(reader, ["1"], lambda rows: 1 / 0)
    reader.go_on.set()
    assert right.result(WAIT) == 1
    with pytest.raises(ValueError):
        wrong.result(WAIT)
    with pytest.raises(ZeroDivisionError):
        unfit.result(WAIT)
    assert batches.ask(reader, ["3"], len).result(WAIT) == 1  # it goes on


def test_a_request_for_which_nobody_waits_is_not_read(batches, reader):
    hold(batches, reader)
    left, kept = batches.ask(reader, ["1"], len), batches.ask(reader, ["2"], len)
    assert left.cancel()
    reader.go_on.set()
    assert kept.result(WAIT) == 1 and reader.batches == [["0"], ["2"]]


def test_other_tasks_get_their_turn_between_two_batches(reader):
    with ThreadPoolExecutor(1) as pool:
        batches = Batches(pool, threads=1)
        hold(batches, reader)
        answers = [batches.ask(reader, ["1"] * TOKENS, len) for _ in range(5)]
        other = pool.submit(lambda: len(reader.batches))
        reader.go_on.set()
        assert other.result(WAIT) < 5 and [one.result(WAIT) for one in answers] == [TOKENS] * 5
