"""A value remembered for a moment, so that not every request asks the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Up to `limit` values by key, each for `kept_s`; safe for threads.

    When it is full everything is forgotten: that costs a look at the store for each.
    """

    def __init__(
        self,
        kept_s: float,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept_s = kept_s
        self._limit = limit
        self._clock = clock
        self._values: dict[K, tuple[float, V]] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def find(self, key: K) -> V | None:
        """The value, unless it is too old or was never known."""
        found = self._values.get(key)
        if found is None or found[0] <= self._clock():
            return None
        return found[1]

    def keep(self, key: K, value: V, *, since: float) -> V:
        """Remember a value that was true at `since`, a time of `now`."""
        with self._lock:
            if len(self._values) >= self._limit and key not in self._values:
                self._values.clear()
            self._values[key] = (since + self._kept_s, value)
        return value

    def now(self) -> float:
        """The time by the clock of this memory."""
        return self._clock()

    def get(self, key: K, load: Callable[[], V]) -> V:
        """The value, loaded when it is not known; the others wait for who loads."""
        found = self.find(key)
        if found is not None:
            return found
        with self._loading:
            found = self.find(key)
            if found is not None:
                return found
            since = self.now()
            return self.keep(key, load(), since=since)
