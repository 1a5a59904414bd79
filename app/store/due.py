"""Claim what is due, in batches; the only place that knows SKIP LOCKED.

Claiming moves `due_at` past the lease and increments `fence`, in one statement. A
worker that dies needs no clean-up: its rows become due again. Every later write of the
holder says `fence = mine`, so one that lost its lease writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    exists,
    func,
    select,
    update,
)

from app.lifecycle import DeliveryState, Event, State, sources
from app.store.bulk import Bulk
from app.store.models import clients, deliveries, receivers, submissions, tasks
from app.store.session import db_now, note_change

# Low, normal and high: how large a share of a batch a client gets.
PRIORITY_WEIGHTS = (1, 2, 4)

# Two workers that count the same receiver's running calls would both see a free place.
DELIVERY_CLAIM_LOCK = 0x67656E72656C6179


@dataclass(frozen=True, slots=True)
class TaskClaim:
    """A worker's right to hand one task to a channel."""

    id: str
    fence: int
    claim_count: int
    try_count: int
    model: str
    media_type: str
    created_at: int
    client_id: str
    group: str


@dataclass(frozen=True, slots=True)
class SubmissionClaim:
    """A worker's right to look at one submission."""

    id: str
    fence: int
    claim_count: int
    task_id: str
    channel_id: str
    key_id: str
    model: str
    state: str
    remote_id: str | None
    remote: dict[str, str] | None
    found: dict[str, Any] | None
    look_count: int
    looked_at: int | None
    called_at: int | None
    missing_count: int
    copy_count: int
    sent_at: int
    deadline_at: int
    phase: str | None
    percent: int | None
    cancelling: bool
    claimed_at: int
    starts_at: float = 0.0  # monotonic: when its look may be taken


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """A worker's right to make one attempt of a delivery."""

    id: str
    fence: int
    claim_count: int
    task_id: str
    client_id: str
    event: str
    url: str
    host: str
    attempt_count: int
    created_at: int


def claim_tasks(tx: Connection, *, limit: int, lease_s: float) -> list[TaskClaim]:
    """Up to `limit` tasks that wait to be handed to a channel, fairly among clients.

    Every waiting client gets its share of the batch, a larger one with a higher
    priority; within a client the longest due come first. What is left of the batch
    goes to whoever waits longest. A task in `submitting` is due when the lease of its
    worker ran out.
    """
    oldest = (
        select(func.min(tasks.c.due_at))
        .where(tasks.c.client_id == clients.c.id, _task_is_due())
        .scalar_subquery()
    )
    waiting = tx.execute(
        select(clients.c.id, clients.c.priority, clients.c.group)
        .where(oldest.is_not(None))
        .order_by(oldest)
        .limit(limit)
    ).all()
    picked: list[str] = []
    if len(waiting) > 1:
        weights = {row.id: PRIORITY_WEIGHTS[row.priority] for row in waiting}
        whole = sum(weights.values())
        for client_id, weight in weights.items():
            share = max(1, limit * weight // whole)
            if room := min(share, limit - len(picked)):
                picked += _pick_tasks(tx, room, tasks.c.client_id == client_id)
    if waiting and len(picked) < limit:
        picked += _pick_tasks(tx, limit - len(picked), tasks.c.id.not_in(picked))
    if not picked:
        return []
    taken = (
        _lease(tasks, picked)
        .values(state=State.SUBMITTING.value)
        .returning(
            tasks.c.id,
            tasks.c.fence,
            tasks.c.claim_count,
            tasks.c.try_count,
            tasks.c.model,
            tasks.c.media_type,
            tasks.c.created_at,
            tasks.c.client_id,
        )
    )
    groups = {row.id: row.group for row in waiting}
    order = {task_id: n for n, task_id in enumerate(picked)}
    claims = [
        TaskClaim(**row, group=groups.get(row["client_id"], ""))
        for row in tx.execute(taken, {"lease_ms": int(lease_s * 1000)}).mappings()
    ]
    for claim in claims:
        note_change(tx, claim.id, State.SUBMITTING)
    return sorted(claims, key=lambda claim: order[claim.id])


def claim_submissions(
    tx: Connection, *, limit: int, lease_s: float, busy: Collection[str] = ()
) -> list[SubmissionClaim]:
    """Up to `limit` submissions due for a look, without the channels in `busy`."""
    due = select(submissions.c.id).where(submissions.c.due_at <= db_now())
    if busy:
        due = due.where(submissions.c.channel_id.not_in(sorted(busy)))
    picked = _pick(tx, submissions, due, limit)
    row = submissions.c
    taken = _lease(submissions, picked).returning(
        row.id,
        row.fence,
        row.claim_count,
        row.task_id,
        row.channel_id,
        row.key_id,
        row.model,
        row.state,
        row.remote_id,
        row.remote,
        row.found,
        row.look_count,
        row.looked_at,
        row.called_at,
        row.missing_count,
        row.copy_count,
        row.sent_at,
        row.deadline_at,
        row.phase,
        row.percent,
        row.cancelling,
        db_now(),
    )
    lease = {"lease_ms": int(lease_s * 1000)}
    return [SubmissionClaim(*row) for row in tx.execute(taken, lease)]


def _extend(table: Table) -> Bulk:
    return Bulk(
        {"of_id": String, "of_fence": Integer, "lease_ms": BigInteger},
        lambda given: (
            update(table)
            .where(
                table.c.id == given.of_id,
                table.c.fence == given.of_fence,
                table.c.due_at.is_not(None),
            )
            .values(due_at=db_now() + given.lease_ms)
        ),
    )


EXTEND = {table: _extend(table) for table in (tasks, submissions, deliveries)}


def extend(
    tx: Connection, table: Table, held: Sequence[tuple[str, int]], lease_s: float
) -> None:
    """Keep rows that are still being worked on: `held` is (id, fence) of each."""
    EXTEND[table].run(
        tx,
        [
            {"of_id": id, "of_fence": fence, "lease_ms": int(lease_s * 1000)}
            for id, fence in held
        ],
    )


def is_anything_due(tx: Connection, table: Table) -> bool:
    """Whether a row of this table waits for a worker now."""
    query = select(exists().where(table.c.due_at <= db_now()))
    return bool(tx.execute(query).scalar())


def _task_is_due() -> ColumnElement[bool]:
    return and_(tasks.c.due_at <= db_now(), tasks.c.state.in_(sources(Event.CLAIM)))


def _pick_tasks(
    tx: Connection, limit: int, *where: ColumnElement[bool]
) -> Sequence[str]:
    """Ids of due tasks that nobody else is claiming, the longest due first; locked."""
    due = (
        select(tasks.c.id)
        .where(_task_is_due(), *where)
        .order_by(tasks.c.due_at, tasks.c.id)
        .limit(limit)
    )
    if tx.dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    return tx.execute(due).scalars().all()


def _pick(tx: Connection, table: Table, due: Select[Any], limit: int) -> Select[Any]:
    """The due rows that nobody else is claiming at this moment, longest due first."""
    due = due.order_by(table.c.due_at).limit(limit)
    if tx.dialect.name == "postgresql":
        # In a CTE the rows are locked once; as a subquery they could be picked again
        # for each row of the outer table, and more than `limit` would be taken.
        due = select(due.with_for_update(skip_locked=True).cte("picked").c.id)
    return due


def _lease(table: Table, picked: Select[Any] | Sequence[str]) -> Update:
    """Claims these rows for `lease_ms`, which is given when it runs."""
    return (
        update(table)
        .where(table.c.id.in_(picked))
        .values(
            due_at=db_now() + bindparam("lease_ms", type_=BigInteger),
            fence=table.c.fence + 1,
            claim_count=table.c.claim_count + 1,
        )
    )


def _claim_deliveries() -> Update:
    """Built once: it takes longer to make than to run for the few rows of a host."""
    row = deliveries.c
    pending = row.state == DeliveryState.PENDING.value
    running = (
        select(row.host, func.count().label("count"))
        .where(pending, row.claim_count > 0, row.due_at > db_now())
        .group_by(row.host)
        .subquery()
    )
    place = func.row_number().over(partition_by=row.host, order_by=row.due_at)
    waiting = (
        select(row.id, row.host, row.due_at, place.label("place"))
        .where(pending, row.due_at <= db_now())
        .subquery()
    )
    allowed = func.coalesce(
        select(1)
        .where(receivers.c.host == waiting.c.host, receivers.c.paused_until > 0)
        .scalar_subquery(),
        bindparam("per_host", type_=Integer),
    )
    paused = exists().where(
        receivers.c.host == waiting.c.host, receivers.c.paused_until > db_now()
    )
    due = (
        select(waiting.c.id)
        .join(running, running.c.host == waiting.c.host, isouter=True)
        .where(
            ~paused,
            waiting.c.place + func.coalesce(running.c.count, 0) <= allowed,
        )
        .order_by(waiting.c.due_at)
        .limit(bindparam("most", type_=Integer))
    )
    # No SKIP LOCKED here: a lock lets one claimer in at a time.
    return _lease(deliveries, due).returning(
        row.id,
        row.fence,
        row.claim_count,
        row.task_id,
        row.client_id,
        row.event,
        row.url,
        row.host,
        row.attempt_count,
        row.created_at,
    )


CLAIM_DELIVERIES = _claim_deliveries()
LOCK_DELIVERIES = select(func.pg_advisory_xact_lock(DELIVERY_CLAIM_LOCK))


def claim_deliveries(
    tx: Connection, *, limit: int, lease_s: float, per_host: int
) -> list[DeliveryClaim]:
    """Up to `limit` due deliveries, at most `per_host` under way to one host.

    A host whose breaker is open is left out until its pause ends, and then gets one
    probe at a time until a delivery succeeds.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(LOCK_DELIVERIES)
    values = {"most": limit, "lease_ms": int(lease_s * 1000), "per_host": per_host}
    return [DeliveryClaim(*found) for found in tx.execute(CLAIM_DELIVERIES, values)]
