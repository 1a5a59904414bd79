"""What a client may ask for."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from app.errors import LimitReached
from app.lifecycle import State
from app.store import client_limits, tasks
from app.store.client_limits import Room
from app.store.ids import new_task_id
from app.store.models import gates
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

DAY_S = 86_400


def take_turn(store: Store, per_s: float, client_id: str = "client_1") -> Room | None:
    with store.transaction() as tx:
        return client_limits.take_turn(tx, client_id, {"requests_per_s": per_s})


def check(store: Store, **limits: float) -> None:
    with store.transaction() as tx:
        client_limits.check_room(tx, "client_1", limits)


def refused(store: Store, **limits: float) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        check(store, **limits)
    return caught.value


def test_no_limit_is_no_limit(store: Store) -> None:
    with store.transaction() as tx:
        assert client_limits.take_turn(tx, "client_1", {}) is None
    check(store)


@pytest.mark.parametrize(("per_s", "burst"), [(0.25, 1), (1, 1), (2.5, 3), (100, 100)])
def test_second_of_a_rate_may_come_at_once(
    store: Store, per_s: float, burst: int
) -> None:
    began_ms = store.now_ms()
    with store.transaction() as tx:
        rooms = [
            client_limits.take_turn(tx, "client_1", {"requests_per_s": per_s})
            for _ in range(burst)
        ]
    passed_s = (store.now_ms() + 1 - began_ms) / 1000
    left = [room.remaining for room in rooms if room]
    # A slow machine gets a place back meanwhile, never one too few.
    assert all(room.limit == burst for room in rooms if room)
    assert all(a >= b for a, b in zip(left, range(burst - 1, -1, -1), strict=True))
    assert left[0] == burst - 1
    assert left[-1] <= math.ceil(per_s * passed_s)


def test_request_over_the_rate_is_told_when_to_come_back(store: Store) -> None:
    assert take_turn(store, 0.25) == Room(limit=1, remaining=0, reset_s=5)
    with pytest.raises(LimitReached) as caught:
        take_turn(store, 0.25)
    error = caught.value
    assert (error.code, error.limit) == ("rate_limited", 1)
    assert 4 <= error.retry_after_s <= 5
    passed_us = error.retry_after_s * 1_000_000  # `wait` moves milliseconds
    with store.transaction() as tx:
        tx.execute(update(gates).values(free_at=gates.c.free_at - passed_us))
    assert take_turn(store, 0.25) is not None


def test_clients_have_turns_of_their_own(store: Store) -> None:
    take_turn(store, 0.25)
    assert take_turn(store, 0.25, "client_2") is not None


@pytest.mark.parametrize(
    ("state", "in_flight", "queued"),
    [
        (State.QUEUED, True, True),
        (State.SUBMITTING, True, True),
        (State.PROCESSING, True, False),
        (State.SUCCEEDED, False, False),
        (State.FAILED, False, False),
        (State.CANCELLED, False, False),
    ],
)
def test_states_count_where_they_should(
    store: Store, state: State, in_flight: bool, queued: bool
) -> None:
    store.a_task(state)
    for name, counts in (("in_flight", in_flight), ("queued", queued)):
        if counts:
            error = refused(store, **{name: 1})
            assert error.code == f"{name}_limit_reached"
            assert (error.limit, error.retry_after_s) == (1, client_limits.RETRY_S)
        else:
            check(store, **{name: 1})
        check(store, **{name: 2})


def test_daily_limit_counts_ended_tasks_and_ends_at_midnight(store: Store) -> None:
    store.a_task(State.SUCCEEDED)
    store.a_task()
    check(store, daily=3)
    error = refused(store, daily=2)
    left_s = DAY_S - store.now_ms() // 1000 % DAY_S
    assert error.code == "daily_limit_reached"
    assert left_s - 2 <= error.retry_after_s <= left_s + 2
    yesterday = store_midnight(store) - 1
    with store.transaction() as tx:
        tx.execute(update(tasks_table).values(created_at=yesterday))
        client_limits.check_room(tx, "client_1", {"daily": 1})


def store_midnight(store: Store) -> int:
    """The start of the store's day."""
    now = store.now_ms()
    return now - now % (DAY_S * 1000)


def test_tasks_of_others_do_not_count(store: Store) -> None:
    with store.transaction() as tx:
        add_client(tx, "client_2")
    store.a_task(client_id="client_2")
    check(store, in_flight=1, queued=1, daily=1)


def test_last_place_is_given_once(store: Store) -> None:
    limits: dict[str, Any] = {"in_flight": 5}

    def add(_: int) -> bool:
        new = NewTask(id=new_task_id(), model="lumen-1", media_type="image", inputs={})
        try:
            with store.transaction() as tx:
                client_limits.check_room(tx, "client_1", limits)
                tasks.add(tx, "client_1", new)
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(add, range(50))).count(True) == 5
