"""A broker that falls silent costs clients nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.journeys.gateway import distributed, eventually, free_port

TASKS = 200
CLIENTS = 8


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A Redis server of this test alone: its URL and its process id."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs the program redis-server")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        try:
            return bool(redis.Redis.from_url(url, socket_timeout=1).ping())
        except redis.RedisError:
            return False

    eventually(answers, 10, "redis answers")
    yield url, server.pid
    os.kill(server.pid, signal.SIGCONT)
    server.terminate()
    server.wait(10)


def test_tasks_are_taken_while_the_broker_is_silent_and_finish_afterwards(
    tmp_path: Path, postgres_url: str, own_redis: tuple[str, int]
) -> None:
    broker_url, pid = own_redis
    with distributed(
        tmp_path, database_url=postgres_url, broker_url=broker_url
    ) as gateway:
        gateway.worker()
        gateway.ended(gateway.post(model="wanx2.1-t2i-turbo", prompt="warm up"))

        def post(n: int) -> tuple[int, float, str]:
            begun = time.monotonic()
            reply = gateway.try_post(model="wanx2.1-t2i-turbo", prompt=f"silent {n}")
            took_s = time.monotonic() - begun
            return reply.status_code, took_s, reply.json()["data"]["task_id"]

        os.kill(pid, signal.SIGSTOP)
        with ThreadPoolExecutor(CLIENTS) as clients:
            answers = list(clients.map(post, range(TASKS)))
        os.kill(pid, signal.SIGCONT)
        assert {status for status, _, _ in answers} == {200}
        assert max(took_s for _, took_s, _ in answers) <= 1.5
        for _, _, task_id in answers:
            assert gateway.ended(task_id, 120)["status"] == "succeeded"
        assert len(gateway.submits("silent ")) == TASKS
