"""Which tasks changed: told after the commit, heard by whoever waits for one.

News only saves the wait until the next look at the store. What is lost on the way costs
time and nothing else, so nobody waits for it to arrive.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.lifecycle import State

logger = logging.getLogger(__name__)

CHANNEL = "genrelay:tasks"
# What changes within this time is told together.
SPACING_S = 0.01
TIMEOUT_S = 1.0
PAUSE_S = 1.0
# What nobody takes off us is forgotten beyond so many tasks.
MOST_KEPT = 10_000

Changes = Mapping[str, State]
Hear = Callable[[Changes], None]


class News:
    """News within one process; `is_whole` says that no other changes any task."""

    def __init__(self, *, is_whole: bool = False) -> None:
        self._is_whole = is_whole
        self._hear: Hear | None = None

    @property
    def is_live(self) -> bool:
        """Whether, as far as is known, every change is heard here."""
        return self._is_whole

    def listen(self, hear: Hear) -> None:
        """Call `hear`, in whatever thread, with what changes from now on."""
        self._hear = hear

    def tell(self, changes: Changes) -> None:
        """Tell everybody the new states of some tasks; never blocks, never fails."""
        if self._hear is not None:
            self._hear(changes)

    def close(self) -> None:
        """Hear nothing more, and tell nothing new."""
        self._hear = None


class RedisNews(News):
    """News among all processes that share a Redis."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._guard = threading.Condition()
        self._untold: dict[str, State] = {}
        self._closed = threading.Event()
        self._live = threading.Event()
        self._teller: threading.Thread | None = None
        self._hearer: threading.Thread | None = None

    @property
    def is_live(self) -> bool:
        return self._live.is_set()

    def listen(self, hear: Hear) -> None:
        super().listen(hear)
        if self._hearer is None:
            self._hearer = self._start(self._keep_hearing, "news in")

    def tell(self, changes: Changes) -> None:
        super().tell(changes)
        with self._guard:
            if self._closed.is_set():
                return
            if len(self._untold) < MOST_KEPT:
                self._untold.update(changes)
            if self._teller is None:  # only now: a server may fork first
                self._teller = self._start(self._keep_telling, "news out")
            self._guard.notify()

    def close(self) -> None:
        super().close()
        with self._guard:
            self._closed.set()
            self._guard.notify()
        for thread in (self._teller, self._hearer):
            if thread is not None:
                thread.join(timeout=2 * TIMEOUT_S)

    def _start(self, run: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _connect(self) -> redis.Redis:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            socket_keepalive=True,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),  # we come back by ourselves
        )

    def _keep_telling(self) -> None:
        with self._connect() as server:
            while True:
                with self._guard:
                    self._guard.wait_for(lambda: self._untold or self._closed.is_set())
                    changes, self._untold = self._untold, {}
                if not changes:  # closed, and all is told
                    return
                try:
                    server.publish(CHANNEL, _write(changes))
                    self._closed.wait(SPACING_S)
                except (redis.RedisError, OSError) as error:
                    self._warn("news of tasks cannot be told", error)

    def _keep_hearing(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connect() as server, server.pubsub() as news:
                    news.subscribe(CHANNEL)
                    while not self._closed.is_set():
                        self._take(news.get_message(timeout=TIMEOUT_S / 2))
            except (redis.RedisError, OSError) as error:
                self._live.clear()
                self._warn("news of tasks cannot be heard", error)
        self._live.clear()

    def _take(self, message: Mapping[str, str] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            self._live.set()
        elif message["type"] == "message" and self._hear is not None:
            # A newer version may tell of states that this one does not know.
            with suppress(ValueError):
                self._hear(_read(message["data"]))

    def _warn(self, message: str, error: Exception) -> None:
        if not self._closed.is_set():
            logger.warning(message, extra={"error": str(error)})
        self._closed.wait(PAUSE_S)


def open_news(redis_url: str | None, *, alone: bool = False) -> News:
    """News by Redis where there is one; `alone`: one process does everything."""
    return RedisNews(redis_url) if redis_url else News(is_whole=alone)


def _write(changes: Changes) -> str:
    return "\n".join(f"{task_id} {state}" for task_id, state in changes.items())


def _read(text: str) -> dict[str, State]:
    pairs = (line.split(" ") for line in text.splitlines())
    return {task_id: State(state) for task_id, state in pairs}
