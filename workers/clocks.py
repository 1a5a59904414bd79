"""Clocks of a worker process: its own, and the database's by it."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from app.store.gates import ClockReading

# How far apart two clocks may go, in seconds a second.
DRIFT = 1e-4


def uptime_s() -> float:
    """A clock that only goes forward, also while the whole machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux, where the monotonic one stands still
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass
class DatabaseClock:
    """Instants of the database's clock by this process's own, to about a millisecond.

    One reading is as wrong as the database was slow. Each one bounds how far the clocks
    are apart, and all bounds hold; when they contradict each other a clock was set.
    """

    _least_s: float = -math.inf
    _most_s: float = math.inf
    _noted_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def monotonic(self, read: ClockReading, in_s: float) -> float:
        """When it is `in_s` after a reading that was just made."""
        least = read.now_s - read.before
        most = read.now_s + 0.001 - read.after
        with self._lock:
            apart_s = DRIFT * (read.before - self._noted_at)
            known = self._least_s - apart_s, self._most_s + apart_s
            if max(least, known[0]) <= min(most, known[1]):
                least, most = max(least, known[0]), min(most, known[1])
            self._least_s, self._most_s = least, most
            self._noted_at = read.before
        return read.now_s + in_s - (least + most) / 2
