"""A client's tasks, the newest first, page by page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, tuple_

from app.lifecycle import State
from app.store.models import artifacts, deliveries, task_bodies, tasks
from app.store.tasks import Result, Task


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: what follows is older."""

    created_at: int
    task_id: str


def list_tasks(
    tx: Connection,
    client_id: str,
    *,
    states: Collection[State] = (),
    media_type: str | None = None,
    model: str | None = None,
    after: Place | None = None,
    limit: int,
) -> list[Task]:
    """Up to `limit` tasks of a client, in two queries however many there are."""
    query = (
        select(
            tasks,
            task_bodies.c.response_format,
            task_bodies.c.metadata,
            task_bodies.c.usage,
            task_bodies.c.error,
            task_bodies.c.callback_url,
            deliveries.c.state.label("callback_state"),
            deliveries.c.attempt_count.label("callback_attempts"),
        )
        .join(task_bodies, task_bodies.c.task_id == tasks.c.id)
        .join(deliveries, deliveries.c.task_id == tasks.c.id, isouter=True)
        .where(tasks.c.client_id == client_id)
        .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
        .limit(limit)
    )
    if states:
        query = query.where(tasks.c.state.in_([state.value for state in states]))
    if media_type is not None:
        query = query.where(tasks.c.media_type == media_type)
    if model is not None:
        query = query.where(tasks.c.model == model)
    if after is not None:
        query = query.where(
            tuple_(tasks.c.created_at, tasks.c.id)
            < tuple_(after.created_at, after.task_id)
        )
    rows = tx.execute(query).mappings().all()
    results = _find_results(tx, [row["id"] for row in rows])
    return [_read_task(row, tuple(results[row["id"]])) for row in rows]


def _find_results(tx: Connection, ids: Collection[str]) -> Mapping[str, list[Result]]:
    found: dict[str, list[Result]] = defaultdict(list)
    if ids:
        columns = [column for column in artifacts.c if column.name != "task_id"]
        rows = tx.execute(
            select(artifacts.c.task_id, *columns)
            .where(artifacts.c.task_id.in_(ids))
            .order_by(artifacts.c.task_id, artifacts.c.n)
        )
        for row in rows.mappings():
            fields = dict(row)
            found[fields.pop("task_id")].append(Result(**fields))
    return found


def _read_task(row: Mapping[Any, Any], results: tuple[Result, ...]) -> Task:
    fields = {name: row[name] for name in Task.__slots__ if name != "results"}
    fields["state"] = State(fields["state"])
    fields["callback_attempts"] = fields["callback_attempts"] or 0
    return Task(**fields, results=results)
