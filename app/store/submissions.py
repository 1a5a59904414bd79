"""Submissions: open one, note that the paid call leaves, record what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    String,
    case,
    exists,
    func,
    literal_column,
    null,
    select,
    update,
)

from app.lifecycle import LIVE, State, SubmissionState
from app.store.bulk import Bulk, BulkInsert
from app.store.due import SubmissionClaim
from app.store.ids import new_id
from app.store.models import ForeignString, ForeignText, submissions, tasks
from app.store.session import db_now

TEXT_LENGTH = 1000

OPEN_STATES = (SubmissionState.ACCEPTED.value, SubmissionState.UNKNOWN.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One handing-over of a task to a channel, as stored."""

    id: str
    task_id: str
    channel_id: str
    key_id: str
    model: str
    state: SubmissionState
    remote_id: str | None
    sent_at: int | None
    accepted_at: int | None
    ended_at: int | None
    reason: str | None
    verdict: str | None
    error: str | None


def open_submission(
    tx: Connection,
    *,
    task_id: str,
    task_fence: int,
    channel_id: str,
    key_id: str,
    model: str,
    reason: str,
) -> str:
    """Write down which channel gets the task, before anything is sent; gives the id."""
    new = NewSubmission(task_id, task_fence, channel_id, key_id, model, reason)
    open_all(tx, [new])
    return new.id


@dataclass(frozen=True, slots=True)
class NewSubmission:
    """A submission that is still to be written down: see `open_submission`."""

    task_id: str
    task_fence: int
    channel_id: str
    key_id: str
    model: str
    reason: str
    id: str = field(default_factory=lambda: f"sub_{new_id()}")


OPEN = BulkInsert(
    submissions,
    NewSubmission.__slots__,
    state=SubmissionState.OPEN.value,
    fence=0,
    claim_count=0,
    look_count=0,
    missing_count=0,
    copy_count=0,
    cancelling=False,
    created_at=db_now(),
)


def open_all(tx: Connection, new: Sequence[NewSubmission]) -> None:
    """Write down which channels get these tasks, before anything is sent."""
    OPEN.run(
        tx,
        [{name: getattr(one, name) for name in NewSubmission.__slots__} for one in new],
    )


def mark_sent(tx: Connection, ids: Collection[str]) -> set[str]:
    """Note that the paid calls of these submissions leave now; gives those that may.

    A submission whose task was claimed by another worker since may not: its paid call
    must not be sent.
    """
    holds = exists().where(
        tasks.c.id == submissions.c.task_id,
        tasks.c.state == State.SUBMITTING.value,
        tasks.c.fence == submissions.c.task_fence,
    )
    rows = tx.execute(
        update(submissions)
        .where(
            submissions.c.id.in_(ids),
            submissions.c.state == SubmissionState.OPEN.value,
            holds,
        )
        .values(state=SubmissionState.SENT.value, sent_at=db_now())
        .returning(submissions.c.id)
    )
    return {row.id for row in rows}


def accept(
    tx: Connection,
    submission_id: str,
    *,
    remote_id: str | None = None,
    remote: Mapping[str, str] | None = None,
    look_in_s: float,
    longest_s: float,
    found: Mapping[str, Any] | None = None,
) -> bool:
    """An upstream has it: keep its id and plan the first look.

    Without `remote_id` the one that is kept already counts. True when this is news:
    the submission was on its way, or its outcome was unknown.
    """
    known = (
        {}
        if remote_id is None
        else {
            "remote_id": remote_id,
            "remote": dict(remote or {}),
        }
    )
    return bool(
        tx.execute(
            update(submissions)
            .where(
                submissions.c.id == submission_id,
                submissions.c.state.in_(
                    [SubmissionState.SENT.value, SubmissionState.UNKNOWN.value]
                ),
            )
            .values(
                **known,
                state=SubmissionState.ACCEPTED.value,
                found=null() if found is None else dict(found),
                fence=submissions.c.fence + 1,
                claim_count=0,
                accepted_at=db_now(),
                due_at=db_now() + int(look_in_s * 1000),
                deadline_at=db_now() + int(longest_s * 1000),
            )
        ).rowcount
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an upstream took: see `accept`."""

    submission_id: str
    remote_id: str
    remote: Mapping[str, str]
    look_in_s: float
    longest_s: float
    found: Mapping[str, Any] | None = None


ACCEPT = Bulk(
    {
        "of_id": String,
        "its_id": ForeignString,
        "its_links": JSON,
        "files": JSON(none_as_null=True),
        "look_in_ms": BigInteger,
        "longest_ms": BigInteger,
    },
    lambda given: (
        update(submissions)
        .where(
            submissions.c.id == given.of_id,
            submissions.c.state.in_(
                [SubmissionState.SENT.value, SubmissionState.UNKNOWN.value]
            ),
        )
        .values(
            remote_id=given.its_id,
            remote=given.its_links,
            state=SubmissionState.ACCEPTED.value,
            found=given.files,
            fence=submissions.c.fence + 1,
            claim_count=0,
            accepted_at=db_now(),
            due_at=db_now() + given.look_in_ms,
            deadline_at=db_now() + given.longest_ms,
        )
        .returning(submissions.c.id)
    ),
)


def accept_all(tx: Connection, accepted: Sequence[Accepted]) -> set[str]:
    """Upstreams have them, as `accept` says; gives the ids of those that are news."""
    rows = ACCEPT.returned(
        tx,
        [
            {
                "of_id": one.submission_id,
                "its_id": one.remote_id,
                "its_links": dict(one.remote),
                "files": None if one.found is None else dict(one.found),
                "look_in_ms": int(one.look_in_s * 1000),
                "longest_ms": int(one.longest_s * 1000),
            }
            for one in accepted
        ],
    )
    return {row.id for row in rows}


def remember_remote(
    tx: Connection, submission_id: str, remote_id: str, remote: Mapping[str, str]
) -> None:
    """Record an upstream's id even when the task has moved on without it."""
    tx.execute(
        update(submissions)
        .where(submissions.c.id == submission_id, submissions.c.remote_id.is_(None))
        .values(remote_id=remote_id, remote=dict(remote))
    )


def park(
    tx: Connection,
    submission_id: str,
    *,
    look_in_s: float | None,
    longest_s: float,
    error: str,
) -> bool:
    """The outcome is unknown; `look_in_s` is when something may be learned of it.

    None: nobody looks, because the task itself goes back to be sent again with the
    same idempotency key.
    """
    return bool(
        tx.execute(
            update(submissions)
            .where(
                submissions.c.id == submission_id,
                # OPEN: it was to be sent again, and the second call did not leave.
                submissions.c.state.in_(
                    [SubmissionState.OPEN.value, SubmissionState.SENT.value]
                ),
                submissions.c.sent_at.is_not(None),
            )
            .values(
                state=SubmissionState.UNKNOWN.value,
                verdict=SubmissionState.UNKNOWN.value,
                error=error[:TEXT_LENGTH],
                due_at=null()
                if look_in_s is None
                else db_now() + int(look_in_s * 1000),
                deadline_at=submissions.c.sent_at + int(longest_s * 1000),
            )
        ).rowcount
    )


def rest(tx: Connection, submission_id: str) -> None:
    """An unknown submission that can be sent again no more waits for its deadline."""
    tx.execute(
        update(submissions)
        .where(
            submissions.c.id == submission_id,
            submissions.c.verdict == SubmissionState.UNKNOWN.value,
        )
        .values(
            state=SubmissionState.UNKNOWN.value,
            due_at=func.coalesce(submissions.c.deadline_at, db_now()),
        )
    )


def reopen(tx: Connection, submission_id: str, *, task_fence: int, key_id: str) -> None:
    """Send an unknown submission again, under the same idempotency key."""
    tx.execute(
        update(submissions)
        .where(
            submissions.c.id == submission_id,
            submissions.c.state.in_(
                [SubmissionState.OPEN.value, SubmissionState.UNKNOWN.value]
            ),
        )
        .values(
            state=SubmissionState.OPEN.value,
            task_fence=task_fence,
            key_id=key_id,
            due_at=null(),
        )
    )


def refuse(
    tx: Connection,
    submission_id: str,
    state: SubmissionState,
    *,
    verdict: str,
    error: str,
) -> bool:
    """The channel surely did not take it, so nothing is owed for it."""
    return bool(
        tx.execute(
            update(submissions)
            .where(
                submissions.c.id == submission_id,
                submissions.c.state.in_(
                    [
                        SubmissionState.OPEN.value,
                        SubmissionState.SENT.value,
                        SubmissionState.UNKNOWN.value,
                    ]
                ),
            )
            .values(
                state=state.value,
                verdict=verdict,
                error=error[:TEXT_LENGTH],
                due_at=null(),
                ended_at=db_now(),
            )
        ).rowcount
    )


def end_sync(tx: Connection, submission_id: str, *, verdict: str) -> bool:
    """The submit's own answer held the result: nothing is left to look at."""
    return bool(
        tx.execute(
            update(submissions)
            .where(
                submissions.c.id == submission_id,
                submissions.c.state.in_(
                    [SubmissionState.SENT.value, SubmissionState.UNKNOWN.value]
                ),
            )
            .values(
                state=SubmissionState.ENDED.value,
                verdict=verdict,
                accepted_at=db_now(),
                ended_at=db_now(),
                due_at=null(),
            )
        ).rowcount
    )


@dataclass(frozen=True, slots=True)
class End:
    """A claimed submission at which nothing is left to look at, and why."""

    claim: SubmissionClaim
    verdict: str
    error: str


END = Bulk(
    {"of_id": String, "of_fence": Integer, "ruling": String, "note": ForeignText},
    lambda given: (
        update(submissions)
        .where(
            submissions.c.id == given.of_id,
            submissions.c.fence == given.of_fence,
            submissions.c.state.in_(OPEN_STATES),
        )
        .values(
            state=SubmissionState.ENDED.value,
            verdict=given.ruling,
            error=given.note,
            due_at=null(),
            claim_count=0,
            found=null(),
            ended_at=db_now(),
        )
        .returning(submissions.c.id, submissions.c.fence)
    ),
)


def end(tx: Connection, claim: SubmissionClaim, *, verdict: str, error: str) -> bool:
    """Nothing is left to look at; False when the lease was lost."""
    return bool(end_all(tx, [End(claim, verdict, error)]))


def end_all(tx: Connection, ends: Sequence[End]) -> set[tuple[str, int]]:
    """The same for many; gives id and fence of those whose lease was held.

    A group may hold a late outcome beside the one of the claim that followed it.
    """
    rows = END.returned(
        tx,
        [
            {
                "of_id": one.claim.id,
                "of_fence": one.claim.fence,
                "ruling": one.verdict,
                "note": one.error[:TEXT_LENGTH] or None,
            }
            for one in ends
        ],
    )
    return {(row.id, row.fence) for row in rows}


def confirm(tx: Connection, claim: SubmissionClaim) -> None:
    """A look found a submission whose outcome was unknown: the upstream has it."""
    tx.execute(
        update(submissions)
        .where(
            submissions.c.id == claim.id,
            submissions.c.fence == claim.fence,
            submissions.c.state == SubmissionState.UNKNOWN.value,
        )
        .values(
            state=SubmissionState.ACCEPTED.value, accepted_at=db_now(), verdict=null()
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLook:
    """When a claimed submission is looked at again, and what this look counts as."""

    claim: SubmissionClaim
    due_in_s: float
    missing: bool = False
    phase: str | None = None
    percent: int | None = None
    error: str | None = None


PLAN_LOOKS = Bulk(
    {
        "of_id": String,
        "of_fence": Integer,
        "of_claimed_at": BigInteger,
        "due_in_ms": BigInteger,
        "answered_at": BigInteger,
        "is_missing": Integer,
        "seen": String,
        "done": Integer,
        "note": ForeignText,
    },
    lambda given: (
        update(submissions)
        .where(
            submissions.c.id == given.of_id,
            submissions.c.fence == given.of_fence,
            submissions.c.due_at.is_not(None),
        )
        .values(
            # Its upstream called during the look: what it said may be newer.
            due_at=case(
                (submissions.c.called_at > given.of_claimed_at, submissions.c.due_at),
                else_=db_now() + given.due_in_ms,
            ),
            claim_count=0,
            look_count=submissions.c.look_count + 1,
            looked_at=func.coalesce(given.answered_at, submissions.c.looked_at),
            missing_count=case(
                (given.is_missing == 1, submissions.c.missing_count + 1), else_=0
            ),
            phase=func.coalesce(given.seen, submissions.c.phase),
            percent=func.coalesce(given.done, submissions.c.percent),
            error=given.note,
        )
    ),
)


def plan_looks(tx: Connection, looks: Sequence[NextLook]) -> None:
    """Give claimed submissions back until their next look, all in one statement."""
    PLAN_LOOKS.run(
        tx,
        [
            {
                "of_id": look.claim.id,
                "of_fence": look.claim.fence,
                "of_claimed_at": look.claim.claimed_at,
                "due_in_ms": max(1, int(look.due_in_s * 1000)),
                "answered_at": None if look.error else look.claim.claimed_at,
                "is_missing": int(look.missing),
                "seen": look.phase,
                "done": look.percent,
                "note": look.error[:TEXT_LENGTH] if look.error else None,
            }
            for look in looks
        ],
    )


def keep_found(
    tx: Connection,
    claim: SubmissionClaim,
    found: Mapping[str, Any],
    *,
    due_in_s: float,
    error: str,
) -> None:
    """The job is done but its files are not all here: try again without asking."""
    tx.execute(
        update(submissions)
        .where(submissions.c.id == claim.id, submissions.c.fence == claim.fence)
        .values(
            found=dict(found),
            copy_count=submissions.c.copy_count + 1,
            claim_count=0,
            error=error[:TEXT_LENGTH],
            due_at=db_now() + int(due_in_s * 1000),
        )
    )


def call_off(tx: Connection, task_id: str) -> None:
    """A task was cancelled: its upstream is told with the next look, due now."""
    give_up(tx, task_id)
    tx.execute(
        update(submissions)
        .where(
            submissions.c.task_id == task_id,
            submissions.c.state.in_(OPEN_STATES),
            submissions.c.due_at.is_not(None),
        )
        .values(cancelling=True, due_at=db_now())
    )


def give_up(tx: Connection, task_id: str) -> None:
    """A task ends: what waits to be sent again is not, and takes no place any more.

    What is on its way, or looked at, goes on to its own end.
    """
    tx.execute(
        update(submissions)
        .where(
            submissions.c.task_id == task_id,
            submissions.c.state.in_(
                [SubmissionState.OPEN.value, SubmissionState.UNKNOWN.value]
            ),
            submissions.c.due_at.is_(None),
        )
        .values(state=SubmissionState.ENDED.value, ended_at=db_now())
    )


def assume_lost(tx: Connection, submission_id: str) -> bool:
    """An operator says that the upstream never got it; False when that is known.

    A look under way loses its lease, so that it writes nothing afterwards.
    """
    return bool(
        tx.execute(
            update(submissions)
            .where(
                submissions.c.id == submission_id,
                submissions.c.state == SubmissionState.UNKNOWN.value,
            )
            .values(
                state=SubmissionState.ENDED.value,
                verdict="assumed_lost",
                fence=submissions.c.fence + 1,
                claim_count=0,
                due_at=null(),
                ended_at=db_now(),
            )
        ).rowcount
    )


def wake(tx: Connection, submission_id: str) -> bool:
    """Make a submission due now: its upstream says that something changed.

    One that is due keeps its place; False when there is nothing to look at. A look
    under way loses its lease to the next one, which is no sign of poison.
    """
    return bool(
        tx.execute(
            update(submissions)
            .where(
                submissions.c.id == submission_id,
                submissions.c.state.in_(OPEN_STATES),
                submissions.c.due_at.is_not(None),
            )
            .values(
                due_at=case(
                    (submissions.c.due_at > db_now(), db_now()),
                    else_=submissions.c.due_at,
                ),
                claim_count=0,
                called_at=db_now(),
            )
        ).rowcount
    )


def find(
    tx: Connection, submission_id: str, *, lock: bool = False
) -> Submission | None:
    """The submission with this id, if there is one.

    With `lock` it stays as it is until the transaction ends.
    """
    found = _read(tx, submissions.c.id == submission_id, lock=lock)
    return found[0] if found else None


def find_by_remote(
    tx: Connection, channel_id: str, remote_ids: Collection[str]
) -> list[Submission]:
    """The submissions of a channel that its upstream knows by one of these ids."""
    return _read(
        tx,
        submissions.c.channel_id == channel_id,
        submissions.c.remote_id.in_(remote_ids),
    )


def of_tasks(tx: Connection, task_ids: Collection[str]) -> list[Submission]:
    """Every submission of these tasks, the oldest first."""
    return _read(tx, submissions.c.task_id.in_(task_ids))


def count_live(tx: Connection) -> dict[str, int]:
    """How many places are taken at each channel, and with each key, by its id."""
    rows = tx.execute(
        select(submissions.c.channel_id, submissions.c.key_id, func.count())
        .where(_is_live())
        .group_by(submissions.c.channel_id, submissions.c.key_id)
    )
    counts: Counter[str] = Counter()
    for channel_id, key_id, count in rows:
        counts[channel_id] += count
        counts[key_id] += count
    return counts


def count_live_of(tx: Connection, channel_id: str) -> dict[str, int]:
    """How many places are taken at one channel, and with each of its keys."""
    rows = tx.execute(
        select(submissions.c.key_id, func.count())
        .where(submissions.c.channel_id == channel_id, _is_live())
        .group_by(submissions.c.key_id)
    )
    counts = {row[0]: row[1] for row in rows}
    return {**counts, channel_id: sum(counts.values())}


PUT_BACK = Bulk(
    {"of_id": String, "of_fence": Integer, "due_in_ms": BigInteger},
    lambda given: (
        update(submissions)
        .where(submissions.c.id == given.of_id, submissions.c.fence == given.of_fence)
        .values(
            due_at=db_now() + given.due_in_ms,
            claim_count=submissions.c.claim_count - 1,
        )
    ),
)


def put_back(
    tx: Connection, claims: Sequence[SubmissionClaim], due_in_s: Sequence[float]
) -> None:
    """Let looks that are over a limit wait; this counts as no look and no claim."""
    PUT_BACK.run(
        tx,
        [
            {
                "of_id": claim.id,
                "of_fence": claim.fence,
                "due_in_ms": max(1, int(wait_s * 1000)),
            }
            for claim, wait_s in zip(claims, due_in_s, strict=True)
        ],
    )


def _is_live() -> ColumnElement[bool]:
    """Said with literals, as the partial index says it."""
    states = sorted(state.value for state in LIVE)
    return submissions.c.state.in_([literal_column(f"'{word}'") for word in states])


def _read(tx: Connection, *where: Any, lock: bool = False) -> list[Submission]:
    columns = [submissions.c[name] for name in Submission.__slots__]
    query = select(*columns).where(*where).order_by(submissions.c.created_at)
    rows = tx.execute(query.with_for_update() if lock else query)
    return [
        Submission(**{**row, "state": SubmissionState(row["state"])})
        for row in rows.mappings()
    ]
