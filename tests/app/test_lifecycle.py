"""The table of what may happen to a task."""

from __future__ import annotations

import pytest

from app.lifecycle import (
    FINAL,
    LIVE,
    OPEN,
    STATUSES,
    STEPS,
    Event,
    State,
    SubmissionState,
    diagram,
    sources,
)

CONTRACT = {"queued", "processing", "succeeded", "failed", "cancelled"}


def test_every_state_has_its_steps() -> None:
    assert set(STEPS) == set(State)


def test_final_states_have_no_way_out() -> None:
    assert {State.SUCCEEDED, State.FAILED, State.CANCELLED} == FINAL
    assert set(State) == OPEN | FINAL
    assert not OPEN & FINAL


def test_every_task_can_end() -> None:
    for start in State:
        reached, border = {start}, {start}
        while border:
            border = {s for b in border for s in STEPS[b].values()} - reached
            reached |= border
        assert reached & FINAL


@pytest.mark.parametrize("event", list(Event))
def test_every_event_can_happen_somewhere(event: Event) -> None:
    assert sources(event) == [state for state in State if event in STEPS[state]]
    assert sources(event)


def test_only_a_task_that_an_upstream_has_can_succeed() -> None:
    assert set(sources(Event.FINISH)) == {State.SUBMITTING, State.PROCESSING}


def test_task_that_is_on_its_way_to_an_upstream_cannot_be_cancelled() -> None:
    assert Event.CANCEL not in STEPS[State.SUBMITTING]


def test_parked_task_goes_back_only_when_it_is_surely_lost() -> None:
    back = {e for e, s in STEPS[State.PROCESSING].items() if s is State.QUEUED}
    assert back == {Event.RETURN, Event.REQUEUE}


def test_clients_read_the_words_of_the_contract() -> None:
    assert set(STATUSES) == set(State)
    assert set(STATUSES.values()) == CONTRACT
    assert STATUSES[State.SUBMITTING] == "processing"


def test_submission_that_may_be_billed_is_live() -> None:
    may_be_billed = {
        SubmissionState.SENT,
        SubmissionState.ACCEPTED,
        SubmissionState.UNKNOWN,
    }
    assert may_be_billed <= LIVE
    assert not LIVE & {
        SubmissionState.REFUSED,
        SubmissionState.NOT_SENT,
        SubmissionState.ENDED,
    }


def test_diagram_has_every_step() -> None:
    drawn = diagram()
    for state, steps in STEPS.items():
        for event, target in steps.items():
            (line,) = [
                each
                for each in drawn.splitlines()
                if each.strip().startswith(f"{state} --> {target}:")
            ]
            assert event.value in line.split(": ")[1].split(", ")
    for state in FINAL:
        assert f"    {state} --> [*]" in drawn
    assert drawn.startswith("stateDiagram-v2\n    [*] --> queued\n")
