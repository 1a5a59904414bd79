"""The processes of the gateway: a pool of workers, and everything in one."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from celery import Celery
from celery.worker import state as celery_state

from app import accounts
from app.bells import Bell, Ringer, make_celery
from app.client import CREDENTIALS_FILE, GATEWAY_FILE
from app.runtime import Runtime, open_runtime
from app.security import api_keys
from app.settings import Settings, SettingsError
from app.store import clients, migrate
from app.store.session import open_database
from workers.celery import Pool, make_worker, register
from workers.http import Engine
from workers.runtime import WorkerRuntime

logger = logging.getLogger(__name__)

FIRST_KEY = "first"
LOCK_FILE = "genrelay.lock"
COLLECT_AFTER = (20_000, 20, 50)
STOP_S = 330.0  # a paid call that is under way may take that long


@dataclass(frozen=True, slots=True)
class Credentials:
    """The embedded mode's own client: kept in the data folder for its owner alone."""

    api_key: str
    webhook_secret: str


@dataclass(frozen=True)
class Gateway:
    """Everything in one process, answering."""

    url: str
    credentials: Credentials
    sandbox_url: str | None
    data: Path
    runtime: Runtime


@dataclass(frozen=True)
class Working:
    """A Celery worker, not yet started, and the pool whose jobs it runs."""

    worker: Any
    pool: Pool

    def run(self) -> None:
        """Work until `stop` was called and what is under way has ended."""
        self.worker.start()

    def stop(self) -> None:
        """Take nothing new, and stop once the jobs have ended; fit for a signal.

        A job goes on as long as it finds work, so it has to be told first.
        """
        self.pool.take_no_more()
        celery_state.should_stop = os.EX_OK


class StoreBehind(Exception):
    """The store has not the newest schema."""


def check_store(settings: Settings) -> None:
    """Raise `StoreBehind` unless the migrations have run."""
    database = open_database(settings.database_url)
    try:
        if not migrate.is_current(database):
            raise StoreBehind(
                "the store has not this version's schema: run `genrelay db upgrade`"
            )
    finally:
        database.close()


def run_worker(settings: Settings, bells: Sequence[Bell]) -> None:
    """Work on these queues until SIGTERM or SIGINT; paid calls under way are ended."""
    check_store(settings)
    celery = make_celery(settings)
    ringer = Ringer(celery)
    with ExitStack() as stack:
        stack.callback(ringer.close)
        rt = open_runtime(settings, ringer.ring, alone=True)
        stack.callback(rt.database.close)
        working = stack.enter_context(_pool(rt, celery, bells))
        with _signals(working.stop):
            logger.info("working", extra={"queues": [bell.value for bell in bells]})
            working.run()


@contextmanager
def everything(
    settings: Settings,
    env: Mapping[str, str],
    *,
    serve: Callable[[Runtime], Any],
    sandbox_at: Callable[[Path], Any] | None = None,
) -> Iterator[Gateway]:
    """API, workers, store, broker and, without provider keys, the simulated upstream.

    One process may use a data folder at a time. `serve` starts the web server and gives
    a thing with `url`, `port` and `close()`; `sandbox_at` starts the simulated upstream
    for a data folder and gives a thing with `url` and `close()`.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_only_one(settings.data))
        database = open_database(settings.database_url)
        migrate.upgrade(database)
        database.close()

        celery = make_celery(settings)
        ringer = Ringer(celery)
        stack.callback(ringer.close)
        rt = open_runtime(settings, ringer.ring)
        stack.callback(rt.database.close)

        plans = accounts.from_environment(env, rt.providers)
        sandbox_url = None
        if not plans and sandbox_at is not None:
            sandbox = sandbox_at(settings.data)
            stack.callback(sandbox.close)
            sandbox_url = sandbox.url
        with rt.transaction() as tx:
            accounts.settle(rt, tx, plans, rt.providers, origin="env")
            simulated = (
                accounts.sandbox_plans(sandbox_url, rt.providers) if sandbox_url else []
            )
            accounts.settle(rt, tx, simulated, rt.providers, origin="sandbox")
            credentials = _own_client(rt, tx, settings.data)

        server = serve(rt)
        stack.callback(server.close)
        # Workers write links to us, so they need the port that was found for 0.
        rt = replace(rt, settings=replace(settings, web_port=server.port))
        working = stack.enter_context(_pool(rt, celery, tuple(Bell)))
        thread = threading.Thread(target=working.run, name="celery", daemon=True)
        thread.start()
        stack.callback(thread.join, STOP_S)
        stack.callback(working.stop)
        # Nothing new is taken while the work under way is ended.
        stack.callback(server.close)
        stack.enter_context(_announced(server.url, settings.data))
        yield Gateway(server.url, credentials, sandbox_url, settings.data, rt)


@contextmanager
def until_told(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at SIGINT or SIGTERM while the block runs."""
    with _signals(stop.set):
        yield


@contextmanager
def _pool(rt: Runtime, celery: Celery, bells: Sequence[Bell]) -> Iterator[Working]:
    """A Celery worker with its engine and its watch; not yet started."""
    with Engine(rt.settings, rt.storage, rt.sealer) as engine:
        pool = Pool(WorkerRuntime(rt, engine), bells)
        register(celery, pool)
        worker = make_worker(celery, bells)
        celery_state.should_stop = None
        pool.start()
        try:
            with _seldom_collecting():
                yield Working(worker, pool)
        finally:
            pool.stop()
            pool.join(STOP_S)


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for cyclic garbage less often, and not among what is there from the start.

    Hardly any of what a call makes is cyclic, and by the usual thresholds the search
    for it takes a third of a busy worker's time.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGINT and SIGTERM, once: a second one ends the process."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        for name, old in previous.items():
            signal.signal(name, old)
        stop()

    previous = {
        name: signal.signal(name, on_signal) for name in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for name, old in previous.items():
            signal.signal(name, old)


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Refuse to start when another process uses this data folder."""
    with open(data / LOCK_FILE, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"GENRELAY_DATA: another genrelay runs with the data folder {data}"
            ) from error
        yield


@contextmanager
def _announced(url: str, data: Path) -> Iterator[None]:
    """Say in the data folder where the gateway is, for the command line."""
    path = data / GATEWAY_FILE
    path.write_text(json.dumps({"url": url}), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _own_client(rt: Runtime, tx: Any, data: Path) -> Credentials:
    """The client that `genrelay up` prints: made once, kept in the data folder."""
    path = data / CREDENTIALS_FILE
    with contextlib.suppress(OSError, ValueError, TypeError):
        kept = Credentials(**json.loads(path.read_text(encoding="utf-8")))
        for pepper in (rt.api_key_pepper, *rt.old_api_key_peppers):
            key_hash = api_keys.hash_key(kept.api_key, pepper)
            if clients.find_by_key_hash(tx, key_hash) is not None:
                return kept
    name, n = FIRST_KEY, 1
    while clients.find_by_name(tx, name) is not None:
        n += 1
        name = f"{FIRST_KEY}-{n}"
    new = accounts.create_key(rt, tx, name, scopes=accounts.SCOPES)
    credentials = Credentials(new.api_key, new.webhook_secret)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file)
    return credentials
