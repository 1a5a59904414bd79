"""A gateway on a workbench: a real store, a clock by hand, upstreams that are scripted.

`Upstream` is a made-up provider whose answers a test lays out beforehand; `Bench` has
the steps of the work loop as plain calls, so that a test can stop between any two.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app import accounts
from app.bells import Bell
from app.generation_requests import Upload
from app.runtime import Runtime
from app.security.sealing import Sealer
from app.settings import Settings
from app.storage import Storage, open_storage
from app.store import channels, migrate, submissions, tasks
from app.store.ids import new_task_id
from app.store.session import open_database
from app.store.submissions import Submission
from app.store.tasks import NewTask, Task
from providers import auth, errors
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Callback,
    Failure,
    GenerationRequest,
    Heard,
    MediaType,
    Model,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
    by_name,
)
from tests.app.store.stores import sqlite_url, unsafe
from workers import deliver, poll, submit
from workers.deliver import Post, Tried
from workers.http import Account, Answer, Downloaded, DownloadFailed, Ready
from workers.poll import Look, Many
from workers.runtime import WorkerRuntime
from workers.submit import Handed, Handing

START = 1_780_000_000.0
MODEL = Model(
    name="lumen-1", media_type=MediaType.IMAGE, typical_s=10.0, longest_s=600.0
)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080600000"
    "01f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def lumen_submit(request: GenerationRequest) -> Flow[Snapshot]:
    """One paid call; `{"id"}` is pending, `{"inline"}` is done."""
    for image in request.images:
        yield Call("GET", image.url, public=True)
    reply = yield Call(
        "POST",
        "/jobs",
        json={"prompt": request.prompt, "key": request.submission_key},
        paid=True,
    )
    body = errors.check(reply, CODES)
    return read_job(body)


@errors.documented("a Lumen job")
def read_job(body: dict[str, Any]) -> Snapshot:
    if "inline" in body:
        return Snapshot(
            phase=Phase.SUCCEEDED,
            artifacts=tuple(
                Artifact(content=PNG, content_type="image/png")
                for _ in range(body["inline"])
            ),
        )
    return Snapshot(
        phase=Phase(body.get("phase", "pending")),
        remote=Remote(body["id"]),
        percent=body.get("percent"),
        artifacts=tuple(Artifact(url=url) for url in body.get("urls", ())),
        failure=Failure(Reason(body["reason"]), "it went wrong")
        if "reason" in body
        else None,
        look_after_s=body.get("after"),
    )


def lumen_poll(remote: Remote) -> Flow[Snapshot]:
    reply = yield Call("GET", f"/jobs/{remote.id}")
    return read_job(errors.check(reply, CODES))


def lumen_find(request: GenerationRequest) -> Flow[Snapshot | None]:
    reply = yield Call("GET", f"/find/{request.submission_key}")
    body = errors.check(reply, CODES)
    return read_job(body) if body else None


def lumen_receive(callback: Callback, model: str) -> Heard:
    job_id = json.loads(callback.body)["id"]
    return Heard((job_id,), Remote(job_id))


CODES = {
    "moderated": errors.ContentRejected,
    "no_money": errors.QuotaExhausted,
    "bad_key": errors.KeyRefused,
    "no_model": errors.ModelRefused,
}

LUMEN = Provider(
    name="lumen",
    title="Lumen",
    base_url="https://api.lumen.example/v2",
    models=(MODEL,),
    authorize=auth.bearer,
    submit=lumen_submit,
    poll=lumen_poll,
    describe=by_name((MODEL,)),
)


def ok(**body: Any) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())


def refused(status: int, code: str = "", **headers: str) -> Reply:
    body = {"error": {"code": code, "message": f"refused: {code or status}"}}
    fixed = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(
        status, {"content-type": "application/json", **fixed}, json.dumps(body).encode()
    )


Scripted = Reply | errors.ProviderError


@dataclass
class FakeEngine:
    """Answers calls from a script and keeps what was asked."""

    replies: list[Scripted] = field(default_factory=list)
    files: dict[str, bytes | DownloadFailed] = field(default_factory=dict)
    receivers: dict[str, list[Answer | Exception]] = field(default_factory=dict)
    calls: list[tuple[str, Call]] = field(default_factory=list)
    delivered: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    storage: Any = None

    def account(
        self, channel: channels.Channel, key: channels.ChannelKey, provider: Provider
    ) -> Account:
        return Account(channel, key, provider, key.name)

    async def send(
        self,
        call: Call,
        account: Account,
        *,
        timeout_s: float,
        uploads: Mapping[str, Upload] | None = None,
        ready: Ready | None = None,
    ) -> Reply:
        if ready is not None:
            await ready()
        self.calls.append((account.channel.name, call))
        reply = self.replies.pop(0)
        if isinstance(reply, errors.ProviderError):
            raise reply
        return reply

    async def download(
        self,
        account: Account,
        url: str,
        storage_key: str,
        *,
        protected: bool,
        timeout_s: float,
    ) -> Downloaded:
        content = self.files[url]
        if isinstance(content, DownloadFailed):
            raise content
        self.storage.put(storage_key, content)
        return Downloaded(len(content), "0" * 64, "image/png", "image/png")

    async def deliver(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        self.delivered.append((url, headers, body))
        answer = self.receivers[url].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    @property
    def paid(self) -> list[str]:
        """The channels that got a paid call, in order."""
        return [name for name, call in self.calls if call.paid]


async def granted() -> bool:
    return True


class Bench:
    """The work loop by hand."""

    def __init__(
        self,
        database_url: str,
        folder: Path,
        *,
        migrated: bool = False,
        storage: Storage | None = None,
        **settings: Any,
    ) -> None:
        self.clock = START
        self.last_id = ""
        self.rung: list[Bell] = []
        self.engine = FakeEngine()
        env = {
            "GENRELAY_DATA": str(folder),
            "GENRELAY_SECRET_KEY": "k" * 16 + "x1y2" * 8,
        }
        self.settings = replace(Settings.from_env(env), **settings)
        self.database = unsafe(open_database(database_url, clock=lambda: self.clock))
        if not migrated:
            migrate.upgrade(self.database)
        self.storage = storage or open_storage(self.settings.storage_url)
        self.engine.storage = self.storage
        self.base = Runtime(
            settings=self.settings,
            database=self.database,
            storage=self.storage,
            sealer=Sealer.from_secret(self.settings.secret_key),
            ring=self.rung.append,
            now=lambda: self.clock,
            api_key_pepper=b"p" * 32,
            link_key=b"l" * 32,
            callback_key=b"c" * 32,
        )
        self.providers = {"lumen": LUMEN}
        self.rt = WorkerRuntime(
            self.base,
            self.engine,  # type: ignore[arg-type]
            providers=self.providers,
            chance=lambda: 0.0,
            uptime=lambda: self.clock,
        )
        with self.base.transaction() as tx:
            self.client = accounts.create_key(self.base, tx, "client")
        self.many = Many(self.rt)
        self.loop = asyncio.Runner()  # one for all calls: a new one is slow to make

    def close(self) -> None:
        self.loop.close()
        self.database.close()

    def wait(self, seconds: float) -> None:
        """Let time pass (on SQLite, whose clock is ours)."""
        self.clock += seconds
        self.rt.forget_channels()

    def a_channel(
        self, name: str = "main", *, provider: Provider = LUMEN, **fields: Any
    ) -> str:
        self.providers[provider.name] = provider
        with self.base.transaction() as tx:
            channel_id = accounts.add_channel(
                self.base,
                tx,
                accounts.ChannelPlan(
                    **{
                        "name": name,
                        "provider": provider.name,
                        "secrets": ("secret",),
                        **fields,
                    }
                ),
                self.providers,
            )
        self.rt.forget_channels()
        return channel_id

    def a_task(self, **fields: Any) -> str:
        task_id = new_task_id()
        while task_id <= self.last_id:  # of one millisecond: in order all the same
            task_id = new_task_id()
        self.last_id = task_id
        with self.base.transaction() as tx:
            tasks.add(
                tx,
                self.client.client_id,
                NewTask(
                    **{
                        "id": task_id,
                        "model": "lumen-1",
                        "media_type": "image",
                        "inputs": {"prompt": "a lighthouse"},
                        **fields,
                    }
                ),
            )
        return task_id

    def script(self, *replies: Scripted) -> None:
        """What upstreams answer next, in order."""
        self.engine.replies.extend(replies)

    def claim(self, limit: int = 10) -> list[Handing]:
        return submit.claim(self.rt, limit, ())

    def hand_over(
        self,
        handing: Handing,
        leave: Callable[[], Awaitable[bool]] | None = None,
    ) -> Handed:
        async def mark() -> bool:
            return handing.id in submit.leaving(self.rt, [handing])

        return self.loop.run(submit.hand_over(self.rt, handing, leave or mark))

    def record(self, *outcomes: tuple[Handing, Handed]) -> None:
        submit.record(self.rt, outcomes)

    def submit(self, *replies: Scripted) -> None:
        """One whole round of the submit job."""
        self.script(*replies)
        for handing in self.claim():
            self.record((handing, self.hand_over(handing)))

    def look(self, *replies: Scripted) -> list[Look]:
        """One whole round of the poll job."""
        self.script(*replies)
        claims = poll.claim(self.rt, 10, ())
        looks = [
            self.loop.run(poll.look(self.rt, self.many, claimed, granted))
            for claimed in claims
        ]
        poll.record(self.rt, list(zip(claims, looks, strict=True)))
        return looks

    def deliver(self, *, limit: int = 10) -> list[tuple[Post, Tried]]:
        """One whole round of the deliver job."""
        posts = deliver.claim(self.rt, limit, ())
        tried = [
            (post, self.loop.run(deliver.attempt(self.rt, post, granted)))
            for post in posts
        ]
        deliver.record(self.rt, tried)
        return tried

    def task(self, task_id: str) -> Task:
        with self.base.reading() as tx:
            return tasks.get(tx, task_id)

    def submissions(self, task_id: str) -> Sequence[Submission]:
        with self.base.reading() as tx:
            return submissions.of_tasks(tx, [task_id])

    def channel(self, name: str = "main") -> channels.Channel:
        with self.base.reading() as tx:
            found = channels.find_by_name(tx, name)
        assert found is not None
        return found

    def row(self, sql: str, **values: Any) -> Mapping[str, Any]:
        with self.base.reading() as tx:
            return dict(tx.execute(text(sql), values).mappings().one())


@contextmanager
def a_bench(folder: Path, **settings: Any) -> Iterator[Bench]:
    bench = Bench(sqlite_url(folder), folder, migrated=True, **settings)
    try:
        yield bench
    finally:
        bench.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as made:
        yield made
