"""Limits of channels, counted at the upstream while many workers share them."""

from __future__ import annotations

import bisect
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.gateway import Gateway, distributed

# A large run on demand: `TEST_LIMITED_ROWS=5000 pytest tests/journeys/test_limits.py`.
ROWS = int(os.environ.get("TEST_LIMITED_ROWS", "60"))
SCALE = 1 if ROWS < 1000 else 6
WORKERS = 4
JOB_S = 1.0

# Each worker process has a watch; these have two.
TWO_WATCHES = """
import threading
from workers.watch import Watch
start = Watch.start

def start_two(self):
    start(self)
    threading.Thread(target=self._run, daemon=True).start()

Watch.start = start_two
"""


@dataclass(frozen=True)
class Limited:
    """A channel of its own provider, so that the sandbox's ledger tells them apart."""

    provider: str
    model: str
    submits_per_s: int
    polls_per_s: int
    in_flight: int
    path: str = ""

    def plan(self) -> Mapping[str, object]:
        return {
            "name": self.provider,
            "provider": self.provider,
            "sandbox_path": self.path,
            "secret": "id:secret",
            "limits": {
                "submits_per_s": self.submits_per_s * SCALE,
                "polls_per_s": self.polls_per_s * SCALE,
                "in_flight": self.in_flight * SCALE,
                "poll_spacing_s": 0,
            },
        }


CHANNELS = (
    Limited("dashscope", "wanx2.1-t2i-turbo", 10, 14, 12, "/dashscope/api/v1"),
    Limited("bfl", "flux-dev", 8, 20, 40, "/bfl"),
    Limited("luma", "photon-1", 12, 10, 10, "/luma/dream-machine/v1"),
)


def test_workers_together_stay_within_the_limits_of_channels(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with distributed(
        tmp_path,
        database_url=postgres_url,
        broker_url=redis_url,
        channels=[channel.plan() for channel in CHANNELS],
    ) as gateway:
        each = ROWS // len(CHANNELS)
        wanted = [(channel, n) for n in range(each) for channel in CHANNELS]
        with ThreadPoolExecutor(8) as pool:
            ids = list(
                pool.map(
                    lambda one: gateway.post(
                        model=one[0].model,
                        prompt=f"limited {one[1]} [slow {JOB_S:g}s]",
                    ),
                    wanted,
                )
            )
        for _ in range(WORKERS):
            gateway.worker(first=TWO_WATCHES)
        ended = [gateway.ended(task_id, 60 + ROWS / 5) for task_id in ids]
        assert {task["status"] for task in ended} == {"succeeded"}
        rows = gateway.run("channels", "stats")
        assert sum(row["accepts"] for row in rows) == len(ids)
        for channel in CHANNELS:
            check(gateway, channel, each)


def check(gateway: Gateway, channel: Limited, count: int) -> None:
    submits = [
        s for s in gateway.submits("limited ") if s["provider"] == channel.provider
    ]
    prompts = Counter(submit["prompt"] for submit in submits)
    assert (len(prompts), set(prompts.values())) == (count, {1}), "paid twice, or not"
    starts = sorted(submit["at"] for submit in submits)
    name = channel.provider
    check_rate(starts, channel.submits_per_s * SCALE, name)
    assert most_within(starts, JOB_S) <= channel.in_flight * SCALE, name
    polls = sorted(gateway.polls(name))
    assert polls  # fewer than jobs where an upstream answers for many at once
    check_rate(polls, channel.polls_per_s * SCALE, name)


def check_rate(instants: Sequence[float], per_s: int, name: str) -> None:
    """No window has more calls than the rate; the shortest is a bit under a second.

    The sandbox notes a call when it gets to it: on a machine that runs ten processes
    on two cores that is up to a tenth of a second after it came.
    """
    for seconds in (0.85, 2.0, 3.0):
        most = most_within(instants, seconds)
        assert most <= per_s * max(1.0, seconds), f"{name}: {most} in {seconds:g} s"


def most_within(instants: Sequence[float], seconds: float) -> int:
    """The most of these ordered instants that lie within so many seconds."""
    return max(
        bisect.bisect_left(instants, begun + seconds) - n
        for n, begun in enumerate(instants)
    )
