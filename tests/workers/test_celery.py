"""Celery: a ring makes a worker's job run, over each broker."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.worker import state as celery_state

from app.bells import Bell, Ringer, make_celery
from app.lifecycle import State
from app.settings import Settings
from tests.workers.bench import Bench, bench, ok
from workers import celery as jobs_module
from workers.celery import Pool, make_worker, register
from workers.process import Working

__all__ = ["bench"]

WAIT_S = 15.0


@dataclass(frozen=True)
class Jobs:
    """What a pool offers to `register`."""

    jobs: Mapping[Bell, Callable[[], None]]


@contextmanager
def working(celery: Celery, jobs: Mapping[Bell, Callable[[], None]]) -> Iterator[None]:
    """A real worker with these jobs, in a thread."""
    register(celery, Jobs(jobs))  # type: ignore[arg-type]
    worker = make_worker(celery, list(jobs))
    celery_state.should_stop = None
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()
    try:
        yield
    finally:
        celery_state.should_stop = os.EX_OK
        thread.join(WAIT_S)
        celery_state.should_stop = None
        assert not thread.is_alive()


def celery_at(url: str) -> Celery:
    env = {"GENRELAY_DATA": "unused", "BROKER_URL": url}
    return make_celery(Settings.from_env(env))


@pytest.fixture
def in_memory() -> Celery:
    """A Celery app on the broker of this process, whose queues are empty."""
    made = celery_at("memory://")
    with made.connection_for_write() as connection:
        for bell in Bell:
            queue = made.amqp.queues[bell.value].bind(connection.default_channel)
            queue.declare()
            queue.purge()
    return made


@pytest.fixture(params=["memory", "redis", "rabbitmq"])
def celery(request: pytest.FixtureRequest) -> Celery:
    """A Celery app on each broker that answers."""
    if request.param == "memory":
        made: Celery = request.getfixturevalue("in_memory")
        return made
    return celery_at(str(request.getfixturevalue(f"{request.param}_url")))


@pytest.fixture
def on_redis(redis_url: str) -> Celery:
    return celery_at(redis_url)


def test_ring_runs_the_job_of_its_bell_and_no_other(celery: Celery) -> None:
    done = {bell: threading.Event() for bell in Bell}
    ringer = Ringer(celery)
    with working(celery, {bell: event.set for bell, event in done.items()}):
        ringer.ring(Bell.POLL)
        assert done[Bell.POLL].wait(WAIT_S)
        ringer.close()
    assert [bell for bell, event in done.items() if event.is_set()] == [Bell.POLL]


def test_ring_before_any_worker_started_is_kept(on_redis: Celery) -> None:
    done = threading.Event()
    ringer = Ringer(on_redis)
    ringer.ring(Bell.SUBMIT)
    end = time.monotonic() + WAIT_S
    while not ringer._last and time.monotonic() < end:
        time.sleep(0.005)
    ringer.close()
    with working(on_redis, {Bell.SUBMIT: done.set}):
        assert done.wait(WAIT_S)


def test_job_that_fails_does_not_stop_the_next(on_redis: Celery) -> None:
    runs: list[int] = []
    twice = threading.Event()

    def fail() -> None:
        runs.append(1)
        if len(runs) == 2:
            twice.set()
        raise ZeroDivisionError

    ringer = Ringer(on_redis)
    with working(on_redis, {Bell.DELIVER: fail}):
        for count in (1, 2):
            ringer.ring(Bell.DELIVER)
            end = time.monotonic() + WAIT_S
            while len(runs) < count and time.monotonic() < end:
                time.sleep(0.005)
        assert twice.wait(1)
        ringer.close()


def test_stopping_waits_for_the_job_that_runs(on_redis: Celery) -> None:
    started, go_on = threading.Event(), threading.Event()
    ended: list[str] = []

    def slow() -> None:
        started.set()
        go_on.wait(WAIT_S)
        ended.append("job")

    ringer = Ringer(on_redis)
    with working(on_redis, {Bell.SUBMIT: slow}):
        ringer.ring(Bell.SUBMIT)
        assert started.wait(WAIT_S)
        celery_state.should_stop = os.EX_OK
        threading.Timer(0.2, go_on.set).start()
    ended.append("worker")
    ringer.close()
    assert ended == ["job", "worker"]


def test_worker_with_nothing_to_do_stops_at_once(celery: Celery) -> None:
    done = threading.Event()
    ringer = Ringer(celery)
    with working(celery, {Bell.POLL: done.set}):
        ringer.ring(Bell.POLL)
        assert done.wait(WAIT_S)
        ringer.close()
        time.sleep(1)  # its broker says nothing more
        begun = time.monotonic()
    assert time.monotonic() - begun < 4


@dataclass
class BusyPool:
    """A pool whose job finds work until it is told to take no more."""

    started: threading.Event = field(default_factory=threading.Event)
    told: threading.Event = field(default_factory=threading.Event)

    @property
    def jobs(self) -> Mapping[Bell, Callable[[], None]]:
        return {Bell.POLL: self.work}

    def work(self) -> None:
        self.started.set()
        self.told.wait(WAIT_S)

    def take_no_more(self) -> None:
        self.told.set()


def test_worker_that_always_finds_work_stops_when_it_is_told(
    in_memory: Celery,
) -> None:
    pool: Any = BusyPool()
    register(in_memory, pool)
    told = Working(make_worker(in_memory, [Bell.POLL]), pool)
    celery_state.should_stop = None
    thread = threading.Thread(target=told.run, daemon=True)
    thread.start()
    ringer = Ringer(in_memory)
    ringer.ring(Bell.POLL)
    assert pool.started.wait(WAIT_S)
    told.stop()
    thread.join(WAIT_S / 2)
    celery_state.should_stop = None
    ringer.close()
    assert not thread.is_alive()


def test_broken_message_does_not_stop_the_worker(on_redis: Celery) -> None:
    done = threading.Event()
    ringer = Ringer(on_redis)
    with working(on_redis, {Bell.SWEEP: done.set}):
        with on_redis.connection_for_write() as connection:
            producer = connection.Producer()
            for body, kind in (
                (b"\x80pickle", "application/x-python-serialize"),
                (b"{", "application/json"),
            ):
                producer.publish(
                    body,
                    routing_key="sweep",
                    content_type=kind,
                    content_encoding="binary",
                )
        ringer.ring(Bell.SWEEP)
        assert done.wait(WAIT_S)
        ringer.close()


def test_jobs_have_the_names_of_their_bells() -> None:
    celery = make_celery(Settings.from_env({"GENRELAY_DATA": "unused"}))
    register(celery, Jobs({bell: lambda: None for bell in Bell}))  # type: ignore[arg-type]
    assert {f"genrelay.{bell.value}" for bell in Bell} <= set(celery.tasks)


def test_worker_takes_only_its_own_queues() -> None:
    celery = make_celery(Settings.from_env({"GENRELAY_DATA": "unused"}))
    worker = make_worker(celery, [Bell.POLL, Bell.SWEEP])
    assert set(worker.app.amqp.queues.consume_from) == {"poll", "sweep"}
    assert worker.concurrency == 2 * jobs_module.THREADS_PER_QUEUE


class Loop:
    """An engine's loop in a thread, and a scripted engine on it."""

    def __init__(self, bench: Bench) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        bench.engine.loop = self.loop  # type: ignore[attr-defined]

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def pool(bench: Bench) -> Iterator[Pool]:
    loop = Loop(bench)
    yield Pool(bench.rt)
    loop.close()


def test_pool_has_a_job_for_every_bell(pool: Pool) -> None:
    assert set(pool.jobs) == set(Bell)


def test_pool_of_some_bells_has_their_jobs_alone(bench: Bench, pool: Pool) -> None:
    assert set(Pool(bench.rt, [Bell.POLL]).jobs) == {Bell.POLL}


def test_job_of_a_pool_does_what_is_due(bench: Bench, pool: Pool) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.script(ok(id="job-1"))
    pool.jobs[Bell.SUBMIT]()
    assert bench.task(task_id).state is State.PROCESSING
    assert pool.under_way == 0


def test_pool_at_work_takes_what_is_due_without_a_message(
    bench: Bench, pool: Pool
) -> None:
    bench.a_channel()
    bench.a_task()
    started = threading.Event()
    gate: list[asyncio.Event] = []

    async def slow(*args: Any, **how: Any) -> Any:
        gate.append(asyncio.Event())
        started.set()
        await gate[0].wait()
        return ok(id="job-1")

    bench.engine.send = slow  # type: ignore[method-assign]
    bench.rt.ring(Bell.SUBMIT)
    assert bench.rung == [Bell.SUBMIT]  # it is not at work yet
    thread = threading.Thread(target=pool.jobs[Bell.SUBMIT])
    thread.start()
    assert started.wait(WAIT_S)
    bench.rt.ring(Bell.SUBMIT)
    bench.rt.ring(Bell.POLL)
    assert bench.rung == [Bell.SUBMIT, Bell.POLL]
    bench.engine.loop.call_soon_threadsafe(gate[0].set)  # type: ignore[attr-defined]
    thread.join(WAIT_S)


def test_pool_that_was_stopped_takes_nothing_new(bench: Bench, pool: Pool) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    pool.start()
    pool.stop()
    pool.join(1)
    pool.jobs[Bell.SUBMIT]()
    assert bench.task(task_id).state is State.QUEUED


def test_pool_that_is_stopped_waits_for_calls_under_way(
    bench: Bench, pool: Pool, tmp_path: Path
) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    started = threading.Event()
    gate: list[asyncio.Event] = []

    async def slow(*args: Any, **how: Any) -> Any:
        gate.append(asyncio.Event())
        started.set()
        await gate[0].wait()
        return ok(id="job-1")

    bench.engine.send = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=pool.jobs[Bell.SUBMIT])
    thread.start()
    assert started.wait(WAIT_S)
    pool.start()
    pool.stop()
    assert pool.under_way == 1
    bench.engine.loop.call_soon_threadsafe(gate[0].set)  # type: ignore[attr-defined]
    pool.join(WAIT_S)
    thread.join(WAIT_S)
    assert bench.task(task_id).state is State.PROCESSING
