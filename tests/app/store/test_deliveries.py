"""Deliveries: owed once, each attempt logged, and a breaker per host."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from app.lifecycle import DeliveryState, Event
from app.store import deliveries, operator_views, tasks
from app.store.deliveries import Attempt
from app.store.models import deliveries as deliveries_table
from app.store.models import receivers
from tests.app.store.stores import (
    LEASE_S,
    WEBHOOK_URL,
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

REFUSED = Attempt(started_at=7, duration_ms=12, status=503, excerpt="busy")
TAKEN = Attempt(started_at=9, duration_ms=3, status=204)
HOST = "client.example"


def record(
    store: Store, attempt: Attempt, state: DeliveryState, due: float | None
) -> bool:
    claim = store.claim_delivery()
    with store.transaction() as tx:
        return deliveries.record(tx, claim, attempt, state, due)


def fail(store: Store, times: int = 1) -> int:
    with store.transaction() as tx:
        return [deliveries.receiver_failed(tx, HOST) for _ in range(times)][-1]


def test_owed_callback_is_due_at_once_at_its_host(store: Store) -> None:
    store.a_delivery("https://CLIENT.example:8443/hook?a=1")
    row = store.row(deliveries_table)
    assert (row["host"], row["state"]) == ("client.example:8443", "pending")
    assert row["url"] == "https://CLIENT.example:8443/hook?a=1"
    assert row["due_at"] <= store.now_ms()
    assert row["event"] == "task.failed"


def test_failed_attempt_waits_for_the_next(store: Store) -> None:
    delivery_id = store.a_delivery()
    assert record(store, REFUSED, DeliveryState.PENDING, 300)
    row = store.row(deliveries_table, id=delivery_id)
    assert (row["state"], row["attempt_count"], row["last_status"]) == (
        "pending",
        1,
        503,
    )
    assert row["due_at"] == pytest.approx(store.now_ms() + 300_000, abs=5_000)
    assert (row["claim_count"], row["ended_at"]) == (0, None)


@pytest.mark.parametrize(
    "state", [DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.STOPPED]
)
def test_ended_delivery_is_never_due_again(store: Store, state: DeliveryState) -> None:
    delivery_id = store.a_delivery()
    record(store, TAKEN, state, None)
    row = store.row(deliveries_table, id=delivery_id)
    assert (row["state"], row["due_at"]) == (state, None)
    assert row["ended_at"] is not None


def test_every_attempt_is_logged_in_order(store: Store) -> None:
    delivery_id = store.a_delivery()
    record(store, REFUSED, DeliveryState.PENDING, 0)
    record(store, TAKEN, DeliveryState.DELIVERED, None)
    with store.reading() as tx:
        found = operator_views.attempts_of(tx, delivery_id)
    assert [Attempt(**asdict(row)) for row in found] == [REFUSED, TAKEN]


def test_worker_that_lost_its_lease_leaves_its_attempt_and_nothing_else(
    store: Store,
) -> None:
    delivery_id = store.a_delivery()
    old = store.claim_delivery()
    store.wait(LEASE_S + 1)
    record(store, TAKEN, DeliveryState.DELIVERED, None)
    with store.transaction() as tx:
        assert not deliveries.record(tx, old, REFUSED, DeliveryState.PENDING, 5)
    row = store.row(deliveries_table, id=delivery_id)
    assert (row["state"], row["attempt_count"]) == ("delivered", 1)
    with store.reading() as tx:
        assert len(operator_views.attempts_of(tx, delivery_id)) == 2


def test_worker_that_lost_its_lease_plans_nothing_while_another_tries(
    store: Store,
) -> None:
    delivery_id = store.a_delivery()
    old = store.claim_delivery()
    store.wait(LEASE_S + 1)
    store.claim_delivery()
    with store.transaction() as tx:
        assert not deliveries.record(tx, old, TAKEN, DeliveryState.DELIVERED, None)
    row = store.row(deliveries_table, id=delivery_id)
    assert (row["state"], row["attempt_count"], row["claim_count"]) == ("pending", 0, 2)


def test_delivery_that_has_ended_is_not_planned_again(store: Store) -> None:
    delivery_id = store.a_delivery()
    claim = store.claim_delivery()
    with store.transaction() as tx:
        assert deliveries.record(tx, claim, TAKEN, DeliveryState.DELIVERED, None)
        assert not deliveries.record(tx, claim, REFUSED, DeliveryState.PENDING, 5)
    assert store.row(deliveries_table, id=delivery_id)["state"] == "delivered"


def test_callback_that_a_worker_has_in_hand_is_not_sent_again(store: Store) -> None:
    delivery_id = store.a_delivery()
    claim = store.claim_delivery()
    with store.transaction() as tx:
        assert deliveries.redeliver(tx, [delivery_id]) == 0
        assert deliveries.record(tx, claim, TAKEN, DeliveryState.DELIVERED, None)
        assert deliveries.redeliver(tx, [delivery_id]) == 1


def test_redelivery_lets_a_paused_receiver_be_tried_and_leaves_a_sound_one_alone(
    store: Store,
) -> None:
    delivery_id = store.a_delivery()
    fail(store)
    with store.transaction() as tx:
        deliveries.redeliver(tx, [delivery_id])
    assert store.row(receivers, host=HOST)["paused_until"] == 0
    with store.transaction() as tx:
        deliveries.pause_receiver(tx, HOST, 600)
        deliveries.redeliver(tx, [delivery_id])
    assert 0 < store.row(receivers, host=HOST)["paused_until"] <= store.now_ms() + 5_000


def test_task_shows_the_state_of_its_callback(store: Store) -> None:
    store.a_delivery()
    record(store, REFUSED, DeliveryState.PENDING, 5)
    task_id = store.row(deliveries_table)["task_id"]
    with store.reading() as tx:
        task = tasks.get(tx, task_id)
    assert (task.callback_state, task.callback_attempts) == ("pending", 1)
    assert task.callback_url == WEBHOOK_URL


def test_task_without_a_callback_url_owes_nothing(store: Store) -> None:
    task_id = store.a_task()
    with store.transaction() as tx:
        tasks.advance(tx, task_id, Event.CANCEL)
    assert store.rows(deliveries_table) == []


def test_failures_of_a_host_are_counted_in_a_row(store: Store) -> None:
    assert fail(store, 3) == 3
    with store.transaction() as tx:
        deliveries.receiver_answered(tx, HOST)
    assert fail(store) == 1


def test_pause_of_a_host_ends_by_the_databases_clock(store: Store) -> None:
    fail(store)
    with store.transaction() as tx:
        deliveries.pause_receiver(tx, HOST, 15)
    row = store.row(receivers, host=HOST)
    assert row["paused_until"] == pytest.approx(store.now_ms() + 15_000, abs=5_000)


def test_host_that_answers_is_no_longer_paused(store: Store) -> None:
    fail(store)
    with store.transaction() as tx:
        deliveries.pause_receiver(tx, HOST, 15)
        deliveries.receiver_answered(tx, HOST)
    assert store.row(receivers, host=HOST)["paused_until"] == 0
