"""A quick upstream and receiver: canned answers on a bare socket, in C by uvloop.

The sandbox is true to every wire format, and with that slower than what is measured.
This one knows only what a run needs: DashScope's tasks, OpenAI's images and videos,
a picture, and a receiver of callbacks. A job's id tells when it ends, so nothing is
remembered of it, and a million of them can be under way.

`python -m tests.benchmarks.answers PORT JOB_S` serves until it is ended. A negative
JOB_S lets a job end at that look, however late it is: -3 at the third one.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import sys
import time
import zlib
from collections import Counter
from itertools import count
from typing import cast

import uvloop

SIDE = 128
MOST_TIMES = 200_000
DASHSCOPE = "/dashscope/api/v1"


def job_id(ends_at: float, n: int) -> str:
    """The id of a job that ends at that unix time."""
    return f"job-{int(ends_at * 1000)}-{n}"


def ends_at(job: str) -> float:
    """When a job ends, by its id."""
    return int(job.split("-")[1]) / 1000


def picture() -> bytes:
    """A PNG of noise, 48 KiB: what copying costs is in the measure."""
    noise = random.Random(1)
    lines = b"".join(b"\0" + noise.randbytes(3 * SIDE) for _ in range(SIDE))

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(lines, 1)),
            chunk(b"IEND", b""),
        )
    )


def answer(status: str, body: bytes, kind: str = "application/json") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


class World:
    """All that is counted."""

    def __init__(self, base_url: str, job_s: float) -> None:
        self.base_url = base_url
        self.job_s = job_s
        self.counts: Counter[str] = Counter()
        # When each job was submitted, and each callback of a task came first.
        self.submitted: dict[str, float] = {}
        self.called: dict[str, float] = {}
        self._looks: Counter[str] = Counter()
        self._numbers = count()
        self._picture = answer("200 OK", picture(), "image/png")
        self._plain = answer("200 OK", b'{"ok":true}')
        self._taken = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
        image = {"created": 1780000000, "data": [{"url": f"{base_url}/picture.png"}]}
        self._image = answer("200 OK", json.dumps(image).encode())

    def reply(self, method: str, path: str, body: bytes) -> bytes:
        """The answer to one call."""
        if path.startswith(f"{DASHSCOPE}/tasks/"):
            self.counts["look"] += 1
            return self._task(path.rpartition("/")[2])
        if path.startswith(f"{DASHSCOPE}/services/"):
            return self._submit(body)
        if path.startswith("/hook"):
            return self._callback(body)
        if path == "/picture.png":
            self.counts["picture"] += 1
            return self._picture
        if path == "/plain":
            self.counts["plain"] += 1
            return self._plain
        if path.endswith("/images/generations"):
            self.counts["image"] += 1
            return self._image
        if path.endswith("/videos") and method == "POST":
            self.counts["video"] += 1
            return self._video()
        if path == "/_counts":
            seen = {
                "counts": self.counts,
                "submitted": self.submitted,
                "called": self.called,
            }
            return answer("200 OK", json.dumps(seen).encode())
        if path.startswith("/_job_s/"):
            self.job_s = float(path.rpartition("/")[2])
            return self._plain
        return answer("404 Not Found", b"{}")

    def _submit(self, body: bytes) -> bytes:
        now = time.time()
        self.counts["submit"] += 1
        number = next(self._numbers)
        if self.job_s < 0:
            job = f"look-{int(-self.job_s)}-{number}"
        else:
            job = job_id(now + self.job_s, number)
        if len(self.submitted) < MOST_TIMES:
            self.submitted[json.loads(body)["input"]["prompt"]] = now
        told = {"request_id": job, "output": {"task_id": job, "task_status": "PENDING"}}
        return answer("200 OK", json.dumps(told).encode())

    def _task(self, job: str) -> bytes:
        output: dict[str, object] = {"task_id": job, "task_status": "RUNNING"}
        told: dict[str, object] = {"request_id": job, "output": output}
        if self._is_over(job):
            output["task_status"] = "SUCCEEDED"
            output["results"] = [{"url": f"{self.base_url}/picture.png"}]
            told["usage"] = {"image_count": 1}
        return answer("200 OK", json.dumps(told).encode())

    def _is_over(self, job: str) -> bool:
        kind, number, _ = job.split("-")
        if kind == "job":
            return time.time() >= ends_at(job)
        self._looks[job] += 1
        return self._looks[job] >= int(number)

    def _callback(self, body: bytes) -> bytes:
        now = time.time()
        self.counts["callback"] += 1
        if len(self.called) < MOST_TIMES:
            self.called.setdefault(json.loads(body)["data"]["task_id"], now)
        return self._taken

    def _video(self) -> bytes:
        told = {
            "id": f"video_{next(self._numbers)}",
            "object": "video",
            "model": "sora-2",
            "status": "queued",
            "progress": 0,
            "created_at": int(time.time()),
            "seconds": "4",
            "size": "720x1280",
        }
        return answer("200 OK", json.dumps(told).encode())


class Connection(asyncio.Protocol):
    """One client; calls one after the other, or several at once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        kept = self._kept + data if self._kept else data
        while True:
            end = kept.find(b"\r\n\r\n")
            if end < 0:
                break
            head = kept[:end]
            whole = end + 4 + length_of(head)
            if len(kept) < whole:
                if b"100-continue" in head.lower():
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                break
            method, path, _ = head[: head.find(b"\r\n")].decode().split(" ", 2)
            body = kept[end + 4 : whole]
            self._transport.write(self._world.reply(method, path, body))
            kept = kept[whole:]
        self._kept = kept


def length_of(head: bytes) -> int:
    """The length of the body that a head announces."""
    at = head.lower().find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end > 0 else None])


async def serve(port: int, job_s: float) -> None:
    """Serve until the process is ended."""
    world = World(f"http://127.0.0.1:{port}", job_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(world), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
