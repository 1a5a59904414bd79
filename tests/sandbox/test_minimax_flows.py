"""Our flows for MiniMax, over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import errors, minimax
from providers.dialects import minimax_models
from providers.flow import drive
from providers.types import GenerationRequest, MediaType, Phase, Reason, Snapshot
from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

H23, H02, H3 = "MiniMax-Hailuo-2.3", "MiniMax-Hailuo-02", "MiniMax-H3"
UPLOADS = [Upload(make_image("a frame", 640, 480))]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return send_as(sandbox, "sandbox-id:sandbox-key")


def send_as(sandbox: Sandbox, secret: str) -> Sender:
    base_url = sandbox.url + minimax.PROVIDER.sandbox_path
    return sender(base_url, minimax.PROVIDER, secret, uploads=UPLOADS)


def wanted(model: str, **fields: Any) -> GenerationRequest:
    described = minimax_models.describe(model)
    assert described is not None
    return a_request(model=model, media_type=described.media_type, **fields)


def made(send: Sender, request: GenerationRequest) -> Snapshot:
    return send.wait(send.submit(request), pause_s=0.02)


def check_media(media_type: MediaType, content: bytes) -> None:
    if media_type is MediaType.IMAGE:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
        return
    with av.open(io.BytesIO(content)) as container:
        next(container.decode(container.streams[0]))


@pytest.mark.parametrize("model", minimax_models.MODELS, ids=lambda model: model.name)
def test_every_model_makes_a_file_of_its_kind(send: Sender, model: Any):
    images = (an_image_url(),) if "images" in model.needs else ()
    if model.name.startswith("MiniMax-Hailuo-2.3-Fast"):
        images = (an_upload(),)
    lyrics = "La la" if model.name.startswith("music") else None
    request = wanted(model.name, images=images, lyrics=lyrics)
    snapshot = made(send, request)
    assert snapshot.phase is Phase.SUCCEEDED
    (artifact,) = snapshot.artifacts
    check_media(model.media_type, send.fetch(artifact))
    assert len([call for call in send.sent if call.paid]) == 1


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (H23, {"duration": 6.0, "size": "1920x1080"}),
        (H02, {"images": (an_upload(), an_upload()), "resolution": "512P"}),
        (H3, {"images": (an_upload(), an_upload())}),
        (H3, {"images": (an_upload(),) * 9, "duration": 15.0}),
        (
            H3,
            {
                "video_url": "https://cdn.example.com/a.mp4",
                "audio_url": "https://cdn.example.com/a.mp3",
            },
        ),
        (H3, {"aspect_ratio": "9:16"}),
        ("image-01", {"size": "1024x768", "n": 3, "seed": 5, "images": (an_upload(),)}),
        ("image-01", {"metadata": {"response_format": "base64"}}),
        ("MiniMax-H3-Image", {"images": (an_upload(), an_upload()), "n": 2}),
        ("speech-2.8-hd", {"voice": "x", "speed": 1.5, "output_format": "flac"}),
        ("speech-2.8-turbo", {"metadata": {"output_format": "hex"}}),
        ("speech-2.8-turbo", {"input": "once more " * 1_001}),
        ("music-2.6", {"tags": "calm", "title": "Dawn"}),
        ("music-2.6", {"metadata": {"is_instrumental": True, "output_format": "hex"}}),
    ],
)
def test_each_way_to_ask_is_understood(
    send: Sender, model: str, fields: dict[str, Any]
):
    request = wanted(model, **fields)
    snapshot = made(send, request)
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(snapshot.artifacts) == request.n
    check_media(request.media_type, send.fetch(snapshot.artifacts[0]))


@pytest.mark.parametrize("model", [H23, H3])
@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED),
        ("[blocked late]", Reason.CONTENT_REJECTED),
    ],
)
def test_failed_generation_is_a_value(
    send: Sender, model: str, tag: str, reason: Reason
):
    snapshot = made(send, wanted(model, prompt=f"a kite {tag}"))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


def test_images_that_were_refused_are_named_beside_the_good_ones(send: Sender):
    snapshot = made(send, wanted("image-01", prompt="kites [partial]", n=3))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 2)
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


SPOILT: list[tuple[str, type[errors.ProviderError], bool]] = [
    ("[400]", errors.Rejected, False),
    ("[401]", errors.KeyRefused, False),
    ("[429]", errors.RateLimited, False),
    ("[quota]", errors.QuotaExhausted, False),
    ("[blocked]", errors.ContentRejected, False),
    ("[503 before]", errors.Unavailable, False),
    ("[500]", errors.Unavailable, True),
    ("[html]", errors.UnexpectedReply, True),
    ("[no id]", errors.UnexpectedReply, True),
    ("[cut]", errors.AnswerLost, True),
    ("[reset]", errors.AnswerLost, True),
]


@pytest.mark.parametrize("model", [H23, H3, "image-01", "speech-2.8-hd"])
@pytest.mark.parametrize(("tag", "kind", "paid"), SPOILT)
def test_spoilt_submit_is_the_documented_error(
    sandbox: Sandbox,
    send: Sender,
    model: str,
    tag: str,
    kind: type[errors.ProviderError],
    paid: bool,
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(model, prompt=f"a kite {tag}"))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("minimax")) == paid


@pytest.mark.parametrize("model", [H23, H3])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 401 once]", errors.KeyRefused),
        ("[unknown status once]", errors.UnexpectedReply),
    ],
)
def test_spoilt_look_does_not_end_the_job(
    send: Sender, model: str, tag: str, kind: type[errors.ProviderError]
):
    accepted = send.submit(wanted(model, prompt=f"a kite {tag}"))
    assert accepted.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(accepted.remote)
    assert type(caught.value) is kind
    assert send.wait(accepted).phase is Phase.SUCCEEDED


def test_key_is_proved_without_a_job(sandbox: Sandbox, send: Sender):
    drive(minimax.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(minimax.test(), send_as(sandbox, "bad-key"))
    assert sandbox.ledger.submits("minimax") == []


NOBODY = "http://127.0.0.1:9/nobody"


@pytest.mark.parametrize("model", [H23, H3])
def test_an_address_where_nobody_answers_the_challenge_starts_nothing(
    sandbox: Sandbox, send: Sender, model: str
):
    with pytest.raises(errors.RateLimited, match="challenge"):
        send.submit(wanted(model, callback_url=NOBODY))
    assert sandbox.ledger.submits("minimax") == []


def test_a_channel_that_keeps_the_address_needs_no_challenge(send: Sender):
    send.settings = {"callbacks": "off"}
    assert send.submit(wanted(H23, callback_url=NOBODY)).remote is not None
