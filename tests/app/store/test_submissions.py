"""Submissions: the paid call leaves once, and what came of it is written once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from app.lifecycle import State, SubmissionState
from app.store import submissions
from app.store.models import submissions as table
from app.store.models import tasks as tasks_table
from app.store.submissions import Accepted, End, NextLook
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

S = SubmissionState


def state_of(store: Store, submission_id: str) -> str:
    return str(store.row(table, id=submission_id)["state"])


def mark(store: Store, submission_id: str) -> bool:
    with store.transaction() as tx:
        return submissions.mark_sent(tx, [submission_id]) == {submission_id}


def accept(store: Store, submission_id: str, remote_id: str = "job-1") -> bool:
    with store.transaction() as tx:
        return submissions.accept(
            tx,
            submission_id,
            remote_id=remote_id,
            remote={},
            look_in_s=2,
            longest_s=600,
        )


def plan(store: Store, **fields: Any) -> None:
    with store.transaction() as tx:
        submissions.plan_looks(tx, [NextLook(**fields)])


def test_paid_call_leaves_once(store: Store) -> None:
    submission_id = store.a_submission(S.OPEN)
    assert mark(store, submission_id)
    assert state_of(store, submission_id) == S.SENT
    assert store.row(table)["sent_at"] is not None
    assert not mark(store, submission_id)


def test_paid_call_of_a_task_that_another_worker_claimed_does_not_leave(
    store: Store,
) -> None:
    task_id = store.a_task()
    submission_id = store.a_submission(S.OPEN, task_id=task_id)  # by the first claim
    assert not mark(store, submission_id)


@pytest.mark.parametrize("state", [State.QUEUED, State.PROCESSING, State.CANCELLED])
def test_paid_call_of_a_task_that_is_not_being_submitted_does_not_leave(
    store: Store, state: State
) -> None:
    submission_id = store.a_submission(S.OPEN, task_id=store.a_task(state))
    assert not mark(store, submission_id)


def test_paid_call_of_a_claim_that_ran_out_does_not_leave(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    submission_id = store.a_submission(S.OPEN, task_id=task_id)
    with store.transaction() as tx:  # another worker has it, and is not there yet
        tx.execute(update(tasks_table).values(fence=tasks_table.c.fence + 1))
    assert not mark(store, submission_id)
    assert state_of(store, submission_id) == S.OPEN


def test_several_paid_calls_are_marked_at_once(store: Store) -> None:
    good = [store.a_submission(S.OPEN) for _ in range(3)]
    late = store.a_submission(S.OPEN, task_id=store.a_task())
    with store.transaction() as tx:
        assert submissions.mark_sent(tx, [*good, late]) == set(good)
        assert submissions.mark_sent(tx, []) == set()


@pytest.mark.parametrize("state", [S.SENT, S.UNKNOWN])
def test_accepted_submission_is_looked_at_until_its_deadline(
    store: Store, state: SubmissionState
) -> None:
    submission_id = store.a_submission(state)
    assert accept(store, submission_id)
    row = store.row(table)
    assert (row["state"], row["remote_id"]) == (S.ACCEPTED, "job-1")
    now = store.now_ms()
    assert row["due_at"] == pytest.approx(now + 2_000, abs=5_000)
    assert row["deadline_at"] == pytest.approx(now + 600_000, abs=5_000)


@pytest.mark.parametrize("state", [S.OPEN, S.ACCEPTED])
def test_answer_is_taken_once_and_only_for_what_was_sent(
    store: Store, state: SubmissionState
) -> None:
    submission_id = store.a_submission(state)
    assert not accept(store, submission_id, "other-job")
    assert store.row(table)["remote_id"] != "other-job"


@pytest.mark.parametrize("state", [S.OPEN, S.ACCEPTED])
def test_answers_are_taken_together_only_for_what_was_sent(
    store: Store, state: SubmissionState
) -> None:
    sent, other = store.a_submission(S.SENT), store.a_submission(state)
    answers = [
        Accepted(
            submission_id=submission_id,
            remote_id="job-9",
            remote={},
            look_in_s=2,
            longest_s=600,
        )
        for submission_id in (sent, other)
    ]
    with store.transaction() as tx:
        assert submissions.accept_all(tx, answers) == {sent}
    assert store.row(table, id=other)["remote_id"] != "job-9"
    assert state_of(store, other) == state


def test_call_that_never_left_is_not_parked(store: Store) -> None:
    submission_id = store.a_submission(S.OPEN)
    with store.transaction() as tx:
        assert not submissions.park(
            tx, submission_id, look_in_s=1, longest_s=600, error="lost"
        )
    assert state_of(store, submission_id) == S.OPEN


@pytest.mark.parametrize("state", [S.OPEN, S.SENT, S.ACCEPTED])
def test_only_an_unknown_outcome_rests_or_is_sent_again(
    store: Store, state: SubmissionState
) -> None:
    submission_id = store.a_submission(state)
    with store.transaction() as tx:
        submissions.rest(tx, submission_id)
    assert state_of(store, submission_id) == state
    if state is S.OPEN:
        return  # its worker died before the second sending: that one is made now
    with store.transaction() as tx:
        submissions.reopen(tx, submission_id, task_fence=2, key_id="key_of_ch_1")
    assert state_of(store, submission_id) == state


@pytest.mark.parametrize("state", [S.OPEN, S.SENT, S.ACCEPTED])
def test_only_an_unknown_outcome_is_assumed_lost(
    store: Store, state: SubmissionState
) -> None:
    submission_id = store.a_submission(state)
    with store.transaction() as tx:
        assert not submissions.assume_lost(tx, submission_id)
    assert state_of(store, submission_id) == state


def test_look_that_lost_its_lease_puts_nothing_back(store: Store) -> None:
    submission_id = store.a_submission()
    store.wait(1)
    old = store.claim_submission()
    store.wait(LEASE_S + 1)
    store.claim_submission()
    before = store.row(table, id=submission_id)
    with store.transaction() as tx:
        submissions.put_back(tx, [old], [500.0])
    assert store.row(table, id=submission_id) == before


def test_look_that_lost_its_lease_confirms_nothing(store: Store) -> None:
    submission_id = store.a_submission(S.UNKNOWN)
    store.wait(1)
    old = store.claim_submission()
    store.wait(LEASE_S + 1)
    store.claim_submission()
    with store.transaction() as tx:
        submissions.confirm(tx, old)
    assert state_of(store, submission_id) == S.UNKNOWN


def test_what_has_ended_is_neither_confirmed_nor_looked_at_again(store: Store) -> None:
    submission_id = store.a_submission(S.UNKNOWN)
    store.wait(1)
    claim = store.claim_submission()
    with store.transaction() as tx:
        assert submissions.end(tx, claim, verdict="failed", error="")
        submissions.confirm(tx, claim)
    plan(store, claim=claim, due_in_s=1)
    row = store.row(table, id=submission_id)
    assert (row["state"], row["due_at"]) == (S.ENDED, None)


def test_cancelled_task_calls_off_its_own_submissions_alone(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    own = store.a_submission(task_id=task_id, look_in_s=500)
    other = store.a_submission(look_in_s=500)
    with store.transaction() as tx:
        submissions.call_off(tx, task_id)
    told = {row["id"]: bool(row["cancelling"]) for row in store.rows(table)}
    assert told == {own: True, other: False}


@pytest.mark.parametrize("state", [S.OPEN, S.SENT, S.UNKNOWN, S.ACCEPTED])
def test_task_that_ends_gives_up_only_what_waits_to_be_sent(
    store: Store, state: SubmissionState
) -> None:
    task_id = store.a_task(State.SUBMITTING)
    own = store.a_submission(state, task_id=task_id)
    other = store.a_submission(S.OPEN)
    with store.transaction() as tx:
        submissions.give_up(tx, task_id)
    assert state_of(store, own) == (S.ENDED if state is S.OPEN else state)
    assert state_of(store, other) == S.OPEN


def test_late_id_is_remembered_but_never_replaces_one(store: Store) -> None:
    submission_id = store.a_submission(S.SENT)
    for remote_id in ("first", "second"):
        with store.transaction() as tx:
            submissions.remember_remote(tx, submission_id, remote_id, {"a": "b"})
    row = store.row(table)
    assert (row["remote_id"], row["remote"]) == ("first", {"a": "b"})


def test_parked_submission_ends_by_the_time_it_was_sent(store: Store) -> None:
    submission_id = store.a_submission(S.SENT)
    store.wait(100)
    with store.transaction() as tx:
        assert submissions.park(
            tx, submission_id, look_in_s=None, longest_s=600, error="e" * 2000
        )
        assert not submissions.park(
            tx, submission_id, look_in_s=1, longest_s=600, error="again"
        )
    row = store.row(table)
    assert (row["state"], row["due_at"], row["verdict"]) == (S.UNKNOWN, None, "unknown")
    assert row["deadline_at"] == pytest.approx(store.now_ms() + 500_000, abs=5_000)
    assert len(row["error"]) == 1000


def test_unknown_submission_is_sent_again_under_the_new_claim(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    submission_id = store.a_submission(S.UNKNOWN, task_id=task_id)
    with store.transaction() as tx:
        submissions.reopen(tx, submission_id, task_fence=1, key_id="key_of_ch_1")
    assert (state_of(store, submission_id), store.row(table)["due_at"]) == (
        S.OPEN,
        None,
    )
    assert mark(store, submission_id)


@pytest.mark.parametrize("state", [S.OPEN, S.SENT, S.UNKNOWN])
def test_refused_submission_owes_nothing(store: Store, state: SubmissionState) -> None:
    submission_id = store.a_submission(state)
    with store.transaction() as tx:
        assert submissions.refuse(
            tx, submission_id, S.REFUSED, verdict="refused_key", error="wrong key"
        )
        assert not submissions.count_live(tx)
    row = store.row(table)
    assert (row["state"], row["verdict"], row["due_at"]) == (
        S.REFUSED,
        "refused_key",
        None,
    )
    assert row["ended_at"] is not None


def test_accepted_submission_cannot_be_refused(store: Store) -> None:
    submission_id = store.a_submission()
    with store.transaction() as tx:
        assert not submissions.refuse(
            tx, submission_id, S.REFUSED, verdict="v", error=""
        )
    assert state_of(store, submission_id) == S.ACCEPTED


@pytest.mark.parametrize(
    ("state", "news"), [(S.SENT, True), (S.UNKNOWN, True), (S.ACCEPTED, False)]
)
def test_result_in_the_submits_own_answer_counts_once(
    store: Store, state: SubmissionState, news: bool
) -> None:
    submission_id = store.a_submission(state)
    with store.transaction() as tx:
        assert submissions.end_sync(tx, submission_id, verdict="succeeded") is news


def test_ended_submission_is_never_looked_at_again(store: Store) -> None:
    submission_id = store.a_submission()
    claim = store.claim_submission()
    with store.transaction() as tx:
        assert submissions.end(tx, claim, verdict="succeeded", error="")
        assert not submissions.end(tx, claim, verdict="failed", error="late")
    row = store.row(table, id=submission_id)
    assert (row["state"], row["due_at"], row["error"]) == (S.ENDED, None, None)
    assert (row["verdict"], row["found"]) == ("succeeded", None)


def test_worker_that_lost_its_lease_writes_nothing(store: Store) -> None:
    store.a_submission()
    old = store.claim_submission()
    store.wait(LEASE_S + 1)
    store.claim_submission()
    before = store.row(table)
    with store.transaction() as tx:
        assert not submissions.end(tx, old, verdict="failed", error="late")
        submissions.plan_looks(tx, [NextLook(claim=old, due_in_s=9, missing=True)])
        submissions.keep_found(tx, old, {"items": []}, due_in_s=9, error="late")
        submissions.confirm(tx, old)
    assert store.row(table) == before


def test_next_look_counts_this_one(store: Store) -> None:
    store.a_submission()
    claim = store.claim_submission()
    plan(store, claim=claim, due_in_s=12.5, phase="running", percent=40)
    row = store.row(table)
    assert row["due_at"] == pytest.approx(store.now_ms() + 12_500, abs=5_000)
    assert (row["look_count"], row["claim_count"]) == (1, 0)
    assert (row["phase"], row["percent"]) == ("running", 40)


def test_look_without_news_keeps_what_the_last_one_saw(store: Store) -> None:
    store.a_submission()
    plan(store, claim=store.claim_submission(), due_in_s=0, phase="running", percent=4)
    store.wait(1)
    plan(store, claim=store.claim_submission(), due_in_s=9, error="HTTP 502")
    row = store.row(table)
    assert (row["phase"], row["percent"], row["error"]) == ("running", 4, "HTTP 502")


def test_missing_looks_are_counted_in_a_row(store: Store) -> None:
    store.a_submission()
    counts = []
    for missing in (True, True, False, True):
        plan(store, claim=store.claim_submission(), due_in_s=0, missing=missing)
        counts.append(store.row(table)["missing_count"])
        store.wait(1)
    assert counts == [1, 2, 0, 1]


def test_many_looks_are_planned_at_once(store: Store) -> None:
    ids = {store.a_submission() for _ in range(3)}
    claims = [store.claim_submission() for _ in ids]
    with store.transaction() as tx:
        submissions.plan_looks(
            tx, [NextLook(claim=c, due_in_s=9, percent=n) for n, c in enumerate(claims)]
        )
        submissions.plan_looks(tx, [])
    seen = {row["id"]: row["percent"] for row in store.rows(table)}
    assert seen == {c.id: n for n, c in enumerate(claims)}


def test_found_outputs_are_kept_until_they_are_copied(store: Store) -> None:
    store.a_submission()
    claim = store.claim_submission()
    with store.transaction() as tx:
        submissions.keep_found(tx, claim, {"items": []}, due_in_s=0, error="HTTP 503")
    store.wait(1)
    again = store.claim_submission()
    assert (again.found, again.copy_count, again.claim_count) == ({"items": []}, 1, 1)


def test_lost_job_that_was_found_is_accepted(store: Store) -> None:
    store.a_submission(S.UNKNOWN)
    store.wait(1)
    claim = store.claim_submission()
    with store.transaction() as tx:
        submissions.confirm(tx, claim)
    row = store.row(table)
    assert (row["state"], row["verdict"]) == (S.ACCEPTED, None)


@pytest.mark.parametrize("state", [S.ACCEPTED, S.UNKNOWN])
def test_woken_submission_is_due_now(store: Store, state: SubmissionState) -> None:
    submission_id = store.a_submission(state, look_in_s=500)
    with store.transaction() as tx:
        assert submissions.wake(tx, submission_id)
    assert store.claim_submission().id == submission_id


def test_late_end_beside_the_one_of_the_holder_ends_nothing(store: Store) -> None:
    """Both may come in one group, from one process that was frozen in between."""
    store.a_submission()
    late = store.claim_submission()
    store.wait(LEASE_S + 1)
    held = store.claim_submission()
    with store.transaction() as tx:
        ended = submissions.end_all(
            tx, [End(late, "succeeded", ""), End(held, "failed", "it broke")]
        )
    assert ended == {(held.id, held.fence)}
    row = store.row(table)
    assert (row["state"], row["verdict"], row["error"]) == (
        S.ENDED,
        "failed",
        "it broke",
    )


def test_call_of_the_upstream_during_a_look_is_not_lost_to_its_plan(
    store: Store,
) -> None:
    submission_id = store.a_submission()
    claim = store.claim_submission()
    store.wait(1)
    with store.transaction() as tx:
        submissions.wake(tx, submission_id)
    claim = replace(claim, claimed_at=claim.claimed_at - 1000)  # as `wait` moves rows
    plan(store, claim=claim, due_in_s=500)
    assert store.claim_submission().id == submission_id


def test_submission_that_is_due_keeps_its_place_when_it_is_woken(store: Store) -> None:
    waits, called = store.a_submission(look_in_s=0), store.a_submission(look_in_s=0)
    store.wait(5)
    before = store.row(table, id=called)["due_at"]
    with store.transaction() as tx:
        assert submissions.wake(tx, called)
    row = store.row(table, id=called)
    assert (row["due_at"], row["called_at"] is not None) == (before, True)
    assert store.row(table, id=waits)["called_at"] is None


def test_ended_or_open_submission_is_not_woken(store: Store) -> None:
    submission_id = store.a_submission(S.OPEN)
    with store.transaction() as tx:
        assert not submissions.wake(tx, submission_id)


def test_upstream_that_calls_back_often_does_not_make_its_job_poison(
    store: Store,
) -> None:
    """Each call takes the lease of a look that is still copying a large file."""
    submission_id = store.a_submission()
    claims = [store.claim_submission()]
    for _ in range(6):
        with store.transaction() as tx:
            assert submissions.wake(tx, submission_id)
        claims.append(store.claim_submission())
    assert max(claim.claim_count for claim in claims) < 5


def test_submissions_are_found_by_their_upstreams_id(store: Store) -> None:
    with store.transaction() as tx:
        add_channel(tx, "ch_2")
    ours = store.a_submission(remote_id="a")
    store.a_submission(remote_id="b")
    store.a_submission(remote_id="a", channel_id="ch_2")
    with store.reading() as tx:
        found = submissions.find_by_remote(tx, "ch_1", ["a", "z"])
        assert [s.id for s in found] == [ours]
        assert submissions.find(tx, "sub_unknown") is None


def test_submissions_of_a_task_come_the_oldest_first(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    ids = []
    for _ in range(3):
        ids.append(store.a_submission(S.OPEN, task_id=task_id))
        store.wait(1)
    store.a_submission(S.OPEN)
    with store.reading() as tx:
        assert [s.id for s in submissions.of_tasks(tx, [task_id])] == ids


def test_live_submissions_are_those_that_an_upstream_may_bill(store: Store) -> None:
    for state in (S.OPEN, S.SENT, S.ACCEPTED, S.UNKNOWN):
        store.a_submission(state, look_in_s=99)
    with store.reading() as tx:
        assert submissions.count_live(tx)["ch_1"] == 4
    store.a_submission(S.SENT)
    refused = store.a_submission(S.OPEN)
    with store.transaction() as tx:
        submissions.refuse(tx, refused, S.NOT_SENT, verdict="not_sent", error="")
        live = submissions.count_live(tx)
    assert (live["ch_1"], live["key_of_ch_1"]) == (5, 5)


@pytest.mark.parametrize("text", ["nul \x00 in it", "half a pair \ud83d here"])
def test_text_that_the_database_cannot_hold_does_not_lose_the_outcome(
    store: Store, text: str
) -> None:
    store.a_submission()
    store.a_submission()
    first, second = store.claim_submission(), store.claim_submission()
    plan(store, claim=first, due_in_s=5, error=text)
    with store.transaction() as tx:
        assert submissions.end(tx, second, verdict="failed", error=text)
    for _ in range(2):
        submission_id = store.a_submission(S.SENT)
        with store.transaction() as tx:
            assert submissions.park(
                tx, submission_id, look_in_s=None, longest_s=9, error=text
            )
    with store.transaction() as tx:
        assert submissions.refuse(tx, submission_id, S.REFUSED, verdict="v", error=text)


def test_id_with_odd_characters_does_not_lose_the_job(store: Store) -> None:
    submission_id = store.a_submission(S.SENT)
    assert accept(store, submission_id, "job \ud83d\x00 1")
    assert state_of(store, submission_id) == S.ACCEPTED


def test_id_that_is_longer_than_any_does_not_lose_the_job(store: Store) -> None:
    submission_id = store.a_submission(S.SENT)
    remote_id = "j" * 700
    assert accept(store, submission_id, remote_id)
    assert store.row(table)["remote_id"] == remote_id
