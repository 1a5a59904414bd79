"""Many workers and watches on one PostgreSQL: each row once, no limit exceeded."""

from __future__ import annotations

import asyncio
import io
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import text

from app.bells import Bell
from app.lifecycle import State
from app.store import ledger, tasks
from app.store.ids import new_task_id
from app.store.ledger import Price, Unit
from app.store.tasks import NewTask
from providers.flow import Call, Reply
from tests.app.store.stores import add_client
from tests.workers.bench import Bench, FakeEngine, ok
from workers import deliver, poll, submit
from workers.batch import Batch, Job
from workers.http import Account, Answer
from workers.runtime import WorkerRuntime
from workers.watch import Watch

TASKS = 2000  # each is due three times at least: to be sent, looked at, called back
HOOKED = 1000
CLIENTS = 8
HOSTS = 40
IN_FLIGHT = 60
PER_S = 100
WIDE_PER_S = 200
LONGEST_S = 150


class MemoryStorage:
    """Files of one process; only what the work loop uses."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        self._files[key] = content

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._files[key])


@dataclass
class Upstreams(FakeEngine):
    """Answers at once, in any thread, and counts what it is asked for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    paid_for: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)

    async def send(self, call: Call, account: Account, **kw: Any) -> Reply:
        await asyncio.sleep(0)
        if call.paid:
            prompt = call.json["prompt"]
            with self.lock:
                self.paid_for[prompt] += 1
            return ok(id=prompt)
        job_id = call.url.rpartition("/")[2]
        if int(job_id, 16) % 2:
            return ok(id=job_id, phase="failed", reason="upstream_failed")
        return ok(id=job_id, phase="succeeded", urls=["data:image/png;base64,aGk="])

    async def deliver(self, url: str, headers: Any, *args: Any, **kw: Any) -> Answer:
        await asyncio.sleep(0)
        with self.lock:
            self.heard[headers["webhook-id"]] += 1
        return Answer(204, "", None)


@dataclass
class Census:
    """What was claimed, and what was under way at one time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    claims: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    starts: dict[str, list[float]] = field(default_factory=dict)

    def watched(self, job: Job[Any, Any], narrow: str) -> Job[Any, Any]:
        """The job with everything that it claims and records counted."""

        def claim(limit: int, full: Collection[str]) -> Sequence[Any]:
            claims = job.claim(limit, full)
            with self.lock:
                for claimed in claims:
                    self.claims[job.name, claimed.id, claimed.fence] += 1
                    lane = f"{job.name} {job.lane(claimed)}"
                    self.under_way[lane] += 1
                    self.most[lane] = max(self.most[lane], self.under_way[lane])
                    if job.lane(claimed) == narrow:
                        self.starts.setdefault(job.name, []).append(claimed.starts_at)
            return claims

        def record(outcomes: Sequence[tuple[Any, Any]]) -> None:
            with self.lock:
                for claimed, _ in outcomes:
                    self.under_way[f"{job.name} {job.lane(claimed)}"] -= 1
            job.record(outcomes)

        return replace(job, claim=claim, record=record)


@dataclass
class Worker:
    """One worker process in threads: a runtime, a loop and a batch for each bell."""

    rt: WorkerRuntime
    loop: asyncio.AbstractEventLoop
    batches: dict[Bell, Batch[Any, Any]]


def a_worker(bench: Bench, census: Census, narrow: str) -> Worker:
    rt = WorkerRuntime(
        bench.base,
        bench.engine,  # type: ignore[arg-type]
        providers=bench.providers,
    )
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    jobs = {
        Bell.SUBMIT: submit.job(rt),
        Bell.POLL: poll.job(rt),
        Bell.DELIVER: deliver.job(rt),
    }
    batches: dict[Bell, Batch[Any, Any]] = {
        bell: Batch(
            census.watched(job, narrow),
            loop,
            capacity=200,
            lease_s=bench.settings.lease_s,
        )
        for bell, job in jobs.items()  # type: ignore[attr-defined]
    }
    return Worker(rt, loop, batches)


def fill(bench: Bench) -> None:
    """Tasks of several clients, due at once, each with its money held."""
    numbers = iter(range(TASKS))
    with bench.base.transaction() as tx:
        ledger.set_price(tx, Price("lumen-1", "", Unit.IMAGE, Decimal(1)))
    for n in range(CLIENTS):
        with bench.base.transaction() as tx:
            client_id = f"client_{n}"
            sealed = bench.base.sealer.seal("whsec_c2VjcmV0", f"client:{client_id}")
            add_client(tx, client_id, webhook_secret=sealed, priority=n % 3)
            ledger.top_up(tx, client_id, Decimal(TASKS))
            for _ in range(TASKS // CLIENTS):
                number = next(numbers)
                host = f"https://host-{number % HOSTS}.example/hook"
                task_id = new_task_id()
                tasks.add(
                    tx,
                    client_id,
                    NewTask(
                        id=task_id,
                        model="lumen-1",
                        media_type="image",
                        inputs={"prompt": f"{number:x}"},
                        callback_url=host if number < HOOKED else None,
                    ),
                )
                ledger.hold(tx, client_id, task_id, "lumen-1", ["wide"], {"n": 1})


def test_many_workers_do_every_row_once_and_keep_to_the_limits(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage: Any = MemoryStorage()
    bench = Bench(postgres_url, tmp_path, storage=storage)
    object.__setattr__(bench.base, "now", time.time)
    bench.engine = Upstreams(storage=storage)
    narrow = bench.a_channel(
        "narrow",
        priority=1,
        limits={"in_flight": IN_FLIGHT, "submits_per_s": PER_S, "polls_per_s": PER_S},
    )
    # Not all at once, so that the narrow one has its places taken more than once.
    bench.a_channel("wide", limits={"submits_per_s": WIDE_PER_S})
    fill(bench)
    census = Census()
    workers = [a_worker(bench, census, narrow) for _ in range(4)]
    pool = ThreadPoolExecutor(24)
    done = threading.Event()

    def ring(bell: Bell) -> None:
        if bell is not Bell.SWEEP and not done.is_set():
            pool.submit(random.choice(workers).batches[bell].run)

    object.__setattr__(bench.base, "ring", ring)

    def watch(worker: Worker) -> None:
        jobs: dict[Bell, Callable[[], None]] = {
            bell: batch.run for bell, batch in worker.batches.items()
        }
        watching = Watch(worker.rt, jobs)
        while not done.is_set():
            watching.look(time.monotonic())
            done.wait(0.2)

    watches = [
        threading.Thread(target=watch, args=(workers[n % 4],), daemon=True)
        for n in range(8)
    ]
    try:
        with caplog.at_level(logging.WARNING):
            for thread in watches:
                thread.start()
            wait_until_done(bench)
    finally:
        done.set()
        for worker in workers:
            for batch in worker.batches.values():
                batch.stop()
        for thread in watches:
            thread.join(10)
        pool.shutdown(cancel_futures=True)
        for worker in workers:
            worker.loop.call_soon_threadsafe(worker.loop.stop)

    # Neither a deadlock nor a row that could not be recorded.
    assert [r.getMessage() for r in caplog.records] == []
    assert set(census.claims.values()) == {1}, "two had the same right to a row"
    assert len(bench.engine.paid_for) == TASKS
    assert set(bench.engine.paid_for.values()) == {1}, "paid twice"
    assert len(bench.engine.heard) == HOOKED
    assert set(bench.engine.heard.values()) == {1}, "called back twice"
    assert census.most[f"submit {narrow}"] <= IN_FLIGHT
    for job in ("submit", "poll"):
        starts = sorted(census.starts[job])
        assert len(starts) > IN_FLIGHT
        gaps = [b - a for a, b in zip(starts, starts[PER_S:], strict=False)]
        assert min(gaps, default=1.0) >= 1.0, f"more than {PER_S} {job}s in a second"
    hosts = {k: n for k, n in census.most.items() if k.startswith("deliver")}
    assert len(hosts) == HOSTS
    assert max(hosts.values()) <= deliver.PER_HOST
    with bench.base.reading() as tx:
        assert ledger.find_unbalanced(tx) == []
    money = bench.row(
        "SELECT count(*) AS n, sum(balance) AS left FROM clients"
        " WHERE balance IS NOT NULL"
    )
    succeeded = bench.row(
        "SELECT count(*) AS n FROM tasks WHERE state = :state",
        state=State.SUCCEEDED.value,
    )
    assert succeeded["n"] == TASKS // 2
    parts = 10**8
    assert money["left"] == (CLIENTS * TASKS - succeeded["n"]) * parts
    bench.close()


def wait_until_done(bench: Bench) -> None:
    until = time.monotonic() + LONGEST_S
    left: Any = None
    while time.monotonic() < until:
        with bench.base.reading() as tx:
            left = tx.execute(
                text(
                    "SELECT (SELECT count(*) FROM tasks WHERE finished_at IS NULL)"
                    " + (SELECT count(*) FROM deliveries WHERE ended_at IS NULL)"
                )
            ).scalar_one()
        if not left:
            return
        time.sleep(0.2)
    pytest.fail(f"{left} rows are not done after {LONGEST_S} s")
