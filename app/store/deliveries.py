"""Deliveries: owe one, record its attempts, plan the next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, insert, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.lifecycle import DeliveryState
from app.store.due import DeliveryClaim
from app.store.ids import new_id
from app.store.models import attempts, deliveries, receivers
from app.store.session import db_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to call a client back; `started_at` is unix milliseconds."""

    started_at: int
    duration_ms: int
    status: int | None = None
    error: str | None = None
    excerpt: str | None = None


def owe(tx: Connection, task_id: str, client_id: str, event: str, url: str) -> None:
    """Write the callback that a final state owes; due at once."""
    tx.execute(
        insert(deliveries).values(
            id=f"msg_{new_id()}",
            task_id=task_id,
            client_id=client_id,
            event=event,
            url=url,
            host=urlsplit(url).netloc.lower()[:300],
            state=DeliveryState.PENDING.value,
            due_at=db_now(),
            fence=0,
            claim_count=0,
            attempt_count=0,
            created_at=db_now(),
        )
    )


def record(
    tx: Connection,
    claim: DeliveryClaim,
    attempt: Attempt,
    state: DeliveryState,
    due_in_s: float | None,
) -> bool:
    """Log an attempt and plan the next, or end the delivery; False: lease lost."""
    ended = state is not DeliveryState.PENDING
    moved = tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id == claim.id,
            deliveries.c.fence == claim.fence,
            deliveries.c.state == DeliveryState.PENDING.value,
        )
        .values(
            state=state.value,
            claim_count=0,
            attempt_count=deliveries.c.attempt_count + 1,
            last_status=attempt.status,
            due_at=null() if ended else db_now() + int((due_in_s or 0) * 1000),
            ended_at=db_now() if ended else null(),
        )
    ).rowcount
    tx.execute(
        insert(attempts).values(
            delivery_id=claim.id,
            n=claim.attempt_count + 1,
            started_at=attempt.started_at,
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            error=attempt.error,
            excerpt=attempt.excerpt,
        )
    )
    return bool(moved)


def exists(tx: Connection, delivery_id: str) -> bool:
    """Whether there is a delivery with this id."""
    query = select(deliveries.c.id).where(deliveries.c.id == delivery_id)
    return tx.execute(query).first() is not None


def redeliver(tx: Connection, ids: Collection[str]) -> int:
    """Send these callbacks again now, with a fresh schedule; gives how many.

    Those that a worker has in hand are left alone. A receiver whose breaker is open
    gets its probe at once.
    """
    rows = tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id.in_(ids),
            or_(
                deliveries.c.state != DeliveryState.PENDING.value,
                deliveries.c.claim_count == 0,
            ),
        )
        .values(
            state=DeliveryState.PENDING.value,
            fence=deliveries.c.fence + 1,
            claim_count=0,
            attempt_count=0,
            due_at=db_now(),
            ended_at=null(),
        )
        .returning(deliveries.c.host)
    ).all()
    tx.execute(
        update(receivers)
        .where(
            receivers.c.host.in_({row.host for row in rows}),
            receivers.c.paused_until > db_now(),
        )
        .values(paused_until=db_now())
    )
    return len(rows)


def receiver_answered(tx: Connection, host: str) -> None:
    """A host took a delivery: close its breaker."""
    tx.execute(
        update(receivers)
        .where(receivers.c.host == host)
        .values(failure_count=0, paused_until=0)
    )


def receiver_failed(tx: Connection, host: str) -> int:
    """Count a host's failure in a row; gives the count."""
    upsert: Any = (
        postgresql.insert(receivers)
        if tx.dialect.name == "postgresql"
        else sqlite.insert(receivers)
    )
    return int(
        tx.execute(
            upsert.values(host=host, failure_count=1, paused_until=0)
            .on_conflict_do_update(
                index_elements=[receivers.c.host],
                set_={"failure_count": receivers.c.failure_count + 1},
            )
            .returning(receivers.c.failure_count)
        ).scalar_one()
    )


def pause_receiver(tx: Connection, host: str, pause_s: float) -> None:
    """Open a host's breaker: nothing is sent to it until the pause ends."""
    tx.execute(
        update(receivers)
        .where(receivers.c.host == host)
        .values(paused_until=db_now() + int(pause_s * 1000))
    )
