import os
import random
import shutil

import pytest

from ulmfit_lib import read_csv
from ulmfit_lib.data import wikipedia
from ulmfit_lib.tokens import corpus, workers
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.words import WordTokenizer

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
    for module in (corpus, wikipedia):
        monkeypatch.setattr(module, "worker_pool", lambda: asked.append(workers.worker_count()) or pool())
    pool = workers.worker_pool

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers need a platform that forks")
def test_many_files_of_texts_become_the_same_bytes_with_any_number_of_workers(with_workers, write_csv):
    files = [write_csv([[words(100 * name + i), "a"] for i in range(50)], name=f"{name}.csv") for name in range(3)]

    def job():
        texts = [text for file in files for text in read_csv(file, text="review").texts]
        tokenize_corpus(texts, WordTokenizer())

    alone = with_workers(job, 1)
    assert {path.name for path in alone} >= {"ids.bin", "types.json", "counts.npy", "offsets.npy"}
    assert with_workers(job, 2) == alone and with_workers(job, 3) == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers need a platform that forks")
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
