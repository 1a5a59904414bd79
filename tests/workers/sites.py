"""Small servers that say exactly what a test wants, byte for byte, HTTP or not.

A `Site` answers each request with what its function returns: bytes to send, or
`(bytes, bytes, ...)` to send in pieces; the connection is kept unless `close` is told.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PIECE_PAUSE_S = 0.02


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True)
class Said:
    """What is sent back; `end` is how the connection goes on."""

    pieces: tuple[bytes, ...] = ()
    end: str = "keep"  # keep, close, reset, hang


Reaction = Callable[[Asked], Said]


def page(
    body: bytes = b"",
    *,
    status: int = 200,
    headers: str = "",
    length: int | None = None,
) -> Said:
    """A whole answer; `headers` are lines that end in CRLF."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status} Word\r\nContent-Length: {size}\r\n{headers}\r\n"
    return Said((head.encode() + body,))


def data(status: int = 200, **fields: Any) -> Said:
    return page(
        json.dumps(fields).encode(),
        status=status,
        headers="Content-Type: application/json\r\n",
    )


def moved(url: str, status: int = 302) -> Said:
    return page(status=status, headers=f"Location: {url}\r\n")


@dataclass
class Site:
    """A server in a thread of its own."""

    react: Reaction
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    accepted: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self.accepted.set()
        number = self.connections
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                said = self.react(await self._read(reader, number))
                for piece in said.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(PIECE_PAUSE_S if len(said.pieces) > 1 else 0)
                if said.end == "hang":
                    await reader.read()
                if said.end == "reset":
                    sock = writer.get_extra_info("socket")
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if said.end != "keep":
                    break
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        asked = Asked(method, target, headers, body, number)
        self.asked.append(asked)
        return asked


@contextmanager
def open_site(
    react: Reaction, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Site]:
    """A site that answers until the block ends."""
    site = Site(react, host, tls)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def start() -> None:
        server = await asyncio.start_server(site.serve, host, 0, ssl=tls, limit=2**20)
        site.port = server.sockets[0].getsockname()[1]

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.call_soon(ready.set)
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop)))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield site
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port where connections are neither taken nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.append(client)
        try:
            yield port
        finally:
            for client in waiting:
                client.close()


def closed_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
