"""What stands between a socket and the app, where waitress itself would be slow.

Before each look at its sockets waitress asks every connection whether it would read or
write, so a thousand clients that wait make each request of another dear; it wakes that
loop after every answer, and sends the head of an answer apart from its body. Here a
connection is asked after something has happened to it, and the loop sleeps on when all
is said.
"""

from __future__ import annotations

import logging
import select
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.task import WSGITask  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)

# How often the server is asked at least: it closes connections that lie idle.
ROUND_S = 1.0
NOTHING, READ, WRITE = 0, 1 | 2, 4  # POLLIN | POLLPRI, POLLOUT

_serving = threading.local()


class Sockets(dict[int, Any]):
    """waitress' map of all that listens, connects and wakes, by file descriptor."""

    def __init__(self) -> None:
        super().__init__()
        # What the kernel is asked of each. A request may be under way while READ is
        # still asked: it is taken back only when something does come meanwhile.
        self._asked: dict[int, int] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._changed: deque[Any] = deque()
        self._is_woken = False

    def __setitem__(self, fd: int, thing: Any) -> None:
        super().__setitem__(fd, thing)
        self._asked[fd] = NOTHING
        self._changed.append(thing)

    def __delitem__(self, fd: int) -> None:
        super().__delitem__(fd)
        if self._asked.pop(fd) and self._epoll is not None:
            self._epoll.unregister(fd)

    def serve(self, server: Any) -> None:
        """Read and write until every socket is closed."""
        if self._epoll is None:  # not on Linux
            wasyncore.loop(timeout=ROUND_S, use_poll=True, map=self)
            return
        while self:
            self._is_woken = False  # before the changes are read: see `wake`
            self._ask_server(server)
            while self._changed:
                self._ask(self._changed.popleft())
            for fd, flags in self._epoll.poll(ROUND_S):
                if fd in self:
                    self._handle(fd, flags)
        self._epoll.close()

    def wake(self, server: Any) -> None:
        """Let the loop see what this thread has done to the connection it serves."""
        channel = getattr(_serving, "channel", None)
        if channel is not None and self._epoll is not None:
            fd = channel._fileno
            if self._asked.get(fd) == READ == _wanted(channel):
                return  # all is sent, and the next request is awaited already
            self._changed.append(channel)
            if self._is_woken:
                return
            self._is_woken = True
        server.trigger.pull_trigger()

    def _ask_server(self, server: Any) -> None:
        cleanup_at = server.next_channel_cleanup
        self._ask(server)
        if server.next_channel_cleanup != cleanup_at:  # some may be told to close
            self._changed.extend(self.values())

    def _ask(self, thing: Any) -> None:
        fd = thing._fileno
        if self.get(fd) is not thing:  # it was closed meanwhile
            return
        wanted = _wanted(thing)
        if wanted != NOTHING or self._asked[fd] != READ:
            self._set(fd, wanted)

    def _handle(self, fd: int, flags: int) -> None:
        thing = self[fd]
        if flags & ~WRITE and not thing.readable():
            # More comes, or the client goes, while its request is under way.
            self._set(fd, WRITE if thing.writable() else NOTHING)
            if thing.readable():  # it ended just now, and its thread saw READ asked
                self._changed.append(thing)
            flags &= WRITE
            if not flags:
                return
        wasyncore.readwrite(thing, flags)
        if not getattr(thing, "requests", ()):  # else its thread wakes us in the end
            self._ask(thing)

    def _set(self, fd: int, wanted: int) -> None:
        assert self._epoll is not None
        asked = self._asked[fd]
        if wanted == asked:
            return
        self._asked[fd] = wanted
        if asked == NOTHING:
            self._epoll.register(fd, wanted)
        elif wanted == NOTHING:
            self._epoll.unregister(fd)
        else:
            self._epoll.modify(fd, wanted)


def _wanted(thing: Any) -> int:
    reads = READ if thing.readable() else NOTHING
    return reads | (WRITE if thing.writable() and not thing.accepting else NOTHING)


class Threads:
    """The threads that answer; they may be more for as long as some of them wait."""

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._guard = threading.Lock()
        self._usual_count = count
        self._waiting_count = 0
        self._count = 0
        self._is_closed = False
        self._all_ended = threading.Event()
        for _ in range(count):
            self._start_one()

    def add_task(self, task: Any) -> None:
        """Let a thread serve this connection."""
        self._queue.put(task)

    def wait(self, wait: Callable[[], object]) -> None:
        """Run what only waits; another thread answers meanwhile."""
        with self._guard:
            self._waiting_count += 1
            if self._count < self._usual_count + self._waiting_count:
                self._start_one()
        try:
            wait()
        finally:
            with self._guard:
                self._waiting_count -= 1

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Serve what was added, but start nothing new after `timeout` seconds."""
        with self._guard:
            self._is_closed = True
            for _ in range(self._count):
                self._queue.put(None)
            if not self._count:
                self._all_ended.set()
        if not self._all_ended.wait(timeout):
            logger.warning("threads are still answering", extra={"count": self._count})
        return cancel_pending and self._cancel_rest()

    def _cancel_rest(self) -> bool:
        tasks = []
        try:
            while True:
                tasks.append(self._queue.get_nowait())
        except Empty:
            pass
        for task in tasks:
            if task is not None:
                task.cancel()
            else:
                self._queue.put(None)  # somebody's who still works
        return True

    def _start_one(self) -> None:
        self._count += 1
        threading.Thread(target=self._serve, name="web", daemon=True).start()

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task.service()
            except BaseException:
                # A thread must outlive whatever one connection does to it.
                logger.exception("a connection could not be served")
            with self._guard:
                if self._is_spare():
                    break
        with self._guard:
            self._count -= 1
            if self._is_closed and not self._count:
                self._all_ended.set()

    def _is_spare(self) -> bool:
        return (
            not self._is_closed
            and self._count > self._usual_count + self._waiting_count
        )


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection; whoever serves it is known to `Sockets.wake`."""

    def service(self) -> None:
        """Answer one request."""
        _serving.channel = self
        try:
            super().service()
        finally:
            _serving.channel = None


class Task(WSGITask):  # type: ignore[misc]
    """One request; its answer's head leaves together with the first of its body."""

    channel: Any

    def write(self, data: bytes) -> None:
        """Send some of the body."""
        if self.wrote_header or not data:
            super().write(data)
            return
        channel = self.channel
        self.channel = pieces = _Pieces(channel.server)
        try:
            super().write(data)
        finally:
            self.channel = channel
        channel.write_soon(b"".join(pieces.written))


class _Pieces:
    """Stands for a channel, and keeps what is written to it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.written: list[bytes] = []
        self.write_soon = self.written.append
