"""Idempotency keys: one first answer per client, route and key, for a day."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection

from app.errors import Conflict
from app.store import idempotency
from app.store.idempotency import KeptAnswer
from app.store.models import idempotency_keys
from app.store.models import tasks as tasks_table
from app.store.tasks import NewTask, add
from tests.app.store.stores import (
    Store,
    add_client,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

DAY_S = 86_400.0
ROUTE = "POST /generation/tasks"


def keep(
    tx: Connection, key: str = "k", client_id: str = "client_1", route: str = ROUTE
) -> None:
    idempotency.keep(
        tx,
        client_id,
        route,
        key,
        body_hash=b"h" * 32,
        task_id="task_1",
        answer={"task_id": "task_1"},
        kept_s=DAY_S,
    )


def find(
    store: Store, key: str = "k", client_id: str = "client_1", route: str = ROUTE
) -> KeptAnswer | None:
    with store.reading() as tx:
        return idempotency.find(tx, client_id, route, key, kept_s=DAY_S)


def test_first_answer_is_kept(store: Store) -> None:
    with store.transaction() as tx:
        keep(tx)
    assert find(store) == KeptAnswer(b"h" * 32, {"task_id": "task_1"})


def test_key_counts_for_one_client_and_route(store: Store) -> None:
    with store.transaction() as tx:
        add_client(tx, "client_2")
        keep(tx)
        keep(tx, client_id="client_2")
        keep(tx, route="other")
    assert find(store, client_id="client_3") is None
    assert find(store, key="K") is None


def test_second_keeper_of_a_key_gets_a_conflict(store: Store) -> None:
    with store.transaction() as tx:
        keep(tx)
    with pytest.raises(Conflict), store.transaction() as tx:
        keep(tx)


def test_lost_race_undoes_the_task(store: Store) -> None:
    with store.transaction() as tx:
        keep(tx)

    def race() -> None:
        new = NewTask(id="t", model="m", media_type="image", inputs={})
        with store.transaction() as tx:
            add(tx, "client_1", new)
            keep(tx)

    with pytest.raises(Conflict):
        race()
    assert store.rows(tasks_table) == []


def test_one_of_several_at_once_wins(store: Store) -> None:
    start = threading.Barrier(4)
    found: list[str] = []

    def work() -> None:
        start.wait()
        try:
            with store.transaction() as tx:
                keep(tx)
            found.append("kept")
        except Conflict:
            found.append("conflict")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["conflict"] * 3 + ["kept"]


def test_key_may_be_used_anew_after_its_time(store: Store) -> None:
    with store.transaction() as tx:
        keep(tx)
    store.wait(DAY_S + 1)
    assert find(store) is None
    with store.transaction() as tx:
        keep(tx)
    assert find(store) is not None


def test_old_keys_are_forgotten_in_small_batches(store: Store) -> None:
    with store.transaction() as tx:
        for n in range(5):
            keep(tx, f"old-{n}")
    store.wait(DAY_S + 1)
    with store.transaction() as tx:
        keep(tx, "new")
        assert idempotency.forget_old(tx, kept_s=DAY_S, limit=3) == 3
        assert idempotency.forget_old(tx, kept_s=DAY_S, limit=3) == 2
        assert idempotency.forget_old(tx, kept_s=DAY_S, limit=3) == 0
    assert [row["key"] for row in store.rows(idempotency_keys)] == ["new"]
