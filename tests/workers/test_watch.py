"""The watch: what is due is found once a second, also without a broker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy.exc import OperationalError

from app.bells import Bell
from tests.workers.bench import Bench, bench, ok
from workers import watch as watch_module
from workers.watch import PATIENCE_S, SWEEP_EVERY_S, Watch

__all__ = ["bench"]


def nothing() -> None:
    """A job."""


JOBS: Mapping[Bell, Callable[[], None]] = dict.fromkeys(
    (Bell.SUBMIT, Bell.POLL, Bell.DELIVER), nothing
)


def test_nothing_due_rings_nothing(bench: Bench) -> None:
    Watch(bench.rt, JOBS).look(0)
    assert bench.rung == []


def test_due_task_rings_its_own_bell(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    Watch(bench.rt, JOBS).look(0)
    assert bench.rung == [Bell.SUBMIT]


def test_due_submission_rings_for_a_look(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(ok(id="job-1"))
    bench.rung.clear()
    watch = Watch(bench.rt, JOBS)
    watch.look(0)
    assert bench.rung == []
    bench.wait(5)
    watch.look(5)
    assert bench.rung == [Bell.POLL]


def test_watch_looks_for_its_own_queues_alone(bench: Bench) -> None:
    bench.a_task()
    Watch(bench.rt, {Bell.DELIVER: nothing}).look(0)
    assert bench.rung == []


def test_sweep_is_done_once_a_minute_without_the_broker(bench: Bench) -> None:
    swept = threading.Semaphore(0)
    watch = Watch(bench.rt, {Bell.SWEEP: swept.release})
    for now in (1000.0, 1001.0, 1000.0 + SWEEP_EVERY_S - 1, 1000.0 + SWEEP_EVERY_S):
        watch.look(now)
    assert swept.acquire(timeout=5)
    assert swept.acquire(timeout=5)
    assert not swept.acquire(blocking=False)
    assert bench.rung == []


def test_job_that_fails_without_a_ring_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    Watch(bench.rt, {Bell.SWEEP: fail}).look(1000)
    for thread in threading.enumerate():
        if thread.name == "sweep-unrung":
            thread.join(5)
    assert [r.getMessage() for r in caplog.records] == ["a job failed"]


def test_work_that_stays_due_is_done_without_the_broker(bench: Bench) -> None:
    bench.a_task()
    done = threading.Event()
    watch = Watch(bench.rt, {Bell.SUBMIT: done.set})
    watch.look(100)
    watch.look(100 + PATIENCE_S - 0.1)
    assert not done.is_set()
    watch.look(100 + PATIENCE_S)
    assert done.wait(5)


def test_patience_begins_anew_when_the_work_was_done(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    done = threading.Event()
    watch = Watch(bench.rt, {Bell.SUBMIT: done.set})
    watch.look(100)
    bench.submit(ok(id="job-1"))
    watch.look(101)
    bench.a_task()
    watch.look(102)
    watch.look(100 + PATIENCE_S + 1)
    assert not done.is_set()


@pytest.mark.parametrize(
    "error", [OperationalError("", {}, OSError("away")), ZeroDivisionError("a defect")]
)
def test_watch_outlives_a_database_that_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(watch_module, "LOOK_EVERY_S", 0.001)
    looked = threading.Event()
    watch = Watch(bench.rt, JOBS)
    failures = [error, error]

    def look(now: float) -> None:
        if failures:
            raise failures.pop()
        looked.set()

    watch.look = look  # type: ignore[method-assign]
    watch.start()
    assert looked.wait(5)
    watch.stop()


def test_stopped_watch_looks_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "LOOK_EVERY_S", 0.001)
    watch = Watch(bench.rt, JOBS)
    watch.start()
    watch.stop()
    bench.a_task()
    assert bench.rung == []
