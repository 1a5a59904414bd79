"""What a worker knows of how long jobs take, and what it adds to that.

Ends are kept here and written once a second, many in one transaction: a lost second
of them costs nothing but a little knowledge.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from app.durations import Learned, Plan
from app.runtime import Runtime
from app.store import durations
from app.store.durations import Ended, Place
from providers.types import Model

REMEMBERED_S = 5.0
NOTHING = Learned()


class Durations:
    """One process's view; safe to use from several threads."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._lock = threading.Lock()
        self._ended: list[Ended] = []
        self._learned: Mapping[Place, Learned] = {}
        self._plans: dict[Place, tuple[Learned, Plan]] = {}
        self._read_at = 0.0

    def plan(self, channel_id: str, model: Model) -> Plan:
        """When to look at the jobs of a model."""
        place = channel_id, model.name
        learned = self._learned.get(place, NOTHING)
        known = self._plans.get(place)
        if known is None or known[0] is not learned:
            look_cost = self._rt.settings.look_cost
            known = self._plans[place] = (
                learned,
                Plan(learned, model.typical_s, look_cost),
            )
        return known[1]

    def note(self, ended: Ended) -> None:
        """Learn from a job that has ended, with the next `flush`."""
        with self._lock:
            self._ended.append(ended)

    def flush(self) -> None:
        """Write what was noted; read anew what all workers know, if that is old."""
        with self._lock:
            ended, self._ended = self._ended, []
        if ended:
            with self._rt.transaction() as tx:
                durations.learn(tx, ended)
        now = time.monotonic()
        if not self._read_at or now - self._read_at >= REMEMBERED_S:
            self._read_at = now
            with self._rt.reading() as tx:
                found = durations.load(tx)
            # What has not changed keeps its plan.
            self._learned = {
                place: old if (old := self._learned.get(place)) == learned else learned
                for place, learned in found.items()
            }
