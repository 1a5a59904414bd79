"""Tasks that come together share a commit, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.store import tasks
from app.store.additions import Additions
from app.store.ids import new_task_id
from app.store.models import clients
from app.store.models import tasks as tasks_table
from app.store.tasks import NewTask
from tests.app.store.stores import (
    Store,
    add_client,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]


@pytest.fixture
def additions(store: Store) -> Iterator[Additions]:
    made = Additions(store.database)
    yield made
    made.close()


@pytest.fixture
def on_postgres(postgres_store: Store) -> Iterator[Additions]:
    made = Additions(postgres_store.database)
    yield made
    made.close()


def a_new_task(prompt: str = "a pier") -> NewTask:
    return NewTask(
        id=new_task_id(),
        model="lumen-1",
        media_type="image",
        inputs={"prompt": prompt, "n": 1},
        metadata={"steps": 30, "text": 'a "quote", ü, \\'},
        callback_url="https://client.example/hook",
    )


def test_tasks_added_side_by_side_are_all_kept_as_they_are(
    store: Store, additions: Additions
) -> None:
    new = [a_new_task(f"pier {n}") for n in range(100)]
    with ThreadPoolExecutor(20) as pool:
        times = list(pool.map(lambda task: additions.add("client_1", task), new))

    with store.reading() as tx:
        inputs = tasks.find_inputs(tx, [task.id for task in new])
        kept = [tasks.get(tx, task.id) for task in new]
    assert all(inputs[task.id]["prompt"] == task.inputs["prompt"] for task in new)
    assert [task.created_at for task in kept] == times
    assert {task.callback_url for task in kept} == {"https://client.example/hook"}
    assert all(task.metadata == new[0].metadata for task in kept)
    assert {row["due_at"] for row in store.rows(tasks_table)} == set(times)


def test_a_task_that_is_refused_fails_alone(store: Store, additions: Additions) -> None:
    def add(n: int) -> str | type[Exception]:
        try:
            additions.add("nobody" if n % 5 == 0 else "client_1", a_new_task())
        except IntegrityError:
            return IntegrityError
        return "added"

    with ThreadPoolExecutor(20) as pool:
        ends = list(pool.map(add, range(60)))

    assert ends == [IntegrityError if n % 5 == 0 else "added" for n in range(60)]
    assert len(store.rows(tasks_table)) == 48


def test_a_task_added_again_stays_as_it_is(store: Store, additions: Additions) -> None:
    new = a_new_task()
    created_at = additions.add("client_1", new)

    assert additions.add("client_1", new) == created_at
    assert len(store.rows(tasks_table)) == 1


def test_tasks_are_added_after_the_close(store: Store, additions: Additions) -> None:
    additions.add("client_1", a_new_task())
    additions.close()
    additions.add("client_1", a_new_task())

    assert len(store.rows(tasks_table)) == 2


def test_a_lost_connection_costs_no_task(
    postgres_store: Store, on_postgres: Additions
) -> None:
    on_postgres.add("client_1", a_new_task())
    with postgres_store.transaction() as tx:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        tx.execute(text(kill))

    on_postgres.add("client_1", a_new_task())

    assert len(postgres_store.rows(tasks_table)) == 2


def test_a_locked_client_does_not_stop_the_others(
    postgres_store: Store, on_postgres: Additions
) -> None:
    with postgres_store.transaction() as tx:
        add_client(tx, "client_2")
    with ThreadPoolExecutor(2) as pool:
        with postgres_store.transaction() as tx:
            locked = clients.c.id == "client_2"
            tx.execute(select(clients.c.id).where(locked).with_for_update())
            late = pool.submit(on_postgres.add, "client_2", a_new_task())
            until(lambda: on_postgres._is_led)
            pool.submit(on_postgres.add, "client_1", a_new_task()).result(timeout=30)

            assert not late.done()
        late.result(timeout=30)

    assert len(postgres_store.rows(tasks_table)) == 2


def test_those_who_wait_are_added_with_one_statement(
    postgres_store: Store, on_postgres: Additions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, goes_on, counts = threading.Event(), threading.Event(), list[int]()
    really = tasks.add_all

    def add_all(tx: object, new: list[tuple[str, NewTask]]) -> dict[str, int]:
        counts.append(len(new))
        first.set()
        assert goes_on.wait(30)
        return really(tx, new)  # type: ignore[arg-type]

    monkeypatch.setattr("app.store.tasks.add_all", add_all)
    with ThreadPoolExecutor(10) as pool:
        jobs: list[Future[int]] = []
        jobs.append(pool.submit(on_postgres.add, "client_1", a_new_task()))
        assert first.wait(30)
        for _ in range(9):
            jobs.append(pool.submit(on_postgres.add, "client_1", a_new_task()))
        until(lambda: len(on_postgres._waiting) == 9)
        goes_on.set()
        assert all(job.result(timeout=30) for job in jobs)

    assert counts == [1, 9]


def until(is_true: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    turn = threading.Event()
    for _ in range(5000):
        if is_true():
            return
        turn.wait(0.002)
    raise AssertionError("it did not happen")
