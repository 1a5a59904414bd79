"""Waiting: from a POST to its submit, from an end to its news, idle and under load."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

from app.security.sealing import derive
from app.security.signatures import callback_token
from tests.benchmarks import rows
from tests.benchmarks.figures import Figure, percentile, shown
from tests.benchmarks.poll import seed
from tests.benchmarks.stand import CHANNEL, Options, Stand, standing
from tests.journeys.gateway import eventually

NAME = "latency"
QUEUES = "submit,poll,deliver,sweep"
SAMPLES = 25
IN_FLIGHT = 10_000
ENDING = 500
SPACING_S = 10.0
RARE_S = 30.0
START_S = 15.0  # the workers' own start, before the first job ends


def measure(options: Options) -> list[Figure]:
    """All three; the loads are of 10,000 tasks in flight on one channel."""
    figures: list[Figure] = []
    for part in (idle, by_polling, by_callback):
        found = part(options)
        figures += found
        # Each takes a minute: what is known is shown, whatever comes.
        options.say("\n".join(f"{f.name}: {shown(f.measured)} ms" for f in found))
    return figures


def idle(options: Options) -> list[Figure]:
    """One task at a time; the next one leaves when the last one's callback came."""
    settings = {"GENRELAY_POLL_MIN_S": "0.2"}
    submits, news = [], []
    with standing(options, job_s=0.1, settings=settings) as stand:
        stand.start_web()
        stand.start_worker(QUEUES)
        warm(stand)
        for n in range(SAMPLES):
            prompt = f"idle {n}"
            begun = time.time()
            task_id = stand.post(stand.task(prompt, callback=True))
            seen = called(stand, task_id)
            submits.append(seen["submitted"][prompt] - begun)
            query = "SELECT finished_at FROM tasks WHERE id = %s"
            finished_ms = stand.sql(query, task_id)[0][0]
            news.append(max(seen["called"][task_id] - finished_ms / 1000, 0.0))
    return [
        *spread("idle, POST to submit sent", submits, 0.1),
        *spread("idle, final state to first callback", news, 0.3),
    ]


def warm(stand: Stand) -> None:
    """One task all the way, so that every connection is there."""
    called(stand, stand.post(stand.task("warm", callback=True)))


def called(stand: Stand, task_id: str) -> dict[str, Any]:
    """What the receiver has seen once the callback of a task has come."""

    def ask() -> dict[str, Any] | None:
        seen = stand.seen()
        return seen if task_id in seen["called"] else None

    return eventually(ask, 60, f"the callback of {task_id}: {stand.logs()}")


def by_polling(options: Options) -> list[Figure]:
    """Jobs that end among 10,000 in flight, found by looks every ten seconds."""
    delays = ends(options, SPACING_S, calls=False)
    name = f"upstream end to status visible, looks every {SPACING_S:g} s"
    return spread(name, delays, SPACING_S * 1.1 + 2)


def by_callback(options: Options) -> list[Figure]:
    """The same with the upstream's callback at each end."""
    delays = ends(options, RARE_S, calls=True)
    return spread("upstream end to status visible, by its callback", delays, 1.0)


def spread(name: str, values: Sequence[float], goal_s: float) -> list[Figure]:
    """Median and 95th percentile, in milliseconds."""
    note = f"{len(values)} times"
    return [
        Figure(f"{name}, p50", 1000 * percentile(values, 0.5), "ms", note=note),
        Figure(
            f"{name}, p95", 1000 * percentile(values, 0.95), "ms", goal=1000 * goal_s
        ),
    ]


def ends(options: Options, spacing_s: float, *, calls: bool) -> list[float]:
    """Seconds from each end to the task's own; infinite for one that was not seen."""
    spacing = str(spacing_s)
    settings = {"GENRELAY_POLL_MIN_S": spacing, "GENRELAY_POLL_MAX_S": spacing}
    span_s = options.seconds
    with standing(options, settings=settings) as stand:
        # It serves the callbacks, and before that the first task.
        seed(stand, stand.start_web())
        task_id = stand.sql("SELECT id FROM tasks")[0][0]
        stand.start_web()
        first_ms = int((START_S + (2 if calls else spacing_s)) * 1000)
        rows.copy_in_flight(
            stand,
            task_id,
            IN_FLIGHT,
            ends_in_ms=f"CASE WHEN nth <= {ENDING} THEN {first_ms} + "
            f"nth * {int(span_s * 1000)} / {ENDING} ELSE 36000000 END",
            # Nothing is overdue when the worker begins, so nothing is in the way.
            due_in_ms=f"{int(START_S * 1000)} + nth % {int(spacing_s * 1000)}",
        )
        stand.start_worker("submit,poll,sweep")
        jobs = stand.sql(
            "SELECT id, task_id, remote_id FROM submissions"
            " WHERE remote_id LIKE 'job-%%' AND state = 'accepted'"
            " ORDER BY split_part(remote_id, '-', 2)::bigint LIMIT %s",
            ENDING,
        )
        known_at = {
            task_id: int(remote_id.split("-")[1]) / 1000
            for _, task_id, remote_id in jobs
        }
        if calls:
            known_at = call_back(stand, jobs)
        last_s = int(jobs[-1][2].split("-")[1]) / 1000 - time.time()
        time.sleep(max(last_s, 0) + (0 if calls else spacing_s * 1.2) + 5)
        finished: dict[str, int] = dict(
            stand.sql("SELECT id, finished_at FROM tasks WHERE state = 'succeeded'")
        )
    return [
        finished[task_id] / 1000 - at if task_id in finished else math.inf
        for task_id, at in known_at.items()
    ]


def call_back(stand: Stand, jobs: Sequence[tuple[str, str, str]]) -> dict[str, float]:
    """Tell the gateway of each end when it comes, as DashScope's events do.

    Gives when each call left: a busy machine may delay the calls themselves.
    """
    sent_at = {}
    key = derive(stand.env["GENRELAY_SECRET_KEY"], "upstream-callbacks")
    for submission_id, task_id, remote_id in jobs:
        time.sleep(max(int(remote_id.split("-")[1]) / 1000 - time.time(), 0))
        sent_at[task_id] = time.time()
        token = f"{submission_id}.{callback_token(key, submission_id)}"
        stand.session.post(
            f"{stand.url}/upstream/{CHANNEL}/{token}",
            data=json.dumps({"data": {"task_id": remote_id}}),
            headers={"Content-Type": "application/json"},
            timeout=30,
        ).raise_for_status()
    return sent_at
