"""What does the server hold? Speed, the same answers as `predict`, twice what it can do, and SIGTERM under load.

    python benchmarks/serving.py [--model FOLDER] [--seconds 5] [--answers 10000] [--json]

Server and clients run on this machine and share its cores, so that the rates are lower bounds. Without ``--model``: a
classifier of the library's own film reviews, exported as int8.
"""

import argparse
import asyncio
import csv
import io
import itertools
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from conditions import conditions
from made_up_texts import reviews

EXAMPLES = Path(__file__).resolve().parent.parent / "ulmfit_lib" / "embedded" / "reviews.csv"
CLIENTS, TEXTS = (1, 8, 64), (1, 100)
WAITING = 1000  # texts that may wait while the server is asked for twice what it can do
TERMINATED = 24  # requests of 100 texts under way when it is told to stop
CLI = [sys.executable, "-m", "ulmfit_lib.cli"]


@dataclass
class Tally:
    """What came back of many requests."""

    texts: int
    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    incomplete: int = 0
    failed: int = 0
    said_when: int = 0

    def seen(self, response: httpx.Response, seconds: float) -> None:
        self.statuses[response.status_code] += 1
        self.said_when += response.status_code == 429 and "retry-after" in response.headers
        if response.status_code == 200:
            self.milliseconds.append(1000 * seconds)
            self.incomplete += len(response.json()["predictions"]) != self.texts

    def row(self, seconds: float) -> dict[str, Any]:
        done = len(self.milliseconds)
        p50, p99 = np.percentile(self.milliseconds, (50, 99)) if done else (np.nan, np.nan)
        errors = sum(n for status, n in self.statuses.items() if status not in (200, 429)) + self.failed
        return {
            "requests": done,
            "requests_per_second": round(done / seconds, 1),
            "texts_per_second": round(done * self.texts / seconds, 1),
            "p50_ms": round(float(p50), 1),
            "p99_ms": round(float(p99), 1),
            "errors": errors + self.incomplete,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a classifier's folder or an exported one")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--answers", type=int, default=10_000, help="that are compared with those of `predict`")
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = arguments.model or example_model(work)
        found = asyncio.run(measure(model, work, seconds=arguments.seconds, answers=arguments.answers))
    result = {**conditions(), **found}
    result["versions"] |= {name: version(name) for name in ("fastapi", "uvicorn", "onnxruntime", "httpx")}
    if arguments.note:
        result["note"] = arguments.note
    print(json.dumps(result) if arguments.json else json.dumps(found, indent=1))


def example_model(work: Path) -> Path:
    """A classifier of the example's reviews, exported."""
    columns = ["--text", "review", "--label", "sentiment", "--quiet"]
    subprocess.run(
        [*CLI, "fit", str(EXAMPLES), *columns, "--out", str(work / "model")], check=True, stdout=subprocess.DEVNULL
    )
    export = [*CLI, "export", str(work / "model"), "--out", str(work / "exported"), "--precision", "int8", "--quiet"]
    subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
    return work / "exported"


def batched(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many, the last may be shorter."""
    return (list(items[start : start + size]) for start in range(0, len(items), size))


async def measure(model: Path, work: Path, *, seconds: float, answers: int) -> dict[str, Any]:
    texts = [text for text, _ in itertools.islice(reviews(mean_words=20), 4000)]
    found: dict[str, Any] = {"words_per_text": round(float(np.mean([len(text.split()) for text in texts])))}
    loads = []
    async with served(model, work) as (server, client):
        await load(client, texts, size=1, clients=1, seconds=1)  # everything has been read once
        for size, clients in itertools.product(TEXTS, CLIENTS):
            tally, took = await load(client, texts, size=size, clients=clients, seconds=seconds)
            loads.append({"texts": size, "clients": clients, **tally.row(took)})
            print(json.dumps(loads[-1]), file=sys.stderr)
        found |= {"loads": loads, "same": await compare(client, model, texts, work, count=answers)}
        found["sigterm"] = await terminate(server, client, texts)
    capacity = max(one["texts_per_second"] for one in loads)
    async with served(model, work, waiting=WAITING) as (_, client):
        found["overload"] = await overload(client, texts, rate=2 * capacity, seconds=2 * seconds)
    return found


@asynccontextmanager
async def served(
    model: Path, work: Path, *, waiting: int = 100_000
) -> AsyncIterator[tuple[subprocess.Popen[bytes], httpx.AsyncClient]]:
    """A server in a process of its own, and a client of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--waiting", str(waiting), "--folder", str(work / "server"), "--quiet"]
    server = subprocess.Popen([*CLI, "serve", str(model), *options])
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits) as client:
        for _ in range(600):
            try:
                if (await client.get("/ready")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        try:
            yield server, client
        finally:
            server.terminate()
            server.wait(60)


async def ask(client: httpx.AsyncClient, texts: list[str], tally: Tally) -> None:
    started = time.perf_counter()
    try:
        response = await client.post("/predict", json={"texts": texts})
    except httpx.TransportError:
        tally.failed += 1
    else:
        tally.seen(response, time.perf_counter() - started)


async def load(
    client: httpx.AsyncClient, texts: list[str], *, size: int, clients: int, seconds: float
) -> tuple[Tally, float]:
    """So many clients, each of which asks as soon as it has its answer."""
    tally, batches, started = Tally(size), itertools.cycle(batched(texts, size)), time.perf_counter()

    async def one() -> None:
        while time.perf_counter() - started < seconds:
            await ask(client, next(batches), tally)

    await asyncio.gather(*(one() for _ in range(clients)))
    return tally, time.perf_counter() - started


async def compare(
    client: httpx.AsyncClient, model: Path, texts: list[str], work: Path, *, count: int
) -> dict[str, Any]:
    """Answers of several clients at once beside those of `predict` on a file."""
    asked = [f"{text} {number}" for number, text in zip(range(count), itertools.cycle(texts))]
    file, out = work / "asked.csv", work / "predicted.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in asked)])
    predict = [*CLI, "predict", str(model), str(file), "--text", "text", "--out", str(out), "--quiet"]
    await asyncio.to_thread(subprocess.run, predict, check=True)
    expected = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    sizes = itertools.cycle((1, 3, 17, 50))
    parts, left = [], 0
    while left < count:
        parts.append(slice(left, left + next(sizes)))
        left = parts[-1].stop
    said: list[dict[str, Any]] = []
    for group in batched(parts, 8):
        responses = await asyncio.gather(*(client.post("/predict", json={"texts": asked[part]}) for part in group))
        said += [one for response in responses for one in response.json()["predictions"]]
    labels = sum(one["label"] != row["prediction"] for one, row in zip(said, expected, strict=True))
    largest = max(
        abs(p - float(row[f"probability of {name}"]))
        for one, row in zip(said, expected, strict=True)
        for name, p in one["probabilities"].items()
    )
    return {"answers": count, "labels_that_differ": labels, "largest_difference": largest}


async def overload(client: httpx.AsyncClient, texts: list[str], *, rate: float, seconds: float) -> dict[str, Any]:
    """Requests of 20 texts at a rate that nothing slows down; then whether the server is itself again."""
    size = 20
    tally, batches, tasks = Tally(size), itertools.cycle(batched(texts, size)), []
    started, count = time.perf_counter(), int(rate * seconds / size)
    for number in range(count):
        await asyncio.sleep(max(0, started + number * size / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(client, next(batches), tally)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - started
    after, _ = await load(client, texts, size=1, clients=1, seconds=2)
    return {
        "asked_texts_per_second": round(rate),
        "sent": count,
        "answered": tally.statuses[200],
        "refused_with_429": tally.statuses[429],
        "refusals_that_say_when": tally.said_when,
        "lost": count - tally.statuses[200] - tally.statuses[429],
        "incomplete": tally.incomplete,
        "seconds": round(took, 1),
        "afterwards": after.row(2),
    }


async def terminate(server: "subprocess.Popen[bytes]", client: httpx.AsyncClient, texts: list[str]) -> dict[str, Any]:
    """SIGTERM when all requests were accepted and few are answered."""
    tally, batches = Tally(100), itertools.cycle(batched(texts, 100))
    tasks = [asyncio.create_task(ask(client, next(batches), tally)) for _ in range(TERMINATED)]
    accepted = 0.0
    while accepted < TERMINATED * 50 and not all(task.done() for task in tasks):
        await asyncio.sleep(0.02)
        lines = (await client.get("/metrics")).text.splitlines()
        accepted = next(float(line.split()[1]) for line in lines if line.startswith("ulmfit_texts_waiting"))
    server.send_signal(signal.SIGTERM)
    await asyncio.gather(*tasks)
    code = await asyncio.to_thread(server.wait, 120)
    return {
        "requests": TERMINATED,
        "texts_waiting_when_it_was_told": int(accepted),
        "answered": tally.statuses[200],
        "incomplete": tally.incomplete,
        "lost": TERMINATED - tally.statuses[200],
        "exit_code": code,
    }


if __name__ == "__main__":
    main()
