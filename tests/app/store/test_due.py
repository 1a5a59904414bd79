"""Claiming: every due row once per lease, the longest due first."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.engine import Connection

from app.lifecycle import DeliveryState, State, SubmissionState
from app.store import deliveries, due
from app.store import submissions as submission_store
from app.store.deliveries import Attempt
from app.store.models import deliveries as deliveries_table
from app.store.models import receivers, submissions, tasks
from tests.app.store.stores import (
    LEASE_S,
    Store,
    add_channel,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

FAILED = Attempt(started_at=1, duration_ms=5, status=500)


def claim_tasks(store: Store, limit: int = 10) -> list[due.TaskClaim]:
    with store.transaction() as tx:
        return due.claim_tasks(tx, limit=limit, lease_s=LEASE_S)


def claim_deliveries(
    store: Store, limit: int = 50, per_host: int = 4
) -> list[due.DeliveryClaim]:
    with store.transaction() as tx:
        return due.claim_deliveries(tx, limit=limit, lease_s=LEASE_S, per_host=per_host)


def test_claimed_task_is_being_submitted_under_a_new_fence(store: Store) -> None:
    task_id = store.a_task()
    (claim,) = claim_tasks(store)
    row = store.row(tasks, id=task_id)
    assert (claim.id, claim.fence, claim.claim_count) == (task_id, 1, 1)
    assert (row["state"], row["fence"]) == (State.SUBMITTING, 1)
    assert row["due_at"] == pytest.approx(store.now_ms() + 60_000, abs=5_000)


def test_claimed_row_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    store.a_task()
    assert claim_tasks(store)
    store.wait(LEASE_S - 5)
    assert claim_tasks(store) == []


def test_expired_lease_lets_another_worker_claim_under_the_next_fence(
    store: Store,
) -> None:
    store.a_task()
    claim_tasks(store)
    store.wait(LEASE_S + 1)
    (claim,) = claim_tasks(store)
    assert (claim.fence, claim.claim_count) == (2, 2)


def test_task_that_is_not_due_yet_is_not_claimed(store: Store) -> None:
    task_id = store.a_task()
    with store.transaction() as tx:
        tx.execute(
            update(tasks)
            .where(tasks.c.id == task_id)
            .values(due_at=tasks.c.due_at + 9000)
        )
    assert claim_tasks(store) == []


@pytest.mark.parametrize(
    "state", [State.PROCESSING, State.SUCCEEDED, State.FAILED, State.CANCELLED]
)
def test_only_waiting_tasks_are_claimed(store: Store, state: State) -> None:
    task_id = store.a_task(state)
    with store.transaction() as tx:
        tx.execute(update(tasks).where(tasks.c.id == task_id).values(due_at=1))
    assert claim_tasks(store) == []


def test_longest_due_tasks_are_claimed_first(store: Store) -> None:
    oldest = []
    for _ in range(3):
        oldest.append(store.a_task())
        store.wait(10)
    for _ in range(3):
        store.a_task()
    assert {claim.id for claim in claim_tasks(store, 3)} == set(oldest)


def test_longest_due_submissions_are_claimed_first(store: Store) -> None:
    first = store.a_submission()
    store.wait(10)
    store.a_submission()
    assert store.claim_submission().id == first


def test_no_more_rows_are_claimed_than_asked_for(store: Store) -> None:
    for _ in range(5):
        store.a_task()
    assert [len(claim_tasks(store, 2)) for _ in range(4)] == [2, 2, 1, 0]


def test_submissions_of_busy_channels_are_left(store: Store) -> None:
    with store.transaction() as tx:
        add_channel(tx, "ch_2")
    store.a_submission()
    other = store.a_submission(channel_id="ch_2")
    with store.transaction() as tx:
        claims = due.claim_submissions(tx, limit=9, lease_s=LEASE_S, busy=["ch_1"])
    assert [claim.id for claim in claims] == [other]


def test_claim_of_a_submission_says_all_that_a_look_needs(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    submission_id = store.a_submission(task_id=task_id)
    claim = store.claim_submission()
    assert (claim.id, claim.task_id, claim.channel_id) == (
        submission_id,
        task_id,
        "ch_1",
    )
    assert (claim.remote_id, claim.remote) == (
        "job-1",
        {"status": "https://up.example/s"},
    )
    assert claim.state == SubmissionState.ACCEPTED
    assert claim.deadline_at == pytest.approx(claim.claimed_at + 600_000, abs=5_000)


@pytest.mark.parametrize("state", [SubmissionState.OPEN, SubmissionState.SENT])
def test_submission_without_an_outcome_is_not_looked_at(
    store: Store, state: SubmissionState
) -> None:
    store.a_submission(state)
    with store.transaction() as tx:
        assert due.claim_submissions(tx, limit=9, lease_s=LEASE_S) == []


def test_extended_lease_keeps_the_row(store: Store) -> None:
    task_id = store.a_task()
    (claim,) = claim_tasks(store)
    store.wait(LEASE_S - 5)
    with store.transaction() as tx:
        due.extend(tx, tasks, [(claim.id, claim.fence)], LEASE_S)
    store.wait(LEASE_S - 5)
    assert claim_tasks(store) == []
    assert store.row(tasks, id=task_id)["fence"] == 1


def test_only_the_holder_extends_a_lease(store: Store) -> None:
    task_id = store.a_task()
    (old,) = claim_tasks(store)
    store.wait(LEASE_S + 1)
    claim_tasks(store)
    store.wait(30)
    before = store.row(tasks, id=task_id)["due_at"]
    with store.transaction() as tx:
        due.extend(tx, tasks, [(old.id, old.fence)], LEASE_S)
    assert store.row(tasks, id=task_id)["due_at"] == before


def test_row_that_waits_for_nothing_is_not_extended_into_being_due(
    store: Store,
) -> None:
    task_id = store.a_task(State.PROCESSING)
    with store.transaction() as tx:
        due.extend(tx, tasks, [(task_id, 1)], LEASE_S)
    assert store.row(tasks, id=task_id)["due_at"] is None


def test_extending_nothing_is_no_statement(store: Store) -> None:
    with store.transaction() as tx:
        due.extend(tx, tasks, [], LEASE_S)


def test_look_says_whether_something_is_due(store: Store) -> None:
    with store.reading() as tx:
        assert not due.is_anything_due(tx, tasks)
    store.a_task()
    with store.reading() as tx:
        assert due.is_anything_due(tx, tasks)
    claim_tasks(store)
    with store.reading() as tx:
        assert not due.is_anything_due(tx, tasks)


def test_host_gets_no_more_than_four_at_a_time(store: Store) -> None:
    for _ in range(6):
        store.a_delivery("https://slow.example/hook")
    store.a_delivery("https://quick.example/hook")
    claims = claim_deliveries(store)
    assert Counter(claim.host for claim in claims) == {
        "slow.example": 4,
        "quick.example": 1,
    }
    assert claim_deliveries(store) == []


def test_delivery_that_ended_makes_room_at_its_host(store: Store) -> None:
    for _ in range(6):
        store.a_delivery()
    claims = claim_deliveries(store)
    for state, due_in_s in (
        (DeliveryState.DELIVERED, None),
        (DeliveryState.PENDING, 9),
    ):
        with store.transaction() as tx:
            deliveries.record(tx, claims.pop(), FAILED, state, due_in_s)
        assert len(claim_deliveries(store)) == 1


def test_delivery_whose_worker_died_takes_a_place_again(store: Store) -> None:
    for _ in range(5):
        store.a_delivery()
    first = claim_deliveries(store)
    store.wait(LEASE_S + 1)
    again = claim_deliveries(store)
    assert len(again) == 4
    assert {claim.fence for claim in again if claim.id in {c.id for c in first}} <= {2}


def test_host_with_an_open_breaker_gets_nothing_until_its_pause_ends(
    store: Store,
) -> None:
    for _ in range(3):
        store.a_delivery()
    other = store.a_delivery("https://other.example/hook")
    with store.transaction() as tx:
        deliveries.receiver_failed(tx, "client.example")
        deliveries.pause_receiver(tx, "client.example", 15)
    assert [claim.id for claim in claim_deliveries(store)] == [other]


def test_breaker_lets_one_probe_through_when_its_pause_ends(store: Store) -> None:
    for _ in range(3):
        store.a_delivery()
    with store.transaction() as tx:
        deliveries.receiver_failed(tx, "client.example")
        deliveries.pause_receiver(tx, "client.example", 15)
    store.wait(16)
    (probe,) = claim_deliveries(store)
    assert claim_deliveries(store) == []
    with store.transaction() as tx:
        deliveries.record(tx, probe, FAILED, DeliveryState.DELIVERED, None)
        deliveries.receiver_answered(tx, "client.example")
    assert len(claim_deliveries(store)) == 2
    assert store.row(receivers)["failure_count"] == 0


def test_four_claimers_take_every_row_once(postgres_store: Store) -> None:
    count, size = 500, 37
    with postgres_store.transaction() as tx:
        tx.execute(
            text(
                "INSERT INTO tasks (id, client_id, state, media_type, model, due_at,"
                " fence, claim_count, try_count, percent, created_at, updated_at)"
                " SELECT 'task_' || n, 'client_1', 'queued', 'image', 'lumen-1', n, 0,"
                " 0, 0, 0, 0, 0 FROM generate_series(1, :count) AS n"
            ),
            {"count": count},
        )
    start = threading.Barrier(4)
    taken: list[due.TaskClaim] = []

    def work() -> None:
        start.wait()
        while claims := claim_tasks(postgres_store, size):
            assert len(claims) <= size
            taken.extend(claims)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter((claim.id, claim.fence) for claim in taken) == {
        (f"task_{n}", 1): 1 for n in range(1, count + 1)
    }


def test_claimer_does_not_wait_for_another_that_has_not_committed(
    postgres_store: Store,
) -> None:
    for _ in range(4):
        postgres_store.a_task()
    with postgres_store.transaction() as slow, postgres_store.transaction() as quick:
        quick.execute(text("SET LOCAL lock_timeout = '2s'"))
        first = due.claim_tasks(slow, limit=2, lease_s=LEASE_S)
        second = due.claim_tasks(quick, limit=4, lease_s=LEASE_S)
    assert len(first) == len(second) == 2
    assert not {c.id for c in first} & {c.id for c in second}


def test_two_claimers_at_once_keep_to_four_for_a_host(postgres_store: Store) -> None:
    for _ in range(12):
        postgres_store.a_delivery()
    taken: list[due.DeliveryClaim] = []
    second = threading.Thread(
        target=lambda: taken.extend(claim_deliveries(postgres_store))
    )
    with postgres_store.transaction() as tx:
        first = due.claim_deliveries(tx, limit=50, lease_s=LEASE_S, per_host=4)
        second.start()
        end = time.monotonic() + 10
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not tx.execute(waits).scalar() and time.monotonic() < end:
            time.sleep(0.01)
    second.join()
    assert len(first) == 4
    assert taken == []


CLAIMS: dict[str, Callable[[Connection], object]] = {
    "tasks": lambda tx: due.claim_tasks(tx, limit=200, lease_s=60),
    "submissions": lambda tx: due.claim_submissions(tx, limit=200, lease_s=60),
    "deliveries": lambda tx: due.claim_deliveries(
        tx, limit=200, lease_s=60, per_host=4
    ),
    "look at tasks": lambda tx: due.is_anything_due(tx, tasks),
    "look at submissions": lambda tx: due.is_anything_due(tx, submissions),
    "look at deliveries": lambda tx: due.is_anything_due(tx, deliveries_table),
}


def fill_many(tx: Connection, count: int) -> None:
    """Old rows beside those that are due: what a store looks like after a while."""
    series = (
        "generate_series(1, :count) AS s(n)"
        if tx.dialect.name == "postgresql"
        else "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
        " WHERE n < :count) SELECT n FROM s)"
    )
    due_at = "CASE WHEN n % 100 = 0 THEN n END"
    statements = [
        f"""INSERT INTO tasks (id, client_id, state, media_type, model, due_at, fence,
            claim_count, try_count, percent, created_at, updated_at)
        SELECT 'task_' || n, 'client_1',
            CASE WHEN n % 100 = 0 THEN 'queued' ELSE 'succeeded' END,
            'image', 'lumen-1', {due_at}, 0, 0, 0, 0, n, n FROM {series}""",
        f"""INSERT INTO submissions (id, task_id, task_fence, channel_id, key_id, model,
            state, due_at, fence, claim_count, look_count, missing_count, copy_count,
            cancelling, created_at)
        SELECT 'sub_' || n, 'task_' || n, 1, 'ch_1', 'key_of_ch_1', 'up-1',
            CASE WHEN n % 100 = 0 THEN 'accepted' ELSE 'ended' END,
            {due_at}, 0, 0, 0, 0, 0, FALSE, n FROM {series}""",
        f"""INSERT INTO deliveries (id, task_id, client_id, event, url, host, state,
            due_at, fence, claim_count, attempt_count, created_at)
        SELECT 'msg_' || n, 'task_' || n, 'client_1', 'task.succeeded', 'https://c/',
            'h' || (n % 500),
            CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'delivered' END,
            {due_at}, 0, 0, 0, n FROM {series}""",
    ]
    for statement in statements:
        tx.execute(text(statement), {"count": count})


def test_every_claim_and_look_finds_its_rows_by_index(store: Store) -> None:
    with store.transaction() as tx:
        fill_many(tx, 5000)
    on_postgres = store.database.engine.dialect.name == "postgresql"
    if on_postgres:
        with store.transaction() as tx:
            tx.execute(text("ANALYZE"))
    explain = "EXPLAIN " if on_postgres else "EXPLAIN QUERY PLAN "
    plans: dict[str, str] = {}

    for name, claim in CLAIMS.items():
        seen: list[tuple[str, object]] = []

        def note(
            connection: object,
            cursor: object,
            statement: str,
            parameters: object,
            context: object,
            many: bool,
            seen: list[tuple[str, object]] = seen,
        ) -> None:
            seen.append((statement, parameters))

        with store.transaction() as tx:
            event.listen(store.database.engine, "before_cursor_execute", note)
            claim(tx)
            event.remove(store.database.engine, "before_cursor_execute", note)
            tx.rollback()
        with store.reading() as tx:
            plans[name] = "\n".join(
                str(row[-1])
                for statement, parameters in seen
                if "due_at <=" in statement
                for row in tx.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type]
            )

    for name, plan in plans.items():
        table = name.removeprefix("look at ")
        if on_postgres:
            assert "Index Cond: " in plan, plan
            assert "(due_at <=" in plan, plan
            assert f"ix_{table}_" in plan, plan
        elif name == "deliveries":  # an index of what is still owed alone
            assert "SCAN deliveries USING INDEX ix_deliveries_host_due_at" in plan, plan
            assert "SCAN deliveries\n" not in plan, plan
        else:
            assert "due_at<?" in plan, plan
            assert f"SCAN {table}" not in plan, plan


def test_jobs_are_found_by_their_upstream_ids_by_index(store: Store) -> None:
    """One callback reads the rows that it names, however many there are."""
    ids = ["job-100", "job-7", "job-none"]
    seen: list[tuple[str, Any]] = []

    def note(*called: Any) -> None:
        seen.append((called[2], called[3]))

    with store.transaction() as tx:
        fill_many(tx, 2000)
        tx.execute(text("UPDATE submissions SET remote_id = 'job-' || substr(id, 5)"))
    on_postgres = store.database.engine.dialect.name == "postgresql"
    if on_postgres:
        with store.transaction() as tx:
            tx.execute(text("ANALYZE"))
    with store.reading() as tx:
        event.listen(store.database.engine, "before_cursor_execute", note)
        found = submission_store.find_by_remote(tx, "ch_1", ids)
        event.remove(store.database.engine, "before_cursor_execute", note)
        ((statement, parameters),) = (s for s in seen if "remote_id" in s[0])
        explain = "EXPLAIN " if on_postgres else "EXPLAIN QUERY PLAN "
        rows = tx.exec_driver_sql(explain + statement, parameters)
        plan = "\n".join(str(row[-1]) for row in rows)

    assert {each.remote_id for each in found} == {"job-100", "job-7"}
    assert "ix_submissions_channel_id_remote_id" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "SCAN submissions" not in plan, plan


def test_ended_rows_are_in_no_index_of_what_is_due(store: Store) -> None:
    kept = {
        index.name
        for table in (tasks, submissions, deliveries_table)
        for index in table.indexes
        if any(column.name == "due_at" for column in index.columns)
    }
    kind = store.database.engine.dialect.name
    catalogue = {
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes",
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index'",
    }[kind]
    with store.reading() as tx:
        found = {row[0]: str(row[1]) for row in tx.execute(text(catalogue))}
    assert len(kept) >= 4
    for name in kept:
        assert "due_at IS NOT NULL" in found[str(name)]
