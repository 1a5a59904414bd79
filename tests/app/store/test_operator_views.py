"""Operators' lists, and what they change by hand, on each database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.lifecycle import State, SubmissionState
from app.store import channels, deliveries, operator_views, submissions
from app.store.channels import Channel
from app.store.operator_views import Filter
from tests.app.store.stores import (
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

FOREVER = 2**60


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(), 2),
        (Filter(client="client_1", since=0, until=FOREVER), 2),
        (Filter(states=[State.FAILED]), 1),
        (Filter(channel="ch_1"), 1),
        (Filter(model="lumen-2"), 0),
        (Filter(since=FOREVER), 0),
    ],
)
def test_only_tasks_that_fit_are_listed(
    store: Store, wanted: Filter, count: int
) -> None:
    store.a_delivery()
    store.a_submission()

    with store.reading() as tx:
        assert len(operator_views.list_tasks(tx, wanted, limit=9)) == count


def test_counts_are_those_of_the_key_and_the_time(store: Store) -> None:
    store.a_submission(SubmissionState.UNKNOWN)
    store.a_submission(SubmissionState.ACCEPTED)
    store.wait(1000)
    store.a_submission(SubmissionState.ACCEPTED)

    with store.reading() as tx:
        (recent,) = operator_views.channel_stats(tx, last_s=500)
        (every,) = operator_views.channel_stats(tx, last_s=5000)

    assert (recent.in_flight, recent.submits, recent.accepts) == (3, 1, 1)
    assert (every.submits, every.accepts, every.unknown) == (3, 2, 1)


def test_a_removed_key_is_told_of_while_it_has_something_in_flight(
    store: Store,
) -> None:
    store.a_submission(SubmissionState.UNKNOWN)
    with store.transaction() as tx:
        (channel,) = channels.list_all(tx)
        channels.remove_key(tx, channel.keys[0])
        (stats,) = operator_views.channel_stats(tx, last_s=500)
        (row,) = operator_views.list_unknown(tx, limit=9)
        assert submissions.assume_lost(tx, row.id)
        none = operator_views.channel_stats(tx, last_s=500)

    assert stats.key.startswith("key-1 (removed")
    assert none == []


def test_a_late_look_writes_nothing_to_what_was_assumed_lost(store: Store) -> None:
    submission_id = store.a_submission(SubmissionState.UNKNOWN)
    claim = store.claim_submission()
    with store.transaction() as tx:
        assert submissions.assume_lost(tx, submission_id)
        submissions.keep_found(tx, claim, {}, due_in_s=0, error="late")
        assert not submissions.end(tx, claim, verdict="failed", error="late")
        assert not submissions.assume_lost(tx, submission_id)

        (row,) = operator_views.submissions_of(tx, claim.task_id)

    assert (row.verdict, row.due_at, row.error) == ("assumed_lost", None, "lost")


def test_a_redelivered_callback_is_due_once_more(store: Store) -> None:
    delivery_id = store.a_delivery()
    wanted = Filter(states=["pending"], host="CLIENT.example", since=0)

    with store.transaction() as tx:
        ids = operator_views.find_ended_deliveries(tx, wanted, limit=9)
        assert ids == [delivery_id]
        assert deliveries.redeliver(tx, ids) == 1
        assert deliveries.redeliver(tx, []) == 0
    store.claim_delivery()
    with store.transaction() as tx:  # a worker has it in hand
        assert operator_views.find_ended_deliveries(tx, wanted, limit=9) == []
        assert deliveries.redeliver(tx, ids) == 0


def test_only_an_operator_shortens_an_operators_pause(store: Store) -> None:
    def find() -> Channel:
        with store.reading() as tx:
            (found,) = channels.list_all(tx)
        return found

    before = replace(find(), failure_count=1)
    with store.transaction() as tx:
        channels.pause_by_hand(tx, "ch_1", None, "")
        channels.pause(tx, "ch_1", 5, "by a worker")
        channels.count_success(tx, before, None)
    assert find().pause_reason == channels.BY_OPERATOR
    with store.transaction() as tx:
        channels.pause_by_hand(tx, "ch_1", 1, "short")
        channels.pause(tx, "ch_1", 5, "by a worker")
    assert find().pause_reason == "by a worker"
    with store.transaction() as tx:
        channels.count_success(tx, find(), None)
    assert find().paused_until is None
