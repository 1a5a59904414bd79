"""Hours in small: 100,000 tasks in flight for some minutes.

Memory over time, how late looks are, and what intake is like meanwhile.
"""

from __future__ import annotations

import threading
import time

from tests.benchmarks import load, machine, poll, rows
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.load import Loaded, Order
from tests.benchmarks.stand import Options, standing

NAME = "soak"
IN_FLIGHT = 100_000
SPACING_S = 120.0
START_S = 15.0
POSTS_PER_S = 5.0
EVERY_S = 1.0
SHOWN_EVERY_S = 30.0
DUE = f"SELECT {rows.NOW} - min(due_at) FROM submissions WHERE due_at IS NOT NULL"
MOST_MB = 400.0


def measure(options: Options) -> list[Figure]:
    """Runs for `options.seconds`."""
    spacing = str(SPACING_S)
    settings = {"GENRELAY_POLL_MIN_S": spacing, "GENRELAY_POLL_MAX_S": spacing}
    loads: list[Loaded] = []
    late_s, memory_mb = [], []
    with standing(options, job_s=36_000, settings=settings) as stand:
        # Nothing is due before the worker has begun.
        due = f"{int(START_S * 1000)} + nth % {int(SPACING_S * 1000)}"
        poll.fill(stand, stand.start_web(), IN_FLIGHT, due)
        stand.session.get(stand.answers_url + "/_job_s/36000", timeout=10)
        web = stand.start_web()
        worker = stand.start_worker("submit,poll,deliver,sweep")
        before, begun = stand.counts()["look"], time.monotonic()
        order = Order(
            stand.url + "/generation/tasks",
            2,
            options.seconds,
            method="POST",
            body=stand.task(),
            authorization=stand.authorization,
            per_s=POSTS_PER_S,
        )
        poster = threading.Thread(target=lambda: loads.append(load.run(order)))
        poster.start()
        shown_at = 0.0
        while (passed_s := time.monotonic() - begun) < options.seconds:
            late_ms = stand.sql(DUE)[0][0]
            late_s.append(max(float(late_ms or 0), 0.0) / 1000)
            memory_mb.append(machine.rss_mb(worker.popen.pid))
            if passed_s >= shown_at:
                shown_at += SHOWN_EVERY_S
                options.say(
                    f"{passed_s:4.0f} s: worker {memory_mb[-1]:.0f} MB, web "
                    f"{machine.rss_mb(web.popen.pid):.0f} MB, {late_s[-1]:.2f} s late"
                )
            time.sleep(EVERY_S)
        looks = stand.counts()["look"] - before
        elapsed_s = time.monotonic() - begun
        poster.join()
    if not loads:
        raise RuntimeError("the load generator failed")
    posted = loads[0]
    tenth = max(len(memory_mb) // 10, 1)
    growth_mb = memory_mb[-1] - percentile(memory_mb[:tenth], 0.5)
    name = f"soak, {IN_FLIGHT:,} in flight for {options.seconds / 60:.3g} min"
    return [
        Figure(f"{name}: worker's memory", max(memory_mb), "MB", goal=MOST_MB),
        Figure(f"{name}: its growth after the first tenth", growth_mb, "MB"),
        Figure(
            f"{name}: the longest due look waits, p95",
            percentile(late_s, 0.95),
            "s",
            goal=2.0,
            note=f"{looks / elapsed_s:,.0f} looks per s",
        ),
        Figure(
            f"{name}: intake meanwhile, p99",
            posted.p99_s * 1000,
            "ms",
            note=f"p50 {posted.p50_s * 1000:.0f} ms, {posted.count} posts",
        ),
    ]
