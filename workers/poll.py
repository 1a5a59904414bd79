"""Ask upstreams about submissions; the one place where a task's state comes from.

Provider callbacks and schedules only decide when a look is taken. A look that fails
says nothing about the task: only an explicit final state, three "not found" in a row,
or the model's deadline ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.bells import Bell
from app.catalog import Offer
from app.durations import LOOK_SHARE
from app.generation_requests import request_of
from app.lifecycle import Event, SubmissionState
from app.store import channels, due, ledger, submissions, tasks
from app.store.due import SubmissionClaim
from app.store.durations import Ended
from app.store.models import submissions as submissions_table
from app.store.session import Transaction
from app.store.submissions import End, NextLook
from app.store.tasks import Progress, Step
from providers import errors
from providers.flow import Call, Reply, drive_async
from providers.types import (
    GenerationRequest,
    Model,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from workers import artifacts, rates, schedules, verdicts
from workers.artifacts import Item
from workers.batch import Job, Leave, Taken
from workers.http import Account
from workers.runtime import WorkerRuntime
from workers.submit import ABSENT_AFTER_S, POISON_CLAIMS
from workers.verdicts import Blame

logger = logging.getLogger(__name__)

MISSING_LOOKS = 3
MISSING_SPACING_S = 2.0
COPY_TRIES = 8
REFUSED_LOOK_S = 30.0
# A look within this time after a callback was caused by it.
CALL_FRESH_MS = 5000


@dataclass(frozen=True, slots=True)
class Look:
    """What one look brought: a snapshot and, of a finished job, its outputs.

    `absent` means that the upstream has not got the submission; `silent` that it
    was not asked, because nothing can be learned; `called_off` that the task was
    cancelled, and the upstream told so where it can be.
    """

    snapshot: Snapshot | None = None
    items: Sequence[Item] = ()
    error: errors.ProviderError | None = None
    absent: bool = False
    silent: bool = False
    called_off: bool = False


def job(rt: WorkerRuntime) -> Job[SubmissionClaim, Look]:
    """The parts of the `poll` job."""
    many = Many(rt)
    return Job(
        name=Bell.POLL.value,
        claim=lambda limit, full: claim(rt, limit, full),
        work=lambda claimed, leave: look(rt, many, claimed, leave),
        record=lambda looks: record(rt, looks),
        extend=lambda held: extend(rt, held),
        lane=lambda claimed: claimed.channel_id,
    )


def claim(
    rt: WorkerRuntime, limit: int, full: Collection[str]
) -> Taken[SubmissionClaim]:
    """Take submissions that are due for a look."""
    rt.channels()  # read here: the loop that looks must not wait for the store
    with rt.transaction() as tx:
        claims = due.claim_submissions(
            tx, limit=limit, lease_s=rt.settings.lease_s, busy=full
        )
        poison = Written()
        for claimed in claims:
            if claimed.claim_count >= POISON_CLAIMS:
                text = "five workers looked at the job and none came back"
                _end(poison, claimed, Event.FAIL, "poison", text)
        poison.write(tx)
        sound = [c for c in claims if c.claim_count < POISON_CLAIMS]
        free = rates.spread_looks(
            tx, rt.database_clock, sound, rt.channels(), rt.providers
        )
    return Taken(free, more=len(claims) == limit)


def extend(rt: WorkerRuntime, held: Sequence[SubmissionClaim]) -> None:
    """Keep the leases of submissions that are being looked at."""
    with rt.transaction() as tx:
        due.extend(
            tx,
            submissions_table,
            [(claimed.id, claimed.fence) for claimed in held],
            rt.settings.lease_s,
        )


async def look(
    rt: WorkerRuntime, many: Many, claimed: SubmissionClaim, leave: Leave
) -> Look:
    """Ask the upstream once, and bring a finished job's files home."""
    try:
        account = rt.account(claimed.channel_id, claimed.key_id)
    except errors.Unavailable as error:
        return Look(error=error)
    if claimed.starts_at:
        await rates.set_out(claimed.starts_at)
    if claimed.cancelling:
        return await _call_off(rt, account, claimed)
    if claimed.found is not None:
        snapshot, items = artifacts.load(claimed.found)
    else:
        try:
            snapshot_or_look = await _ask(rt, many, account, claimed)
        except errors.ProviderError as error:
            return Look(error=error)
        except Exception as error:
            # A defect in an adapter: the task goes on until its deadline.
            logger.exception("a look failed", extra={"submission": claimed.id})
            unread = f"{type(error).__name__}: {error}"
            return Look(error=errors.UnexpectedReply(unread))
        if isinstance(snapshot_or_look, Look):
            return snapshot_or_look
        snapshot = snapshot_or_look
        if snapshot.phase is not Phase.SUCCEEDED:
            return Look(snapshot)
        items = await artifacts.keep_inline(rt, claimed.task_id, snapshot.artifacts)
    return Look(snapshot, await artifacts.copy(rt, account, claimed.task_id, items))


async def _call_off(
    rt: WorkerRuntime, account: Account, claimed: SubmissionClaim
) -> Look:
    """Tell the upstream that nobody wants the result; it may bill all the same."""
    provider = account.provider
    if provider.cancel is not None and claimed.remote_id:
        remote = Remote(claimed.remote_id, claimed.remote or {})
        try:
            await drive_async(
                provider.cancel(remote), _sender(rt, account, claimed.starts_at)
            )
        except errors.ProviderError as error:
            return Look(error=error, called_off=True)
    return Look(called_off=True)


class Many:
    """Asks for several submissions of a key in one call, where its provider can.

    What is claimed together is asked together: the looks of one turn of the loop.
    """

    def __init__(self, rt: WorkerRuntime) -> None:
        self._rt = rt
        self._waiting: dict[
            tuple[str, str], list[tuple[Remote, asyncio.Future[Snapshot]]]
        ] = {}

    async def ask(self, account: Account, remote: Remote, starts_at: float) -> Snapshot:
        """This job's part of a common answer; raises what the common call raised."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Snapshot] = loop.create_future()
        waiting = self._waiting.setdefault((account.channel.id, account.key.id), [])
        waiting.append((remote, answer))
        if len(waiting) == 1:
            loop.call_soon(
                lambda: loop.create_task(self._flush(account, starts_at)),
            )
        return await answer

    async def _flush(self, account: Account, starts_at: float) -> None:
        waiting = self._waiting.pop((account.channel.id, account.key.id))
        size = account.provider.poll_many_limit
        await asyncio.gather(
            *(
                self._ask_together(
                    account,
                    waiting[start : start + size],
                    0.0 if start else starts_at,
                )
                for start in range(0, len(waiting), size)
            )
        )

    async def _ask_together(
        self,
        account: Account,
        asked: Sequence[tuple[Remote, asyncio.Future[Snapshot]]],
        starts_at: float,
    ) -> None:
        try:
            assert account.provider.poll_many is not None
            found: Mapping[str, Snapshot] = await drive_async(
                account.provider.poll_many([remote for remote, _ in asked]),
                _sender(self._rt, account, starts_at),
            )
        except Exception as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for remote, answer in asked:
            if answer.done():
                continue
            if remote.id in found:
                answer.set_result(found[remote.id])
            else:
                answer.set_exception(errors.NotFound("the upstream does not list it"))


async def _ask(
    rt: WorkerRuntime, many: Many, account: Account, claimed: SubmissionClaim
) -> Snapshot | Look:
    provider = account.provider
    if claimed.state == SubmissionState.UNKNOWN:
        if provider.find is None:
            return Look(silent=True)
        found = await drive_async(
            provider.find(await _request_for(rt, account, claimed)),
            _sender(rt, account, claimed.starts_at),
        )
        return found or Look(absent=True)
    remote = Remote(claimed.remote_id or "", claimed.remote or {})
    if provider.poll_many is not None:
        return await many.ask(account, remote, claimed.starts_at)
    return await drive_async(
        provider.poll(remote), _sender(rt, account, claimed.starts_at)
    )


def _sender(
    rt: WorkerRuntime, account: Account, starts_at: float
) -> Callable[[Call], Awaitable[Reply]]:
    """Sends the calls of one look; each takes a place of its own, the first its own."""
    free = [starts_at]
    limited = rates.rates_of("polls", account.channel, account.key.id)

    async def depart() -> None:
        place = free.pop() if free else 0.0
        await rates.wait_for_place(rt, "polls", account.channel, account.key.id, place)

    async def send(call: Call) -> Reply:
        return await rt.engine.send(
            call,
            account,
            timeout_s=rt.settings.poll_timeout_s,
            ready=depart if limited else None,
        )

    return send


@dataclass(slots=True)
class Written:
    """What the looks of a group lead to; `write` brings it into the store at once."""

    looks: list[NextLook] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    ends: list[tuple[End, Step | None]] = field(default_factory=list)

    def end(self, claimed: SubmissionClaim, verdict: str, error: str) -> None:
        """The submission ends; its task has ended already."""
        self.ends.append((End(claimed, verdict, error), None))

    def end_with(
        self, claimed: SubmissionClaim, verdict: str, error: str, step: Step
    ) -> None:
        """The submission ends, and the task goes this step if the lease was held."""
        self.ends.append((End(claimed, verdict, error), step))

    def write(self, tx: Transaction) -> None:
        """In as few statements as there are kinds of changes."""
        tasks.show_progress_of(tx, self.progress)
        submissions.plan_looks(tx, self.looks)
        held = submissions.end_all(tx, [end for end, _ in self.ends])
        tasks.advance_all(
            tx,
            [
                step
                for end, step in self.ends
                if step is not None and (end.claim.id, end.claim.fence) in held
            ],
        )


def record(rt: WorkerRuntime, looks: Sequence[tuple[SubmissionClaim, Look]]) -> None:
    """Write down what a group of looks brought, in one transaction."""
    refused: dict[str, tuple[SubmissionClaim, errors.ProviderError]] = {}
    owes = returned = False
    written = Written()
    with rt.transaction() as tx:
        ledger.lock_accounts(tx, [c.task_id for c, seen in looks if _may_end(seen)])
        for claimed, seen in looks:
            if (
                seen.error is not None
                and verdicts.at_poll(seen.error).blame is Blame.KEY
            ):
                refused[claimed.key_id] = (claimed, seen.error)
            if not _record_one(rt, tx, written, claimed, seen):
                owes = True
                returned = returned or seen.absent
        written.write(tx)
        for claimed, error in refused.values():
            key = rt.account(claimed.channel_id, claimed.key_id).key
            if (key.paused_until or 0) <= rt.base.now() * 1000:
                pause = schedules.pause_s(key.failure_count)
                channels.pause_key(tx, key.id, pause, f"refused a look: {error}")
                rt.forget_channels()
    if owes:
        rt.ring(Bell.DELIVER)
    if returned:
        rt.ring(Bell.SUBMIT)


def _may_end(seen: Look) -> bool:
    """Whether the task may have ended with this; one that is late ends all the same."""
    snapshot = seen.snapshot
    return snapshot is None or snapshot.phase not in (Phase.PENDING, Phase.RUNNING)


def _record_one(
    rt: WorkerRuntime,
    tx: Transaction,
    written: Written,
    claimed: SubmissionClaim,
    seen: Look,
) -> bool:
    """Whether the submission is looked at again; else it has ended."""
    late = claimed.claimed_at >= claimed.deadline_at
    unknown = claimed.state == SubmissionState.UNKNOWN
    if seen.called_off:
        text = str(seen.error) if seen.error else ""
        written.end(claimed, "cancelled", text)
        return False
    if seen.absent and _may_arrive_s(claimed) <= 0:
        _return_absent(written, claimed)
        return False
    if seen.error is not None or seen.silent or seen.absent:
        return _record_nothing(rt, written, claimed, seen, late=late)
    snapshot = seen.snapshot
    assert snapshot is not None
    if unknown:
        remote = snapshot.remote or Remote("")
        submissions.remember_remote(tx, claimed.id, remote.id, remote.links)
        submissions.confirm(tx, claimed)
    failure = snapshot.failure
    match snapshot.phase:
        case Phase.SUCCEEDED:
            if claimed.found is None and not unknown:
                _learn(rt, claimed)
            _finish(rt, tx, written, claimed, snapshot, seen.items)
            return False
        case Phase.FAILED:
            _end(
                written,
                claimed,
                Event.FAIL,
                failure.reason.value if failure else Reason.UPSTREAM_FAILED.value,
                failure.message if failure else "the upstream failed",
            )
            return False
        case Phase.CANCELLED:
            text = failure.message if failure else "the upstream cancelled it"
            _end(written, claimed, Event.CANCEL, "cancelled", text)
            return False
    if late:
        _end(
            written,
            claimed,
            Event.FAIL,
            Reason.UPSTREAM_TIMEOUT.value,
            "the upstream did not end it within the model's longest time",
        )
        return False
    news = snapshot.phase.value != claimed.phase or snapshot.percent != claimed.percent
    if news:
        written.progress.append(
            Progress(claimed.task_id, snapshot.percent, snapshot.phase is Phase.RUNNING)
        )
    written.looks.append(
        NextLook(
            claim=claimed,
            due_in_s=_delay_s(rt, claimed, snapshot.look_after_s, snapshot.percent),
            phase=snapshot.phase.value,
            percent=snapshot.percent,
        )
    )
    return True


def _record_nothing(
    rt: WorkerRuntime,
    written: Written,
    claimed: SubmissionClaim,
    seen: Look,
    *,
    late: bool,
) -> bool:
    """A look that brought no answer: another one, unless the time is over."""
    error = seen.error
    unknown = claimed.state == SubmissionState.UNKNOWN
    if late and unknown:
        _end(
            written,
            claimed,
            Event.FAIL,
            "upstream_outcome_unknown",
            "the upstream's answer to the submit was lost and nothing came of it",
        )
        return False
    if late:
        text = f"the upstream could not be asked any more: {error}"
        _end(written, claimed, Event.FAIL, Reason.UPSTREAM_TIMEOUT.value, text)
        return False
    if seen.absent:
        wait_s = _may_arrive_s(claimed)
        written.looks.append(NextLook(claim=claimed, due_in_s=wait_s))
        return True
    if seen.silent or error is None:
        wait_s = (claimed.deadline_at - claimed.claimed_at) / 1000
        written.looks.append(NextLook(claim=claimed, due_in_s=wait_s))
        return True
    ruling = verdicts.at_poll(error)
    if ruling.missing and not unknown and claimed.missing_count + 1 >= MISSING_LOOKS:
        _end(
            written,
            claimed,
            Event.FAIL,
            Reason.UPSTREAM_EXPIRED.value,
            "the upstream does not know this job any more",
        )
        return False
    hint_s = getattr(error, "retry_after_s", None)
    delay = _delay_s(rt, claimed, hint_s)
    if ruling.blame is Blame.KEY:
        delay = max(delay, REFUSED_LOOK_S)
    if ruling.missing:
        delay = max(delay, MISSING_SPACING_S)
    written.looks.append(
        NextLook(
            claim=claimed, due_in_s=delay, missing=ruling.missing, error=str(error)
        )
    )
    return True


def _finish(
    rt: WorkerRuntime,
    tx: Transaction,
    written: Written,
    claimed: SubmissionClaim,
    snapshot: Snapshot,
    items: Sequence[Item],
) -> None:
    """The job is done: finish the task once its files are here, or surely lost."""
    failed = [item for item in items if item.result is None]
    again = [item for item in failed if not item.final]
    if again and claimed.copy_count + 1 < COPY_TRIES:
        submissions.keep_found(
            tx,
            claimed,
            artifacts.dump(snapshot, items),
            due_in_s=schedules.try_delay_s(claimed.copy_count, rt.chance()),
            error=again[0].error or "",
        )
        return
    account = rt.account(claimed.channel_id, claimed.key_id)
    results, gone = [], []
    for item in items:
        # A link that could not be copied in an hour may still serve the client.
        passed_on = None if item.final else artifacts.passed_on(account, item)
        result = item.result or passed_on
        if result is not None:
            results.append(result)
        else:
            gone.append(item)
    if not results:
        lost = next((item.error for item in gone if item.error), None)
        _end(
            written,
            claimed,
            Event.FAIL,
            "result_unavailable" if lost else Reason.UPSTREAM_FAILED.value,
            lost or "the upstream says it succeeded but names no output",
        )
        return
    notes = [snapshot.failure.message] if snapshot.failure else []
    notes += [f"output {item.n + 1} is lost: {item.error}" for item in gone]
    text = "; ".join(notes)
    written.end_with(
        claimed,
        "succeeded",
        text,
        Step(
            claimed.task_id,
            Event.FINISH,
            results=results,
            error=text or None,
            usage=snapshot.usage,
        ),
    )


def _end(
    written: Written, claimed: SubmissionClaim, event: Event, code: str, text: str
) -> None:
    step = Step(claimed.task_id, event, error_code=code, error=text)
    written.end_with(claimed, code[:20], text, step)


def _may_arrive_s(claimed: SubmissionClaim) -> float:
    """Seconds in which a paid call that the upstream has not got may still reach it."""
    return ABSENT_AFTER_S - (claimed.claimed_at - claimed.sent_at) / 1000


def _return_absent(written: Written, claimed: SubmissionClaim) -> None:
    """The upstream surely never got it: the task may be sent again."""
    step = Step(claimed.task_id, Event.RETURN, due_in_s=0)
    written.end_with(claimed, "not_sent", "the upstream does not have it", step)


def _delay_s(
    rt: WorkerRuntime,
    claimed: SubmissionClaim,
    hint_s: float | None,
    percent: int | None = None,
) -> float:
    channel = rt.channels()[claimed.channel_id]
    model = _model_of(rt, claimed)
    elapsed_s = (claimed.claimed_at - claimed.sent_at) / 1000
    planned_s = elapsed_s * LOOK_SHARE
    if model is not None:
        planned_s = rt.durations.plan(claimed.channel_id, model).next_s(elapsed_s)
    return schedules.look_delay_s(
        planned_s=min(planned_s, schedules.by_progress_s(elapsed_s, percent)),
        least_s=rt.spacing_s(channel),
        most_s=rt.settings.poll_max_s,
        hint_s=hint_s,
        spread=rt.chance(),
    )


def _model_of(rt: WorkerRuntime, claimed: SubmissionClaim) -> Model | None:
    """What the provider says of the model now; None when it was dropped."""
    provider = rt.providers.get(rt.channels()[claimed.channel_id].provider)
    return provider.describe(claimed.model) if provider else None


def _learn(rt: WorkerRuntime, claimed: SubmissionClaim) -> None:
    """Note when a job ended: at its callback, or else between its last two looks."""
    model = _model_of(rt, claimed)
    if model is None:
        return
    seen_s = (claimed.claimed_at - claimed.sent_at) / 1000
    after_s = ((claimed.looked_at or claimed.sent_at) - claimed.sent_at) / 1000
    called_at = claimed.called_at
    called = called_at is not None and claimed.claimed_at - called_at <= CALL_FRESH_MS
    rt.durations.note(
        Ended(
            channel_id=claimed.channel_id,
            model=claimed.model,
            typical_s=model.typical_s,
            after_s=seen_s if called else after_s,
            before_s=seen_s,
            called=called,
        )
    )


async def _request_for(
    rt: WorkerRuntime, account: Account, claimed: SubmissionClaim
) -> GenerationRequest:
    """The request that a lost submit made, for the look-up by our reference."""

    def read() -> tuple[str, Mapping[str, Any]]:
        with rt.base.reading() as tx:
            task = tasks.get(tx, claimed.task_id)
            inputs = tasks.find_inputs(tx, [claimed.task_id])
            return task.media_type, inputs[claimed.task_id]

    media_type, inputs = await rt.engine.in_thread(read)
    model = account.provider.describe(claimed.model)
    assert model is not None
    request, _ = request_of(
        rt.base,
        task_id=claimed.task_id,
        submission_id=claimed.id,
        offer=Offer(account.channel, account.provider, model),
        media_type=media_type,
        inputs=inputs,
    )
    return request
