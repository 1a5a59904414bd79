"""Replicate's flows over real HTTP against the sandbox."""

from __future__ import annotations

import base64
import hmac
import io
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import errors, replicate
from providers.flow import drive
from providers.types import MediaInput, MediaType, Phase, Reason, Remote, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

SCHNELL = "black-forest-labs/flux-schnell"
SECRET = "sandbox-id:sandbox-key"


class Clock:
    """Time that a test may set forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"), clock=clock)
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET) -> Sender:
    noise = Image.effect_noise((700, 500), 90)  # too large for a data URL
    large, small = io.BytesIO(), io.BytesIO()
    noise.save(large, "png")
    Image.new("RGB", (40, 30), "teal").save(small, "png")
    base_url = sandbox.url + replicate.PROVIDER.sandbox_path
    uploads = [Upload(small.getvalue()), Upload(large.getvalue())]
    return sender(base_url, replicate.PROVIDER, secret, uploads=uploads)


def begun(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    fields = {"model": SCHNELL, "prompt": prompt, **fields}
    return send.submit(a_request(**fields))


def made(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.wait(begun(send, prompt, **fields))


FULL: dict[MediaType, dict[str, Any]] = {
    MediaType.IMAGE: {"seed": 3, "size": "1024x1024", "quality": "80"},
    MediaType.VIDEO: {"seed": 3, "aspect_ratio": "9:16", "duration": 5},
    MediaType.AUDIO: {"voice": "Rachel", "speed": 1.0},
}


@pytest.mark.parametrize("model", replicate.PROVIDER.models, ids=lambda m: m.name)
def test_every_listed_model_takes_the_input_we_write(send: Sender, model: Any) -> None:
    """The sandbox refuses wrong types and words as the models do."""
    fields = {
        name: value
        for name, value in FULL[model.media_type].items()
        if name not in model.refuses
    }
    if "images" not in model.refuses and model.media_type is not MediaType.AUDIO:
        fields["images"] = () if "t2v" in model.name else (an_upload(),)
    end = made(send, model=model.name, media_type=model.media_type, **fields)
    assert (end.phase, end.failure) == (Phase.SUCCEEDED, None)
    assert end.usage["predict_time"] > 0


def test_results_can_be_fetched_and_decoded(send: Sender) -> None:
    end = made(send, n=2, aspect_ratio="16:9", output_format="webp")
    assert len(end.artifacts) == 2
    for artifact in end.artifacts:
        image = Image.open(io.BytesIO(send.fetch(artifact)))
        assert (image.format, image.width > image.height) == ("WEBP", True)
    film = made(send, model="google/veo-3.1", media_type=MediaType.VIDEO, duration=4)
    with av.open(io.BytesIO(send.fetch(film.artifacts[0]))) as opened:
        assert opened.streams.video


def test_large_image_is_uploaded_before_it_is_used(send: Sender) -> None:
    image = MediaInput("upload:1", "image/png")
    end = made(send, model="black-forest-labs/flux-dev", images=(image,))
    assert end.phase is Phase.SUCCEEDED
    assert [call.url for call in send.sent[:3]] == [
        "upload:1",
        "/files",
        "/models/black-forest-labs/flux-dev/predictions",
    ]


def test_progress_is_seen_while_it_runs(send: Sender) -> None:
    seen: list[int | None] = []
    start = begun(send, "a slow one [slow 600ms]")
    send.wait(start, watch=lambda snapshot: seen.append(snapshot.percent))
    told = [percent for percent in seen if percent is not None]
    assert told == sorted(told)
    assert any(0 < percent < 100 for percent in told)


@pytest.mark.parametrize(
    ("prompt", "reason", "code"),
    [
        ("x [blocked]", Reason.CONTENT_REJECTED, "E005"),
        ("x [blocked late]", Reason.CONTENT_REJECTED, "E005"),
        ("x [fail]", Reason.UPSTREAM_FAILED, "PA"),
    ],
)
def test_failure_is_read(send: Sender, prompt: str, reason: Reason, code: str) -> None:
    end = made(send, prompt)
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


def test_missing_output_is_a_partial_failure(send: Sender) -> None:
    end = made(send, "a crowd [partial]", n=3)
    assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 2)
    assert end.failure is not None


@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [403]", SECRET, errors.ChannelRefused, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [503 before]", SECRET, errors.Unavailable, 0),
        ("x [500]", SECRET, errors.Unavailable, 1),
        ("x [cut]", SECRET, errors.AnswerLost, 1),
        ("x [html]", SECRET, errors.UnexpectedReply, 1),
        ("x [no id]", SECRET, errors.UnexpectedReply, 1),
    ],
)
def test_spoiled_submit_is_classed(
    sandbox: Sandbox,
    send: Sender,
    prompt: str,
    secret: str,
    kind: type[errors.ProviderError],
    paid: int,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        begun(a_sender(sandbox, secret), prompt)
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("replicate")) == paid
    if kind is errors.RateLimited:
        assert caught.value.retry_after_s == 1.0  # type: ignore[attr-defined]


def test_model_that_nobody_offers_is_not_offered_here(send: Sender) -> None:
    for model in ("nobody/boat", f"nobody/boat:{'0' * 64}"):
        with pytest.raises(errors.ModelRefused):
            begun(send, model=model)


def test_undocumented_status_is_looked_at_again(send: Sender) -> None:
    start = begun(send, "x [unknown status once]")
    assert start.remote is not None
    with pytest.raises(errors.UnexpectedReply):
        send.poll(start.remote)
    assert send.wait(start).phase is Phase.SUCCEEDED


def test_running_prediction_is_cancelled(send: Sender) -> None:
    start = begun(send, "x [slow 30s]")
    assert start.remote is not None
    assert drive(replicate.cancel(start.remote), send) is True
    assert send.poll(start.remote).phase is Phase.CANCELLED
    end = made(send)
    assert end.remote is not None
    assert drive(replicate.cancel(end.remote), send) is False
    unknown = Remote("nobodys0prediction00000000")
    assert drive(replicate.cancel(unknown), send) is False
    with pytest.raises(errors.NotFound):
        send.poll(unknown)


def test_webhook_is_signed_for_the_channels_secret(
    send: Sender, sandbox: Sandbox
) -> None:
    with receiving() as (url, heard):
        ended = begun(send, callback_url=url)
        first = replicate.receive(next_callback(heard), SCHNELL)
        slow = begun(send, "x [slow 30s]", callback_url=url)
        assert slow.remote is not None
        drive(replicate.cancel(slow.remote), send)
        second = replicate.receive(next_callback(heard), SCHNELL)
        begun(send, "x [webhook forged]", callback_url=url)
        forged = replicate.receive(next_callback(heard), SCHNELL)
    assert (first.remote, second.remote) == (ended.remote, slow.remote)
    key = sandbox.upstream("replicate").keys.secret
    for told, holds in ((first, True), (second, True), (forged, False)):
        assert told.signed is not None
        mac = hmac.digest(key, told.signed.message, "sha256")
        assert (told.signed.signature == base64.b64encode(mac).decode()) is holds


def test_result_is_removed_an_hour_after_its_end(
    send: Sender, sandbox: Sandbox, clock: Clock
) -> None:
    end = made(send)
    assert end.remote is not None
    clock.ahead_s = 3700
    try:
        late = send.poll(end.remote)
        gone = requests.get(str(end.artifacts[0].url), timeout=5)
    finally:
        clock.ahead_s = 0
    assert late.failure is not None
    assert late.failure.reason is Reason.UPSTREAM_EXPIRED
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Cancel-After": "2s"}, {"input": {"prompt": "x"}}, 422),
        ({"Cancel-After": "soon"}, {"input": {"prompt": "x"}}, 422),
        ({"Cancel-After": "1m30s"}, {"input": {"prompt": "x"}}, 201),
        ({"Prefer": "wait=1"}, {"input": {"prompt": "x [slow 9s]"}}, 202),
        ({}, {"input": {"prompt": "x"}, "webhook": "http://far.example/h"}, 422),
        ({}, {"input": {"prompt": "x"}, "webhook_events_filter": ["end"]}, 422),
        ({}, {"prompt": "x"}, 422),
        ({}, {"input": "x"}, 422),
        ({}, [], 422),
        ({"Authorization": "Token r8_a"}, {"input": {"prompt": "x"}}, 201),
        ({"Authorization": "Basic r8_a"}, {"input": {"prompt": "x"}}, 401),
    ],
)
def test_submit_is_as_strict_as_the_api(
    sandbox: Sandbox, headers: dict[str, str], body: Any, status: int
) -> None:
    reply = requests.post(
        f"{sandbox.url}/replicate/v1/models/{SCHNELL}/predictions",
        headers={"Authorization": "Bearer r8_a", **headers},
        json=body,
        timeout=5,
    )
    assert reply.status_code == status
    assert ("id" in reply.json()) is (status < 300)
    assert ("detail" in reply.json()) is (status >= 400)


def test_deadline_aborts_what_has_not_started(sandbox: Sandbox, clock: Clock) -> None:
    url = f"{sandbox.url}/replicate/v1/models/{SCHNELL}/predictions"
    key = {"Authorization": "Bearer r8_a"}
    words = []
    for slow_s in (100, 20):  # not started, and running, after the deadline
        created = requests.post(
            url,
            headers={**key, "Cancel-After": "5s"},
            json={"input": {"prompt": f"x [slow {slow_s}s]"}},
            timeout=5,
        ).json()
        clock.ahead_s = 7
        try:
            told = requests.get(created["urls"]["get"], headers=key, timeout=5).json()
        finally:
            clock.ahead_s = 0
        words.append(told["status"])
    assert words == ["aborted", "canceled"]
    assert drive(replicate.test(), a_sender(sandbox)) is None
