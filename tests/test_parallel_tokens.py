import multiprocessing
import os
import random
import shutil
import signal
import time

import pytest

from ulmfit_lib import read_table
from ulmfit_lib.data import wikipedia
from ulmfit_lib.errors import TrainingError
from ulmfit_lib.tokens import corpus, workers
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.words import WordTokenizer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers need a platform that forks")
DUMP = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{}</mediawiki>'
ARTICLE = "<page><title>A</title><ns>0</ns><revision><text>{}</text></revision></page>"


@pytest.fixture
def with_workers(tmp_path, monkeypatch):
    """Do a job with so many workers and an empty cache; every file that it leaves there, as bytes."""
    cache, asked = tmp_path / "cache", []
    monkeypatch.setenv("ULMFIT_CACHE", str(cache))
    monkeypatch.setattr(workers.sys, "platform", "linux")
    monkeypatch.setattr(corpus, "PARALLEL_FROM", 0)
    monkeypatch.setattr(corpus, "CHUNK", 16)
    monkeypatch.setattr(wikipedia, "CHUNK", 2)
    executor = workers.ProcessPoolExecutor
    monkeypatch.setattr(
        workers, "ProcessPoolExecutor", lambda count, *others: asked.append(count) or executor(count, *others)
    )

    def do(job, count):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)), raising=False)
        shutil.rmtree(cache, ignore_errors=True)
        asked.clear()
        job()
        assert set(asked) == ({count} if count > 1 else set())
        return {path.relative_to(cache): path.read_bytes() for path in cache.rglob("*") if path.is_file()}

    return do


def words(seed, count=40):
    draw = random.Random(seed)
    return " ".join(f"w{int(draw.expovariate(0.05))}" for _ in range(count)) + " Don't SHOUT!"


def test_many_files_of_texts_become_the_same_bytes_with_any_number_of_workers(with_workers, write_csv):
    files = [write_csv([[words(100 * name + i), "a"] for i in range(50)], name=f"{name}.csv") for name in range(3)]

    def job():
        texts = [text for file in files for text in read_table(file, text="review").texts]
        tokenize_corpus(texts, WordTokenizer())

    alone = with_workers(job, 1)
    assert {path.name for path in alone} >= {"ids.bin", "types.json", "counts.npy", "offsets.npy"}
    assert with_workers(job, 2) == alone and with_workers(job, 3) == alone


@pytest.mark.slow
def test_many_dumps_become_the_same_bytes_with_any_number_of_workers(with_workers, tmp_path):
    dumps = [tmp_path / f"{name}.xml" for name in range(3)]
    for name, dump in enumerate(dumps):
        articles = "".join(ARTICLE.format(f"'''{words(100 * name + i)}''' [[a|b]]") for i in range(20))
        dump.write_text(DUMP.format(articles))

    def job():
        tokenize_corpus(wikipedia.store_dumps(dumps), WordTokenizer())

    alone = with_workers(job, 1)
    assert {path.name for path in alone} >= {"texts.utf8", "offsets.int64", "ids.bin"}
    assert with_workers(job, 2) == alone and with_workers(job, 3) == alone


def test_a_killed_worker_ends_the_work_with_a_sentence_and_leaves_nothing_half_written(with_workers):
    class Killer(WordTokenizer):
        def index(self, texts):
            if "the last one" in texts:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().index(texts)

    def job():
        with pytest.raises(TrainingError, match="was killed, perhaps because memory ran short: run the same command"):
            tokenize_corpus([words(i) for i in range(100)] + ["the last one"], Killer())

    assert {path.parts[0] for path in with_workers(job, 2)} == {"locks"}


def test_of_processes_that_read_the_same_dump_one_parses_it(tmp_path, monkeypatch):
    dump, read = tmp_path / "dump.xml", wikipedia.read_dump
    dump.write_text(DUMP.format(ARTICLE.format("A film.")))
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))

    def count(path):
        with (tmp_path / "times").open("a") as file:
            file.write("once ")
        time.sleep(0.2)
        yield from read(path)

    monkeypatch.setattr(wikipedia, "read_dump", count)
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=wikipedia.store_dumps, args=([dump],)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0] and (tmp_path / "times").read_text() == "once "


def test_workers_are_few_items_ahead(with_workers):
    read = []

    def job():
        items = (read.append(i) or i for i in range(1000))
        assert next(workers.in_order(str, items)) == "0"

    with_workers(job, 2)
    assert len(read) < 10


def test_workers_whose_work_nobody_wants_any_more_are_not_waited_for(with_workers):
    def job():
        results = workers.in_order(time.sleep, [0, 60, 60, 60, 60, 60])
        next(results)
        started = time.monotonic()
        results.close()
        assert time.monotonic() - started < 10

    with_workers(job, 2)


def test_workers_do_not_outlive_their_parent(with_workers, eventually, runs, tmp_path):
    def show(name):
        (tmp_path / str(name)).write_text(str(os.getpid()))
        time.sleep(60)

    def job():
        list(workers.in_order(show, range(4)))

    parent = multiprocessing.get_context("fork").Process(target=with_workers, args=(job, 2))
    parent.start()
    eventually(lambda: all((tmp_path / str(name)).exists() for name in range(2)))
    parent.kill()
    parent.join()
    for name in range(2):
        eventually(lambda name=name: not runs((tmp_path / str(name)).read_text()))


def test_a_daemonic_process_does_the_work_itself(monkeypatch):
    monkeypatch.setattr(workers, "worker_count", lambda: 2)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=lambda: there.send([*workers.in_order(str.upper, "ab")]), daemon=True)
    process.start()
    assert here.poll(60) and here.recv() == ["A", "B"]
    process.join()
