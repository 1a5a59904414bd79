"""Call clients back, as Standard Webhooks say: signed, at least once, patiently."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app import answers
from app.bells import Bell
from app.errors import GatewayError
from app.lifecycle import DeliveryState
from app.security import signatures
from app.security.addresses import UnsafeUrl
from app.security.sealing import SealError
from app.storage import StorageError
from app.store import clients, deliveries, due, tasks
from app.store.deliveries import Attempt, Outcome
from app.store.due import DeliveryClaim
from app.store.models import deliveries as deliveries_table
from app.store.session import Transaction
from app.store.tasks import Task
from workers import schedules
from workers.batch import Job, Leave, Taken
from workers.http import NoAnswer
from workers.runtime import WorkerRuntime
from workers.submit import POISON_CLAIMS

logger = logging.getLogger(__name__)

PER_HOST = 4
BREAKER_FAILURES = 5
GONE = 410


@dataclass(frozen=True, slots=True)
class Post:
    """One attempt of a delivery, ready to be signed and sent."""

    claim: DeliveryClaim
    body: bytes
    secrets: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.claim.id

    @property
    def fence(self) -> int:
        return self.claim.fence


@dataclass(frozen=True, slots=True)
class Tried:
    """What an attempt brought; `forbidden` when the URL may not be called at all."""

    attempt: Attempt
    retry_after_s: float | None = None
    forbidden: bool = False

    @property
    def taken(self) -> bool:
        status = self.attempt.status
        return status is not None and 200 <= status < 300


def job(rt: WorkerRuntime) -> Job[Post, Tried]:
    """The parts of the `deliver` job."""
    return Job(
        name=Bell.DELIVER.value,
        claim=lambda limit, full: claim(rt, limit, full),
        work=lambda post, leave: attempt(rt, post, leave),
        record=lambda tried: record(rt, tried),
        extend=lambda held: extend(rt, held),
        lane=lambda post: post.claim.host,
    )


def claim(rt: WorkerRuntime, limit: int, full: Collection[str]) -> Taken[Post]:
    """Take due deliveries and build their bodies."""
    with rt.transaction() as tx:
        claims = due.claim_deliveries(
            tx, limit=limit, lease_s=rt.settings.lease_s, per_host=PER_HOST
        )
        for claimed in claims:
            if claimed.claim_count >= POISON_CLAIMS:
                _give_up(rt, tx, claimed)
        sound = [claimed for claimed in claims if claimed.claim_count < POISON_CLAIMS]
        if not sound:
            return Taken()
        found = tasks.find_all(tx, {claimed.task_id for claimed in sound})
        sealed = {
            client_id: clients.webhook_secrets(tx, client_id)
            for client_id in {claimed.client_id for claimed in sound}
        }
    posts = []
    for claimed in sound:
        try:
            task = found[claimed.task_id]
            posts.append(_post(rt, claimed, task, sealed[claimed.client_id]))
        except (GatewayError, StorageError, SealError, ValueError, LookupError):
            # One odd row must not hold back the batch: it comes back by itself.
            logger.exception("no body", extra={"delivery": claimed.id})
    return Taken(posts, more=len(claims) == limit)


def extend(rt: WorkerRuntime, held: Sequence[Post]) -> None:
    """Keep the leases of deliveries under way."""
    with rt.transaction() as tx:
        due.extend(
            tx, deliveries_table, [(p.id, p.fence) for p in held], rt.settings.lease_s
        )


async def attempt(rt: WorkerRuntime, post: Post, leave: Leave) -> Tried:
    """POST once; what a receiver does wrong is a value."""
    now = datetime.now(UTC)
    headers = signatures.webhook_headers(post.id, now, post.body, post.secrets)
    headers["Content-Type"] = "application/json"
    started_at = int(now.timestamp() * 1000)
    begun = time.monotonic()

    def tried(error: str | None = None) -> Attempt:
        return Attempt(
            started_at=started_at,
            duration_ms=int((time.monotonic() - begun) * 1000),
            error=error,
        )

    try:
        answer = await rt.engine.deliver(
            post.claim.url,
            headers,
            post.body,
            timeout_s=rt.settings.callback_timeout_s,
        )
    except UnsafeUrl as error:
        return Tried(tried(str(error)), forbidden=True)
    except TimeoutError:
        seconds = rt.settings.callback_timeout_s
        return Tried(tried(f"no answer within {seconds:g} s"))
    except NoAnswer as error:
        return Tried(tried(str(error)))
    except (OSError, ValueError) as error:
        return Tried(tried(f"{type(error).__name__}: {error}"[:500]))
    return Tried(
        Attempt(
            started_at=started_at,
            duration_ms=int((time.monotonic() - begun) * 1000),
            status=answer.status,
            excerpt=answer.excerpt.replace("\x00", ""),
        ),
        retry_after_s=answer.retry_after_s,
    )


def record(rt: WorkerRuntime, outcomes: Sequence[tuple[Post, Tried]]) -> None:
    """Log the attempts of a group and plan the next ones, in one transaction."""
    with rt.transaction() as tx:
        # In one order: two workers that count for the same hosts must not wait for
        # each other.
        ordered = sorted(outcomes, key=lambda o: o[0].claim.host)
        planned = [_plan(rt, post.claim, tried) for post, tried in ordered]
        deliveries.record_all(tx, planned)
        well: set[str] = set()  # hosts whose last attempt in this group went well
        for post, tried in ordered:
            _count(tx, post.claim.host, tried, well)
    # A host had no place for more than a few at a time; there may be room now.
    rt.ring(Bell.DELIVER)


def _plan(rt: WorkerRuntime, claimed: DeliveryClaim, tried: Tried) -> Outcome:
    """What follows from an attempt."""
    state, due_in_s = DeliveryState.PENDING, None
    if tried.taken:
        state = DeliveryState.DELIVERED
    elif tried.forbidden or tried.attempt.status == GONE:
        state = DeliveryState.STOPPED
    else:
        due_in_s = schedules.attempt_delay_s(
            claimed.attempt_count + 1,
            rt.settings.callback_schedule,
            tried.retry_after_s,
            rt.chance(),
        )
        if due_in_s is None:
            state = DeliveryState.FAILED
    return Outcome(claimed, tried.attempt, state, due_in_s)


def _count(tx: Transaction, host: str, tried: Tried, well: set[str]) -> None:
    """What an attempt says about its receiver."""
    if tried.taken or tried.attempt.status == GONE:
        if host not in well:
            deliveries.receiver_answered(tx, host)
            well.add(host)
    elif not tried.forbidden:
        well.discard(host)
        count = deliveries.receiver_failed(tx, host)
        if count >= BREAKER_FAILURES:
            pause = schedules.pause_s(count - BREAKER_FAILURES)
            deliveries.pause_receiver(tx, host, pause)


def _give_up(rt: WorkerRuntime, tx: Transaction, claimed: DeliveryClaim) -> None:
    """Poison: it would take a place of its host for ever."""
    attempt = Attempt(
        started_at=int(rt.base.now() * 1000),
        duration_ms=0,
        error="five workers took the delivery and none came back",
    )
    deliveries.record(tx, claimed, attempt, DeliveryState.FAILED, None)


def _post(
    rt: WorkerRuntime, claimed: DeliveryClaim, task: Task, sealed: Sequence[bytes]
) -> Post:
    finished_at = datetime.fromtimestamp((task.finished_at or 0) / 1000, UTC)
    body = {
        "type": claimed.event,
        "timestamp": finished_at.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        ),
        "data": answers.task_data(rt.base, task),
    }
    secrets = tuple(
        rt.base.sealer.unseal(secret, f"client:{claimed.client_id}")
        for secret in sealed
    )
    return Post(claimed, json.dumps(body, ensure_ascii=False).encode(), secrets)
