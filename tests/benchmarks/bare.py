"""Bare aiohttp and uvloop asking for the same jobs: what a poll could cost at least.

`python -m tests.benchmarks.bare URL CONCURRENCY SECONDS` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
import uvloop


async def ask(url: str, concurrency: int, seconds: float) -> dict[str, float]:
    """Read the answers as a worker must: whole, and as JSON."""
    until = time.perf_counter() + seconds
    count = 0
    connector = aiohttp.TCPConnector(limit=concurrency)
    headers = {"Authorization": "Bearer id:secret"}

    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def one() -> None:
            nonlocal count
            while time.perf_counter() < until:
                async with session.get(url) as reply:
                    json.loads(await reply.read())
                count += 1

        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one() for _ in range(concurrency)))
        elapsed_s = time.perf_counter() - begun
        used_s = time.process_time() - cpu
    return {"count": count, "per_s": count / elapsed_s, "per_cpu_s": count / used_s}


if __name__ == "__main__":
    url, concurrency, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(ask(url, int(concurrency), float(seconds)))))
