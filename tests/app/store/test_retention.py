"""Old tasks go with all that hangs on them; what is owed stays."""

from __future__ import annotations

import pytest

from app.lifecycle import DeliveryState, Event, State, SubmissionState
from app.store import deliveries, retention, tasks
from app.store.deliveries import Attempt
from app.store.models import artifacts, attempts, metadata, submissions, task_bodies
from app.store.models import deliveries as deliveries_table
from app.store.models import tasks as tasks_table
from app.store.retention import OldTask
from app.store.tasks import Result
from tests.app.store.stores import (
    WEBHOOK_URL,
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

DAY_S = 86_400


def old(store: Store, limit: int = 10) -> list[OldTask]:
    with store.reading() as tx:
        return retention.find_old(tx, days=30, limit=limit)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_ended_task_is_old_after_its_days(store: Store, state: State) -> None:
    task_id = store.a_task(state)
    store.wait(29 * DAY_S)
    assert old(store) == []
    store.wait(2 * DAY_S)
    assert [task.id for task in old(store)] == [task_id]


@pytest.mark.parametrize("state", [State.QUEUED, State.SUBMITTING, State.PROCESSING])
def test_task_that_has_not_ended_is_never_old(store: Store, state: State) -> None:
    store.a_task(state)
    store.wait(99 * DAY_S)
    assert old(store) == []


def test_task_whose_callback_is_owed_is_kept_until_it_is_not(store: Store) -> None:
    task_id = store.a_task(State.SUCCEEDED, callback_url=WEBHOOK_URL)
    store.wait(31 * DAY_S)
    assert old(store) == []
    claim = store.claim_delivery()
    with store.transaction() as tx:
        attempt = Attempt(started_at=1, duration_ms=1, status=200)
        deliveries.record(tx, claim, attempt, DeliveryState.DELIVERED, None)
    assert [task.id for task in old(store)] == [task_id]


def test_files_of_an_old_task_are_its_results_and_uploads(store: Store) -> None:
    task_id = store.a_task(
        State.SUCCEEDED,
        inputs={
            "images": [
                {"upload": "inputs/a", "content_type": "image/png"},
                {"url": "https://cdn.example/b.png"},
            ]
        },
    )
    with store.transaction() as tx:
        results = [Result(n=0, storage_key="results/0"), Result(n=1, url="https://x/1")]
        tasks.add_results(tx, task_id, results)
    store.wait(31 * DAY_S)
    assert old(store) == [OldTask(task_id, ("results/0", "inputs/a"))]


def test_old_tasks_come_in_batches_the_oldest_first(store: Store) -> None:
    ids = [store.a_task(State.FAILED, id=f"task_{n}") for n in range(3)]
    store.wait(31 * DAY_S)
    assert [task.id for task in old(store, limit=2)] == ids[:2]


def test_deleted_task_leaves_nothing_behind(store: Store) -> None:
    kept = store.a_task(State.SUCCEEDED)
    gone = store.a_task(State.SUBMITTING, callback_url=WEBHOOK_URL)
    store.a_submission(SubmissionState.SENT, task_id=gone)
    with store.transaction() as tx:
        tasks.add_results(tx, gone, [Result(n=0, storage_key="results/0")])
        tasks.advance(tx, gone, Event.FAIL)
    claim = store.claim_delivery()
    with store.transaction() as tx:
        attempt = Attempt(started_at=1, duration_ms=1, status=200)
        deliveries.record(tx, claim, attempt, DeliveryState.DELIVERED, None)
    with store.transaction() as tx:
        retention.delete_tasks(tx, [gone])
    assert [row["id"] for row in store.rows(tasks_table)] == [kept]
    for table in (submissions, artifacts, deliveries_table, attempts):
        assert store.rows(table) == []
    assert [row["task_id"] for row in store.rows(task_bodies)] == [kept]


def test_every_table_of_a_task_goes_with_it() -> None:
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            if key.column.table.name in ("tasks", "deliveries"):
                assert key.ondelete == "CASCADE", table.name
