"""The official client, replicate, against the sandbox over real sockets."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import httpx
import pytest
import replicate.client
from PIL import Image
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.receiving import next_callback, receiving

SCHNELL = "black-forest-labs/flux-schnell"
DIGEST = "5c" * 32


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def connect(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], replicate.client.Client]:
    sandbox.reset()
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.02")

    def connected(token: str) -> replicate.client.Client:
        base_url = f"{sandbox.url}/replicate"
        return replicate.client.Client(api_token=token, base_url=base_url)

    return connected


@pytest.fixture
def client(
    connect: Callable[[str], replicate.client.Client],
) -> replicate.client.Client:
    return connect("sandbox-id:sandbox-key")


def fetched(url: str) -> bytes:
    """A result; the client wraps links of https alone."""
    reply = httpx.get(url)
    assert reply.status_code == 200
    return reply.content


def test_run_gives_files_that_can_be_decoded(
    client: replicate.client.Client, sandbox: Sandbox
) -> None:
    wanted = {"prompt": "a compass", "num_outputs": 2, "output_format": "jpg"}
    first, second = client.run(SCHNELL, input={**wanted, "aspect_ratio": "16:9"})
    image = Image.open(io.BytesIO(fetched(first)))
    assert (image.format, image.width > image.height) == ("JPEG", True)
    assert second.endswith("out-1.jpg")
    film = client.run("google/veo-3.1", input={"prompt": "a harbour", "duration": 4})
    with av.open(io.BytesIO(fetched(film))) as opened:
        assert opened.streams.video
    sound = client.run("elevenlabs/flash-v2.5", input={"prompt": "Hi."}, wait=False)
    with av.open(io.BytesIO(fetched(sound))) as opened:
        assert opened.streams.audio
    assert len(sandbox.ledger.submits("replicate")) == 3


@pytest.mark.parametrize("way", ["model", "version", "official", "deployment"])
def test_prediction_is_created_followed_and_listed(
    client: replicate.client.Client, way: str
) -> None:
    given = {"prompt": "a slow one [slow 400ms]"}
    if way == "model":
        job = client.models.predictions.create(SCHNELL, input=given)
    elif way == "deployment":
        job = client.deployments.predictions.create("anna/boats", input=given)
    else:
        version = DIGEST if way == "version" else SCHNELL
        job = client.predictions.create(version=version, input=given)
    assert job.status == "starting"
    seen = []
    while job.status not in {"succeeded", "failed"}:
        time.sleep(0.02)
        job.reload()
        if job.progress:
            seen.append(job.progress.percentage)
    assert seen == sorted(seen)
    assert job.output
    assert job.metrics
    assert job.metrics["predict_time"] > 0
    assert client.predictions.list().results[0].id == job.id


def test_wait_answers_with_the_result_or_in_time(
    client: replicate.client.Client,
) -> None:
    quick = client.models.predictions.create(SCHNELL, input={"prompt": "x"}, wait=True)
    assert quick.status == "succeeded"
    slow = client.models.predictions.create(
        SCHNELL, input={"prompt": "x [slow 30s]"}, wait=1
    )
    assert slow.status in {"starting", "processing"}
    slow.cancel()
    slow.reload()
    assert slow.status == "canceled"


@pytest.mark.parametrize(
    ("prompt", "told"), [("x [blocked]", "E005"), ("x [fail]", "code: PA")]
)
def test_failed_prediction_is_the_clients_own_error(
    client: replicate.client.Client, prompt: str, told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        client.run(SCHNELL, input={"prompt": prompt})


@pytest.mark.parametrize(
    ("token", "model", "given", "status"),
    [
        ("bad-key", SCHNELL, {"prompt": "x"}, 401),
        ("quota-key", SCHNELL, {"prompt": "x"}, 402),
        ("r8_a", "nobody/boat", {"prompt": "x"}, 404),
        ("r8_a", f"nobody/boat:{'0' * 64}", {"prompt": "x"}, 422),
        ("r8_a", SCHNELL, {}, 422),
        ("r8_a", SCHNELL, {"prompt": "x", "num_outputs": 9}, 422),
        ("r8_a", SCHNELL, {"prompt": "x", "aspect_ratio": "7:1"}, 422),
        (
            "r8_a",
            "google/veo-3.1",
            {"prompt": "x", "image": "data:image/png;base64,aGk="},
            422,
        ),
        ("r8_a", SCHNELL, {"prompt": "x [429]"}, 429),
    ],
)
def test_refusals_are_the_clients_own_errors(
    connect: Callable[[str], replicate.client.Client],
    sandbox: Sandbox,
    token: str,
    model: str,
    given: dict[str, Any],
    status: int,
) -> None:
    client = connect(token)
    create = client.models.predictions.create
    if ":" in model:
        create = client.predictions.create
    with pytest.raises(ReplicateError) as caught:
        create(model, input=given)
    assert caught.value.status == status
    assert not sandbox.ledger.submits("replicate")


def test_file_is_uploaded_used_and_deleted(client: replicate.client.Client) -> None:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(data, "png")
    data.seek(0)
    file = client.files.create(data, filename="a.png", content_type="image/png")
    assert client.files.get(file.id).size == len(data.getvalue())
    wanted = {"prompt": "x", "image": file.urls["get"]}
    assert client.run("google/veo-3.1", input=wanted)
    client.files.delete(file.id)
    with pytest.raises(ReplicateError) as caught:
        client.run("google/veo-3.1", input=wanted)
    assert caught.value.status == 422


def test_webhook_holds_under_the_clients_own_check(
    client: replicate.client.Client,
) -> None:
    secret = client.webhooks.default.secret()
    with receiving() as (url, heard):
        job = client.models.predictions.create(
            SCHNELL,
            input={"prompt": "x"},
            webhook=url,
            webhook_events_filter=["start", "completed"],
        )
        callbacks = [next_callback(heard) for _ in range(2)]
    for callback in callbacks:
        Webhooks.validate(
            headers=dict(callback.headers),
            body=callback.body.decode(),
            secret=secret,
        )
        assert job.id.encode() in callback.body
    assert b'"succeeded"' in callbacks[-1].body


def test_account_model_and_busy_reads(
    client: replicate.client.Client, sandbox: Sandbox
) -> None:
    assert client.accounts.current().username
    model = client.models.get(SCHNELL)
    assert model.latest_version is not None
    schemas = model.latest_version.openapi_schema["components"]["schemas"]
    assert schemas["Output"]["type"] == "array"
    job = client.models.predictions.create(SCHNELL, input={"prompt": "x [poll 503 1]"})
    job.wait()
    assert job.status == "succeeded"
    assert sandbox.ledger.calls("replicate", CallKind.POLL) >= 2
