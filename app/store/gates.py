"""Rates that all processes share, exact because the store keeps them.

A gate is a leaky bucket: calls leave it one by one, `1 / per_s` apart. Workers reserve
the next places of a gate within the transaction that claims the work, so that a rate
holds whatever dies, and no other server has to be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.store.models import gates
from app.store.session import db_now

# Places are microseconds apart where a rate is high; instants elsewhere are coarser.
MICROS = 1000
# A little more than a second's worth, so that calls that start a few milliseconds early
# or late are never more than the rate in any second.
SPACING = 1_020_000


@dataclass(frozen=True, slots=True)
class Places:
    """Reserved places: seconds from now of each, and until the next free one.

    `left` are the free ones that still begin within the time that was asked for.
    """

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
    # A statement of its own: the clock stands still while one waits for the lock.
    row = tx.execute(
        select(gates.c.free_at, db_now().label("now")).where(gates.c.name == name)
    ).one()
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
    return Places(starts, next_s, left=room - count)


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
