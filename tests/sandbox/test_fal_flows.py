"""fal's flows over real HTTP against the sandbox."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import av
import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from PIL import Image

from providers import errors, fal
from providers.flow import Call, drive
from providers.types import (
    Callback,
    GenerationRequest,
    Heard,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.fal_schemas import SCHEMAS
from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.sending import Sender, Upload, sender

FLUX = "fal-ai/flux/dev"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    return a_sender(sandbox)


def a_picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (400, 300), "teal").save(data, "png")
    return data.getvalue()


def a_sender(sandbox: Sandbox, key: str = "id-1:secret-1") -> Sender:
    base_url = sandbox.url + fal.PROVIDER.sandbox_path
    return sender(base_url, fal.PROVIDER, key, uploads=[Upload(a_picture())] * 2)


def wanted(prompt: str = "a brass compass", **fields: Any) -> GenerationRequest:
    return a_request(**{"model": FLUX, "prompt": prompt, **fields})


def made(send: Sender, prompt: str = "a brass compass", **fields: Any) -> Snapshot:
    return send.wait(send.submit(wanted(prompt, **fields)))


def test_images_are_made_in_the_size_and_format_asked_for(send: Sender):
    end = made(send, n=2, size="320x192", output_format="png", seed=4)
    assert end.phase is Phase.SUCCEEDED
    assert len(end.artifacts) == 2
    for artifact in end.artifacts:
        image = Image.open(io.BytesIO(send.fetch(artifact)))
        assert (image.format, image.size) == ("PNG", (320, 192))
    assert end.usage["billable_units"] > 0


def test_a_film_is_made_from_an_uploaded_image(send: Sender):
    end = made(
        send,
        model="fal-ai/kling-video/v2.6/pro/image-to-video",
        media_type=MediaType.VIDEO,
        images=(an_upload(),),
        duration=5,
    )
    (artifact,) = end.artifacts
    assert artifact.content_type == "video/mp4"
    with av.open(io.BytesIO(send.fetch(artifact))) as film:
        assert film.streams.video


def test_speech_is_made_in_the_format_asked_for(send: Sender):
    end = made(
        send,
        prompt=None,
        input="Good morning.",
        model="fal-ai/minimax/speech-2.8-hd",
        media_type=MediaType.AUDIO,
        voice="Wise_Woman",
        speed=1.1,
        output_format="flac",
    )
    (artifact,) = end.artifacts
    assert artifact.duration_s
    with av.open(io.BytesIO(send.fetch(artifact))) as sound:
        assert sound.streams.audio[0].codec_context.name == "flac"


FULL: dict[MediaType, dict[str, Any]] = {
    MediaType.IMAGE: {"aspect_ratio": "1:1", "seed": 3, "output_format": "jpg"},
    MediaType.VIDEO: {"aspect_ratio": "16:9", "seed": 3, "negative_prompt": "fog"},
    MediaType.AUDIO: {"voice": "Rachel", "speed": 1.0, "output_format": "mp3"},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_listed_endpoint_takes_the_input_we_write(send: Sender, name: str):
    """The sandbox refuses wrong types, names and words as the endpoints do."""
    model = fal.describe(name)
    assert model is not None
    fields = {
        field: value
        for field, value in FULL[model.media_type].items()
        if field not in model.refuses
    }
    if model.durations:
        fields["duration"] = model.durations[-1]
    elif model.duration_range:
        fields["duration"] = model.duration_range[0]
    elif "duration" not in model.refuses:
        fields["duration"] = 5
    if model.resolutions:
        fields["resolution"] = model.resolutions[-1].upper()
    if model.qualities:
        fields["quality"] = model.qualities[-1]
    if "lyrics" in model.needs:
        fields["lyrics"] = "[Verse] salt and rope"
    if "images" in model.needs:
        fields["images"] = (an_upload(),) * (2 if "first-last" in name else 1)
    end = made(send, model=name, media_type=model.media_type, **fields)
    assert end.failure is None
    assert end.phase is Phase.SUCCEEDED


def test_progress_is_seen_while_it_runs(send: Sender, sandbox: Sandbox):
    seen: list[int | None] = []
    start = send.submit(wanted("a slow one [slow 600ms]"))
    send.wait(start, watch=lambda snapshot: seen.append(snapshot.percent))
    told = [percent for percent in seen if percent is not None]
    assert told == sorted(told)
    assert any(0 < percent < 100 for percent in told)


@pytest.mark.parametrize(
    ("prompt", "reason", "code"),
    [
        ("x [fail]", Reason.UPSTREAM_FAILED, "internal_server_error"),
        ("x [blocked]", Reason.CONTENT_REJECTED, "content_policy_violation"),
        ("x [blocked late]", Reason.CONTENT_REJECTED, "content_policy_violation"),
    ],
)
def test_completed_but_failed_shows_at_the_result(
    send: Sender, prompt: str, reason: Reason, code: str
):
    end = made(send, prompt)
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


def test_an_input_that_does_not_fit_fails_when_it_runs(send: Sender):
    end = made(send, metadata={"num_images": 9})
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (
        Reason.INVALID_REQUEST,
        "less_than_equal",
    )


def test_a_blacked_out_image_is_a_partial_failure(send: Sender):
    end = made(send, "a crowd [partial]", n=3)
    assert end.phase is Phase.SUCCEEDED
    assert len(end.artifacts) == 2
    assert end.failure is not None
    assert end.failure.reason is Reason.CONTENT_REJECTED


def test_sync_mode_gives_the_bytes(send: Sender):
    (artifact,) = made(send, metadata={"sync_mode": True}).artifacts
    assert artifact.content is not None
    assert Image.open(io.BytesIO(artifact.content)).format == "JPEG"


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("x [429 once]", errors.RateLimited),
        ("x [quota]", errors.QuotaExhausted),
        ("x [401]", errors.KeyRefused),
        ("x [403]", errors.ChannelRefused),
        ("x [400]", errors.Rejected),
        ("x [503 before]", errors.Unavailable),
    ],
)
def test_a_refused_submit_pays_nothing(
    send: Sender, sandbox: Sandbox, prompt: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(prompt))
    assert type(caught.value) is kind
    assert sandbox.ledger.submits("fal") == []


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("x [500]", errors.Unavailable),
        ("x [502]", errors.Unavailable),
        ("x [503]", errors.Unavailable),
        ("x [504]", errors.Unavailable),
        ("x [cut]", errors.AnswerLost),
        ("x [reset]", errors.AnswerLost),
        ("x [html]", errors.UnexpectedReply),
        ("x [no id]", errors.UnexpectedReply),
    ],
)
def test_a_submit_that_was_paid_is_never_called_refused(
    send: Sender, sandbox: Sandbox, prompt: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(prompt))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("fal")) == 1


def test_a_proxy_without_anything_behind_it_has_accepted_nothing(
    send: Sender, sandbox: Sandbox
):
    sandbox.behave("fal", down=True)
    with pytest.raises(errors.RateLimited):
        send.submit(wanted())
    sandbox.behave("fal")
    assert sandbox.ledger.submits("fal") == []


@pytest.mark.parametrize(
    ("model", "kind"),
    [("nobody/boat", errors.ModelRefused), ("boat", errors.Rejected)],
)
def test_an_endpoint_that_nobody_offers_is_refused(
    send: Sender, model: str, kind: type[errors.ProviderError]
):
    with pytest.raises(kind):
        send.submit(wanted(model=model))


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 401]", errors.KeyRefused),
        ("[poll 403]", errors.ChannelRefused),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[unknown status]", errors.UnexpectedReply),
    ],
)
def test_a_look_that_failed_is_no_end(
    send: Sender, tag: str, kind: type[errors.ProviderError]
):
    start = send.submit(wanted(f"x {tag}"))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    if "once" in tag:
        assert send.wait(start).phase is Phase.SUCCEEDED


def test_the_subpath_has_no_place_in_the_urls_of_a_request(send: Sender):
    start = send.submit(wanted())
    assert start.remote is not None
    url = start.remote.links["status_url"].replace("/flux/", "/flux/dev/")
    with pytest.raises(errors.Rejected):
        send.poll(Remote(start.remote.id, {**start.remote.links, "status_url": url}))


def test_an_id_that_nobody_knows_is_not_found(send: Sender):
    with pytest.raises(errors.NotFound):
        send.poll(fal.remote_of("8d2f", FLUX))


def test_a_running_request_is_cancelled(send: Sender):
    start = send.submit(wanted("a slow one [slow 30s]"))
    assert start.remote is not None
    assert drive(fal.cancel(start.remote), send) is True
    assert send.poll(start.remote).phase is Phase.CANCELLED


def test_a_completed_request_is_not_cancelled(send: Sender):
    start = send.submit(wanted())
    send.wait(start)
    assert start.remote is not None
    assert drive(fal.cancel(start.remote), send) is False


def test_an_expired_link_is_dead(send: Sender):
    (artifact,) = made(send, "x [expire]").artifacts
    assert artifact.url is not None
    assert requests.get(artifact.url, timeout=10).status_code == 403


def test_a_result_is_kept_for_an_hour():
    later_s = 0.0
    settings = SandboxSettings(clock=lambda: time.time() + later_s)
    with running(settings=settings) as sandbox:
        send = a_sender(sandbox)
        start = send.submit(wanted("x [slow 0ms]"))
        assert start.remote is not None
        assert send.poll(start.remote).phase is Phase.SUCCEEDED
        later_s = 3700.0
        with pytest.raises(errors.NotFound):
            send.poll(start.remote)


def test_a_key_is_proved_without_paying(send: Sender, sandbox: Sandbox):
    drive(fal.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(fal.test(), a_sender(sandbox, "bad-key"))
    assert sandbox.ledger.calls("fal", CallKind.SUBMIT) == 0


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("Bearer id-1:secret-1", "No user found"),
        ("Key", "No user found"),
        ("Key no-colon", "Invalid Key Authorization header format"),
        ("id-1:secret-1", "No user found"),
        ("", "No user found"),
    ],
)
def test_other_spellings_of_the_key_are_refused(
    sandbox: Sandbox, header: str, told: str
):
    reply = requests.post(
        f"{sandbox.url}/fal/{FLUX}",
        json={"prompt": "x"},
        headers={"Authorization": header},
        timeout=10,
    )
    assert reply.status_code == 401
    assert reply.json()["detail"].startswith(told)


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_object_is_a_bad_request(sandbox: Sandbox, body: bytes):
    reply = requests.post(
        f"{sandbox.url}/fal/{FLUX}",
        data=body,
        headers={"Authorization": "Key a:b"},
        timeout=10,
    )
    assert reply.status_code == 400
    assert reply.json()["error_type"] == "bad_request"


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": 5},
        {"image_size": {"width": "x"}, "prompt": "x"},
        {"prompt": "x", "num_images": 10**9},
        {"prompt": "x", "num_images": [1]},
    ],
)
@pytest.mark.parametrize("model", [FLUX, "fal-ai/someone/new"])
def test_strange_inputs_never_break_the_sandbox(
    sandbox: Sandbox, send: Sender, model: str, body: dict[str, Any]
):
    reply = send(Call("POST", f"/{model}", json=body))
    assert reply.status == 200
    remote = Remote("x", {k: v for k, v in reply.json().items() if k.endswith("_url")})
    end = send.wait(Snapshot(phase=Phase.PENDING, remote=remote))
    assert (end.phase is Phase.FAILED) == (model == FLUX)


def test_the_stream_of_states_ends_with_the_last_one(send: Sender):
    start = send.submit(wanted())
    assert start.remote is not None
    reply = send(Call("GET", start.remote.links["status_url"] + "/stream"))
    lines = [line for line in reply.content.decode().splitlines() if line]
    assert reply.content_type == "text/event-stream"
    assert all(line.startswith("data: ") for line in lines)
    assert '"COMPLETED"' in lines[-1]


# --- webhooks


class Receiver(HTTPServer):
    """Keeps the webhooks that it gets."""

    def __init__(self) -> None:
        self.got: list[Callback] = []
        super().__init__(("127.0.0.1", 0), Hook)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/upstream/1/token?a=b%2Bc"

    def wait(self, count: int = 1) -> list[Callback]:
        ends_at = time.monotonic() + 10
        while len(self.got) < count:
            assert time.monotonic() < ends_at, "no webhook came"
            time.sleep(0.01)
        return self.got


class Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        headers = {name.lower(): text for name, text in self.headers.items()}
        self.server.got.append(Callback(headers, self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def holds(sandbox: Sandbox, heard: Heard) -> bool:
    """Whether a key of the set served under the channel's own base URL signed it."""
    url = f"{sandbox.url}/fal/.well-known/jwks.json"
    assert heard.signed is not None
    for key in requests.get(url, timeout=10).json()["keys"]:
        raw = base64.urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
        public = Ed25519PublicKey.from_public_bytes(raw)
        try:
            public.verify(bytes.fromhex(heard.signed.signature), heard.signed.message)
        except InvalidSignature:
            continue
        return True
    return False


def test_a_webhook_is_signed_and_names_its_request(
    sandbox: Sandbox, send: Sender, receiver: Receiver
):
    start = send.submit(wanted(callback_url=receiver.url))
    heard = fal.receive(receiver.wait()[0], FLUX)
    assert start.remote is not None
    assert heard.ids == (start.remote.id,)
    assert heard.signed is not None
    assert abs(heard.signed.timestamp - time.time()) < 5
    assert holds(sandbox, heard)


def test_a_forged_webhook_does_not_hold(
    sandbox: Sandbox, send: Sender, receiver: Receiver
):
    send.submit(wanted("x [webhook forged]", callback_url=receiver.url))
    assert not holds(sandbox, fal.receive(receiver.wait()[0], FLUX))


@pytest.mark.parametrize("tag", ["[500]", "[reset]", "[no id]"])
def test_a_job_whose_answer_was_lost_is_adopted_by_its_webhook(
    sandbox: Sandbox, send: Sender, receiver: Receiver, tag: str
):
    model = "fal-ai/nano-banana"
    with pytest.raises(errors.ProviderError):
        send.submit(wanted(f"x {tag}", model=model, callback_url=receiver.url))
    heard = fal.receive(receiver.wait()[0], model)
    assert holds(sandbox, heard)
    assert heard.remote is not None
    end = send.poll(heard.remote)
    assert end.phase is Phase.SUCCEEDED
    assert len(sandbox.ledger.submits("fal")) == 1


@pytest.mark.parametrize(
    ("prompt", "metadata", "status"),
    [
        ("x", {}, b'"OK"'),
        ("x", {"sync_mode": True}, b'"payload_error"'),
        ("x [fail]", {}, b'"ERROR"'),
        ("x [blocked]", {}, b"content_policy_violation"),
        ("x", {"num_images": 9}, b"less_than_equal"),
    ],
)
def test_a_webhook_says_how_it_ended(
    send: Sender,
    receiver: Receiver,
    prompt: str,
    metadata: dict[str, Any],
    status: bytes,
):
    send.submit(wanted(prompt, metadata=metadata, callback_url=receiver.url))
    assert status in receiver.wait()[0].body


def test_a_webhook_comes_twice_when_it_is_asked_to(send: Sender, receiver: Receiver):
    send.submit(wanted("x [webhook twice]", callback_url=receiver.url))
    first, second = receiver.wait(2)
    ids = [fal.receive(callback, FLUX).ids for callback in (first, second)]
    assert ids[0] == ids[1]
