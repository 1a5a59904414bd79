"""The simulated upstreams' own callbacks, over sockets, to a gateway's web server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select, update

from app.bells import Bell
from app.security import signatures
from app.store.models import channels, submissions
from app.wsgi import create_app, serve
from providers import errors, minimax, openai
from providers.types import MediaType, Provider
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.app.api.gateways import WEBHOOK_SECRET, Gateway, make_gateway
from tests.builders import a_request
from tests.sandbox.sending import Sender, sender

WITHIN_S = 10.0


@dataclass
class Served:
    """A gateway whose web server answers; `rung` has its bells as they ring.

    What is signed is not looked at until the test is `ready` for it.
    """

    gateway: Gateway
    url: str
    rung: queue.Queue[Bell]
    ready: threading.Event

    def use(self, provider: Provider) -> None:
        """Make the channel `main` one of this provider."""
        with self.gateway.rt.transaction() as tx:
            tx.execute(
                update(channels)
                .where(channels.c.name == "main")
                .values(provider=provider.name)
            )

    def row(self, submission_id: str) -> Any:
        with self.gateway.rt.reading() as tx:
            return tx.execute(
                select(submissions).where(submissions.c.id == submission_id)
            ).one()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = make_gateway(tmp_path, GENRELAY_WEB_PORT="0", GENRELAY_WEB_THREADS="4")
    rung: queue.Queue[Bell] = queue.Queue()
    ready = threading.Event()

    def now() -> float:
        ready.wait(WITHIN_S)
        return made.clock()

    named = {p.name: p for p in (minimax.PROVIDER, openai.PROVIDER)}
    flask_app = create_app(replace(made.rt, ring=rung.put, now=now), named)
    server = serve(flask_app, made.rt.settings)
    yield Served(made, f"http://127.0.0.1:{server.port}", rung, ready)
    server.close()
    made.web.close()
    made.rt.database.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.05"), webhook_secret=WEBHOOK_SECRET
    )
    with running(settings=settings) as server:
        yield server


def a_sender(sandbox: Sandbox, provider: Provider) -> Sender:
    return sender(sandbox.url + provider.sandbox_path, provider, "sk-any")


def a_video(model: str, **fields: Any) -> Any:
    return a_request(model=model, media_type=MediaType.VIDEO, **fields)


def test_a_webhook_of_an_openai_project_wakes_its_video(
    served: Served, sandbox: Sandbox
) -> None:
    submission_id = served.gateway.a_submission("accepted")
    served.use(openai.PROVIDER)
    send = a_sender(sandbox, openai.PROVIDER)
    endpoint = {
        "name": "gateway",
        "url": f"{served.url}/upstream/main",
        "event_types": ["video.completed"],
    }
    requests.post(
        f"{send.base_url}/webhook_endpoints",
        json=endpoint,
        headers={"Authorization": f"Bearer {send.secret}"},
        timeout=10,
    ).raise_for_status()

    remote = send.submit(a_video("sora-2")).remote
    assert remote is not None
    with served.gateway.rt.transaction() as tx:
        tx.execute(
            update(submissions)
            .where(submissions.c.id == submission_id)
            .values(remote_id=remote.id)
        )
    served.ready.set()

    assert served.rung.get(timeout=WITHIN_S) is Bell.POLL
    row = served.row(submission_id)
    assert row.called_at is not None
    assert row.due_at <= served.gateway.clock() * 1000


@pytest.mark.parametrize("model", ["MiniMax-Hailuo-2.3", "MiniMax-H3"])
def test_minimax_is_answered_its_challenge_and_then_heard(
    served: Served, sandbox: Sandbox, model: str
) -> None:
    submission_id = served.gateway.a_submission("sent")
    served.use(minimax.PROVIDER)
    with served.gateway.rt.transaction() as tx:
        tx.execute(update(submissions).values(model=model))
    key = served.gateway.rt.callback_key
    token = signatures.callback_token(key, submission_id)
    address = f"{served.url}/upstream/main/{submission_id}.{token}"

    # Taken only once the challenge was answered; the id comes with the callback.
    remote = (
        a_sender(sandbox, minimax.PROVIDER)
        .submit(a_video(model, callback_url=address))
        .remote
    )

    assert served.rung.get(timeout=WITHIN_S) is Bell.POLL
    assert remote is not None
    row = served.row(submission_id)
    assert (row.remote_id, row.remote) == (remote.id, remote.links)


def test_minimax_takes_no_address_whose_token_is_wrong(
    served: Served, sandbox: Sandbox
) -> None:
    submission_id = served.gateway.a_submission("sent")
    served.use(minimax.PROVIDER)
    send = a_sender(sandbox, minimax.PROVIDER)

    for address in (f"main/{submission_id}.wrong", "main"):
        url = f"{served.url}/upstream/{address}"
        with pytest.raises(errors.RateLimited):
            send.submit(a_video("MiniMax-H3", callback_url=url))
