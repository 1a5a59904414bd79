"""Limits of a channel, counted at the upstream while several workers share them."""

from __future__ import annotations

from pathlib import Path

from tests.journeys.gateway import distributed

TASKS = 40
PER_S = 10
IN_FLIGHT = 12


def test_workers_together_stay_within_a_channels_limits(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with distributed(
        tmp_path, database_url=postgres_url, broker_url=redis_url
    ) as gateway:
        rows = gateway.run("channels", "list")
        base_url = next(r["base_url"] for r in rows if r["name"] == "dashscope")
        gateway.run("channels", "disable", "dashscope")
        gateway.run(
            *("channels", "add", "limited", "--provider", "dashscope"),
            *("--base-url", base_url, "--secret", "id:secret"),
            *("--limit", f"submits_per_s={PER_S}", "--limit", f"in_flight={IN_FLIGHT}"),
            *("--limit", "poll_spacing_s=0"),
        )
        for _ in range(2):
            gateway.worker()
        ids = [
            gateway.post(model="wanx2.1-t2i-turbo", prompt=f"limited {n} [slow 1s]")
            for n in range(TASKS)
        ]
        ended = [gateway.ended(task_id) for task_id in ids]
        assert {task["status"] for task in ended} == {"succeeded"}

        times = sorted(submit["at"] for submit in gateway.submits("limited "))
        assert len(times) == TASKS
        assert times[-1] - times[0] >= (TASKS - 1) / PER_S * 0.98
        for n, begun in enumerate(times):
            # The way to the upstream takes one call longer than another: one may come
            # so late that it falls into the next ones' second.
            assert len([t for t in times[n:] if t < begun + 1]) <= PER_S + 1
