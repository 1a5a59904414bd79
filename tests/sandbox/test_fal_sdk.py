"""The official client, fal-client, against the sandbox over real sockets."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import av
import fal_client
import httpx
import pytest
from fal_client import client as sdk
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running

KEY = "id-1:secret-1"
FLUX = "fal-ai/flux/dev"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def pointed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client has no setting for plain http; its addresses are module constants."""
    sandbox.reset()
    base = f"{sandbox.url}/fal"
    monkeypatch.setattr(sdk, "QUEUE_URL_FORMAT", f"{base}/")
    monkeypatch.setattr(sdk, "RUN_URL_FORMAT", f"{base}/run/")
    monkeypatch.setattr(sdk, "REST_URL", f"{base}/rest")
    monkeypatch.setattr(sdk, "CDN_URL", f"{base}/cdn")


@pytest.fixture
def client() -> fal_client.SyncClient:
    return fal_client.SyncClient(key=KEY)


def fetched(url: str) -> bytes:
    reply = httpx.get(url)
    assert reply.status_code == 200
    return reply.content


def a_picture() -> Image.Image:
    return Image.new("RGB", (40, 30), "teal")


def test_an_image_is_submitted_followed_and_fetched(
    client: fal_client.SyncClient, sandbox: Sandbox
):
    handle = client.submit(
        FLUX,
        {
            "prompt": "a brass compass",
            "image_size": {"width": 320, "height": 192},
            "num_images": 2,
            "output_format": "png",
            "seed": 7,
        },
    )
    events = list(handle.iter_events(with_logs=True, interval=0.01))
    result = handle.get()
    assert isinstance(events[0], fal_client.Queued)
    assert any(isinstance(event, fal_client.InProgress) for event in events)
    assert isinstance(events[-1], fal_client.Completed)
    assert events[-1].metrics["inference_time"] > 0
    assert result["seed"] == 7
    for file in result["images"]:
        image = Image.open(io.BytesIO(fetched(file["url"])))
        assert (image.format, image.size) == ("PNG", (320, 192))
    (paid,) = sandbox.ledger.submits("fal")
    assert (paid.model, paid.prompt) == (FLUX, "a brass compass")


def test_a_subscription_waits_for_a_film(client: fal_client.SyncClient):
    positions: list[fal_client.Status] = []
    result = client.subscribe(
        "fal-ai/veo3.1",
        {"prompt": "a harbour", "duration": "4s", "aspect_ratio": "9:16"},
        on_queue_update=positions.append,
        interval=0.02,
    )
    with av.open(io.BytesIO(fetched(result["video"]["url"]))) as film:
        assert film.streams.video[0].height > film.streams.video[0].width
    assert positions


def test_speech_can_be_decoded(client: fal_client.SyncClient):
    result = client.subscribe(
        "fal-ai/minimax/speech-2.8-hd",
        {"prompt": "Good morning.", "audio_setting": {"format": "flac"}},
    )
    with av.open(io.BytesIO(fetched(result["audio"]["url"]))) as sound:
        assert sound.streams.audio[0].codec_context.name == "flac"
    assert result["duration_ms"] > 0


def test_status_and_result_are_found_by_the_request_id_alone(
    client: fal_client.SyncClient,
):
    model = "fal-ai/nano-banana/edit"
    url = fal_client.encode_image(a_picture(), "png")
    handle = client.submit(model, {"prompt": "add a hat", "image_urls": [url]})
    handle.get()
    status = client.status(model, handle.request_id, with_logs=True)
    assert isinstance(status, fal_client.Completed)
    assert status.logs
    assert client.result(model, handle.request_id)["images"]


def test_a_cancelled_request_is_completed_with_an_error(
    client: fal_client.SyncClient,
):
    handle = client.submit(FLUX, {"prompt": "a slow one [slow 30s]"})
    handle.cancel()
    status = handle.status()
    assert isinstance(status, fal_client.Completed)
    assert status.error_type == "client_cancelled"
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.get()
    assert caught.value.status_code == 499


def test_a_completed_request_cannot_be_cancelled(client: fal_client.SyncClient):
    handle = client.submit(FLUX, {"prompt": "a quick one"})
    handle.get()
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.cancel()
    assert caught.value.status_code == 400
    assert caught.value.response.json() == {"status": "ALREADY_COMPLETED"}


def test_a_refused_input_shows_when_the_result_is_read(
    client: fal_client.SyncClient,
):
    handle = client.submit("fal-ai/veo3.1", {"prompt": "a harbour", "duration": "8"})
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.get()
    assert caught.value.status_code == 422
    assert caught.value.error_type == "one_of"


@pytest.mark.parametrize(
    ("prompt", "status", "error_type"),
    [
        ("a riot [blocked]", 422, "content_policy_violation"),
        ("a riot [blocked late]", 422, "content_policy_violation"),
        ("a fall [fail]", 500, "internal_server_error"),
    ],
)
def test_a_failed_request_is_the_clients_own_error(
    client: fal_client.SyncClient, prompt: str, status: int, error_type: str
):
    handle = client.submit(FLUX, {"prompt": prompt})
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.get()
    assert (caught.value.status_code, caught.value.error_type) == (status, error_type)


@pytest.mark.parametrize(
    ("key", "status"),
    [("bad-key", 401), ("bad-key:x", 401), ("no-colon", 401), ("quota-key:x", 403)],
)
def test_a_key_that_is_refused_is_the_clients_own_error(key: str, status: int):
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        fal_client.SyncClient(key=key).submit(FLUX, {"prompt": "x"})
    assert caught.value.status_code == status


def test_an_application_that_nobody_offers_is_not_found(
    client: fal_client.SyncClient,
):
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.submit("nobody/boat", {"prompt": "x"})
    assert caught.value.status_code == 404


def test_the_client_sends_again_what_a_rate_limit_refused(
    client: fal_client.SyncClient, sandbox: Sandbox
):
    handle = client.submit(FLUX, {"prompt": "patience [429 twice]"})
    assert handle.get()["images"]
    assert len(sandbox.ledger.submits("fal")) == 1
    assert sandbox.ledger.calls("fal", CallKind.SUBMIT) == 3


def test_the_client_takes_a_page_of_the_proxy_for_not_accepted(
    client: fal_client.SyncClient, sandbox: Sandbox
):
    sandbox.behave("fal", down=True)
    again = threading.Timer(0.15, sandbox.behave, args=("fal",))
    again.start()
    assert client.submit(FLUX, {"prompt": "patience"}).get()["images"]
    again.join()
    assert len(sandbox.ledger.submits("fal")) == 1


def test_a_start_deadline_that_passes_fails_the_request(
    client: fal_client.SyncClient, sandbox: Sandbox
):
    sandbox.behave("fal", durations="fixed:20")
    handle = client.submit(FLUX, {"prompt": "in a hurry"}, start_timeout=1.05)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        handle.get()
    assert (caught.value.status_code, caught.value.error_type) == (
        504,
        "request_timeout",
    )
    status = handle.status()
    assert isinstance(status, fal_client.Completed)
    assert status.error_type == "request_timeout"


def test_the_synchronous_host_answers_with_the_result(
    client: fal_client.SyncClient,
):
    result = client.run(FLUX, {"prompt": "at once", "image_size": "square"})
    image = Image.open(io.BytesIO(fetched(result["images"][0]["url"])))
    assert image.size == (512, 512)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.run(FLUX, {"image_size": "1024x1024"})
    assert caught.value.status_code == 422


def test_sync_mode_brings_the_file_inside_the_result(
    client: fal_client.SyncClient,
):
    result = client.subscribe(FLUX, {"prompt": "inside", "sync_mode": True})
    url: str = result["images"][0]["url"]
    assert url.startswith("data:image/jpeg;base64,")
    assert (
        Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).format == "JPEG"
    )


@pytest.mark.parametrize("repository", ["fal_v3", "fal"])
def test_a_file_is_uploaded_and_used(client: fal_client.SyncClient, repository: str):
    data = io.BytesIO()
    a_picture().save(data, "png")
    url = client.upload(
        data.getvalue(),
        "image/png",
        "hat.png",
        repository=repository,
        fallback_repository=[],
    )
    assert fetched(url) == data.getvalue()
    result = client.subscribe(
        "fal-ai/flux-pro/kontext", {"prompt": "a hat", "image_url": url}
    )
    assert result["images"]


def test_the_asynchronous_client_does_the_same(sandbox: Sandbox):
    async def exchange() -> tuple[dict[str, object], str | None]:
        client = fal_client.AsyncClient(key=KEY)
        result = await client.subscribe(FLUX, {"prompt": "side by side"}, interval=0.02)
        handle = await client.submit(FLUX, {"prompt": "a slow one [slow 30s]"})
        assert isinstance(await handle.status(), fal_client.Queued)
        await handle.cancel()
        status = await handle.status(with_logs=True)
        assert isinstance(status, fal_client.Completed)
        with pytest.raises(fal_client.FalClientHTTPError):
            await handle.get()
        url = await client.upload_image(a_picture(), "png")
        return result, status.error_type if fetched(url) else None

    result, error_type = asyncio.run(exchange())
    assert result["images"]
    assert error_type == "client_cancelled"
    assert len(sandbox.ledger.submits("fal")) == 2


class Receiver(HTTPServer):
    """Keeps the webhooks that it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Event()
        super().__init__(("127.0.0.1", 0), Hook)


class Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        headers = {name.lower(): text for name, text in self.headers.items()}
        self.server.got.append((headers, self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()
        self.server.arrived.set()

    def log_message(self, *args: object) -> None:
        pass


def test_the_client_can_ask_for_a_webhook(client: fal_client.SyncClient):
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}/hook?task=1"
        handle = client.submit(FLUX, {"prompt": "call me"}, webhook_url=url)
        assert receiver.arrived.wait(10)
        receiver.shutdown()
    headers, body = receiver.got[0]
    assert headers["x-fal-webhook-request-id"] == handle.request_id
    assert b'"status": "OK"' in body
