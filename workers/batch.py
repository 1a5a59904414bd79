"""Claim what is due, work on it side by side, record outcomes as they come.

One thread of a process runs a batch; the calls run in the HTTP engine's loop. While
slow calls go on, finished outcomes are recorded in small groups (as many as came while
the last group was written), leases are kept, and each ring lets the batch take more.
So one hung upstream, or a hundred calls that take minutes each, hold back nobody else
and need no thread each.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from app.store.health import TROUBLES, is_away

logger = logging.getLogger(__name__)

LIMIT = 200
DATABASE_PAUSE_S = 1.0


class Claimed(Protocol):
    """What a batch needs to know of a claim."""

    @property
    def id(self) -> str: ...

    @property
    def fence(self) -> int: ...


C = TypeVar("C", bound=Claimed)
O = TypeVar("O")  # noqa: E741

Leave = Callable[[], Awaitable[bool]]


class Taken(list[C]):
    """Claims to work on; `more` when more may be due, however few they are.

    Without any the next ring is waited for: what is put back must not be claimed round
    and round.
    """

    def __init__(self, claims: Iterable[C] = (), *, more: bool = False) -> None:
        super().__init__(claims)
        self.more = more


@dataclass(frozen=True)
class Job(Generic[C, O]):
    """The parts of a job.

    `claim(limit, full)` commits its claims before it returns; `full` are the lanes
    that have as much under way as they may. More may be due when it gives `limit` of
    them, or says so by `Taken`. `work(claim, leave)` runs in the loop;
    before a call that may cost money it awaits `leave()` and gives up when that is
    False. `record` writes a group of outcomes in one transaction. `leaving` commits
    that these claims' paid calls leave now and gives the ids of those that may.
    `extend` keeps leases.
    """

    name: str
    claim: Callable[[int, Collection[str]], Sequence[C]]
    work: Callable[[C, Leave], Awaitable[O]]
    record: Callable[[Sequence[tuple[C, O]]], None]
    extend: Callable[[Sequence[C]], None]
    lane: Callable[[C], str]
    leaving: Callable[[Sequence[C]], Collection[str]] | None = None


@dataclass(frozen=True)
class _Done(Generic[C, O]):
    claim: C
    outcome: O | None


@dataclass(frozen=True)
class _Leaving(Generic[C]):
    claim: C
    answer: asyncio.Future[bool]


class Batch(Generic[C, O]):
    """One job's work in this process; `run` is what the bell calls."""

    def __init__(
        self,
        job: Job[C, O],
        loop: asyncio.AbstractEventLoop,
        *,
        capacity: int,
        lease_s: float,
    ) -> None:
        self._job = job
        self._loop = loop
        self._capacity = capacity
        # A lane is a channel or a receiver: one that hangs fills only its share.
        self._lane_capacity = max(1, capacity // 2)
        # What is claimed at once may all be of one lane, and come on top of its share.
        self._share = min(LIMIT, max(1, capacity // 4))
        self._keep_every_s = lease_s / 3
        self._held: dict[str, C] = {}
        self._lanes: Counter[str] = Counter()
        self._left_out: set[str] = set()  # lanes that were full at the last claim
        self._events: queue.SimpleQueue[_Done[C, O] | _Leaving[C] | None] = (
            queue.SimpleQueue()
        )
        self._gate = threading.Condition()
        self._running = False
        self._rung = False
        self._stopping = False
        self._kept_at = 0.0

    def run(self) -> None:
        """Work until nothing is due and nothing is under way.

        When the batch runs already in another thread it is told to look again, and
        this call returns at once.
        """
        with self._gate:
            self._rung = True
            if self._running:
                self._events.put(None)
                return
            self._running = True
        try:
            while self._goes_on():
                self._turn()
        finally:
            with self._gate:
                self._running = False
                self._gate.notify_all()

    def look_again(self) -> bool:
        """Claim once more if it runs and has room; False when it needs a ring."""
        with self._gate:
            if not self._running or self._stopping or len(self._held) >= self._capacity:
                return False
            self._rung = True
            self._events.put(None)
            return True

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the calls under way have ended."""
        self._stopping = True
        self._events.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait until `run` has returned, whoever called it; False when it has not."""
        with self._gate:
            return self._gate.wait_for(lambda: not self._running, timeout_s)

    @property
    def under_way(self) -> int:
        """How many claims are being worked on."""
        return len(self._held)

    def _goes_on(self) -> bool:
        with self._gate:
            wanted = self._rung and not self._stopping
            self._running = wanted or bool(self._held)
            return self._running

    def _turn(self) -> None:
        """Claim if there is a reason and room, then record what has happened."""
        room = min(self._share, self._capacity - len(self._held))
        if self._rung and room > 0 and not self._stopping:
            self._rung = False  # a ring from here on is a new reason
            if self._take(room):
                self._rung = True
        look_again = self._rung and len(self._held) < self._capacity
        patient = bool(self._held) and not (look_again and not self._stopping)
        self._handle(self._wait(self._keep_every_s / 2 if patient else 0))
        if self._held and time.monotonic() - self._kept_at >= self._keep_every_s:
            self._keep()

    def _take(self, room: int) -> bool:
        """Claim up to `room`; True when more may be due than was taken."""
        full = [lane for lane, n in self._lanes.items() if n >= self._lane_capacity]
        self._left_out = set(full)
        try:
            claims = self._job.claim(room, full)
        except Exception:
            # Whatever it is, what is under way must not be left alone.
            if not self._held:
                raise
            logger.exception("claiming failed", extra={"job": self._job.name})
            return False
        if claims and not self._held:
            self._kept_at = time.monotonic()
        for claim in claims:
            # A lease that ran out while its holder was frozen may come back to the
            # same process: the old call goes on beside it, and its outcome is late.
            self._held[_key(claim)] = claim
            self._lanes[self._job.lane(claim)] += 1
        if claims:
            self._loop.call_soon_threadsafe(self._start, claims)
        if isinstance(claims, Taken) and claims:
            return claims.more
        return bool(claims) and len(claims) == room

    def _start(self, claims: Sequence[C]) -> None:
        for claim in claims:
            self._loop.create_task(self._work(claim))

    async def _work(self, claim: C) -> None:
        async def leave() -> bool:
            answer: asyncio.Future[bool] = self._loop.create_future()
            self._events.put(_Leaving(claim, answer))
            return await answer

        outcome: O | None = None
        try:
            outcome = await self._job.work(claim, leave)
        except Exception:
            # A defect of ours: the row comes back when its lease ends, and five times
            # make it poison.
            logger.exception("work failed", extra={"job": self._job.name})
        finally:
            self._events.put(_Done(claim, outcome))

    def _wait(self, timeout_s: float) -> list[_Done[C, O] | _Leaving[C]]:
        """What has happened: at least one event unless the time is over."""
        group: list[_Done[C, O] | _Leaving[C]] = []
        try:
            event = (
                self._events.get(timeout=timeout_s)
                if timeout_s
                else self._events.get_nowait()
            )
            while True:
                if event is not None:
                    group.append(event)
                if len(group) >= LIMIT:
                    break
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        return group

    def _handle(self, group: Sequence[_Done[C, O] | _Leaving[C]]) -> None:
        leaving = [event for event in group if isinstance(event, _Leaving)]
        done = [event for event in group if isinstance(event, _Done)]
        if leaving:
            self._let_leave(leaving)
        if done:
            self._record([(e.claim, e.outcome) for e in done if e.outcome is not None])
            for event in done:
                self._held.pop(_key(event.claim), None)
                lane = self._job.lane(event.claim)
                self._lanes[lane] -= 1
                if lane in self._left_out and self._lanes[lane] < self._lane_capacity:
                    self._left_out.clear()
                    self._rung = True  # what it was left out of may still be due
                if not self._lanes[lane]:
                    del self._lanes[lane]

    def _let_leave(self, leaving: Sequence[_Leaving[C]]) -> None:
        """Commit that paid calls leave now; those that may not are given up."""
        allowed: Collection[str] = ()
        if self._job.leaving is not None:
            try:
                allowed = self._job.leaving([event.claim for event in leaving])
            except Exception:  # whatever it is, nothing is paid for then
                logger.exception("leaving failed", extra={"job": self._job.name})
        answers: Mapping[asyncio.Future[bool], bool] = {
            event.answer: event.claim.id in allowed for event in leaving
        }
        self._loop.call_soon_threadsafe(_answer_all, answers)

    def _record(self, outcomes: Sequence[tuple[C, O]]) -> None:
        """Write outcomes down, whatever it takes: money was spent for them.

        A database that is away is waited for. An outcome that the database refuses is
        set apart, so that it does not take the others with it.
        """
        if not outcomes:
            return
        while True:
            try:
                self._job.record(outcomes)
                return
            except TROUBLES as error:
                if is_away(error):
                    logger.warning(
                        "the database is away; outcomes wait",
                        extra={"job": self._job.name, "count": len(outcomes)},
                    )
                    time.sleep(DATABASE_PAUSE_S)
                    continue
                failed: Exception = error
            except Exception as error:
                failed = error
            if len(outcomes) == 1:
                logger.error(
                    "an outcome cannot be recorded",
                    exc_info=failed,
                    extra={"job": self._job.name, "id": outcomes[0][0].id},
                )
                return
            for outcome in outcomes:
                self._record([outcome])
            return

    def _keep(self) -> None:
        """Extend the leases of what is still being worked on."""
        self._kept_at = time.monotonic()
        try:
            self._job.extend(list(self._held.values()))
        except TROUBLES:
            logger.exception("keeping leases failed", extra={"job": self._job.name})


def _key(claim: Claimed) -> str:
    return f"{claim.id}:{claim.fence}"


def _answer_all(answers: Mapping[asyncio.Future[bool], bool]) -> None:
    for future, answer in answers.items():
        if not future.done():
            future.set_result(answer)
