"""A gateway for tests: a real SQLite store, a folder, made-up providers, one client."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.api.web_process import WebProcess
from app.bells import Bell
from app.runtime import Runtime
from app.security import api_keys
from app.security.sealing import Sealer, derive
from app.settings import Settings
from app.storage import open_storage
from app.store import channels, clients, submissions, tasks
from app.store.models import metadata
from app.store.models import submissions as submissions_table
from app.store.models import tasks as tasks_table
from app.store.session import open_database
from app.wsgi import WEB_PROCESS, create_app
from providers import auth
from providers.flow import Call, Flow
from providers.types import (
    Callback,
    Heard,
    MediaType,
    Model,
    Provider,
    Remote,
    Signed,
    by_name,
)
from tests.app.store.stores import sqlite_url, unsafe

SECRET_KEY = "2f1c7e0a9b3d4c5f6e8a1b0c9d7e6f5a4b3c2d1e"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
KEYS_URL = "https://keys.lumen.example/jwks.json"

MODELS = (
    Model(
        name="lumen-1",
        media_type=MediaType.IMAGE,
        max_prompt=2000,
        max_images=2,
        max_n=4,
        sizes=("1024x1024", "1024x768"),
        refuses=frozenset({"duration", "voice"}),
        output_formats=("png", "jpg"),
        qualities=("standard", "hd"),
    ),
    Model(name="lumen-free", media_type=MediaType.IMAGE),
    Model(
        name="lumen-wide",
        media_type=MediaType.IMAGE,
        side_range=(256, 2048),
        side_multiple=16,
        pixel_range=(256 * 256, 2_000_000),
        ratio_range=(0.5, 2.0),
    ),
    Model(name="lumen-edit", media_type=MediaType.IMAGE, needs=frozenset({"images"})),
    Model(
        name="lumen-video",
        media_type=MediaType.VIDEO,
        max_images=1,
        max_n=1,
        aspect_ratios=("16:9", "9:16"),
        resolutions=("720P", "1080P"),
        durations=(5.0, 10.0),
        longest_s=600.0,
    ),
    Model(
        name="lumen-speech",
        media_type=MediaType.AUDIO,
        needs=frozenset({"voice"}),
        speed_range=(0.5, 2.0),
        duration_range=(1.0, 60.0),
    ),
    Model(
        name="suno_music",
        media_type=MediaType.AUDIO,
        actions=("generate", "MUSIC"),
        max_n=2,
    ),
)


def a_flow(request: Any) -> Flow[Any]:
    """One call, which the API shows at most: it sends nothing."""
    yield Call("POST", "/things", json={"model": request.model}, paid=True)
    raise AssertionError("the API hands nothing over")


def receive(callback: Callback, model: str) -> Heard:
    """`{"id", "url"?}`, signed when it has a `lumen-signature` header, or a challenge.

    `lumen-wants` is the answer that it wants.
    """
    body = json.loads(callback.body)
    if "challenge" in body:
        return Heard(ids=(), answer={"challenge": body["challenge"]})
    headers = callback.headers
    signed = None
    if "lumen-signature" in headers:
        timestamp = headers["lumen-timestamp"]
        signed = Signed(
            scheme=headers.get("lumen-scheme", "ed25519"),
            message=timestamp.encode() + b"." + callback.body,
            signature=headers["lumen-signature"],
            timestamp=float(timestamp),
            keys_url=KEYS_URL,
        )
    links = {"status": body["url"]} if "url" in body else {}
    return Heard(
        ids=(body["id"],),
        remote=Remote(body["id"], links),
        signed=signed,
        answer=headers.get("lumen-wants"),
    )


LUMEN = Provider(
    name="lumen",
    title="Lumen",
    base_url="https://api.lumen.example/v1",
    models=MODELS,
    describe=by_name(MODELS),
    authorize=auth.bearer,
    submit=a_flow,
    poll=a_flow,
    receive=receive,
)
# The same models elsewhere, with wider limits and no callbacks.
VELA_MODELS = (
    Model(name="lumen-1", media_type=MediaType.IMAGE, max_n=8),
    Model(name="vela-1", media_type=MediaType.IMAGE),
)
VELA = replace(
    LUMEN,
    name="vela",
    title="Vela",
    models=VELA_MODELS,
    describe=by_name(VELA_MODELS),
    receive=None,
)
PROVIDERS = {"lumen": LUMEN, "vela": VELA}


@dataclass
class Clock:
    """Unix seconds that move when they are told to."""

    now: float = field(default_factory=lambda: float(int(time.time())))

    def __call__(self) -> float:
        return self.now


@dataclass
class Gateway:
    """One web process and its only client."""

    rt: Runtime
    flask_app: Flask
    rung: list[Bell]
    clock: Clock
    key: str
    client_id: str

    @property
    def web(self) -> WebProcess:
        web: WebProcess = self.flask_app.extensions[WEB_PROCESS]
        return web

    @property
    def http(self) -> FlaskClient:
        return self.flask_app.test_client()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def post(self, body: Any, **headers: str) -> TestResponse:
        """Submit as JSON; header names are given with underscores."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.http.post(
            "/generation/tasks", json=body, headers={**self.headers, **named}
        )

    def post_raw(
        self, content: bytes, content_type: str = "application/json", **headers: str
    ) -> TestResponse:
        """Submit these very bytes."""
        return self.http.post(
            "/generation/tasks",
            data=content,
            content_type=content_type,
            headers={**self.headers, **headers},
        )

    def post_form(
        self, fields: Sequence[tuple[str, Any]], **headers: str
    ) -> TestResponse:
        """Submit as a form; a file is `(bytes, file name)`."""
        return self.post_raw(*form(fields), **headers)

    def get(self, path: str, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.http.get(path, headers={**self.headers, **named})

    def inputs_of(self, task_id: str) -> Mapping[str, Any]:
        """What is stored of a task's request."""
        with self.rt.reading() as tx:
            return tasks.find_inputs(tx, [task_id])[task_id]

    def submitted(self, **fields: Any) -> str:
        """The id of a task that was taken."""
        answer = self.post({"model": "lumen-free", "prompt": "a pier", **fields})
        assert answer.status_code == 200, answer.text
        return str(data(answer)["task_id"])

    def task_count(self) -> int:
        with self.rt.reading() as tx:
            return len(tx.execute(select(tasks_table.c.id)).all())

    def stored_inputs(self) -> list[Path]:
        """The input files in storage."""
        folder = Path(self.rt.settings.storage_url) / "inputs"
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def channel(self, name: str = "main") -> channels.Channel:
        with self.rt.reading() as tx:
            found = channels.find_by_name(tx, name)
        assert found
        return found

    def a_submission(self, state: str, remote_id: str | None = None) -> str:
        """A submission of a new task to the channel `main`; gives its id."""
        task_id = self.submitted()
        with self.rt.transaction() as tx:
            tx.execute(
                update(tasks_table)
                .where(tasks_table.c.id == task_id)
                .values(state="processing", due_at=None)
            )
            submission_id = submissions.open_submission(
                tx,
                task_id=task_id,
                task_fence=0,
                channel_id=self.channel().id,
                key_id=self.channel().keys[0].id,
                model="lumen-video",
                reason="the only one",
            )
            now = int(self.clock() * 1000)
            tx.execute(
                update(submissions_table)
                .where(submissions_table.c.id == submission_id)
                .values(
                    state=state,
                    remote_id=remote_id,
                    due_at=now + 60_000 if state in ("accepted", "unknown") else None,
                    sent_at=now,
                )
            )
        return submission_id


def make_gateway(
    folder: Path,
    *,
    database_url: str = "",
    base_url: str = LUMEN.base_url,
    **variables: str,
) -> Gateway:
    """A gateway with the channels `main` (lumen) and `second` (vela)."""
    env = {
        "GENRELAY_DATA": str(folder),
        "GENRELAY_SECRET_KEY": SECRET_KEY,
        "GENRELAY_ALLOW_NETWORKS": "203.0.113.0/24",
        "GENRELAY_MAX_UPLOAD_BYTES": str(512 * 1024),
        "GENRELAY_MAX_IMAGE_PIXELS": "1000000",
        **variables,
    }
    # Where a process with the same data folder looks for it.
    env["DATABASE_URL"] = database_url or sqlite_url(folder, "genrelay.db")
    settings = Settings.from_env(env)
    clock, rung = Clock(), []
    database = unsafe(open_database(settings.database_url, clock=clock))
    if database_url:
        metadata.create_all(database.engine)
    rt = Runtime(
        settings=settings,
        database=database,
        storage=open_storage(settings.storage_url),
        sealer=Sealer.from_secret(SECRET_KEY),
        ring=rung.append,
        now=clock,
        api_key_pepper=derive(SECRET_KEY, "api-keys"),
        link_key=derive(SECRET_KEY, "result-links"),
        callback_key=derive(SECRET_KEY, "upstream-callbacks"),
    )
    key, client_id = add_client(rt, "first")
    with rt.transaction() as tx:
        for name, provider in (("main", "lumen"), ("second", "vela")):
            channel_id = channels.new_channel_id()
            channels.add(
                tx,
                channel_id=channel_id,
                name=name,
                provider=provider,
                base_url=base_url,
                webhook_secret=rt.sealer.seal(WEBHOOK_SECRET, f"channel:{channel_id}"),
                models={},
            )
            key_id = channels.new_key_id()
            channels.add_key(
                tx,
                key_id=key_id,
                channel_id=channel_id,
                name="key-1",
                secret=rt.sealer.seal("upstream-key", f"key:{key_id}"),
            )
    return Gateway(rt, create_app(rt, PROVIDERS), rung, clock, key, client_id)


def add_client(
    rt: Runtime,
    name: str,
    scopes: Sequence[str] = (),
    expires_at: int | None = None,
) -> tuple[str, str]:
    """A new client's key and id."""
    key, client_id = api_keys.make_key(), clients.new_client_id()
    with rt.transaction() as tx:
        clients.add(
            tx,
            client_id=client_id,
            name=name,
            key_hash=api_keys.hash_key(key, rt.api_key_pepper),
            key_prefix=api_keys.display_prefix(key),
            scopes=scopes,
            webhook_secret=b"sealed",
            expires_at=expires_at,
        )
    return key, client_id


def data(answer: TestResponse) -> dict[str, Any]:
    """`data` of an answer that is a success."""
    assert answer.status_code == 200, answer.text
    assert answer.json
    assert answer.json["code"] == "success"
    found: dict[str, Any] = answer.json["data"]
    return found


def a_png(width: int = 8, height: int = 8, *, noise: bool = False) -> bytes:
    """A PNG; a noisy one is large."""
    image = (
        Image.effect_noise((width, height), 90)
        if noise
        else Image.new("RGB", (width, height), "teal")
    )
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


BOUNDARY = "b0undary"


def form(fields: Sequence[tuple[str, Any]]) -> tuple[bytes, str]:
    """A multipart body and its content type; a file is `(bytes, file name)`."""
    parts = []
    for name, value in fields:
        disposition = f'form-data; name="{name}"'
        content = value
        if isinstance(value, tuple):
            content, filename = value
            disposition += f'; filename="{filename}"'
        if isinstance(content, str):
            content = content.encode()
        head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n"
        parts.append(head.encode() + content + b"\r\n")
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={BOUNDARY}"
