"""Deliveries: owe one, record its attempts, plan the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    String,
    bindparam,
    case,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.lifecycle import DeliveryState
from app.store.bulk import Bulk, BulkInsert
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


@dataclass(frozen=True, slots=True)
class Owed:
    """A callback that a task's final state owes its client."""

    task_id: str
    client_id: str
    event: str
    url: str


OWE = BulkInsert(
    deliveries,
    ("id", "task_id", "client_id", "event", "url", "host"),
    state=DeliveryState.PENDING.value,
    due_at=db_now(),
    fence=0,
    claim_count=0,
    attempt_count=0,
    created_at=db_now(),
)


def owe(tx: Connection, owed: Sequence[Owed]) -> None:
    """Write the callbacks that final states owe; due at once."""
    OWE.run(
        tx,
        [
            {
                "id": f"msg_{new_id()}",
                "task_id": one.task_id,
                "client_id": one.client_id,
                "event": one.event,
                "url": one.url,
                "host": urlsplit(one.url).netloc.lower()[:300],
            }
            for one in owed
        ],
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt; `due_in_s` is when the next one is made."""

    claim: DeliveryClaim
    attempt: Attempt
    state: DeliveryState
    due_in_s: float | None


RECORD = Bulk(
    {
        "of_id": String,
        "of_fence": Integer,
        "to_state": String,
        "status": Integer,
        "due_in_ms": BigInteger,
    },
    lambda given: (
        update(deliveries)
        .where(
            deliveries.c.id == given.of_id,
            deliveries.c.fence == given.of_fence,
            deliveries.c.state == DeliveryState.PENDING.value,
        )
        .values(
            state=given.to_state,
            claim_count=0,
            attempt_count=deliveries.c.attempt_count + 1,
            last_status=given.status,
            due_at=db_now() + given.due_in_ms,
            ended_at=case((given.due_in_ms.is_(None), db_now()), else_=null()),
        )
        .returning(deliveries.c.id)
    ),
)
ATTEMPTS = BulkInsert(
    attempts,
    ("delivery_id", "n", "started_at", "duration_ms", "status", "error", "excerpt"),
)


def record(
    tx: Connection,
    claim: DeliveryClaim,
    attempt: Attempt,
    state: DeliveryState,
    due_in_s: float | None,
) -> bool:
    """Log an attempt and plan the next, or end the delivery; False: lease lost."""
    return claim.id in record_all(tx, [Outcome(claim, attempt, state, due_in_s)])


def record_all(tx: Connection, outcomes: Sequence[Outcome]) -> set[str]:
    """The same for many deliveries; gives the ids of those whose lease was held."""
    moved = RECORD.returned(
        tx,
        [
            {
                "of_id": one.claim.id,
                "of_fence": one.claim.fence,
                "to_state": one.state.value,
                "status": one.attempt.status,
                "due_in_ms": int((one.due_in_s or 0) * 1000)
                if one.state is DeliveryState.PENDING
                else None,
            }
            for one in outcomes
        ],
    )
    ATTEMPTS.run(
        tx,
        [
            {
                "delivery_id": one.claim.id,
                "n": one.claim.attempt_count + 1,
                "started_at": one.attempt.started_at,
                "duration_ms": one.attempt.duration_ms,
                "status": one.attempt.status,
                "error": one.attempt.error,
                "excerpt": one.attempt.excerpt,
            }
            for one in outcomes
        ],
    )
    return {row.id for row in moved}


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


ANSWERED = (
    update(receivers)
    .where(
        receivers.c.host == bindparam("of_host"),
        or_(receivers.c.failure_count != 0, receivers.c.paused_until != 0),
    )
    .values(failure_count=0, paused_until=0)
)


def receiver_answered(tx: Connection, host: str) -> None:
    """A host took a delivery: close its breaker."""
    tx.execute(ANSWERED, {"of_host": host})


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
