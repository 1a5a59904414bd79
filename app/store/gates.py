"""Rates that all processes share, exact because the store keeps them.

A gate is a leaky bucket: calls leave it one by one, `1 / per_s` apart. Workers reserve
the next places of a gate within the transaction that claims the work, so that a rate
holds whatever dies, and no other server has to be there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.store.models import gates
from app.store.session import db_now

# Places are microseconds apart where a rate is high; instants elsewhere are coarser.
MICROS = 1000
# A little more than a second's worth, so that calls that start some milliseconds early
# or late are never more than the rate in any second.
SPACING = 1_100_000


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the database's clock showed between two instants of this process's own.

    `after` and `before` are monotonic; `now_s` is unix time, cut to milliseconds.
    """

    after: float
    now_s: float
    before: float


@dataclass(frozen=True, slots=True)
class Places:
    """Reserved places: seconds from now of each, and until the next free one.

    Now is when the database's clock was read. `left` are the free ones that still begin
    within the time that was asked for.
    """

    read: ClockReading
    starts_s: tuple[float, ...]
    next_s: float
    left: int


def reserve(
    tx: Connection, name: str, *, per_s: float, wanted: int, within_s: float
) -> Places:
    """Up to `wanted` places of a gate that begin within `within_s` from now.

    Holds the gate's row until the transaction ends.
    """
    hold(tx, name)
    asked_at = time.monotonic()
    # A statement of its own: the clock stands still while one waits for the lock.
    row = tx.execute(
        select(gates.c.free_at, db_now().label("now")).where(gates.c.name == name)
    ).one()
    read = ClockReading(asked_at, row.now / 1000, time.monotonic())
    now = row.now * MICROS
    step = step_us(per_s)
    first = max(row.free_at, now)
    room = max(0, (now + round(within_s * 1_000_000) - first) // step + 1)
    count = min(wanted, room)
    if count:
        tx.execute(
            update(gates)
            .where(gates.c.name == name)
            .values(free_at=first + count * step)
        )
    starts = tuple((first + n * step - now) / 1_000_000 for n in range(count))
    next_s = (first + count * step - now) / 1_000_000
    return Places(read, starts, next_s, left=room - count)


@dataclass(frozen=True, slots=True)
class Place:
    """A place that is the same in several gates.

    When the first common one begins too late nothing is reserved: `start_s` is None,
    and `busy_s` tells which gates had none in time, and in how long they have one.
    """

    read: ClockReading
    start_s: float | None
    busy_s: Mapping[str, float]


def reserve_in_all(
    tx: Connection,
    rates: Mapping[str, float],
    *,
    after_s: float = 0.0,
    within_s: float = math.inf,
) -> Place:
    """The first place, after `after_s` and within `within_s`, in all of these gates.

    A call that kept to one gate and came late in another would crowd there with the
    calls behind it.
    """
    for name in sorted(rates):
        hold(tx, name)
    asked_at = time.monotonic()
    rows = tx.execute(
        select(gates.c.name, gates.c.free_at, db_now().label("now")).where(
            gates.c.name.in_(rates)
        )
    ).all()
    read = ClockReading(asked_at, rows[0].now / 1000, time.monotonic())
    now = rows[0].now * MICROS
    waits = {row.name: (row.free_at - now) / 1_000_000 for row in rows}
    busy = {name: wait_s for name, wait_s in waits.items() if wait_s > within_s}
    if busy:
        return Place(read, None, busy)
    start_s = max(*waits.values(), after_s)
    first = now + round(start_s * 1_000_000)
    for name, per_s in rates.items():
        tx.execute(
            update(gates)
            .where(gates.c.name == name)
            .values(free_at=first + step_us(per_s))
        )
    return Place(read, start_s, {})


def step_us(per_s: float) -> int:
    """Microseconds between two places."""
    return round(SPACING / per_s)


def hold(tx: Connection, name: str) -> None:
    """Let no other transaction count under this name until this one ends."""
    upsert: Any = (
        postgresql.insert(gates)
        if tx.dialect.name == "postgresql"
        else sqlite.insert(gates)
    )
    tx.execute(upsert.values(name=name, free_at=0).on_conflict_do_nothing())
    tx.execute(select(gates.c.name).where(gates.c.name == name).with_for_update())
