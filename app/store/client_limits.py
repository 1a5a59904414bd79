"""What a client may ask for: tasks a second, open, queued, and in a day."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from app.errors import LimitReached
from app.lifecycle import OPEN, State
from app.store import gates
from app.store.models import tasks
from app.store.session import db_now

DAY_MS = 24 * 3600 * 1000
RETRY_S = 5
QUEUED = (State.QUEUED, State.SUBMITTING)

TEXTS = {
    "in_flight": "{limit:g} tasks that have not ended",
    "queued": "{limit:g} tasks that no upstream has yet",
    "daily": "{limit:g} new tasks in a day (UTC)",
}


@dataclass(frozen=True, slots=True)
class Room:
    """What is left under a rate, for `RateLimit-*` headers."""

    limit: int
    remaining: int
    reset_s: int


def take_turn(
    tx: Connection, client_id: str, limits: Mapping[str, float]
) -> Room | None:
    """Count a request against the client's rate; None when it has none.

    Raises `LimitReached`.
    """
    per_s = limits.get("requests_per_s")
    if per_s is None:
        return None
    # A client may send a second's worth at once.
    burst = math.ceil(per_s)
    burst_s = (burst - 1) * gates.step_us(per_s) / 1_000_000
    places = gates.reserve(
        tx, f"client:{client_id}", per_s=per_s, wanted=1, within_s=burst_s
    )
    if not places.starts_s:
        retry_after_s = max(1, math.ceil(places.next_s - burst_s))
        raise LimitReached(
            f"this key may send {per_s:g} tasks a second",
            code="rate_limited",
            retry_after_s=retry_after_s,
            limit=burst,
        )
    return Room(burst, places.left, max(1, math.ceil(places.next_s)))


def has_limits(limits: Mapping[str, float]) -> bool:
    """Whether `check_room` has anything to check."""
    return any(name in limits for name in TEXTS)


def check_room(tx: Connection, client_id: str, limits: Mapping[str, float]) -> None:
    """Raise `LimitReached` unless the client may have one more task.

    Holds a lock of the client until the transaction ends, so that requests side by
    side cannot all take the last place.
    """
    if not has_limits(limits):
        return
    gates.hold(tx, f"client:{client_id}:tasks")
    if "in_flight" in limits or "queued" in limits:
        by_state = _count_open(tx, client_id)
        _check("in_flight", limits, sum(by_state.values()), RETRY_S)
        queued = sum(by_state.get(state.value, 0) for state in QUEUED)
        _check("queued", limits, queued, RETRY_S)
    if "daily" in limits:
        now = int(tx.execute(select(db_now())).scalar_one())
        today = now - now % DAY_MS
        count = tx.execute(
            select(func.count()).where(
                tasks.c.client_id == client_id, tasks.c.created_at >= today
            )
        ).scalar_one()
        _check("daily", limits, count, (today + DAY_MS - now) // 1000 + 1)


def _count_open(tx: Connection, client_id: str) -> dict[str, int]:
    # Said with literals, as the partial index says it.
    states: list[ColumnElement[str]] = [
        literal_column(f"'{state.value}'") for state in sorted(OPEN)
    ]
    rows = tx.execute(
        select(tasks.c.state, func.count())
        .where(tasks.c.client_id == client_id, tasks.c.state.in_(states))
        .group_by(tasks.c.state)
    )
    return {row[0]: row[1] for row in rows}


def _check(
    name: str, limits: Mapping[str, float], count: int, retry_after_s: int
) -> None:
    limit = limits.get(name)
    if limit is not None and count + 1 > limit:
        raise LimitReached(
            f"this key may have {TEXTS[name].format(limit=limit)}",
            code=f"{name}_limit_reached",
            retry_after_s=retry_after_s,
            limit=int(limit),
        )
