"""The gateway as real processes: sandbox, web, workers; and a receiver of callbacks."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import requests
from click.testing import CliRunner

from app.cli import main
from providers.registry import PROVIDERS

ROOT = Path(__file__).parent.parent.parent
START_S = 60.0
END_S = 60.0
COMMAND = (sys.executable, "-c", "from app.cli import main; main()")
FINAL = ("succeeded", "failed", "cancelled")

T = TypeVar("T")


def eventually(ask: Callable[[], T | None], within_s: float, what: str) -> T:
    """The first answer that is true; asks every 50 ms."""
    until = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < until, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """One process of the gateway, with its log in a file."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """SIGKILL: nothing is said, nothing is cleared away."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, within_s: float = 30.0) -> int:
        """SIGTERM, and the exit code."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass
class Received:
    """One call that the receiver got."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data


@dataclass
class Receiver:
    """A webhook consumer; `answers` are used up first, then it says 204."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    def of(self, task_id: str) -> list[Received]:
        return [r for r in list(self.received) if r.data["task_id"] == task_id]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on loopback."""
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.arrived.set()
            receiver.hold.wait(20)
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(headers, body))
            status = receiver.statuses.pop(0) if receiver.statuses else 204
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()


@dataclass
class Gateway:
    """Processes of one gateway and a client of it."""

    env: dict[str, str]
    folder: Path
    sandbox_url: str
    url: str
    api_key: str = ""
    webhook_secret: str = ""
    processes: list[Process] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def start(self, name: str, *arguments: str, first: str = "", **env: str) -> Process:
        """Start one process of the gateway; `first` is code that it runs before."""
        log = self.folder / f"{name}-{len(self.processes)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [*COMMAND[:2], first + COMMAND[2], *arguments],
                cwd=ROOT,
                env={**self.env, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> Any:
        """Run a command to its end and read the JSON that it prints.

        It runs in this process: to start another takes longer than the command.
        """
        foreign = dict.fromkeys(os.environ.keys() - self.env.keys())
        done = CliRunner().invoke(
            main, [*arguments, "--json"], env={**foreign, **self.env}
        )
        assert done.exit_code == 0, (done.stderr, done.exception)
        return json.loads(done.stdout)

    def worker(
        self, queues: str = "submit,poll,deliver,sweep", first: str = "", **env: str
    ) -> Process:
        return self.start("worker", "worker", "--queues", queues, first=first, **env)

    def post(self, *, files: Any = None, **fields: Any) -> str:
        """Send a task; gives its id."""
        reply = self.try_post(files=files, **fields)
        assert reply.status_code == 200, reply.text
        task_id: str = reply.json()["data"]["task_id"]
        return task_id

    def try_post(self, *, files: Any = None, **fields: Any) -> requests.Response:
        body = {"data": fields, "files": files} if files else {"json": fields}
        return requests.post(
            f"{self.url}/generation/tasks",
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=30,
            **body,  # type: ignore[arg-type]
        )

    def get(self, task_id: str, wait_s: int = 0) -> dict[str, Any]:
        reply = requests.get(
            f"{self.url}/generation/tasks/{task_id}",
            params={"wait": wait_s} if wait_s else {},
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=90,
        )
        assert reply.status_code == 200, reply.text
        data: dict[str, Any] = reply.json()["data"]
        return data

    def ended(self, task_id: str, within_s: float = END_S) -> dict[str, Any]:
        """The task once it has ended."""

        def ask() -> dict[str, Any] | None:
            data = self.get(task_id, wait_s=2)
            return data if data["status"] in FINAL else None

        return eventually(ask, within_s, f"the end of {task_id}: {self.logs()}")

    def submits(self, prompt: str) -> list[dict[str, Any]]:
        """What the sandbox was paid for, whose prompt contains these words."""
        reply = requests.get(
            f"{self.sandbox_url}/_sandbox/ledger",
            params={"prompt_contains": prompt},
            timeout=10,
        )
        found: list[dict[str, Any]] = reply.json()["submits"]
        return found

    def calls(self, provider: str, kind: str) -> int:
        """How many calls of a kind a simulated upstream has had."""
        reply = requests.get(
            f"{self.sandbox_url}/_sandbox/ledger",
            params={"provider": provider},
            timeout=10,
        )
        return int(reply.json()["calls"][provider].get(kind, 0))

    def polls(self, provider: str) -> list[float]:
        """When the sandbox was asked for a job's state, in unix seconds."""
        reply = requests.get(
            f"{self.sandbox_url}/_sandbox/ledger",
            params={"provider": provider, "moments": "poll"},
            timeout=10,
        )
        found: list[float] = reply.json()["moments"][provider]
        return found

    def logs(self) -> str:
        """The last lines of every log."""
        return "\n".join(
            f"--- {p.name}\n{p.log.read_text(errors='replace')[-1500:]}"
            for p in self.processes
        )


@contextmanager
def distributed(
    folder: Path,
    *,
    database_url: str,
    broker_url: str,
    channels: Sequence[Mapping[str, Any]] | None = None,
    **settings: str,
) -> Iterator[Gateway]:
    """Sandbox and web as processes of their own; a test starts the workers it wants.

    There is a channel for each provider, unless others are given; their
    `sandbox_path` becomes the base URL.
    """
    port, sandbox_port = free_port(), free_port()
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GENRELAY_")},
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "GENRELAY_DATA": str(folder / "data"),
        "GENRELAY_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "GENRELAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "GENRELAY_ALLOW_NETWORKS": "127.0.0.0/8",
        "GENRELAY_LEASE_S": "4",
        "GENRELAY_POLL_MIN_S": "0.2",
        "GENRELAY_CALLBACK_SCHEDULE": "0,1,2,4,8,16",
        **settings,
    }
    (folder / "data").mkdir(exist_ok=True)
    sandbox_url = f"http://127.0.0.1:{sandbox_port}"
    gateway = Gateway(env, folder, sandbox_url, f"http://127.0.0.1:{port}")
    with ExitStack() as stack:
        stack.callback(_end_all, gateway)
        gateway.start("sandbox", "sandbox", "--port", str(sandbox_port))
        gateway.run("db", "upgrade")
        gateway.start("web", "web", "--port", str(port))
        key = gateway.run("keys", "create", "journey")
        gateway.api_key, gateway.webhook_secret = key["api_key"], key["webhook_secret"]
        plan = folder / "channels.yaml"
        plan.write_text(
            json.dumps({"channels": at_sandbox(channels or USUAL, sandbox_url)})
        )
        gateway.run("channels", "apply", str(plan))
        eventually(lambda: _answers(gateway.url + "/readyz"), START_S, "web is ready")
        health = sandbox_url + "/_sandbox/healthz"
        eventually(lambda: _answers(health), START_S, "the sandbox is ready")
        yield gateway


# A channel for each provider.
USUAL = [
    {
        "name": provider.name,
        "provider": provider.name,
        "sandbox_path": provider.sandbox_path,
        "secret": "id:secret",
        "limits": {"poll_spacing_s": 0},
    }
    for provider in PROVIDERS
]


def at_sandbox(
    channels: Sequence[Mapping[str, Any]], sandbox_url: str
) -> list[dict[str, Any]]:
    """Channels as a channels file has them, all at one simulated upstream."""
    made = []
    for channel in channels:
        fields = dict(channel)
        fields["base_url"] = sandbox_url + fields.pop("sandbox_path")
        made.append(fields)
    return made


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _end_all(gateway: Gateway) -> None:
    for process in gateway.processes:
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGTERM)
    for process in gateway.processes:
        try:
            process.popen.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
