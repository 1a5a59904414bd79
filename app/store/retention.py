"""Old tasks: which may go, with which files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, select

from app.lifecycle import FINAL, DeliveryState
from app.store.models import artifacts, deliveries, task_bodies, tasks
from app.store.session import db_now

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class OldTask:
    """A task whose time is over, and its files in storage."""

    id: str
    storage_keys: tuple[str, ...]


def find_old(tx: Connection, *, days: int, limit: int) -> list[OldTask]:
    """Final tasks older than `days` whose callback is no longer owed."""
    owed = exists().where(
        deliveries.c.task_id == tasks.c.id,
        deliveries.c.state == DeliveryState.PENDING.value,
    )
    rows = tx.execute(
        select(tasks.c.id, task_bodies.c.inputs)
        .join(task_bodies, task_bodies.c.task_id == tasks.c.id)
        .where(
            tasks.c.state.in_([state.value for state in FINAL]),
            tasks.c.created_at < db_now() - days * DAY_MS,
            ~owed,
        )
        .order_by(tasks.c.id)  # ids begin with the time
        .limit(limit)
    ).all()
    results: dict[str, list[str]] = {row.id: [] for row in rows}
    for task_id, key in tx.execute(
        select(artifacts.c.task_id, artifacts.c.storage_key).where(
            artifacts.c.task_id.in_(list(results)), artifacts.c.storage_key.is_not(None)
        )
    ):
        results[task_id].append(key)
    return [
        OldTask(
            row.id,
            tuple(
                results[row.id]
                + [i["upload"] for i in row.inputs.get("images", ()) if "upload" in i]
            ),
        )
        for row in rows
    ]


def delete_tasks(tx: Connection, ids: Collection[str]) -> None:
    """Delete these tasks and all that hangs on them."""
    tx.execute(delete(tasks).where(tasks.c.id.in_(ids)))
