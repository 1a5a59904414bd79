"""A load generator: one request over and over, on bare sockets, by uvloop.

`python -m tests.benchmarks.load` reads what to do as JSON from its input and prints
what came of it as JSON; so it has a process, and an interpreter, of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks.answers import length_of
from tests.benchmarks.figures import percentile

ROOT = Path(__file__).parent.parent.parent
WARM_S = 0.5
GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, on how many connections, for how long."""

    url: str
    connections: int
    seconds: float
    method: str = "GET"
    body: str = ""
    authorization: str = ""
    most: int = 0  # requests; 0: as many as fit into the time
    per_s: float = 0.0  # at most so many a second; 0: as fast as possible


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it; times in seconds."""

    count: int
    per_s: float
    p50_s: float
    p99_s: float
    statuses: dict[str, int]
    cpu_s: float
    elapsed_s: float

    @property
    def bad_count(self) -> int:
        """Answers that were no success."""
        return sum(n for status, n in self.statuses.items() if status[0] != "2")


def run(order: Order) -> Loaded:
    """Load from a process of its own; blocks until it is over."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load"],
        cwd=ROOT,
        input=json.dumps(asdict(order)).encode(),
        capture_output=True,
        timeout=order.seconds + 60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])
    return Loaded(**json.loads(done.stdout))


class Client(asyncio.Protocol):
    """One connection; sends again once the answer is whole."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept = b""
        self._begun = 0.0
        self._transport: asyncio.Transport | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self._load.statuses["0 closed"] += 1
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        kept = self._kept + data if self._kept else data
        end = kept.find(b"\r\n\r\n")
        if end < 0 or len(kept) < end + 4 + length_of(kept[:end]):
            self._kept = kept
            return
        self._kept = b""
        self._load.note(self._begun, kept[9:12].decode())
        self._next()

    def _next(self) -> None:
        wait_s = self._load.turn()
        if wait_s is None:
            if not self.ended.done():
                self.ended.set_result(None)
        elif wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send)
        else:
            self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._begun = time.perf_counter()
        self._transport.write(self._load.request)


class Load:
    """What all connections share."""

    def __init__(self, order: Order) -> None:
        self._order = order
        parts = urlsplit(order.url)
        body = order.body.encode()
        lines = [
            f"{order.method} {parts.path or '/'} HTTP/1.1",
            f"Host: {parts.netloc}",
        ]
        if order.authorization:
            lines.append(f"Authorization: {order.authorization}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self.request = "\r\n".join([*lines, "", ""]).encode() + body
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.statuses: Counter[str] = Counter()
        self.times: list[float] = []
        self.sent_count = 0
        self.begun = time.perf_counter()
        # What is answered while everything becomes warm does not count.
        warm_s = 0.0 if order.most or order.per_s else min(WARM_S, order.seconds / 4)
        self.counts_from = self.begun + warm_s
        self.until = self.begun + order.seconds

    def turn(self) -> float | None:
        """Seconds until the next request may leave; None when none may any more."""
        now = time.perf_counter()
        if now >= self.until or (
            self._order.most and self.sent_count >= self._order.most
        ):
            return None
        planned = now
        if self._order.per_s:
            planned = self.begun + self.sent_count / self._order.per_s
            if planned >= self.until:
                return None
        self.sent_count += 1
        return planned - now

    def note(self, begun: float, status: str) -> None:
        """One whole answer; only those that are a success are timed."""
        now = time.perf_counter()
        self.statuses[status] += 1
        if begun >= self.counts_from and status[0] == "2":
            self.times.append(now - begun)

    async def run(self) -> Loaded:
        """Everything, until the time or the requests are used up."""
        loop = asyncio.get_running_loop()
        clients = []
        for _ in range(self._order.connections):
            _, client = await loop.create_connection(
                lambda: Client(self), self.host, self.port
            )
            clients.append(client)
        most_s = self.until - time.perf_counter() + GRACE_S
        await asyncio.wait([client.ended for client in clients], timeout=most_s)
        elapsed_s = time.perf_counter() - self.counts_from
        return Loaded(
            count=len(self.times),
            per_s=len(self.times) / elapsed_s,
            p50_s=percentile(self.times, 0.5),
            p99_s=percentile(self.times, 0.99),
            statuses=dict(self.statuses),
            cpu_s=time.process_time(),
            elapsed_s=elapsed_s,
        )


async def main() -> None:
    """Do what standard input says."""
    order = Order(**json.load(sys.stdin))
    print(json.dumps(asdict(await Load(order).run())))


if __name__ == "__main__":
    uvloop.run(main())
