"""`genrelay up` as a real process with a data folder of its own."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.journeys.gateway import COMMAND, ROOT, START_S, eventually, free_port

# Nothing of the machine's own settings and provider keys.
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG")
FINAL = ("succeeded", "failed", "cancelled")
SETTINGS = {
    "GENRELAY_ALLOW_NETWORKS": "127.0.0.0/8",
    "GENRELAY_POLL_MIN_S": "0.2",
    "GENRELAY_LEASE_S": "5",
}


@dataclass
class Up:
    """A running gateway: what its first line said, and a client of it."""

    popen: subprocess.Popen[bytes]
    data: Path
    log: Path
    url: str
    api_key: str
    webhook_secret: str
    sandbox_url: str

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One call with the key."""
        return requests.request(
            method,
            self.url + path,
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=90,
            **options,
        )

    def post(self, *, files: Any = None, **fields: Any) -> str:
        """Send a task; gives its id."""
        body: dict[str, Any] = {"json": fields}
        if files is not None:
            body = {"data": fields, "files": files}
        reply = self.call("POST", "/generation/tasks", **body)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["data"]["task_id"])

    def get(self, task_id: str, wait_s: int = 0) -> dict[str, Any]:
        path = f"/generation/tasks/{task_id}?wait={wait_s}"
        reply = self.call("GET", path)
        assert reply.status_code == 200, reply.text
        return dict(reply.json()["data"])

    def ended(self, task_id: str, within_s: float = 60.0) -> dict[str, Any]:
        """The task once it has ended."""

        def ask() -> dict[str, Any] | None:
            data = self.get(task_id, wait_s=5)
            return data if data["status"] in FINAL else None

        return eventually(ask, within_s, f"the end of {task_id}")

    def made(self, *, files: Any = None, **fields: Any) -> list[dict[str, Any]]:
        """The results of a task that must succeed."""
        task = self.ended(self.post(files=files, **fields))
        assert task["status"] == "succeeded", (task["error"], self.log.read_text())
        return list(task["results"])

    def paid(self, prompt: str) -> list[dict[str, Any]]:
        """What the simulated upstream was paid for, whose prompt has these words."""
        reply = requests.get(
            f"{self.sandbox_url}/_sandbox/ledger",
            params={"prompt_contains": prompt},
            timeout=30,
        )
        return list(reply.json()["submits"])

    def stop(self, number: signal.Signals, within_s: float = 20.0) -> int:
        """Send a signal, and give the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(within_s)


def environment(data: Path, **settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, **SETTINGS, "GENRELAY_DATA": str(data), **settings}


def run(
    data: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run another command of the command line to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(data, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def up(data: Path, **settings: str) -> Iterator[Up]:
    """`genrelay up --json` for the length of a block; it is killed if still there."""
    data.mkdir(exist_ok=True)
    port = data / "sandbox.port"
    if not port.exists():
        # Others may want the usual one at the same time, or after a restart.
        port.write_text(str(free_port()))
    log = data / "up.log"
    with log.open("ab") as errors:
        popen = subprocess.Popen(
            [*COMMAND, "up", "--json", "--port", "0", "--data", str(data)],
            cwd=ROOT,
            env=environment(data, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        shown = json.loads(_first_line(popen, log))
        yield Up(
            popen,
            data,
            log,
            shown["url"],
            shown["api_key"],
            shown["webhook_secret"],
            shown["sandbox_url"],
        )
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        assert popen.stdout is not None
        popen.stdout.close()


def _first_line(popen: subprocess.Popen[bytes], log: Path) -> bytes:
    assert popen.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(popen.stdout, selectors.EVENT_READ)
        assert selector.select(START_S), f"not up yet: {log.read_text()}"
        line = popen.stdout.readline()
    assert line, f"it ended: {log.read_text()}"
    return line
