"""Following jobs: one worker process at full speed, SQL included."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.benchmarks import answers, machine, rows
from tests.benchmarks.figures import Better, Figure
from tests.benchmarks.stand import ROOT, Meter, Options, Stand, standing
from tests.journeys.gateway import Process, eventually

NAME = "poll"
IN_FLIGHT = (10_000, 100_000)
SPACING_S = 0.5  # so small that there is always something due
CONCURRENCY = 200
WARM_S = 3.0
MOST_MB = 400.0
FAR_MS = "36000000"


def measure(options: Options) -> list[Figure]:
    """Polls a second, for a second of CPU, and memory, at two numbers of tasks."""
    figures: list[Figure] = []
    spacing = str(SPACING_S)
    settings = {"GENRELAY_POLL_MIN_S": spacing, "GENRELAY_POLL_MAX_S": spacing}
    for in_flight in IN_FLIGHT[:1] if options.small else IN_FLIGHT:
        with standing(options, settings=settings) as stand:
            web = stand.start_web()
            fill(stand, web, in_flight)
            figures += follow(stand, in_flight)
    return figures


def fill(stand: Stand, web: Process, count: int, due_in_ms: str = "nth % 500") -> None:
    """Jobs that do not end in the time of a run; the web process is ended."""
    seed(stand, web)
    task_id = stand.sql("SELECT id FROM tasks")[0][0]
    rows.copy_in_flight(stand, task_id, count, ends_in_ms=FAR_MS, due_in_ms=due_in_ms)


def seed(stand: Stand, web: Process) -> str:
    """One task that has gone through everything, to copy from; nothing runs after."""
    stand.session.get(stand.answers_url + "/_job_s/0.1", timeout=10)
    soon = {"GENRELAY_POLL_MIN_S": "0.2", "GENRELAY_POLL_MAX_S": "1"}
    worker = stand.start_worker("submit,poll,deliver,sweep", **soon)
    task_id = stand.post(stand.task())

    def is_over() -> bool:
        query = "SELECT state FROM tasks WHERE id = %s"
        return bool(stand.sql(query, task_id) == [("succeeded",)])

    eventually(is_over, 60, f"the first task ends: {stand.logs()}")
    stand.stop(worker)
    stand.stop(web)
    return task_id


def follow(stand: Stand, in_flight: int) -> list[Figure]:
    """A worker's polls, and the same GETs without it."""
    seconds = stand.options.seconds
    worker = stand.start_worker("poll")
    time.sleep(WARM_S)
    meter = Meter(stand, [worker])
    before = stand.counts()["look"]
    meter.start()
    time.sleep(seconds)
    looks = stand.counts()["look"] - before
    used = meter.read()
    memory_mb = machine.rss_mb(worker.popen.pid)
    stand.stop(worker)
    raw = bare(stand, seconds / 2)
    per_s = looks / used.elapsed_s
    per_cpu_s = looks / used.own_s if used.own_s else 0.0
    name = f"polls, {in_flight:,} in flight"
    each_ms = 1000 / max(looks, 1)
    return [
        Figure(
            name,
            per_s,
            "per s",
            Better.MORE,
            limit=raw["per_s"],
            limit_is="bare aiohttp",
            note=f"CPU each: worker {used.own_s * each_ms:.2f}, "
            f"PostgreSQL {used.database_s * each_ms:.2f} ms",
        ),
        Figure(
            f"{name}, for a second of the worker's CPU",
            per_cpu_s,
            "per s",
            Better.MORE,
            goal=2000,
            limit=raw["per_cpu_s"],
            limit_is="bare aiohttp",
        ),
        Figure(
            f"{name}, share of bare aiohttp for a second of CPU",
            per_cpu_s / raw["per_cpu_s"],
            "",
            Better.MORE,
            goal=1 / 3,
        ),
        Figure(f"{name}, worker's memory", memory_mb, "MB", goal=MOST_MB),
    ]


def bare(stand: Stand, seconds: float) -> dict[str, float]:
    """The same question to the same answers by bare aiohttp and uvloop."""
    job = answers.job_id(time.time() + 36_000, 1)
    url = f"{stand.answers_url}{answers.DASHSCOPE}/tasks/{job}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.benchmarks.bare"),
            *(url, str(CONCURRENCY), str(seconds)),
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=seconds + 60,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
