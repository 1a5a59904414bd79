"""Queries that a full store must not slow down find their rows by an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, text

from app.lifecycle import State
from app.store import (
    client_limits,
    idempotency,
    retention,
    submissions,
    task_lists,
    tasks,
)
from app.store.operator_views import Filter, list_tasks, list_unknown
from app.store.session import Database
from app.store.task_lists import Place
from tests.app.store.stores import Store, migrated_postgres, postgres_store
from tests.app.store.test_due import fill_many

__all__ = ["migrated_postgres", "postgres_store"]

ROWS = 20_000
MIDDLE = Place(ROWS // 2, f"task_{ROWS // 2}")

Query = Callable[[Connection], object]
QUERIES: dict[str, Query] = {
    "a client's newest": lambda tx: task_lists.list_tasks(tx, "client_1", limit=21),
    "a client's next page": lambda tx: task_lists.list_tasks(
        tx, "client_1", after=MIDDLE, limit=21
    ),
    "a client's waiting tasks": lambda tx: task_lists.list_tasks(
        tx, "client_1", states=[State.QUEUED], limit=21
    ),
    "a client's model": lambda tx: task_lists.list_tasks(
        tx, "client_1", model="lumen-1", limit=21
    ),
    "a task with its results": lambda tx: tasks.get(tx, "task_7", "client_1"),
    "a job by the upstream's id": lambda tx: submissions.find_by_remote(
        tx, "ch_1", ["job-7"]
    ),
    "submissions of tasks": lambda tx: submissions.of_tasks(tx, ["task_7"]),
    "places taken": submissions.count_live,
    "room of a client": lambda tx: client_limits.check_room(
        tx, "client_1", {"in_flight": 10**6, "queued": 10**6, "daily": 10**6}
    ),
    "first answers to forget": lambda tx: idempotency.forget_old(
        tx, kept_s=3600, limit=500
    ),
    "old tasks": lambda tx: retention.find_old(tx, days=30, limit=500),
    "operators' newest": lambda tx: list_tasks(tx, Filter(), limit=50),
    "unknown outcomes": lambda tx: list_unknown(tx, limit=50),
}


@contextmanager
def noted(database: Database) -> Iterator[list[tuple[str, object]]]:
    """Every statement of the block, with its parameters."""
    seen: list[tuple[str, object]] = []

    def note(
        connection: object,
        cursor: object,
        statement: str,
        parameters: object,
        context: object,
        many: bool,
    ) -> None:
        seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
def full(migrated_postgres: Database) -> Store:
    store = Store(migrated_postgres)
    store.fill()
    with store.transaction() as tx:
        fill_many(tx, ROWS)
        tx.execute(
            text(
                "INSERT INTO task_bodies (task_id, inputs, metadata, response_format)"
                " SELECT id, '{}', '{}', 'url' FROM tasks"
            )
        )
        tx.execute(text("ANALYZE"))
    return store


@pytest.mark.parametrize("name", QUERIES)
def test_full_tables_are_not_read_from_end_to_end(full: Store, name: str) -> None:
    with full.transaction() as tx:
        with noted(full.database) as seen:
            QUERIES[name](tx)
        plans = [
            "\n".join(
                str(row[0])
                for row in tx.exec_driver_sql(f"EXPLAIN {statement}", parameters)  # type: ignore[arg-type]
            )
            for statement, parameters in seen
        ]
        tx.rollback()
    assert plans
    for plan in plans:
        for table in ("tasks", "task_bodies", "submissions", "deliveries"):
            assert f"Seq Scan on {table}" not in plan, plan
