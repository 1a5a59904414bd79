"""Intake: POST /generation/tasks at one web process on PostgreSQL and Redis.

No worker runs: what is measured is taking and storing a task, and ringing for it.
"""

from __future__ import annotations

import time

from tests.benchmarks import load, machine, rows
from tests.benchmarks.figures import Better, Figure
from tests.benchmarks.load import Loaded, Order
from tests.benchmarks.stand import Meter, Options, Stand, standing
from tests.journeys.gateway import Process

NAME = "intake"
CONNECTIONS = (1, 16, 64)
STORED = 1_000_000
STORED_SMALL = 50_000
BURSTS, SILENCE_S = 5, 3.0
MOST_MB = 120.0
ENDED = "UPDATE tasks SET state = 'succeeded', due_at = NULL"


def measure(options: Options) -> list[Figure]:
    """Requests a second, waits and memory: empty, then with many rows stored."""
    stored = STORED_SMALL if options.small else STORED
    with standing(options) as stand:
        web = stand.start_web()
        reach = generator_limit(stand, CONNECTIONS[-1])
        figures = []
        empty = {}
        for connections in CONNECTIONS:
            empty[connections], mine = at(stand, web, connections, reach)
            figures += mine
        # 64 connections are where memory is at its most.
        memory_mb = machine.rss_mb(web.popen.pid)
        name = "web process, memory after 64 connections"
        figures.append(Figure(name, memory_mb, "MB", goal=MOST_MB))
        figures += burst(stand)
        task_id = stand.post(stand.task())
        stand.sql(ENDED)
        begun = time.monotonic()
        rows.copy_ended(stand, task_id, stored)
        options.say(f"{stored:,} tasks stored in {time.monotonic() - begun:.0f} s")
        full, _ = at(stand, web, CONNECTIONS[-1], reach)
        before = empty[CONNECTIONS[-1]]
        figures.append(
            Figure(
                f"intake with {stored:,} tasks stored, against none",
                full.per_s / before.per_s,
                "times",
                Better.MORE,
                goal=0.9,
                note=f"{full.per_s:,.0f}/s, p99 {full.p99_s * 1000:.0f} ms",
            )
        )
    return figures


def order_of(stand: Stand, connections: int, seconds: float, most: int = 0) -> Order:
    """Tasks, posted over and over."""
    return Order(
        stand.url + "/generation/tasks",
        connections,
        seconds,
        method="POST",
        body=stand.task(),
        authorization=stand.authorization,
        most=most,
    )


def burst(stand: Stand) -> list[Figure]:
    """Many at once when nothing is remembered any more: all must be taken."""
    count = CONNECTIONS[-1]
    lost, slowest_s = 0, 0.0
    for _ in range(BURSTS):
        time.sleep(SILENCE_S)
        done = load.run(order_of(stand, count, seconds=30.0, most=count))
        lost += count - done.count
        slowest_s = max(slowest_s, done.p99_s)
    name = f"{BURSTS} times {count} posts at once after {SILENCE_S:g} s of silence"
    return [
        Figure(f"{name}, not taken", lost, "of them", goal=0.0),
        Figure(f"{name}, slowest of the others", 1000 * slowest_s, "ms"),
    ]


def generator_limit(stand: Stand, connections: int) -> float:
    """What the load generator itself reaches, at an answer that costs nothing."""
    order = Order(stand.answers_url + "/plain", connections, stand.options.seconds / 4)
    return load.run(order).per_s


def at(
    stand: Stand, web: Process, connections: int, reach: float
) -> tuple[Loaded, list[Figure]]:
    """One measuring, and its figures.

    What a process remembers for a moment, such as channels, is known when it begins.
    """
    load.run(order_of(stand, 1, seconds=1.0))
    meter = Meter(stand, [web])
    meter.start()
    done = load.run(order_of(stand, connections, stand.options.seconds))
    used = meter.read()
    sent = sum(done.statuses.values())
    each_ms = 1000 / max(sent, 1)
    note = (
        f"CPU each: web {used.own_s * each_ms:.2f}, PostgreSQL "
        f"{used.database_s * each_ms:.2f}, generator {done.cpu_s * each_ms:.2f} ms"
    )
    if done.bad_count:
        note = f"NOT ALL TAKEN: {done.statuses}; {note}"
    name = f"intake, {connections} connections"
    return done, [
        Figure(
            name,
            done.per_s,
            "per s",
            Better.MORE,
            limit=reach,
            limit_is="load generator",
            note=note,
        ),
        Figure(f"{name}, p50", done.p50_s * 1000, "ms"),
        Figure(f"{name}, p99", done.p99_s * 1000, "ms"),
    ]
