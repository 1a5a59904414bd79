"""Tasks: only legal steps, final states for ever, one delivery for each end."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from app.errors import TaskNotFound
from app.lifecycle import FINAL, STEPS, Event, State, SubmissionState
from app.store import tasks
from app.store.models import deliveries, task_bodies
from app.store.models import tasks as tasks_table
from app.store.tasks import Result, Task
from tests.app.store.stores import (
    WEBHOOK_URL,
    Store,
    add_client,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

EVENTS = [event for event in Event if event is not Event.CLAIM]
ENDING = {
    Event.FINISH: State.SUCCEEDED,
    Event.FAIL: State.FAILED,
    Event.CANCEL: State.CANCELLED,
}


def get(store: Store, task_id: str) -> Task:
    with store.reading() as tx:
        return tasks.get(tx, task_id)


def advance(store: Store, task_id: str, event: Event, **fields: object) -> bool:
    with store.transaction() as tx:
        return tasks.advance(tx, task_id, event, **fields)  # type: ignore[arg-type]


def put(store: Store, task_id: str, state: State) -> None:
    with store.transaction() as tx:
        tx.execute(
            update(tasks_table)
            .where(tasks_table.c.id == task_id)
            .values(state=state.value)
        )


def test_added_task_is_queued_and_due_at_once(store: Store) -> None:
    task_id = store.a_task(metadata={"a": 1}, callback_url=WEBHOOK_URL)
    task = get(store, task_id)
    assert (task.state, task.percent, task.metadata) == (State.QUEUED, 0, {"a": 1})
    assert (task.callback_url, task.callback_state) == (WEBHOOK_URL, None)
    row = store.row(tasks_table, id=task_id)
    assert row["due_at"] <= store.now_ms()
    assert row["created_at"] == task.created_at


def test_another_clients_task_looks_like_an_unknown_one(store: Store) -> None:
    task_id = store.a_task()
    with store.transaction() as tx:
        add_client(tx, "client_2")
        assert tasks.get(tx, task_id, "client_1").id == task_id
        with pytest.raises(TaskNotFound) as others:
            tasks.get(tx, task_id, "client_2")
        with pytest.raises(TaskNotFound) as unknown:
            tasks.get(tx, "task_" + "0" * 32, "client_2")
    assert str(others.value).replace(task_id, "") == str(unknown.value).replace(
        "task_" + "0" * 32, ""
    )


def test_inputs_are_read_with_the_metadata_beside_them(store: Store) -> None:
    task_id = store.a_task(inputs={"prompt": "p\u2603", "n": 2}, metadata={"x": [1]})
    with store.reading() as tx:
        found = tasks.find_inputs(tx, [task_id, "task_unknown"])
    assert found == {task_id: {"prompt": "p\u2603", "n": 2, "metadata": {"x": [1]}}}


def test_states_of_several_tasks_are_read_at_once(store: Store) -> None:
    one, two = store.a_task(), store.a_task(State.SUCCEEDED)
    with store.reading() as tx:
        found = tasks.find_states(tx, [one, two, "task_unknown"])
    assert found == {one: (State.QUEUED, 0), two: (State.SUCCEEDED, 100)}


@pytest.mark.parametrize("state", list(State))
def test_events_take_each_state_where_the_table_says_and_nowhere_else(
    store: Store, state: State
) -> None:
    for event in EVENTS:
        task_id = store.a_task()
        put(store, task_id, state)
        before = store.row(tasks_table, id=task_id)
        legal = event in STEPS[state]
        assert advance(store, task_id, event) is legal
        after = store.row(tasks_table, id=task_id)
        if legal:
            assert after["state"] == STEPS[state][event]
        else:
            assert after == before


def test_claiming_is_no_business_of_advance(store: Store) -> None:
    task_id = store.a_task()
    with pytest.raises(ValueError), store.transaction() as tx:
        tasks.advance(tx, task_id, Event.CLAIM)


def test_unknown_task_does_not_advance(store: Store) -> None:
    assert not advance(store, "task_unknown", Event.FAIL)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.sampled_from(EVENTS), max_size=8))
def test_final_state_never_changes_and_owes_one_delivery(
    sqlite_store: Store, events: list[Event]
) -> None:
    task_id = sqlite_store.a_task(State.SUBMITTING, callback_url=WEBHOOK_URL)
    state, ended = State.SUBMITTING, None
    for event in events:
        moved = advance(sqlite_store, task_id, event)
        assert moved is (event in STEPS[state])
        if moved:
            state = STEPS[state][event]
        if ended is not None:
            assert sqlite_store.row(tasks_table, id=task_id) == ended
        elif state in FINAL:
            ended = sqlite_store.row(tasks_table, id=task_id)
    with sqlite_store.reading() as tx:
        owed = tx.execute(
            select(func.count())
            .select_from(deliveries)
            .where(deliveries.c.task_id == task_id)
        ).scalar_one()
    assert owed == int(state in FINAL)
    assert get(sqlite_store, task_id).state is state


@pytest.mark.parametrize("event", list(ENDING))
def test_end_of_a_task_owes_its_callback_in_the_same_transaction(
    store: Store, event: Event
) -> None:
    task_id = store.a_task(State.PROCESSING, callback_url=WEBHOOK_URL)
    with store.transaction() as tx:
        assert tasks.advance(tx, task_id, event)
        seen = tx.execute(select(deliveries.c.event, deliveries.c.state)).one()
        assert tuple(seen) == (f"task.{ENDING[event]}", "pending")
        tx.rollback()
    assert get(store, task_id).state is State.PROCESSING
    assert store.rows(deliveries) == []


def test_second_end_owes_nothing_more(store: Store) -> None:
    task_id = store.a_task(State.PROCESSING, callback_url=WEBHOOK_URL)
    assert advance(store, task_id, Event.FINISH)
    assert not advance(store, task_id, Event.FAIL)
    assert len(store.rows(deliveries)) == 1


def test_event_of_a_holder_whose_lease_was_lost_does_not_happen(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    assert not advance(store, task_id, Event.FAIL, fence=0)
    assert advance(store, task_id, Event.FAIL, fence=1)


def test_returned_task_is_due_after_its_delay_and_counts_a_try(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    assert advance(store, task_id, Event.RETURN, due_in_s=30)
    row = store.row(tasks_table, id=task_id)
    assert (row["state"], row["try_count"], row["claim_count"]) == ("queued", 1, 0)
    assert row["due_at"] == pytest.approx(store.now_ms() + 30_000, abs=5_000)


def test_task_that_no_channel_was_free_for_waits_without_counting(
    store: Store,
) -> None:
    task_id = store.a_task(State.SUBMITTING)
    with store.transaction() as tx:
        tasks.put_back(tx, task_id, 1, due_in_s=30)
    row = store.row(tasks_table, id=task_id)
    assert (row["state"], row["try_count"], row["claim_count"]) == ("queued", 0, 0)


def test_only_the_holder_puts_a_task_back(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    with store.transaction() as tx:
        tasks.put_back(tx, task_id, 0, due_in_s=30)
    assert get(store, task_id).state is State.SUBMITTING


def test_task_that_has_ended_is_not_put_back(store: Store) -> None:
    task_id = store.a_task(State.SUBMITTING)
    assert advance(store, task_id, Event.FAIL)
    with store.transaction() as tx:
        tasks.put_back(tx, task_id, 1, due_in_s=30)
    assert get(store, task_id).state is State.FAILED
    assert store.row(tasks_table, id=task_id)["due_at"] is None


@pytest.mark.parametrize("event", [Event.ACCEPT, Event.PARK])
def test_task_at_an_upstream_is_not_due_for_another_submit(
    store: Store, event: Event
) -> None:
    task_id = store.a_task(State.SUBMITTING)
    assert advance(store, task_id, event)
    row = store.row(tasks_table, id=task_id)
    assert row["due_at"] is None
    assert row["submitted_at"] is not None


def test_failed_task_says_why(store: Store) -> None:
    task_id = store.a_task(State.PROCESSING)
    advance(store, task_id, Event.FAIL, error_code="content_rejected", error="no")
    task = get(store, task_id)
    assert (task.error_code, task.error, task.is_final) == (
        "content_rejected",
        "no",
        True,
    )
    assert task.finished_at is not None


def test_finished_task_keeps_usage_and_is_whole(store: Store) -> None:
    task_id = store.a_task(State.PROCESSING)
    advance(store, task_id, Event.FINISH, usage={"credits": 3})
    task = get(store, task_id)
    assert (task.percent, task.usage) == (100, {"credits": 3})
    assert task.started_at == task.submitted_at


def test_results_are_read_in_order(store: Store) -> None:
    task_id = store.a_task(State.PROCESSING)
    made = [
        Result(
            n=n,
            storage_key=f"results/{n}",
            content_type="audio/mpeg",
            size_bytes=2**40,
            duration_s=1.5,
            expires_at=2**50,
            title="t",
            text="la la",
        )
        for n in (1, 0)
    ]
    with store.transaction() as tx:
        tasks.add_results(tx, task_id, made)
        tasks.add_results(tx, task_id, [])
    assert get(store, task_id).results == tuple(reversed(made))


def test_progress_never_falls_and_ends_below_a_hundred(store: Store) -> None:
    task_id = store.a_task(State.PROCESSING)
    seen = []
    for percent in (10, 40, 30, None, 150, -5):
        with store.transaction() as tx:
            tasks.show_progress(tx, task_id, percent=percent, running=False)
        seen.append(get(store, task_id).percent)
    assert seen == [10, 40, 40, 40, 99, 99]


def test_start_is_when_the_upstream_was_first_seen_at_work(store: Store) -> None:
    task_id = store.a_task(State.PROCESSING)
    with store.transaction() as tx:
        tasks.show_progress(tx, task_id, percent=None, running=False)
    assert get(store, task_id).started_at is None
    with store.transaction() as tx:
        tasks.show_progress(tx, task_id, percent=None, running=True)
    first = get(store, task_id).started_at
    store.wait(30)
    with store.transaction() as tx:
        tasks.show_progress(tx, task_id, percent=None, running=True)
    assert first is not None
    assert get(store, task_id).started_at == first - 30_000


def test_news_changes_the_time_of_the_last_change_and_no_news_does_not(
    store: Store,
) -> None:
    task_id = store.a_task(State.PROCESSING)
    with store.transaction() as tx:
        tasks.show_progress(tx, task_id, percent=40, running=True)
    store.wait(30)
    before = get(store, task_id).updated_at
    with store.transaction() as tx:
        tasks.show_progress(tx, task_id, percent=40, running=True)
    assert get(store, task_id).updated_at == before


@pytest.mark.parametrize("state", [State.QUEUED, State.SUCCEEDED, State.FAILED])
def test_progress_of_a_task_that_is_not_at_work_is_not_shown(
    store: Store, state: State
) -> None:
    task_id = store.a_task(state)
    before = get(store, task_id)
    with store.transaction() as tx:
        tasks.show_progress(tx, task_id, percent=55, running=True)
    assert get(store, task_id) == before


@pytest.mark.parametrize("text", ["nul \x00 in it", "half a pair \ud83d here"])
def test_text_that_the_database_cannot_hold_does_not_lose_the_outcome(
    store: Store, text: str
) -> None:
    task_id = store.a_task(State.PROCESSING)
    with store.transaction() as tx:
        tasks.add_results(
            tx, task_id, [Result(n=0, text=text, title=text, content_type="audio/mpeg")]
        )
        assert tasks.advance(tx, task_id, Event.FAIL, error_code="x", error=text)
    task = get(store, task_id)
    assert task.error is not None
    assert task.error.startswith(text.split()[0])


def test_result_with_an_endless_content_type_does_not_lose_the_outcome(
    store: Store,
) -> None:
    task_id = store.a_task(State.PROCESSING)
    with store.transaction() as tx:
        tasks.add_results(tx, task_id, [Result(n=0, content_type="image/" + "x" * 200)])
        assert tasks.advance(tx, task_id, Event.FINISH)
    assert get(store, task_id).state is State.SUCCEEDED


def test_every_state_of_a_submission_is_a_word_that_fits_its_column() -> None:
    assert max(len(state) for state in SubmissionState) <= 10
    assert max(len(state) for state in State) <= tasks_table.c.state.type.length  # type: ignore[attr-defined]
    assert task_bodies.c.error.type.length is None  # type: ignore[attr-defined]
