"""What operators look at: tasks, submissions, deliveries and channels of all clients.

Lists are the newest first, by id, whose beginning is the time; `before` is the last id
of the page before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    not_,
    or_,
    select,
)

from app.lifecycle import LIVE, DeliveryState, SubmissionState
from app.store.models import (
    attempts,
    channel_keys,
    channels,
    clients,
    deliveries,
    entries,
    submissions,
    task_bodies,
    tasks,
)
from app.store.session import db_now

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task in a list; `channel` has its last submission."""

    id: str
    client: str
    state: str
    media_type: str
    model: str
    channel: str | None
    try_count: int
    error_code: str | None
    created_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRow:
    """A handing-over of a task; `verdict` is the class of what happened."""

    id: str
    task_id: str
    client: str
    task_state: str
    channel: str
    key: str
    model: str
    state: str
    verdict: str | None
    reason: str | None
    error: str | None
    remote_id: str | None
    created_at: int
    sent_at: int | None
    accepted_at: int | None
    due_at: int | None
    deadline_at: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A callback owed to a client."""

    id: str
    task_id: str
    client: str
    event: str
    host: str
    state: str
    attempt_count: int
    last_status: int | None
    created_at: int
    due_at: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One try of a delivery."""

    started_at: int
    duration_ms: int
    status: int | None
    error: str | None
    excerpt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One movement of money."""

    kind: str
    amount: Decimal
    channel: str | None
    quantity: Decimal | None
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStats:
    """A channel's key: is it used, and what came of what it was sent lately."""

    channel_id: str
    channel: str
    enabled: bool
    error_rate: float
    paused_until: int | None
    pause_reason: str | None
    key: str
    key_paused_until: int | None
    key_pause_reason: str | None
    in_flight: int
    submits: int
    accepts: int
    refusals: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list is narrowed to; None or empty: no matter."""

    client: str | None = None
    states: Collection[str] = ()
    model: str | None = None
    channel: str | None = None
    task_id: str | None = None
    host: str | None = None
    since: int | None = None
    until: int | None = None


def list_tasks(
    tx: Connection, wanted: Filter, *, before: str | None = None, limit: int
) -> list[TaskRow]:
    """Tasks of every client, the newest first."""
    last_channel = (
        select(channels.c.name)
        .join(submissions, submissions.c.channel_id == channels.c.id)
        .where(submissions.c.task_id == tasks.c.id)
        .order_by(submissions.c.created_at.desc(), submissions.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(
        tasks, clients.c.name.label("client"), last_channel.label("channel")
    ).join(clients, clients.c.id == tasks.c.client_id)
    if wanted.states:
        query = query.where(tasks.c.state.in_(wanted.states))
    if wanted.model is not None:
        query = query.where(tasks.c.model == wanted.model)
    if wanted.channel is not None:
        on_channel = (
            select(submissions.c.task_id)
            .join(channels, channels.c.id == submissions.c.channel_id)
            .where(
                submissions.c.task_id == tasks.c.id, channels.c.name == wanted.channel
            )
        )
        query = query.where(on_channel.exists())
    query = _within(query, wanted, tasks.c.created_at)
    if before is not None:
        query = query.where(tasks.c.id < before)
    return _rows(tx, TaskRow, query.order_by(tasks.c.id.desc()).limit(limit))


def submissions_of(tx: Connection, task_id: str) -> list[SubmissionRow]:
    """Every submission of a task, the oldest first."""
    query = _submissions().where(submissions.c.task_id == task_id)
    query = query.order_by(submissions.c.created_at, submissions.c.id)
    return _rows(tx, SubmissionRow, query)


def list_unknown(tx: Connection, *, limit: int) -> list[SubmissionRow]:
    """Submissions whose outcome is unknown, the one that is given up first before."""
    query = (
        _submissions()
        .where(submissions.c.state == SubmissionState.UNKNOWN.value)
        .order_by(submissions.c.deadline_at, submissions.c.id)
        .limit(limit)
    )
    return _rows(tx, SubmissionRow, query)


def list_deliveries(
    tx: Connection, wanted: Filter, *, before: str | None = None, limit: int
) -> list[DeliveryRow]:
    """Callbacks of every client, the newest first."""
    query = select(deliveries, clients.c.name.label("client")).join(
        clients, clients.c.id == deliveries.c.client_id
    )
    query = _within(query, wanted, deliveries.c.created_at).where(
        *_delivery_filter(wanted)
    )
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return _rows(tx, DeliveryRow, query.order_by(deliveries.c.id.desc()).limit(limit))


def find_ended_deliveries(tx: Connection, wanted: Filter, *, limit: int) -> list[str]:
    """Ids of callbacks that are not under way at this moment, the oldest first."""
    query = (
        select(deliveries.c.id)
        .join(clients, clients.c.id == deliveries.c.client_id)
        .where(
            *_delivery_filter(wanted),
            or_(
                deliveries.c.state != DeliveryState.PENDING.value,
                deliveries.c.claim_count == 0,
            ),
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    query = _within(query, wanted, deliveries.c.created_at)
    return list(tx.execute(query).scalars())


def attempts_of(tx: Connection, delivery_id: str) -> list[AttemptRow]:
    """Every attempt of a delivery, in order, those before a redelivery too."""
    query = select(attempts).where(attempts.c.delivery_id == delivery_id)
    return _rows(tx, AttemptRow, query.order_by(attempts.c.id))


def entries_of(tx: Connection, task_id: str) -> list[EntryRow]:
    """What was held, settled and released for a task, in order."""
    query = select(entries).where(entries.c.task_id == task_id)
    return _rows(tx, EntryRow, query.order_by(entries.c.id))


def read_body(tx: Connection, task_id: str) -> Mapping[str, Any]:
    """What a client asked for: inputs, metadata, response_format, callback_url."""
    query = select(
        task_bodies.c.inputs,
        task_bodies.c.metadata,
        task_bodies.c.response_format,
        task_bodies.c.callback_url,
    ).where(task_bodies.c.task_id == task_id)
    return dict(tx.execute(query).mappings().one())


def channel_stats(tx: Connection, *, last_s: float) -> list[KeyStats]:
    """Every key of every channel that is not removed, with its last `last_s` seconds.

    An outcome counts as unknown while nobody knows it, and when it ended so.
    """
    row = submissions.c
    recent = row.sent_at >= db_now() - int(last_s * 1000)
    accepted = and_(recent, row.accepted_at.is_not(None))
    ended = row.state == SubmissionState.ENDED.value
    refused = and_(
        recent,
        or_(
            row.state.in_([SubmissionState.REFUSED, SubmissionState.NOT_SENT]),
            and_(ended, row.verdict == SubmissionState.NOT_SENT.value),
        ),
    )
    unknown = and_(
        recent,
        row.accepted_at.is_(None),
        or_(
            row.state == SubmissionState.UNKNOWN.value,
            and_(ended, not_(row.verdict == SubmissionState.NOT_SENT.value)),
        ),
    )
    live = row.state.in_(_live_states())
    counted = (
        select(
            row.key_id,
            _count(live).label("in_flight"),
            _count(recent).label("submits"),
            _count(accepted).label("accepts"),
            _count(refused).label("refusals"),
            _count(unknown).label("unknown"),
        )
        .where(or_(live, recent))
        .group_by(row.key_id)
        .subquery()
    )
    numbers = ("in_flight", "submits", "accepts", "refusals", "unknown")
    query = (
        select(
            channels.c.id.label("channel_id"),
            channels.c.name.label("channel"),
            channels.c.enabled,
            channels.c.error_rate,
            channels.c.paused_until,
            channels.c.pause_reason,
            channel_keys.c.name.label("key"),
            channel_keys.c.paused_until.label("key_paused_until"),
            channel_keys.c.pause_reason.label("key_pause_reason"),
            *(func.coalesce(counted.c[name], 0).label(name) for name in numbers),
        )
        .join(channel_keys, channel_keys.c.channel_id == channels.c.id)
        .join(counted, counted.c.key_id == channel_keys.c.id, isouter=True)
        .where(
            channels.c.removed_at.is_(None),
            # A removed key is of interest until what it has sent has ended.
            or_(channel_keys.c.removed_at.is_(None), counted.c.in_flight > 0),
        )
        .order_by(channels.c.name, channel_keys.c.created_at, channel_keys.c.id)
    )
    return _rows(tx, KeyStats, query)


def _submissions() -> Select[Any]:
    return (
        select(
            submissions,
            clients.c.name.label("client"),
            tasks.c.state.label("task_state"),
            channels.c.name.label("channel"),
            channel_keys.c.name.label("key"),
        )
        .join(tasks, tasks.c.id == submissions.c.task_id)
        .join(clients, clients.c.id == tasks.c.client_id)
        .join(channels, channels.c.id == submissions.c.channel_id)
        .join(channel_keys, channel_keys.c.id == submissions.c.key_id)
    )


def _delivery_filter(wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.states:
        found.append(deliveries.c.state.in_(wanted.states))
    if wanted.host is not None:
        found.append(deliveries.c.host == wanted.host.lower())
    if wanted.task_id is not None:
        found.append(deliveries.c.task_id == wanted.task_id)
    return found


def _within(
    query: Select[Any], wanted: Filter, created_at: ColumnElement[int]
) -> Select[Any]:
    if wanted.client is not None:
        query = query.where(clients.c.name == wanted.client)
    if wanted.since is not None:
        query = query.where(created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(created_at < wanted.until)
    return query


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _live_states() -> list[str]:
    return sorted(state.value for state in LIVE)


def _rows(tx: Connection, kind: type[T], query: Select[Any]) -> list[T]:
    """One value for each row, from the columns that its fields name."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    return [
        kind(**{name: row[name] for name in names})
        for row in tx.execute(query).mappings()
    ]
