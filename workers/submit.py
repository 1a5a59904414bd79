"""Hand tasks to channels, and never pay twice.

Claim, choose a channel and write that down; note that the paid call leaves; make it
once; class what came of it; write that down. A worker that dies in between leaves rows
that tell the next one how far it got.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app import capabilities, catalog, routing
from app.bells import Bell
from app.catalog import Offer
from app.generation_requests import Upload, request_of
from app.lifecycle import Event, SubmissionState
from app.routing import Choice, Past
from app.store import channels, due, ledger, submissions, tasks
from app.store.channels import Channel, ChannelKey
from app.store.due import TaskClaim
from app.store.models import tasks as tasks_table
from app.store.session import Transaction
from app.store.submissions import Accepted, NewSubmission, Submission
from app.store.tasks import Progress, Step, Wait
from providers import errors
from providers.flow import Call, Reply, drive_async
from providers.types import (
    GenerationRequest,
    Phase,
    Remote,
    Snapshot,
)
from workers import artifacts, health, rates, schedules, verdicts
from workers.artifacts import Item
from workers.batch import Job, Leave, Taken
from workers.rates import Admission
from workers.runtime import WorkerRuntime
from workers.verdicts import AtSubmit, Blame, Next

logger = logging.getLogger(__name__)

POISON_CLAIMS = 5
# A task that no channel could be reached for is given up after so many tries (about
# half an hour), and one that always found its channels busy or paused after a day.
UNREACHABLE_TRIES = 12
WAIT_LONGEST_S = 24 * 3600
FIND_AFTER_S = 3.0
# A paid call is written so soon after `leaving` noted it, or not at all: a worker that
# froze in between would send it when others have long decided what became of it.
SEND_WITHIN_S = 15.0
# Only after so long does "the upstream has no such job" mean that it never gets it: the
# call may still be written, and then it is on its way.
ABSENT_AFTER_S = SEND_WITHIN_S + 10.0
REFUSED_BY_CHANNEL = frozenset({"refused_channel", "refused_model"})
REFUSED_BY_KEY = frozenset({"refused_key", "refused_quota"})
BUSY = frozenset({"rate_limited", "not_sent"})
PROBE_S = 60.0
WAIT_STEP_S = 0.002


@dataclass(frozen=True, slots=True)
class Handing:
    """One task on its way to one channel."""

    claim: TaskClaim
    submission_id: str
    offer: Offer
    key: ChannelKey
    request: GenerationRequest
    uploads: Mapping[str, Upload]
    starts_at: float  # monotonic: when the channel's rate lets the call leave
    other_channel: bool  # another channel would take the task
    other_key: bool  # another key of this channel would

    @property
    def id(self) -> str:
        return self.claim.id

    @property
    def fence(self) -> int:
        return self.claim.fence


@dataclass(frozen=True, slots=True)
class Handed:
    """What came of it; `gave_up` when the right to send was lost before sending."""

    snapshot: Snapshot | None = None
    items: Sequence[Item] = ()
    error: errors.ProviderError | None = None
    paid: bool = False
    gave_up: bool = False


@dataclass(slots=True)
class Planned:
    """What the tasks of one claim lead to, to be written together."""

    new: list[NewSubmission] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)


def job(rt: WorkerRuntime) -> Job[Handing, Handed]:
    """The parts of the `submit` job."""
    return Job(
        name=Bell.SUBMIT.value,
        claim=lambda limit, full: claim(rt, limit, full),
        work=lambda handing, leave: hand_over(rt, handing, leave),
        record=lambda outcomes: record(rt, outcomes),
        extend=lambda held: extend(rt, held),
        lane=lambda handing: handing.offer.channel.id,
        leaving=lambda held: leaving(rt, held),
    )


def claim(rt: WorkerRuntime, limit: int, full: Collection[str]) -> Taken[Handing]:
    """Take due tasks and write down which channel gets each."""
    known = rt.channels()
    load = rt.load()
    handings = []
    with rt.transaction() as tx:
        admission = Admission(tx, rt.database_clock, set(full))
        planned = Planned()
        claims = due.claim_tasks(tx, limit=limit, lease_s=rt.settings.lease_s)
        if not claims:
            return Taken()
        ids = [claim.id for claim in claims]
        inputs = tasks.find_inputs(tx, ids)
        earlier: dict[str, list[Submission]] = {}
        for submission in submissions.of_tasks(tx, ids):
            earlier.setdefault(submission.task_id, []).append(submission)
        for claimed in claims:
            try:
                handing = _route(
                    rt,
                    tx,
                    claimed,
                    inputs[claimed.id],
                    earlier.get(claimed.id, []),
                    catalog.offers(known.values(), rt.providers, claimed.model),
                    load,
                    admission,
                    planned,
                )
            except (TypeError, ValueError, LookupError):
                # One odd row must not hold back the batch: it stays claimed, and is
                # poison when that has happened five times.
                logger.exception("a task cannot be read", extra={"task": claimed.id})
                continue
            if handing is not None:
                handings.append(handing)
        submissions.open_all(tx, planned.new)
        tasks.put_back_all(tx, planned.waits)
    # Tasks that wait or have ended may stand before others that can go.
    return Taken(handings, more=len(claims) == limit)


def leaving(rt: WorkerRuntime, held: Sequence[Handing]) -> set[str]:
    """Commit that the paid calls of these tasks leave now."""
    by_submission = {handing.submission_id: handing.id for handing in held}
    with rt.transaction() as tx:
        may = submissions.mark_sent(tx, list(by_submission))
    return {by_submission[submission_id] for submission_id in may}


def extend(rt: WorkerRuntime, held: Sequence[Handing]) -> None:
    """Keep the leases of tasks whose calls are under way."""
    with rt.transaction() as tx:
        due.extend(
            tx, tasks_table, [(h.id, h.fence) for h in held], rt.settings.lease_s
        )


async def hand_over(rt: WorkerRuntime, handing: Handing, leave: Leave) -> Handed:
    """Run the provider's submit flow; its one paid call leaves only after `leave`."""
    offer = handing.offer
    account = rt.engine.account(offer.channel, handing.key, offer.provider)
    await rates.set_out(handing.starts_at)
    paid = False
    set_out_at = 0.0

    async def depart() -> None:
        """Let the paid call be written, unless it is too late for that."""
        await rates.wait_for_place(
            rt, "submits", offer.channel, handing.key.id, handing.starts_at
        )
        if rt.uptime() - set_out_at > SEND_WITHIN_S:
            raise errors.HeldUp("the worker was held up before the call left")

    async def send(call: Call) -> Reply:
        nonlocal paid, set_out_at
        if call.paid:
            if paid:
                raise errors.OutcomeUnknown("the provider asked to pay a second time")
            set_out_at = rt.uptime()  # before the store notes its own time
            if not await leave():
                raise _RightLost
            paid = True
        return await rt.engine.send(
            call,
            account,
            timeout_s=rt.settings.submit_timeout_s,
            uploads=handing.uploads,
            ready=depart if call.paid else None,
        )

    try:
        snapshot = await drive_async(offer.provider.submit(handing.request), send)
    except _RightLost:
        return Handed(gave_up=True)
    except errors.ProviderError as error:
        return Handed(error=error, paid=paid)
    except Exception as error:
        # A defect in an adapter. Once the paid call has left it may have been taken.
        logger.exception("submit failed", extra={"task": handing.id})
        unread = errors.UnexpectedReply(f"{type(error).__name__}: {error}")
        return Handed(error=unread, paid=paid)
    items = await artifacts.keep_inline(rt, handing.id, snapshot.artifacts)
    return Handed(snapshot=snapshot, items=items, paid=True)


def record(rt: WorkerRuntime, outcomes: Sequence[tuple[Handing, Handed]]) -> None:
    """Write down what came of a group of handings, in one transaction."""
    with rt.transaction() as tx:
        ledger.lock_accounts(tx, [h.id for h, handed in outcomes if _may_end(handed)])
        # In one order: two workers that blame the same channels must not wait for
        # each other.
        ordered = sorted(outcomes, key=lambda o: o[0].offer.channel.id)
        well: dict[str, Handing] = {}
        taken: list[tuple[Handing, Snapshot, Accepted]] = []
        for handing, handed in ordered:
            if handed.snapshot is not None:
                well.setdefault(handing.key.id, handing)
                accepted = accept(rt, tx, handing, handed.snapshot, handed.items)
                if accepted is not None:
                    taken.append((handing, handed.snapshot, accepted))
            elif handed.error is not None:
                _rule(rt, tx, handing, handed.error, paid=handed.paid)
        for handing in well.values():
            channels.count_success(tx, handing.offer.channel, handing.key)
        _keep_accepted(tx, taken)
    if any(handed.snapshot for _, handed in outcomes):
        rt.ring(Bell.POLL)
        rt.ring(Bell.DELIVER)


def _may_end(handed: Handed) -> bool:
    """Whether the task may have ended with this."""
    snapshot = handed.snapshot
    return snapshot is None or snapshot.phase not in (Phase.PENDING, Phase.RUNNING)


def accept(
    rt: WorkerRuntime,
    tx: Transaction,
    handing: Handing,
    snapshot: Snapshot,
    items: Sequence[Item],
) -> Accepted | None:
    """The upstream took it, and may have finished it in the same answer.

    Gives what is still to be written of it, or None when it has ended.

    The submission guards this, not the task's lease: what was paid for counts, also
    when it comes so late that another worker has parked the task as unknown.
    """
    remote = snapshot.remote or Remote("")
    task_id, submission_id = handing.id, handing.submission_id
    failure = snapshot.failure
    if snapshot.phase in (Phase.FAILED, Phase.CANCELLED):
        if submissions.end_sync(tx, submission_id, verdict="failed"):
            tasks.advance(tx, task_id, Event.ACCEPT)
            tasks.advance(
                tx,
                task_id,
                Event.FAIL,
                error_code=failure.reason.value if failure else "upstream_failed",
                error=failure.message if failure else "the upstream failed",
            )
        return None
    if snapshot.phase is Phase.SUCCEEDED and items and all(i.result for i in items):
        if submissions.end_sync(tx, submission_id, verdict="succeeded"):
            tasks.advance(tx, task_id, Event.ACCEPT)
            tasks.advance(
                tx,
                task_id,
                Event.FINISH,
                results=[item.result for item in items if item.result],
                error=failure.message if failure else None,
                usage=snapshot.usage,
            )
        return None
    done = snapshot.phase is Phase.SUCCEEDED
    model = handing.offer.model
    return Accepted(
        submission_id=submission_id,
        remote_id=remote.id,
        remote=remote.links,
        look_in_s=0 if done else first_look_s(rt, handing.offer, snapshot),
        longest_s=rt.longest_s(model),
        found=artifacts.dump(snapshot, items) if done else None,
    )


def _keep_accepted(
    tx: Transaction, taken: Sequence[tuple[Handing, Snapshot, Accepted]]
) -> None:
    """Write down what upstreams took, and that their tasks are at work."""
    news = submissions.accept_all(tx, [accepted for _, _, accepted in taken])
    steps, progress = [], []
    for handing, snapshot, accepted in taken:
        if accepted.submission_id in news:
            steps.append(Step(handing.id, Event.ACCEPT))
            running = snapshot.phase is not Phase.PENDING
            progress.append(Progress(handing.id, snapshot.percent, running))
        elif accepted.remote_id:
            submissions.remember_remote(
                tx, accepted.submission_id, accepted.remote_id, accepted.remote
            )
    tasks.advance_all(tx, steps)
    tasks.show_progress_of(tx, progress)


def first_look_s(rt: WorkerRuntime, offer: Offer, snapshot: Snapshot) -> float:
    """Seconds until the first look at an accepted job."""
    return schedules.look_delay_s(
        planned_s=rt.durations.plan(offer.channel.id, offer.model).next_s(0),
        least_s=rt.spacing_s(offer.channel),
        most_s=rt.settings.poll_max_s,
        hint_s=snapshot.look_after_s,
        spread=rt.chance(),
    )


def _route(
    rt: WorkerRuntime,
    tx: Transaction,
    claimed: TaskClaim,
    inputs: Mapping[str, Any],
    earlier: Sequence[Submission],
    offers: Sequence[Offer],
    load: Mapping[str, int],
    admission: Admission,
    planned: Planned,
) -> Handing | None:
    """The task with its channel, or None when it must wait or has ended."""
    again: Submission | None = None
    for submission in earlier:
        match submission.state:
            case SubmissionState.OPEN if submission.verdict == SubmissionState.UNKNOWN:
                # Its worker died before the second sending; the first still counts.
                again = submission
            case SubmissionState.OPEN:
                # Its worker died before the paid call left.
                submissions.refuse(
                    tx,
                    submission.id,
                    SubmissionState.NOT_SENT,
                    verdict="not_sent",
                    error="the worker stopped before the call left",
                )
            case SubmissionState.SENT:
                _resolve_unknown(
                    rt, tx, claimed, submission, "the worker stopped during the call"
                )
                return None
            case SubmissionState.UNKNOWN:
                again = submission
            case SubmissionState.ACCEPTED:
                tasks.advance(tx, claimed.id, Event.ACCEPT, fence=claimed.fence)
                return None
    if again is not None and (claimed.claim_count >= POISON_CLAIMS or not offers):
        _rest(tx, claimed, again)
        return None
    if claimed.claim_count >= POISON_CLAIMS:
        _fail(tx, claimed, "poison", "five workers took the task and none came back")
        return None
    if not offers:
        _fail(tx, claimed, "model_not_found", "no channel serves the model any more")
        return None

    past = _past(earlier)
    if again is not None:
        # The same call under the same idempotency key bills once, within one account.
        offers = [o for o in offers if o.channel.id == again.channel_id]
        others = {k.id for o in offers for k in o.channel.keys} - {again.key_id}
        past = Past({*past.refused, *others}, past.tried)
    fit = [o for o in offers if not capabilities.find_problems(inputs, o.model)]
    choice, starts_at = _choose(rt, tx, claimed, fit, past, load, admission)
    offer, key = choice.offer, choice.key
    if again is not None and offer is None and choice.wait_ms is None:
        _rest(tx, claimed, again)
        return None
    if offer is None or key is None:
        _wait_or_fail(rt, tx, claimed, choice, admission, planned)
        return None

    if again is not None:
        submission_id = again.id
        submissions.reopen(tx, submission_id, task_fence=claimed.fence, key_id=key.id)
    else:
        new = NewSubmission(
            claimed.id,
            claimed.fence,
            offer.channel.id,
            key.id,
            offer.upstream_name,
            choice.reason,
        )
        planned.new.append(new)
        submission_id = new.id
    request, uploads = request_of(
        rt.base,
        task_id=claimed.id,
        submission_id=submission_id,
        offer=offer,
        media_type=claimed.media_type,
        inputs=inputs,
    )
    return Handing(
        claimed,
        submission_id,
        offer,
        key,
        request,
        uploads,
        starts_at,
        other_channel=any(
            o.channel.id not in {*past.refused, offer.channel.id} for o in fit
        ),
        other_key=any(
            k.id not in {*past.refused, key.id} for k in offer.channel.usable_keys
        ),
    )


def _past(earlier: Sequence[Submission]) -> Past:
    """What earlier submissions of a task say about where it may go."""
    return Past(
        refused={s.channel_id for s in earlier if s.verdict in REFUSED_BY_CHANNEL}
        | {s.key_id for s in earlier if s.verdict in REFUSED_BY_KEY},
        tried={s.channel_id for s in earlier if s.verdict in BUSY},
    )


def _choose(
    rt: WorkerRuntime,
    tx: Transaction,
    claimed: TaskClaim,
    offers: Sequence[Offer],
    past: Past,
    load: Mapping[str, int],
    admission: Admission,
) -> tuple[Choice, float]:
    """A channel and key with a free place, and when the call may leave."""
    while True:
        choice = routing.choose(
            offers,
            group=claimed.group,
            past=past,
            full=admission.full,
            load=load,
            now_ms=int(rt.base.now() * 1000),
            chance=rt.chance(),
        )
        offer, key = choice.offer, choice.key
        if offer is None or key is None:
            return choice, 0.0
        starts_at = None
        if _take_probe(tx, offer.channel, admission) and _take_probe(
            tx, key, admission
        ):
            starts_at = admission.admit(offer.channel, key)
        if starts_at is not None:
            return choice, starts_at


def _take_probe(
    tx: Transaction, row: Channel | ChannelKey, admission: Admission
) -> bool:
    """Whether a channel or key may be tried: one task at a time after a pause."""
    if row.paused_until is None or channels.take_probe(tx, row, PROBE_S):
        if row.paused_until is not None:
            admission.full.add(row.id)  # for the other tasks of this claim
        return True
    admission.full.add(row.id)
    return False


def _wait_or_fail(
    rt: WorkerRuntime,
    tx: Transaction,
    claimed: TaskClaim,
    choice: Choice,
    admission: Admission,
    planned: Planned,
) -> None:
    """No channel has a place for the task: wait in order, or end it."""
    if choice.wait_ms is None:
        _fail(tx, claimed, "upstream_refused", choice.reason)
        return
    if rt.base.now() - claimed.created_at / 1000 > WAIT_LONGEST_S:
        _fail(tx, claimed, "no_channel_free", "no channel was free for a day")
        return
    wait_s = min([choice.wait_ms / 1000, *admission.waits_s.values()])
    # Each one later than the one before: the order stays as it is.
    admission.behind += 1
    wait_s = min(wait_s + admission.behind * WAIT_STEP_S, 60)
    planned.waits.append(Wait(claimed.id, claimed.fence, wait_s))


def _rule(
    rt: WorkerRuntime,
    tx: Transaction,
    handing: Handing,
    error: errors.ProviderError,
    *,
    paid: bool,
) -> None:
    """A submit failed: end the task, move it, let it wait, or park it."""
    ruling = verdicts.at_submit(error, paid=paid)
    text = str(error)
    submission = submissions.find(tx, handing.submission_id, lock=True)
    # What is refused now says nothing of an earlier sending whose answer was lost.
    sent_before = (
        submission is not None and submission.verdict == SubmissionState.UNKNOWN
    )
    if ruling.next is Next.RESOLVE or (sent_before and ruling.next is not Next.FAIL):
        if submission is not None and submission.state in (
            SubmissionState.OPEN,
            SubmissionState.SENT,
        ):
            _blame(rt, tx, handing, ruling, text)
            _resolve_unknown(rt, tx, handing.claim, submission, text)
        return
    state = (
        SubmissionState.NOT_SENT
        if ruling.verdict == verdicts.NOT_SENT.verdict
        else SubmissionState.REFUSED
    )
    if not submissions.refuse(
        tx, handing.submission_id, state, verdict=ruling.verdict, error=text
    ):
        return
    _blame(rt, tx, handing, ruling, text)
    elsewhere = handing.other_channel or (
        handing.other_key and ruling.blame is Blame.KEY
    )
    match ruling.next:
        case Next.FAIL if sent_before:
            # Its outcome was given up as unknown meanwhile, by the holder of a newer
            # claim; who has turned the submission now ends the task that hung on it.
            _fail(tx, handing.claim, ruling.error_code, text, fenced=False)
        case Next.FAIL:
            _fail(tx, handing.claim, ruling.error_code, text)
        case Next.ELSEWHERE if elsewhere:
            _return(tx, handing, 0)
        case Next.ELSEWHERE:
            _fail(tx, handing.claim, ruling.error_code, text)
        case Next.LATER:
            _try_later(rt, tx, handing, ruling, error)


def _blame(
    rt: WorkerRuntime, tx: Transaction, handing: Handing, ruling: AtSubmit, text: str
) -> None:
    """Leave a key or a channel alone for a while, as the ruling says."""
    channel, key = handing.offer.channel, handing.key
    reason = f"{ruling.verdict}: {text}"
    match ruling.blame:
        case Blame.NOBODY:
            return
        case Blame.KEY:
            channels.pause_key(tx, key.id, schedules.pause_s(key.failure_count), reason)
        case Blame.CHANNEL:
            count, _ = channels.count_failure(tx, channel.id)
            channels.pause(tx, channel.id, schedules.pause_s(count - 1), reason)
        case Blame.COUNTED:
            count, rate = channels.count_failure(tx, channel.id)
            unknown = ruling.next is Next.RESOLVE
            pause = health.pause_after_failure_s(count, rate, unknown=unknown)
            if pause is None:
                return
            channels.pause(tx, channel.id, pause, reason)
    rt.forget_channels()


def _try_later(
    rt: WorkerRuntime,
    tx: Transaction,
    handing: Handing,
    ruling: AtSubmit,
    error: errors.ProviderError,
) -> None:
    claimed = handing.claim
    waited_s = rt.base.now() - claimed.created_at / 1000
    unreachable = ruling is verdicts.NOT_SENT
    if waited_s > WAIT_LONGEST_S or (
        unreachable and claimed.try_count >= UNREACHABLE_TRIES
    ):
        _fail(tx, claimed, ruling.error_code, str(error))
        return
    delay = schedules.try_delay_s(claimed.try_count, rt.chance())
    if isinstance(error, errors.RateLimited) and error.retry_after_s is not None:
        delay = min(max(delay, error.retry_after_s), 3600)
    if handing.other_channel and claimed.try_count == 0:
        delay = 0
    _return(tx, handing, delay)


def _resolve_unknown(
    rt: WorkerRuntime,
    tx: Transaction,
    claimed: TaskClaim,
    submission: Submission,
    why: str,
) -> None:
    """The upstream may have taken it: do what its provider lets us do, else park it."""
    channel = rt.channels().get(submission.channel_id)
    provider = rt.providers.get(channel.provider) if channel else None
    model = provider.describe(submission.model) if provider else None
    longest_s = rt.longest_s(model) if model else WAIT_LONGEST_S
    again = (
        provider is not None
        and provider.idempotent
        and claimed.try_count < UNREACHABLE_TRIES
    )
    look_in_s = longest_s
    if provider is not None and provider.find is not None:
        look_in_s = FIND_AFTER_S
    if submission.remote_id and submissions.accept(
        tx, submission.id, look_in_s=0, longest_s=longest_s
    ):
        # Its callback was faster than the lost answer.
        tasks.advance(tx, claimed.id, Event.ACCEPT, fence=claimed.fence)
        return
    if not submissions.park(
        tx,
        submission.id,
        look_in_s=None if again else look_in_s,
        longest_s=longest_s,
        error=why,
    ):
        return
    logger.warning(
        "the outcome of a paid call is unknown",
        extra={"task": claimed.id, "submission": submission.id, "why": why},
    )
    if again:
        delay = schedules.try_delay_s(claimed.try_count, rt.chance())
        tasks.advance(tx, claimed.id, Event.RETURN, fence=claimed.fence, due_in_s=delay)
    else:
        tasks.advance(tx, claimed.id, Event.PARK, fence=claimed.fence)


def _rest(tx: Transaction, claimed: TaskClaim, again: Submission) -> None:
    """The account that may have taken the task is gone: nobody else may have it."""
    submissions.rest(tx, again.id)
    tasks.advance(tx, claimed.id, Event.PARK, fence=claimed.fence)


def _return(tx: Transaction, handing: Handing, delay_s: float) -> None:
    tasks.advance(tx, handing.id, Event.RETURN, fence=handing.fence, due_in_s=delay_s)


def _fail(
    tx: Transaction, claimed: TaskClaim, code: str, text: str, *, fenced: bool = True
) -> None:
    fence = claimed.fence if fenced else None
    if tasks.advance(
        tx, claimed.id, Event.FAIL, fence=fence, error_code=code, error=text
    ):
        submissions.give_up(tx, claimed.id)


class _RightLost(Exception):
    """Another worker has claimed the task since: the paid call is not sent."""
