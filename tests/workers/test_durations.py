"""What the looks of finished jobs teach, and the next looks that follow from it."""

from __future__ import annotations

from typing import Any

import pytest

from app import durations
from app.durations import Learned
from app.store import durations as kept
from app.store import submissions
from app.store.durations import Ended
from tests.workers.bench import MODEL, PNG, Bench, bench, ok, refused

__all__ = ["bench"]

URL = "https://cdn.example/1.png"


def run_job(bench: Bench, *looks_at_s: float, wake_at_s: float | None = None) -> None:
    """One task that is looked at so many seconds after its submit; the last look
    finds it done."""
    bench.engine.files[URL] = PNG
    task_id = bench.a_task()
    bench.submit(ok(id=f"job-{task_id}"))
    passed = 0.0
    for n, at_s in enumerate(looks_at_s, 1):
        if wake_at_s is not None and n == len(looks_at_s):
            bench.wait(wake_at_s - passed)
            passed = wake_at_s
            with bench.rt.transaction() as tx:
                submissions.wake(tx, bench.submissions(task_id)[0].id)
        bench.wait(at_s - passed)
        passed = at_s
        done: dict[str, Any] = {"phase": "succeeded", "urls": [URL]}
        state = done if n == len(looks_at_s) else {"phase": "running"}
        with bench.rt.transaction() as tx:
            tx.exec_driver_sql("UPDATE submissions SET due_at = 1 WHERE due_at > 0")
        bench.look(ok(id=f"job-{task_id}", **state))
    bench.rt.durations.flush()


def learned(bench: Bench) -> Learned:
    with bench.rt.transaction() as tx:
        (known,) = kept.load(tx).values()
    return known


def likeliest_s(bench: Bench) -> tuple[float, float]:
    weights = learned(bench).weights
    n = max(range(len(weights)), key=weights.__getitem__)
    return durations.EDGES[n], durations.EDGES[n + 1]


def test_job_ended_between_the_last_look_that_saw_it_and_this_one(
    bench: Bench,
) -> None:
    bench.a_channel()
    run_job(bench, 30, 36)
    low, high = likeliest_s(bench)
    assert low < 36
    assert high > 30
    assert learned(bench).job_count == 1


def test_job_that_was_called_ended_when_it_was_called(bench: Bench) -> None:
    bench.a_channel()
    run_job(bench, 10, 100, wake_at_s=99)
    low, high = likeliest_s(bench)
    assert low <= 100 <= high
    assert learned(bench).called_share == pytest.approx(0.1)


def test_callback_of_long_ago_is_no_end(bench: Bench) -> None:
    bench.a_channel()
    run_job(bench, 90, 100, wake_at_s=92)
    assert learned(bench).called_share == 0


def test_look_that_failed_saw_nothing(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(ok(id="job-1"))
    bench.wait(400)
    bench.look(refused(500))
    assert bench.row("SELECT looked_at FROM submissions")["looked_at"] is None
    bench.wait(100)
    bench.look(ok(id="job-1", phase="running"))
    assert bench.row("SELECT looked_at FROM submissions")["looked_at"] is not None


def test_failed_jobs_teach_nothing(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(ok(id="job-1"))
    bench.wait(400)
    bench.look(ok(id="job-1", phase="failed", reason="no"))
    bench.rt.durations.flush()
    with bench.rt.transaction() as tx:
        assert kept.load(tx) == {}


def test_later_jobs_are_left_alone_until_one_may_have_ended(bench: Bench) -> None:
    channel_id = bench.a_channel()
    job = Ended(channel_id, MODEL.name, MODEL.typical_s, 59, 61, False)
    with bench.rt.transaction() as tx:
        kept.learn(tx, [job] * 50)
    bench.rt.durations.flush()

    task_id = bench.a_task()
    bench.submit(ok(id="job-n"))

    row = bench.row(
        "SELECT due_at FROM submissions WHERE task_id = :task_id", task_id=task_id
    )
    assert row["due_at"] / 1000 - bench.clock > 20


def test_what_another_worker_learned_is_used(bench: Bench) -> None:
    bench.a_channel()
    for _ in range(4):
        run_job(bench, 59, 61)
    other = type(bench.rt.durations)(bench.rt.base)
    other.flush()
    assert [known.job_count for known in other._learned.values()] == [4]
