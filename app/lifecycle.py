"""What may happen to a task, a submission and a delivery; nothing else may.

A task is one generation that a client asks for. A submission is one handing-over of a
task to a channel. A delivery is one callback owed to a client. The README's diagram is
printed from `STEPS`.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What can happen to a task."""

    CLAIM = "claim"  # a worker took it to hand it to a channel
    RETURN = "return"  # surely not accepted: it waits for another try
    ACCEPT = "accept"  # an upstream has it
    PARK = "park"  # an upstream may have it: it is never sent again by itself
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    REQUEUE = "requeue"  # an operator says that an unknown outcome is lost


STEPS: dict[State, dict[Event, State]] = {
    State.QUEUED: {
        Event.CLAIM: State.SUBMITTING,
        # Waiting to be sent again when the lost answer came, or called home, after all.
        Event.ACCEPT: State.PROCESSING,
        Event.FAIL: State.FAILED,
        Event.CANCEL: State.CANCELLED,
    },
    State.SUBMITTING: {
        Event.CLAIM: State.SUBMITTING,  # the lease of the first worker ran out
        Event.RETURN: State.QUEUED,
        Event.ACCEPT: State.PROCESSING,
        Event.PARK: State.PROCESSING,
        Event.FINISH: State.SUCCEEDED,
        Event.FAIL: State.FAILED,
    },
    State.PROCESSING: {
        Event.RETURN: State.QUEUED,
        Event.FINISH: State.SUCCEEDED,
        Event.FAIL: State.FAILED,
        Event.CANCEL: State.CANCELLED,
        Event.REQUEUE: State.QUEUED,
    },
    State.SUCCEEDED: {},
    State.FAILED: {},
    State.CANCELLED: {},
}

FINAL = frozenset(state for state, steps in STEPS.items() if not steps)

OPEN = frozenset(State) - FINAL

# What a client reads: handing over is a part of the work.
STATUSES = {state: state.value for state in State} | {
    State.SUBMITTING: State.PROCESSING.value
}


def sources(event: Event) -> list[State]:
    """The states in which `event` may happen."""
    return [state for state, steps in STEPS.items() if event in steps]


class SubmissionState(StrEnum):
    """Where one handing-over of a task to a channel stands."""

    OPEN = "open"  # a channel is chosen, the paid call is not yet on its way
    SENT = "sent"  # the paid call may have left: its outcome must be learned
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"  # may have been accepted; never sent again by itself
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    ENDED = "ended"


# A submission in these states takes a place at its upstream: it is on its way there, or
# the upstream may be working on it.
LIVE = frozenset(
    {
        SubmissionState.OPEN,
        SubmissionState.SENT,
        SubmissionState.ACCEPTED,
        SubmissionState.UNKNOWN,
    }
)


class DeliveryState(StrEnum):
    """Where one callback owed to a client stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # the schedule is used up
    STOPPED = "stopped"  # the receiver answered 410, or the URL may not be called


def diagram() -> str:
    """The steps of a task as a Mermaid state diagram, for the README."""
    lines = ["stateDiagram-v2", "    [*] --> queued"]
    for state, steps in STEPS.items():
        by_target: dict[State, list[str]] = {}
        for event, target in steps.items():
            by_target.setdefault(target, []).append(event.value)
        lines += [
            f"    {state} --> {target}: {', '.join(events)}"
            for target, events in by_target.items()
        ]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines) + "\n"
