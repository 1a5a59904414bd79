"""Rates that all processes share."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.store import gates
from app.store.gates import Places
from tests.app.store.stores import (
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

STEP_S = gates.SPACING / 1_000_000


def reserve(store: Store, wanted: int, name: str = "g", per_s: float = 10) -> Places:
    with store.transaction() as tx:
        return gates.reserve(tx, name, per_s=per_s, wanted=wanted, within_s=1)


def test_places_are_a_step_apart(store: Store) -> None:
    places = reserve(store, 3)
    assert places.starts_s == pytest.approx((0, STEP_S / 10, STEP_S / 5))
    assert places.next_s == pytest.approx(3 * STEP_S / 10)
    assert places.left == 7


def test_only_places_that_begin_in_time_are_given(store: Store) -> None:
    assert len(reserve(store, 100).starts_s) == 10
    full = reserve(store, 1)
    assert (full.starts_s, full.left) == ((), 0)
    assert 0.5 < full.next_s <= 10 * STEP_S / 10


def test_place_that_nobody_got_is_not_used_up(store: Store) -> None:
    reserve(store, 1, per_s=0.01)
    before = reserve(store, 5, per_s=0.01)
    assert before.starts_s == ()
    assert reserve(store, 5, per_s=0.01).next_s <= before.next_s


def test_time_that_nobody_used_is_not_saved_up(store: Store) -> None:
    reserve(store, 1)
    store.wait(3600)
    assert len(reserve(store, 100).starts_s) == 10


def test_gates_are_apart(store: Store) -> None:
    reserve(store, 10)
    assert len(reserve(store, 10, "another").starts_s) == 10


def test_slow_rate_gives_one_place_at_a_time(store: Store) -> None:
    assert reserve(store, 5, per_s=0.1).starts_s == (0.0,)
    assert reserve(store, 1, per_s=0.1).next_s == pytest.approx(10 * STEP_S, abs=0.5)


def test_place_that_was_rolled_back_is_free_again(store: Store) -> None:
    def die() -> None:
        with store.transaction() as tx:
            gates.reserve(tx, "g", per_s=10, wanted=10, within_s=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die()
    assert len(reserve(store, 10).starts_s) == 10


def common(store: Store, rates: dict[str, float], **bounds: float) -> gates.Place:
    with store.transaction() as tx:
        return gates.reserve_in_all(tx, rates, **bounds)


def test_common_place_is_free_in_every_gate(store: Store) -> None:
    reserve(store, 3, "a")
    rates = {"a": 10.0, "b": 2.0}
    assert common(store, rates).start_s == pytest.approx(3 * STEP_S / 10, abs=0.05)
    behind = common(store, rates)
    assert behind.start_s == pytest.approx((3 / 10 + 1 / 2) * STEP_S, abs=0.05)
    # The other calls of either gate come after it.
    assert reserve(store, 1, "a").starts_s[0] == pytest.approx(0.9 * STEP_S, abs=0.05)


def test_common_place_that_begins_too_late_is_not_taken(store: Store) -> None:
    reserve(store, 1, "slow", per_s=0.1)
    rates = {"slow": 0.1, "fast": 10.0}
    place = common(store, rates, within_s=1)
    assert place.start_s is None
    assert list(place.busy_s) == ["slow"]
    assert reserve(store, 1, "fast").starts_s == (0.0,)


def test_common_place_is_not_before_its_time(store: Store) -> None:
    assert common(store, {"a": 10.0}, after_s=0.3).start_s == pytest.approx(0.3)


def test_never_more_than_the_rate_in_any_second(postgres_store: Store) -> None:
    per_s, starts, lock = 40, [], threading.Lock()
    until = time.monotonic() + 2.5

    def work(n: int) -> None:
        while time.monotonic() < until:
            with postgres_store.transaction() as tx:
                places = gates.reserve(tx, "g", per_s=per_s, wanted=3, within_s=0.2)
                now = time.monotonic()
                # Others wait for the row meanwhile, as they do for a long claim.
                time.sleep(0.03 * n)
            with lock:
                starts.extend(now + start for start in places.starts_s)
            if not places.starts_s:
                time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    starts.sort()
    assert len(starts) > per_s
    closest = min(b - a for a, b in zip(starts, starts[per_s:], strict=False))
    assert closest >= 1.0


def test_one_transaction_at_a_time_counts_under_a_name(postgres_store: Store) -> None:
    order: list[str] = []
    locked = threading.Event()

    def second() -> None:
        locked.wait(10)
        with postgres_store.transaction() as tx:
            gates.hold(tx, "name")
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with postgres_store.transaction() as tx:
        gates.hold(tx, "name")
        locked.set()
        thread.join(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
