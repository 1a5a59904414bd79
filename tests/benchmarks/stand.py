"""A gateway to measure: real processes on fresh databases, in front of quick answers.

Only processes that a stand has started are ended, each by its own id.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
import requests

from tests.benchmarks import answers, machine
from tests.journeys.gateway import COMMAND, Process, eventually, free_port
from tests.services import fresh_postgres, fresh_redis, libpq_url

ROOT = Path(__file__).parent.parent.parent
START_S = 60.0
STOP_S = 15.0
CONNECT_TRIES = 20
NOTHING: Mapping[str, str] = {}
MODEL = "wanx2.1-t2i-turbo"
CHANNEL = "bench"


@dataclass(frozen=True)
class Options:
    """How a run is to be: which checkout is measured, for how long, and where to write.

    `seconds` is the length of one measuring, `folder` keeps what runs have in common.
    """

    checkout: Path
    folder: Path
    seconds: float
    say: Callable[[str], None] = print
    pictures: Path | None = None
    small: bool = False


@dataclass
class Stand:
    """Processes of one gateway and what is needed to load and to watch them."""

    options: Options
    folder: Path
    env: dict[str, str]
    url: str
    answers_url: str
    database_url: str
    redis_url: str
    api_key: str = ""
    processes: list[Process] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def start(self, name: str, *arguments: str, **env: str) -> Process:
        """Start one process of the measured checkout."""
        return self.start_other(
            name, [*COMMAND, *arguments], self.options.checkout, {**self.env, **env}
        )

    def start_answers(self, job_s: float) -> Process:
        """Start the upstream and receiver; of this checkout, whichever is measured."""
        port = str(urlsplit(self.answers_url).port)
        command = [sys.executable, "-m", "tests.benchmarks.answers", port, str(job_s)]
        process = self.start_other("answers", command, ROOT, dict(os.environ))
        self.wait(self.answers_url + "/plain", process)
        return process

    def start_web(self, **env: str) -> Process:
        """Start one web process and wait until it is ready."""
        port = str(urlsplit(self.url).port)
        process = self.start("web", "web", "--port", port, **env)
        self.wait(self.url + "/readyz", process)
        return process

    def start_worker(self, queues: str, **env: str) -> Process:
        """Start one worker pool; it is ready when it says that it works."""
        process = self.start(f"worker-{queues}", "worker", "--queues", queues, **env)

        def works() -> bool:
            assert process.popen.poll() is None, process.log.read_text()[-2000:]
            return '"working"' in process.log.read_text(errors="replace")

        eventually(works, START_S, f"{process.name} works")
        return process

    def run(self, *arguments: str) -> Any:
        """Run a command of the gateway and read the JSON that it prints."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--json"],
            cwd=self.options.checkout,
            env=self.env,
            capture_output=True,
            timeout=90,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode()[-2000:])
        return json.loads(done.stdout)

    def stop(self, process: Process) -> None:
        """End one process, and be sure of it."""
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGTERM)
        try:
            process.popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        if process in self.processes:
            self.processes.remove(process)

    def task(self, prompt: str = "a lighthouse", *, callback: bool = False) -> str:
        """The body of a task."""
        body = {"model": MODEL, "prompt": prompt, "size": "1024x1024", "n": 1}
        if callback:
            body["callback_url"] = self.answers_url + "/hook"
        return json.dumps(body)

    @property
    def authorization(self) -> str:
        """The header of our client."""
        return f"Bearer {self.api_key}"

    def post(self, body: str) -> str:
        """Send one task; gives its id."""
        reply = self.session.post(
            f"{self.url}/generation/tasks",
            data=body,
            headers={
                "Authorization": self.authorization,
                "Content-Type": "application/json",
            },
            timeout=30,
        )
        reply.raise_for_status()
        task_id: str = reply.json()["data"]["task_id"]
        return task_id

    def seen(self) -> dict[str, Any]:
        """What the upstream and receiver has counted."""
        seen: dict[str, Any] = self.session.get(
            self.answers_url + "/_counts", timeout=30
        ).json()
        return seen

    def counts(self) -> dict[str, int]:
        """How often it was called, by kind."""
        counts: dict[str, int] = self.seen()["counts"]
        return counts

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own."""
        with connected(self.database_url) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def database_pids(self) -> list[int]:
        """Processes that serve our database, when PostgreSQL runs on this machine."""
        rows = self.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in rows if Path(f"/proc/{pid}").exists()]

    def redis_cpu_s(self) -> float:
        """CPU of the whole Redis server, which others may use as well."""
        with redis.Redis.from_url(self.redis_url) as server:
            used: dict[str, float] = server.info("cpu")
        return used["used_cpu_user"] + used["used_cpu_sys"]

    def logs(self) -> str:
        """The last lines of every log."""
        return "\n".join(
            f"--- {p.name}\n{p.log.read_text(errors='replace')[-1500:]}"
            for p in self.processes
        )

    def start_other(
        self, name: str, command: Collection[str], cwd: Path, env: dict[str, str]
    ) -> Process:
        """Start any process; its log is a file in the stand's folder."""
        log = self.folder / f"{name}-{secrets.token_hex(3)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def wait(self, url: str, process: Process) -> None:
        """Wait until a process answers there with 200."""

        def answers() -> bool:
            assert process.popen.poll() is None, process.log.read_text()[-2000:]
            try:
                return requests.get(url, timeout=2).status_code == 200
            except requests.RequestException:
                return False

        eventually(answers, START_S, f"{process.name} answers")


def connected(database_url: str) -> psycopg.Connection:
    """A connection; waits for a place when the server has too many clients."""
    for n in range(CONNECT_TRIES):
        try:
            return psycopg.connect(libpq_url(database_url))
        except psycopg.OperationalError as error:
            if n == CONNECT_TRIES - 1 or "too many clients" not in str(error):
                raise
            time.sleep(0.5)
    raise AssertionError


@contextmanager
def standing(
    options: Options, *, job_s: float = 5.0, settings: Mapping[str, str] = NOTHING
) -> Iterator[Stand]:
    """Fresh databases, a client, a channel, the answers; web and workers to come.

    `settings` are environment variables of the gateway.
    """
    folder = options.folder / f"stand-{secrets.token_hex(4)}"
    (folder / "data").mkdir(parents=True)
    with ExitStack() as stack:
        database_url = stack.enter_context(fresh_postgres())
        redis_url = stack.enter_context(fresh_redis())
        port = free_port()
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GENRELAY_")},
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "BROKER_URL": redis_url,
            "GENRELAY_DATA": str(folder / "data"),
            "GENRELAY_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "GENRELAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "GENRELAY_ALLOW_NETWORKS": "127.0.0.0/8",
            **settings,
        }
        stand = Stand(
            options,
            folder,
            env,
            f"http://127.0.0.1:{port}",
            f"http://127.0.0.1:{free_port()}",
            database_url,
            redis_url,
        )
        stack.callback(_end_all, stand)
        stand.start_answers(job_s)
        stand.run("db", "upgrade")
        stand.api_key = stand.run("keys", "create", "bench")["api_key"]
        plan = folder / "channels.yaml"
        channel = {
            "name": CHANNEL,
            "provider": "dashscope",
            "base_url": stand.answers_url + answers.DASHSCOPE,
            "secret": "id:secret",
            "limits": {"poll_spacing_s": 0},
        }
        plan.write_text(json.dumps({"channels": [channel]}), encoding="utf-8")
        stand.run("channels", "apply", str(plan))
        yield stand
    # Only after a run that went well: logs of another one are wanted.
    shutil.rmtree(folder, ignore_errors=True)


def _end_all(stand: Stand) -> None:
    for process in stand.processes:
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGTERM)
    for process in list(stand.processes):
        stand.stop(process)


@dataclass
class Meter:
    """CPU that processes use between two moments."""

    stand: Stand
    processes: list[Process]
    _own_s: float = 0.0
    _database_s: dict[int, float] = field(default_factory=dict)
    _redis_s: float = 0.0
    _begun: float = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._own_s = machine.cpu_s([p.popen.pid for p in self.processes])
        self._database_s = {
            pid: machine.cpu_s([pid]) for pid in self.stand.database_pids()
        }
        self._redis_s = self.stand.redis_cpu_s()
        self._begun = time.monotonic()

    def read(self) -> Used:
        """What was used since; connections that were closed meanwhile are not known."""
        database_s = sum(
            machine.cpu_s([pid]) - self._database_s.get(pid, 0.0)
            for pid in self.stand.database_pids()
        )
        return Used(
            elapsed_s=time.monotonic() - self._begun,
            own_s=machine.cpu_s([p.popen.pid for p in self.processes]) - self._own_s,
            database_s=database_s,
            redis_s=self.stand.redis_cpu_s() - self._redis_s,
        )


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds of CPU: our processes, PostgreSQL's of our database, all of Redis."""

    elapsed_s: float
    own_s: float
    database_s: float
    redis_s: float

    @property
    def total_s(self) -> float:
        """Everything."""
        return self.own_s + self.database_s + self.redis_s
