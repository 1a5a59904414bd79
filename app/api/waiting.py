"""Hold an answer until a task changes: those who wait hear the news of tasks.

News may be lost, and where there is neither Redis nor one process for everything there
are none. So one thread looks for all who wait: every 100 ms, or 2 s when news come, and
not at all while nobody waits. The number of those who wait is capped; beyond it the
answer comes at once.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from app.api.schemas import MAX_WAIT_S
from app.errors import InvalidRequest
from app.lifecycle import State
from app.news import News
from app.store.health import OUTAGES

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
LOOK_ANYWAY_S = 2.0
# So many may wait on a server that lends them threads.
MOST_WAITING = 1000
FREE_THREADS = 8

PREFERENCE = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?\s*(?:;.*)?', re.IGNORECASE)
WHOLE = re.compile(r"[0-9]{1,6}")

FindStates = Callable[[Collection[str]], Mapping[str, State]]
Wanted = Callable[[State], bool]
Lend = Callable[[Callable[[], object]], None]


@dataclass(eq=False)
class _Waiter:
    task_id: str
    wanted: Wanted
    woken: threading.Event = field(default_factory=threading.Event)


class Waiting:
    """The requests of one process that wait for their task."""

    def __init__(
        self,
        find_states: FindStates,
        *,
        web_threads: int,
        look_every_s: float = LOOK_EVERY_S,
        look_anyway_s: float = LOOK_ANYWAY_S,
        news: News | None = None,
    ) -> None:
        self._find_states = find_states
        self._capacity = max(web_threads - FREE_THREADS, web_threads // 2)
        self._look_every_s = look_every_s
        self._look_anyway_s = look_anyway_s
        self._news = news or News()
        self._lend: Lend = _wait_here
        self._waiters: set[_Waiter] = set()
        self._by_task: dict[str, set[_Waiter]] = {}
        # Of these nobody knows what happened before they could hear of it.
        self._new: list[_Waiter] = []
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def use(self, lend: Lend) -> None:
        """Wait with `lend`, which lets another thread answer meanwhile."""
        self._lend, self._capacity = lend, MOST_WAITING

    def wait(self, task_id: str, wanted: Wanted, timeout_s: float) -> bool:
        """Block until the task is in a wanted state, is gone, or the time is over.

        False, at once, when too many wait already: the wait was not applied.
        """
        waiter = _Waiter(task_id, wanted)
        with self._changed:
            if len(self._waiters) >= self._capacity or self._closed.is_set():
                return False
            self._waiters.add(waiter)
            self._by_task.setdefault(task_id, set()).add(waiter)
            self._new.append(waiter)
            if self._thread is None:  # only now: a web server may fork first
                self._thread = threading.Thread(
                    target=self._look_for_all, name="waiting", daemon=True
                )
                self._thread.start()
                self._news.listen(self.hear)
            self._changed.notify()
        try:
            self._lend(lambda: waiter.woken.wait(timeout_s))
        finally:
            with self._changed:
                self._waiters.discard(waiter)
                others = self._by_task[task_id]
                others.discard(waiter)
                if not others:
                    del self._by_task[task_id]
        return True

    def hear(self, changes: Mapping[str, State]) -> None:
        """Let those go who waited for these states."""
        with self._changed:
            for task_id in changes.keys() & self._by_task.keys():
                for waiter in self._by_task[task_id]:
                    if waiter.wanted(changes[task_id]):
                        waiter.woken.set()

    def close(self) -> None:
        """Let everybody go, and let nobody wait any more."""
        with self._changed:
            self._closed.set()
            for waiter in self._waiters:
                waiter.woken.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _look_for_all(self) -> None:
        looked_at, was_live = float("-inf"), False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiters or self._closed.is_set())
                now = time.monotonic()
                is_live = self._news.is_live
                hears = was_live and is_live and now - looked_at < self._look_anyway_s
                was_live = is_live
                waiters = self._new if hears else list(self._waiters)
                self._new = []
            if self._closed.is_set():
                return
            if waiters:
                self._look(waiters)
            if not hears:
                looked_at = now
            self._closed.wait(self._look_every_s)

    def _look(self, waiters: Collection[_Waiter]) -> None:
        try:
            states = self._find_states({waiter.task_id for waiter in waiters})
        except OUTAGES as error:
            # The waits end by themselves, and their views say what is wrong.
            logger.warning("cannot look for tasks", extra={"error": str(error)})
            return
        except Exception:
            # One thread serves everybody: it must outlive what nobody foresaw.
            logger.exception("a look for waiting requests failed")
            return
        for waiter in waiters:
            state = states.get(waiter.task_id)
            if state is None or waiter.wanted(state):
                waiter.woken.set()


def _wait_here(wait: Callable[[], object]) -> None:
    wait()


def read_preference(header: str) -> int | None:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most 60; what else it says is free."""
    for preference in header.split(","):
        match = PREFERENCE.fullmatch(preference.strip())
        if match:
            return min(int(match[1]), MAX_WAIT_S)
    return None


def read_wait(text: str | None) -> int | None:
    """Seconds of `?wait=N`; raises InvalidRequest outside 0 to 60."""
    if text is None:
        return None
    if WHOLE.fullmatch(text) is None or int(text) > MAX_WAIT_S:
        told = f"must be 0 to {MAX_WAIT_S} (whole seconds)"
        raise InvalidRequest(f"wait {told}", errors={"wait": [told]})
    return int(text)
