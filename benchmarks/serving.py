"""What does the server hold? Speed, the same answers as `predict`, twice what it can do, and SIGTERM under load.

    python benchmarks/serving.py [--model FOLDER] [--old CHECKOUT] [--seconds 5] [--answers 10000] [--json]

Server and clients run on this machine and share its cores, so that the rates are lower bounds; what the server takes of
a core for a text does not depend on the clients. Without ``--model``, a classifier is fitted to the example's reviews.
It is exported as int8, and with ``--old`` also by a checkout of an earlier release, whose server answers the same loads
in turn. Where that release does not know the classifier's format, it fits one of its own to the example's reviews.
"""

import argparse
import asyncio
import csv
import io
import itertools
import json
import os
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
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from conditions import conditions
from made_up_texts import known_words, reviews

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "ulmfit_lib" / "embedded" / "reviews.csv"
BASE = "general-en-small"
LOADS = (1, 1), (1, 8), (1, 64), (100, 1), (100, 8)  # texts of a request, and clients
MANY = 64  # clients that ask at a measured rate
SHARE = 0.8  # of what 64 clients could get, which they ask for together
WAITING = 1000  # texts that may wait while the server is asked for twice what it can do
TERMINATED = 24  # requests of 100 texts under way when it is told to stop
KIND = "Content-Type: application/json"
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

    def seen(self, status: int, content: bytes, seconds: float, says_when: bool) -> None:
        self.statuses[status] += 1
        self.said_when += status == 429 and says_when
        if status == 200:
            self.milliseconds.append(1000 * seconds)
            self.incomplete += content.count(b'"confidence"') != self.texts

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
    parser.add_argument("--model", type=Path, help="a folder that `fit` made; by default one is fitted")
    parser.add_argument("--old", type=Path, help="a checkout of an earlier release, whose server is measured, too")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=2, help="of each side, in turns; the better one counts")
    parser.add_argument("--answers", type=int, default=10_000, help="that are compared with those of `predict`")
    parser.add_argument("--note", help="what else is to be known about this run, kept in the result")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = arguments.model or example_model(work)
        sides = {"new": Side(export(model, work / "new"))}
        if arguments.old:
            sides["old"] = Side(exported_by(arguments.old, model, work), arguments.old)
        found = asyncio.run(
            measure(sides, work, seconds=arguments.seconds, rounds=arguments.rounds, answers=arguments.answers)
        )
    result = {**conditions(), **found}
    result["versions"] |= {name: version(name) for name in ("fastapi", "uvicorn", "onnxruntime", "httpx")}
    if arguments.note:
        result["note"] = arguments.note
    print(json.dumps(result) if arguments.json else json.dumps(found, indent=1))


@dataclass(frozen=True)
class Side:
    """An exported classifier, and the checkout whose server serves it; None: this one."""

    model: Path
    checkout: Path | None = None


def environment(checkout: Path | None) -> dict[str, str]:
    """In which Python finds the library of a checkout first."""
    path = [str(checkout or HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def example_model(work: Path, checkout: Path | None = None) -> Path:
    """A classifier of the example's reviews, as a checkout fits it."""
    out = work / ("old-model" if checkout else "model")
    columns = ["--text", "review", "--label", "sentiment", "--quiet"]
    fit = [*CLI, "fit", str(EXAMPLES), *columns, "--out", str(out)]
    subprocess.run(fit, check=True, stdout=subprocess.DEVNULL, cwd=work, env=environment(checkout))
    return out


def exported_by(checkout: Path, model: Path, work: Path) -> Path:
    """The classifier as an earlier release exports it; one that it fits itself if it does not know the format."""
    try:
        return export(model, work / "old", checkout)
    except subprocess.CalledProcessError:
        return export(example_model(work, checkout), work / "old", checkout)


def export(model: Path, out: Path, checkout: Path | None = None) -> Path:
    """The classifier as int8, as a checkout exports it."""
    command = [*CLI, "export", str(model.resolve()), "--out", str(out), "--precision", "int8", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=out.parent, env=environment(checkout))
    return out


def batched(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many, the last may be shorter."""
    return (list(items[start : start + size]) for start in range(0, len(items), size))


async def measure(sides: dict[str, Side], work: Path, *, seconds: float, rounds: int, answers: int) -> dict[str, Any]:
    texts = [text for text, _ in itertools.islice(reviews(mean_words=20, words=known_words(BASE)), 4000)]
    found: dict[str, Any] = {"words_per_text": round(float(np.mean([len(text.split()) for text in texts])))}
    rows: dict[tuple[int, int], list[dict[str, Any]]] = {key: [] for key in LOADS}
    paced = []
    for _, (name, side) in itertools.product(range(rounds), sides.items()):
        async with served(side, work) as server:
            await load(server, texts, size=1, clients=1, seconds=1)  # everything has been read once
            for (size, clients), some in rows.items():
                row = await load(server, texts, size=size, clients=clients, seconds=seconds)
                some.append({"side": name, "texts": size, "clients": clients, **row})
                print(json.dumps(some[-1]), file=sys.stderr)
            rate = SHARE * rows[1, MANY][-1]["requests_per_second"]
            row = await load(server, texts, size=1, clients=MANY, seconds=seconds, rate=rate)
            paced.append({"side": name, "asked_per_second": round(rate, 1), **row})
            print(json.dumps(paced[-1]), file=sys.stderr)
    found |= {"loads": [one for some in rows.values() for one in in_order(some)], "paced": in_order(paced)}
    new = sides["new"]
    async with served(new, work) as server, client_of(server) as client:
        found["same"] = await compare(client, new.model, texts, work, count=answers)
        found["sigterm"] = await terminate(server.process, client, texts)
    capacity = max(one["texts_per_second"] for one in found["loads"] if one["side"] == "new")
    async with served(new, work, waiting=WAITING) as server, client_of(server) as client:
        found["overload"] = await overload(server, client, texts, rate=2 * capacity, seconds=2 * seconds)
    return found


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The better round of each side, the old one first: what else runs on a machine can only slow a round down."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["requests_per_second"] > best.get(row["side"], {"requests_per_second": -1})["requests_per_second"]:
            best[row["side"]] = row
    return sorted(best.values(), key=lambda row: row["side"], reverse=True)


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    process: "subprocess.Popen[bytes]"
    port: int

    def seconds(self) -> float:
        """Of a core that it has had; 0 where the system does not tell."""
        file = Path(f"/proc/{self.process.pid}/stat")
        if not file.is_file():
            return 0.0
        spent = file.read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


def client_of(server: Server) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=120, limits=limits)


@asynccontextmanager
async def served(side: Side, work: Path, *, waiting: int = 100_000) -> AsyncIterator[Server]:
    """A server, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--waiting", str(waiting), "--folder", str(work / "server"), "--quiet"]
    command = [*CLI, "serve", str(side.model.resolve()), *options]
    server = Server(subprocess.Popen(command, cwd=work, env=environment(side.checkout)), port)
    async with client_of(server) as client:
        for _ in range(600):
            try:
                if (await client.get("/ready")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


async def ask(client: httpx.AsyncClient, texts: list[str], tally: Tally) -> None:
    started = time.perf_counter()
    try:
        response = await client.post("/predict", json={"texts": texts})
    except httpx.TransportError:
        tally.failed += 1
    else:
        tally.seen(
            response.status_code, response.content, time.perf_counter() - started, "retry-after" in response.headers
        )


class Connection:
    """One client, who keeps his connection. It takes a tenth of what httpx takes of the cores that both share."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port, self._reader, self._writer = port, reader, writer

    @classmethod
    async def to(cls, server: Server) -> "Connection":
        return cls(server.port, *await asyncio.open_connection("127.0.0.1", server.port))

    async def ask(self, texts: list[str], tally: Tally) -> None:
        started, body = time.perf_counter(), json.dumps({"texts": texts}).encode()
        if self._reader.at_eof():  # the server hangs up on who asks nothing for five seconds
            self._writer.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{KIND}\r\n\r\n"
        self._writer.write(head.encode() + body)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        content = await self._reader.readexactly(int(headers["content-length"]))
        tally.seen(int(status.split()[1]), content, time.perf_counter() - started, "retry-after" in headers)


async def load(
    server: Server, texts: list[str], *, size: int, clients: int, seconds: float, rate: float | None = None
) -> dict[str, Any]:
    """So many clients, each of which asks when it has its answer; with ``rate``, all together so often a second."""
    tally, batches = Tally(size), itertools.cycle(batched(texts, size))
    connections = await asyncio.gather(*(Connection.to(server) for _ in range(clients)))
    spent, started = server.seconds(), time.perf_counter()

    async def one(place: int, connection: Connection) -> None:
        due = started + place / rate if rate else started
        while (now := time.perf_counter()) - started < seconds:
            if rate:
                await asyncio.sleep(max(0.0, due - now))
                due += clients / rate
            await connection.ask(next(batches), tally)

    await asyncio.gather(*(one(place, connection) for place, connection in enumerate(connections)))
    took, spent = time.perf_counter() - started, server.seconds() - spent
    done = max(1, len(tally.milliseconds)) * size
    return {**tally.row(took), "core_ms_per_text": round(1000 * spent / done, 3)}


async def compare(
    client: httpx.AsyncClient, model: Path, texts: list[str], work: Path, *, count: int
) -> dict[str, Any]:
    """Answers of several clients at once beside those of `predict` on a file."""
    asked = [f"{text} {number}" for number, text in zip(range(count), itertools.cycle(texts))]
    file, out = work / "asked.csv", work / "predicted.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in asked)])
    predict = [*CLI, "predict", str(model.resolve()), str(file), "--text", "text", "--out", str(out), "--quiet"]
    await asyncio.to_thread(partial(subprocess.run, predict, check=True, cwd=work, env=environment(None)))
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


async def overload(
    server: Server, client: httpx.AsyncClient, texts: list[str], *, rate: float, seconds: float
) -> dict[str, Any]:
    """Requests of 20 texts at a rate that nothing slows down; then whether the server is itself again."""
    size = 20
    tally, batches, tasks = Tally(size), itertools.cycle(batched(texts, size)), []
    started, count = time.perf_counter(), int(rate * seconds / size)
    for number in range(count):
        await asyncio.sleep(max(0, started + number * size / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(client, next(batches), tally)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - started
    after = await load(server, texts, size=1, clients=1, seconds=2)
    return {
        "asked_texts_per_second": round(rate),
        "sent": count,
        "answered": tally.statuses[200],
        "refused_with_429": tally.statuses[429],
        "refusals_that_say_when": tally.said_when,
        "lost": count - tally.statuses[200] - tally.statuses[429],
        "incomplete": tally.incomplete,
        "seconds": round(took, 1),
        "afterwards": after,
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
