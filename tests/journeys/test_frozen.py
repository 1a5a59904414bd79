"""A worker that stands still between noting a paid call and sending it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.journeys.gateway import Process, distributed, eventually

# A worker with bounds for a short test. The first of its kind stops itself, as by
# Ctrl-Z, when the store knows that the paid call leaves and nothing was sent.
WORKER = """
import os, signal, threading
from pathlib import Path
from workers import poll, submit
submit.SEND_WITHIN_S, poll.ABSENT_AFTER_S = 2.0, 4.0
note = submit.leaving

def leaving(rt, held):
    may = note(rt, held)
    mark = Path(os.environ["FREEZES_AT"])
    if may and not mark.exists():
        mark.write_text(str(os.getpid()))
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # before it returns
    return may

submit.leaving = leaving
"""


def is_stopped(process: Process) -> bool:
    stat = Path(f"/proc/{process.popen.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def test_worker_that_froze_before_its_paid_call_never_sends_it(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    with distributed(
        tmp_path, database_url=postgres_url, broker_url=redis_url
    ) as gateway:
        mark = tmp_path / "frozen"
        frozen = gateway.worker(first=WORKER, FREEZES_AT=str(mark))
        task_id = gateway.post(model="kling-v2-6", prompt="a frozen pond [slow 1s]")
        try:
            eventually(mark.exists, 30, "the note that the paid call leaves")
            eventually(lambda: is_stopped(frozen), 10, "the worker standing still")
            # Another one looks the job up, does not find it, and sends it again.
            gateway.worker(first=WORKER, FREEZES_AT=str(mark))
            assert gateway.ended(task_id)["status"] == "succeeded"
            assert len(gateway.submits("frozen pond")) == 1
        finally:
            os.kill(frozen.popen.pid, signal.SIGCONT)
        # It ends when the calls that it has under way have ended.
        assert frozen.stop() == 0, gateway.logs()
        assert len(gateway.submits("frozen pond")) == 1
        told: list[Mapping[str, str]] = gateway.run("tasks", "show", task_id)[
            "submissions"
        ]
        assert len(told) == 2
