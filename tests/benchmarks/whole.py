"""A task's whole life under load: CPU of all processes for each task.

Intake, submit, three looks, copying one picture, finishing, one callback.
"""

from __future__ import annotations

import time

from tests.benchmarks import load
from tests.benchmarks.figures import Better, Figure
from tests.benchmarks.load import Order
from tests.benchmarks.stand import Meter, Options, standing
from tests.journeys.gateway import eventually

NAME = "whole"
SPACING_S = 2.0
THIRD_LOOK = -3.0
IDLE_S = 4.0
TASKS_PER_S = 150.0
END_S = 120.0
MOST_MS = 12.0


def measure(options: Options) -> list[Figure]:
    """Milliseconds of CPU, by who used them."""
    spacing = str(SPACING_S)
    settings = {"GENRELAY_POLL_MIN_S": spacing, "GENRELAY_POLL_MAX_S": spacing}
    wanted = int(TASKS_PER_S * options.seconds)
    with standing(options, job_s=THIRD_LOOK, settings=settings) as stand:
        web = stand.start_web()
        workers = [stand.start_worker(q) for q in ("submit", "poll", "deliver,sweep")]
        stand.post(stand.task(callback=True))
        eventually(lambda: stand.counts().get("callback"), 60, stand.logs())
        meter = Meter(stand, [web, *workers])
        meter.start()
        time.sleep(IDLE_S)
        idle = meter.read()
        before = stand.counts()
        meter.start()
        done = load.run(
            Order(
                stand.url + "/generation/tasks",
                16,
                options.seconds + END_S,
                method="POST",
                body=stand.task(callback=True),
                authorization=stand.authorization,
                most=wanted,
            )
        )
        count = sum(done.statuses.values())
        if done.bad_count:
            raise RuntimeError(f"not all were taken: {done.statuses}")
        until = time.monotonic() + END_S
        over = 0
        while over < count and time.monotonic() < until:
            time.sleep(0.5)
            over = stand.counts()["callback"] - before["callback"]
        used = meter.read()
        after = stand.counts()
        if over < count:
            options.say(f"only {over} of {count} ended in time")
    each_ms = 1000 / max(over, 1)
    idle_s = idle.total_s / idle.elapsed_s * used.elapsed_s
    looks = (after["look"] - before["look"]) / max(over, 1)
    return [
        Figure(
            "a task's whole life, CPU of all processes",
            used.total_s * each_ms,
            "ms",
            goal=MOST_MS,
            note=f"gateway {used.own_s * each_ms:.1f}, PostgreSQL "
            f"{used.database_s * each_ms:.1f}, Redis (whole server) "
            f"{used.redis_s * each_ms:.1f} ms; {looks:.2f} looks each; "
            f"{idle_s * each_ms:.1f} ms of it would be used idle",
        ),
        Figure(
            "tasks through their whole life",
            over / used.elapsed_s,
            "per s",
            Better.MORE,
            note=f"{over:,} tasks, {used.elapsed_s:.0f} s",
        ),
    ]
