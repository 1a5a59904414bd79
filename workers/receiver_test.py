"""Send one signed event that means nothing, to see whether a receiver takes it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

from app.runtime import Runtime
from app.store import clients
from app.store.clients import Client
from app.store.due import DeliveryClaim
from app.store.ids import new_id
from workers import deliver
from workers.deliver import Post, Tried
from workers.http import Engine
from workers.runtime import WorkerRuntime

EVENT = "test"


def send(rt: Runtime, client: Client, url: str) -> Tried:
    """One attempt, just as callbacks are sent; nothing of it is stored."""
    now_ms = int(rt.now() * 1000)
    claim = DeliveryClaim(
        id=f"msg_{new_id()}",
        fence=0,
        claim_count=1,
        task_id="",
        client_id=client.id,
        event=EVENT,
        url=url,
        host=urlsplit(url).netloc,
        attempt_count=0,
        created_at=now_ms,
    )
    told = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    body = {
        "type": EVENT,
        "timestamp": told.replace("+00:00", "Z"),
        "data": {"message": "a test of this receiver; no task has ended"},
    }
    with rt.reading() as tx:
        sealed = clients.webhook_secrets(tx, client.id)
    secrets = tuple(rt.sealer.unseal(each, f"client:{client.id}") for each in sealed)
    post = Post(claim, json.dumps(body).encode(), secrets)
    with Engine(rt.settings, rt.storage, rt.sealer) as engine:
        attempt = deliver.attempt(WorkerRuntime(rt, engine), post, _granted)
        return asyncio.run_coroutine_threadsafe(attempt, engine.loop).result()


async def _granted() -> bool:
    return True
