"""Batches: outcomes are written as they come, whatever hangs beside them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.lifecycle import State
from app.store.models import submissions as submissions_table
from tests.workers.bench import PNG, Bench, ok
from workers import batch as batch_module
from workers import deliver, poll, submit
from workers.batch import Batch, Job, Leave, Taken
from workers.http import Answer

WAIT_S = 10.0


@dataclass(frozen=True)
class Claim:
    id: str
    lane: str = "a"
    fence: int = 1


def away() -> OperationalError:
    return OperationalError(
        "SELECT 1", {}, ConnectionRefusedError("the database is away")
    )


@dataclass
class Desk:
    """A job whose claims, calls and records a test holds in its hands."""

    loop: asyncio.AbstractEventLoop
    due: list[Claim] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)
    extended: list[list[str]] = field(default_factory=list)
    asked: list[tuple[int, list[str]]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    hold: set[str] = field(default_factory=set)
    paid: set[str] = field(default_factory=set)
    put_back: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    record_errors: list[Exception] = field(default_factory=list)
    unrecordable: set[str] = field(default_factory=set)
    leaving_error: Exception | None = None
    claim_error: Exception | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def claim(self, limit: int, full: Collection[str]) -> Sequence[Claim]:
        if self.claim_error is not None:
            raise self.claim_error
        self._tell(lambda: self.asked.append((limit, sorted(full))))
        free = [claim for claim in self.due if claim.lane not in full][:limit]
        self.due = [claim for claim in self.due if claim not in free]
        kept = [claim for claim in free if claim.id not in self.put_back]
        return Taken(kept, more=len(free) == limit)

    async def work(self, claim: Claim, leave: Leave) -> str:
        gate = self.gates.setdefault(claim.id, asyncio.Event())
        self._tell(lambda: self.started.append(claim.id))
        if claim.id in self.broken:
            raise ZeroDivisionError
        if claim.id in self.paid:
            allowed = await leave()
            self._tell(
                lambda: (self.left if allowed else self.refused).append(claim.id)
            )
        if claim.id in self.hold:
            await gate.wait()
        return f"outcome of {claim.id}"

    def record(self, outcomes: Sequence[tuple[Claim, str]]) -> None:
        if self.record_errors:
            raise self.record_errors.pop(0)
        ids = [claim.id for claim, _ in outcomes]
        if self.unrecordable & set(ids):
            raise DataError("INSERT", {}, ValueError("no such value"))
        self._tell(lambda: self.recorded.extend(ids))
        self.groups.append(ids)

    def extend(self, held: Sequence[Claim]) -> None:
        self._tell(lambda: self.extended.append(sorted(claim.id for claim in held)))

    def leaving(self, held: Sequence[Claim]) -> Collection[str]:
        if self.leaving_error is not None:
            raise self.leaving_error
        return {claim.id for claim in held if not claim.id.startswith("late")}

    def _tell(self, change: Callable[[], object]) -> None:
        with self.changed:
            change()
            self.changed.notify_all()

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so; fail when it is not for long."""
        with self.changed:
            assert self.changed.wait_for(holds, WAIT_S), self

    def let_go(self, *ids: str) -> None:
        """The answers of these calls come."""
        self.until(lambda: set(ids) <= set(self.started))
        for claim_id in ids:
            self.loop.call_soon_threadsafe(self.gates[claim_id].set)


@dataclass
class Worker:
    desk: Desk
    batch: Batch[Claim, str]
    threads: list[threading.Thread] = field(default_factory=list)

    def run(self) -> threading.Thread:
        """Ring: run the batch in a thread of its own."""
        thread = threading.Thread(target=self.batch.run, daemon=True)
        thread.start()
        self.threads.append(thread)
        return thread

    def join(self) -> None:
        for thread in self.threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


def a_worker(
    loop: asyncio.AbstractEventLoop, *claims: Claim, capacity: int = 100, **how: Any
) -> Worker:
    desk = Desk(loop, due=list(claims))
    job: Job[Claim, str] = Job(
        name="test",
        claim=desk.claim,
        work=desk.work,
        record=desk.record,
        extend=desk.extend,
        lane=lambda claim: claim.lane,
        leaving=desk.leaving,
    )
    lease_s = how.pop("lease_s", 60.0)
    for name, value in how.items():
        setattr(desk, name, value)
    return Worker(desk, Batch(job, loop, capacity=capacity, lease_s=lease_s))


def claims_of(*ids: str, lane: str = "a") -> list[Claim]:
    return [Claim(id, lane) for id in ids]


Loop = asyncio.AbstractEventLoop


def test_everything_due_is_worked_on_and_recorded(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of(*(f"t{n}" for n in range(450))), capacity=1000)
    worker.batch.run()
    assert sorted(worker.desk.recorded) == sorted(f"t{n}" for n in range(450))
    assert worker.batch.under_way == 0


def test_outcomes_are_recorded_in_groups(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of(*(f"t{n}" for n in range(200))), capacity=1000)
    worker.batch.run()
    assert len(worker.desk.groups) < 100


def test_outcomes_are_recorded_while_a_slow_call_goes_on(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow", "t1", "t2"), hold={"slow"})
    worker.run()
    worker.desk.until(lambda: sorted(worker.desk.recorded) == ["t1", "t2"])
    assert worker.batch.under_way == 1
    worker.desk.let_go("slow")
    worker.join()
    assert worker.desk.recorded[-1] == "slow"


def test_ring_during_work_claims_more_at_once(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow"), hold={"slow"})
    worker.run()
    worker.desk.until(lambda: worker.desk.started == ["slow"])
    worker.desk.due = claims_of("t1")
    worker.batch.run()  # returns, since the other thread does it
    worker.desk.until(lambda: worker.desk.recorded == ["t1"])
    worker.desk.let_go("slow")
    worker.join()


def test_hung_calls_of_a_lane_hold_back_no_other(loop: Loop) -> None:
    hung = [f"hung{n}" for n in range(8)]
    worker = a_worker(loop, *claims_of(*hung), capacity=4, hold=set(hung))
    worker.desk.due += claims_of("b1", "b2", "b3", lane="b")
    worker.run()
    worker.desk.until(lambda: sorted(worker.desk.recorded) == ["b1", "b2", "b3"])
    assert worker.batch.under_way <= 3
    worker.batch.stop()
    hanging = {claim_id for claim_id in worker.desk.started if "hung" in claim_id}
    worker.desk.let_go(*hanging)
    worker.join()


@pytest.mark.parametrize("capacity", [2, 4, 10, 100, 400, 1000])
def test_hung_lane_never_takes_the_whole_capacity(loop: Loop, capacity: int) -> None:
    hung = [f"hung{n}" for n in range(capacity + 5)]
    worker = a_worker(loop, *claims_of(*hung), capacity=capacity, hold=set(hung))
    worker.run()
    desk = worker.desk
    desk.until(lambda: desk.asked and desk.asked[-1][1] == ["a"])
    taken = len(hung) - len(desk.due)
    assert 0 < taken < capacity
    worker.batch.stop()
    desk.until(lambda: len(desk.started) == taken)
    desk.let_go(*desk.started)
    worker.join()


def test_lane_is_asked_for_again_when_its_calls_have_ended(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of(*(f"t{n}" for n in range(50))), capacity=4)
    worker.batch.run()
    while worker.desk.due:
        worker.batch.run()
    assert len(worker.desk.recorded) == 50


def test_lane_that_was_full_needs_no_ring_to_go_on(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of(*(f"t{n}" for n in range(50))), capacity=4)
    worker.batch.run()
    assert len(worker.desk.recorded) == 50


def test_more_is_claimed_when_a_part_of_the_claims_came_to_nothing(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of(*(f"t{n}" for n in range(20))), capacity=16)
    worker.desk.put_back = {f"t{n}" for n in range(0, 20, 3)}
    worker.batch.run()
    assert len(worker.desk.recorded) == 13


def test_claims_that_all_came_to_nothing_are_not_made_again_at_once(
    loop: Loop,
) -> None:
    worker = a_worker(loop, *claims_of(*(f"t{n}" for n in range(20))), capacity=16)
    worker.desk.put_back = {f"t{n}" for n in range(20)}
    worker.batch.run()
    assert len(worker.desk.asked) == 1


def test_no_more_is_claimed_than_the_capacity(loop: Loop) -> None:
    claims = [Claim(f"t{n}", f"lane{n}") for n in range(30)]
    ids = {claim.id for claim in claims}
    worker = a_worker(loop, *claims, capacity=10, hold=set(ids))
    worker.run()
    worker.desk.until(lambda: len(worker.desk.started) == 10)
    worker.batch.run()
    assert worker.batch.under_way == 10
    worker.desk.let_go(*worker.desk.started)
    worker.desk.until(lambda: len(worker.desk.started) == 20)
    worker.batch.stop()
    worker.desk.let_go(*worker.desk.started)
    worker.join()
    assert len(worker.desk.recorded) == 20


def test_leases_of_calls_under_way_are_extended(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow", "quick"), hold={"slow"}, lease_s=0.15)
    worker.run()
    worker.desk.until(lambda: worker.desk.extended.count(["slow"]) >= 3)
    worker.desk.let_go("slow")
    worker.join()


def test_leases_of_nothing_are_not_extended(loop: Loop) -> None:
    worker = a_worker(loop, lease_s=0.01)
    worker.batch.run()
    assert worker.desk.extended == []


def test_paid_call_leaves_when_it_may(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("t1", "late1"), paid={"t1", "late1"})
    worker.batch.run()
    assert (worker.desk.left, worker.desk.refused) == (["t1"], ["late1"])


def test_paid_calls_wait_for_no_slow_one(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow", "t1"), hold={"slow"}, paid={"t1"})
    worker.run()
    worker.desk.until(lambda: worker.desk.left == ["t1"])
    worker.desk.let_go("slow")
    worker.join()


@pytest.mark.parametrize("error", [away(), PoolTimeout("no connection")])
def test_paid_call_does_not_leave_when_the_database_is_away(
    loop: Loop, error: Exception
) -> None:
    worker = a_worker(loop, *claims_of("t1"), paid={"t1"}, leaving_error=error)
    worker.batch.run()
    assert (worker.desk.left, worker.desk.refused) == ([], ["t1"])


def test_job_without_paid_calls_lets_none_leave(loop: Loop) -> None:
    desk = Desk(loop, due=claims_of("t1"), paid={"t1"})
    job: Job[Claim, str] = Job(
        "test", desk.claim, desk.work, desk.record, desk.extend, lambda claim: "a"
    )
    Batch(job, loop, capacity=9, lease_s=60).run()
    assert desk.refused == ["t1"]


def test_work_that_raises_has_no_outcome_and_takes_nobody_along(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("bad", "good"), broken={"bad"})
    worker.batch.run()
    assert worker.desk.recorded == ["good"]
    assert worker.batch.under_way == 0


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "DATABASE_PAUSE_S", 0.001)


class PgError(Exception):
    """An error of PostgreSQL with its SQLSTATE, as the driver raises it."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(away(), id="away"),
        pytest.param(PoolTimeout("no connection"), id="pool"),
        pytest.param(OperationalError("", {}, PgError("57P01")), id="shutdown"),
        pytest.param(OperationalError("", {}, PgError("40P01")), id="deadlock"),
        pytest.param(OperationalError("", {}, PgError("53100")), id="disk full"),
        pytest.param(OperationalError("", {}, PgError("55P03")), id="locked"),
        pytest.param(OperationalError("", {}, PgError("25006")), id="read only"),
    ],
)
def test_outcome_that_met_trouble_of_the_database_is_recorded_later(
    loop: Loop, error: Exception
) -> None:
    worker = a_worker(loop, *claims_of("t1", "t2"), record_errors=[error] * 5)
    worker.batch.run()
    assert sorted(worker.desk.recorded) == ["t1", "t2"]


def test_outcome_that_cannot_be_recorded_does_not_take_the_others(loop: Loop) -> None:
    ids = ["t1", "bad", "t2", "t3"]
    worker = a_worker(loop, *claims_of(*ids), unrecordable={"bad"}, hold=set(ids))
    worker.run()
    worker.desk.let_go(*ids)
    worker.join()
    assert sorted(worker.desk.recorded) == ["t1", "t2", "t3"]
    assert worker.batch.under_way == 0


def test_defect_in_recording_does_not_take_the_others(loop: Loop) -> None:
    ids = ["t1", "t2"]
    worker = a_worker(
        loop, *claims_of(*ids), record_errors=[ZeroDivisionError()], hold=set(ids)
    )
    worker.run()
    worker.desk.until(lambda: len(worker.desk.started) == 2)

    def let_both_go() -> None:
        for claim_id in ids:
            worker.desk.gates[claim_id].set()

    loop.call_soon_threadsafe(let_both_go)
    worker.join()
    assert len(worker.desk.recorded) >= 1


def test_running_batch_with_room_takes_more_without_a_ring(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow"), hold={"slow"})
    worker.run()
    worker.desk.until(lambda: worker.desk.started == ["slow"])
    worker.desk.due = claims_of("t1")
    assert worker.batch.look_again()
    worker.desk.until(lambda: worker.desk.recorded == ["t1"])
    worker.desk.let_go("slow")
    worker.join()


def test_batch_that_does_not_run_or_has_no_room_needs_a_ring(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow"), hold={"slow"}, capacity=1)
    assert not worker.batch.look_again()
    worker.run()
    worker.desk.until(lambda: worker.desk.started == ["slow"])
    assert not worker.batch.look_again()
    worker.desk.let_go("slow")
    worker.join()


def test_stop_waits_for_calls_under_way_and_claims_nothing_more(loop: Loop) -> None:
    worker = a_worker(loop, *claims_of("slow"), hold={"slow"})
    worker.run()
    worker.desk.until(lambda: worker.desk.started == ["slow"])
    worker.batch.stop()
    worker.desk.due = claims_of("never")
    worker.batch.run()
    assert not worker.batch.join(0.05)
    worker.desk.let_go("slow")
    assert worker.batch.join(WAIT_S)
    assert worker.desk.recorded == ["slow"]
    worker.batch.run()
    assert worker.desk.started == ["slow"]


def test_batch_that_does_not_run_needs_no_waiting(loop: Loop) -> None:
    worker = a_worker(loop)
    assert worker.batch.join(0)


def test_claim_that_fails_is_the_callers_to_see_when_nothing_runs(loop: Loop) -> None:
    worker = a_worker(loop, claim_error=away())
    with pytest.raises(OperationalError):
        worker.batch.run()
    worker.desk.claim_error = None
    worker.desk.due = claims_of("t1")
    worker.batch.run()
    assert worker.desk.recorded == ["t1"]


# In the end `run` raises what claiming raised: the watch asks again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [away(), ZeroDivisionError("a defect of ours")])
def test_claim_that_fails_does_not_leave_calls_under_way_alone(
    loop: Loop, error: Exception
) -> None:
    worker = a_worker(loop, *claims_of("slow"), hold={"slow"})
    thread = worker.run()
    worker.desk.until(lambda: worker.desk.started == ["slow"])
    worker.desk.claim_error = error
    worker.batch.run()
    worker.desk.let_go("slow")
    worker.desk.until(lambda: worker.desk.recorded == ["slow"])
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_idle_batch_ends_at_once(loop: Loop) -> None:
    worker = a_worker(loop)
    begun = time.monotonic()
    worker.batch.run()
    assert time.monotonic() - begun < 1
    assert len(worker.desk.asked) == 1


# The real jobs, on a real store


@pytest.fixture(params=["sqlite", "postgresql"])
def any_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A bench on SQLite, and one on PostgreSQL where one answers."""
    url = f"sqlite:///{tmp_path}/bench.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = Bench(url, tmp_path)
    yield made
    made.close()


def test_no_transaction_is_open_during_a_call(any_bench: Bench, loop: Loop) -> None:
    pool = any_bench.database.engine.pool
    seen: list[tuple[str, int]] = []

    def probed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def probe(*args: Any, **how: Any) -> Any:
            await asyncio.sleep(0.02)  # the thread that claimed has nothing left to do
            seen.append((name, pool.checkedout()))  # type: ignore[attr-defined]
            return await call(*args, **how)

        return probe

    engine = any_bench.engine
    for name in ("send", "download", "deliver"):
        setattr(engine, name, probed(name, getattr(engine, name)))
    any_bench.a_channel()
    task_id = any_bench.a_task(callback_url="https://client.example/hook")
    engine.files["https://cdn.example/1.png"] = PNG
    engine.receivers["https://client.example/hook"] = [Answer(200, "", None)]
    any_bench.script(
        ok(id="job-1"),
        ok(id="job-1", phase="succeeded", urls=["https://cdn.example/1.png"]),
    )

    for job in (submit.job, poll.job, deliver.job):
        with any_bench.rt.transaction() as tx:
            tx.execute(
                update(submissions_table)
                .where(submissions_table.c.due_at.is_not(None))
                .values(due_at=1)
            )
        made: Job[Any, Any] = job(any_bench.rt)
        Batch(made, loop, capacity=100, lease_s=60).run()

    assert seen == [("send", 0), ("send", 0), ("download", 0), ("deliver", 0)]
    task = any_bench.task(task_id)
    assert (task.state, task.callback_state) == (State.SUCCEEDED, "delivered")


def test_two_workers_hand_every_task_over_once(
    postgres_url: str, tmp_path: Path
) -> None:
    bench = Bench(postgres_url, tmp_path)
    bench.a_channel()
    ids = [bench.a_task() for _ in range(40)]
    bench.script(*[ok(id=f"job-{n}") for n in range(80)])
    loops = [asyncio.new_event_loop() for _ in range(2)]
    threads = []
    for loop in loops:
        threads.append(threading.Thread(target=loop.run_forever))
        made: Batch[Any, Any] = Batch(
            submit.job(bench.rt), loop, capacity=200, lease_s=60
        )
        threads.append(threading.Thread(target=made.run))
    for thread in threads:
        thread.start()
    for thread in threads[1::2]:
        thread.join(20)
    for loop in loops:
        loop.call_soon_threadsafe(loop.stop)
    for thread in threads[::2]:
        thread.join(5)
    for loop in loops:
        loop.close()
    keys = [call.json["key"] for _, call in bench.engine.calls]
    assert len(keys) == len(set(keys)) == len(ids)
    assert {bench.task(task_id).state for task_id in ids} == {State.PROCESSING}
    bench.close()
