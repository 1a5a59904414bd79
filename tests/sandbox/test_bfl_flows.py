"""Black Forest Labs' flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import bfl, errors
from providers.dialects.bfl_models import IMAGE_FIELDS, OFFERS, Offer
from providers.flow import drive
from providers.types import MediaType, Phase, Reason, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
CLIP = "https://cdn.example.com/clip.mp4"
VIDEO = "flux-3-video"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.02"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET) -> Sender:
    small = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(small, "png")
    uploads = [Upload(small.getvalue())]
    base_url = sandbox.url + bfl.PROVIDER.sandbox_path
    return sender(base_url, bfl.PROVIDER, secret, uploads=uploads)


def begun(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.submit(
        a_request(**{"model": "flux-2-klein-4b", "prompt": prompt, **fields})
    )


def made(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.wait(begun(send, prompt, **fields), pause_s=0.01)


def wishes(offer: Offer) -> Iterator[dict[str, Any]]:
    """Requests within the model's limits: the least, and with all it may take."""
    model = offer.model
    image_count = len(IMAGE_FIELDS.get(offer.form, ())) or model.max_images or 0
    needs_all = 2 if offer.form in {"erase", "try-on"} else 1
    least: dict[str, Any] = {}
    if "images" in model.needs:
        least["images"] = (an_upload(),) * needs_all
    if "size" in model.needs:
        least["size"] = "512x512"
    if "video_url" in model.needs:
        least["video_url"] = CLIP
    yield least
    most: dict[str, Any] = {
        "images": (an_upload(),) * min(image_count, model.max_images or 0),
        "seed": 5,
        "output_format": "jpg",
        "duration": 9,
        "aspect_ratio": "16:9",
        "resolution": model.resolutions[-1] if model.resolutions else None,
    }
    yield least | {name: most[name] for name in most if name not in model.refuses}


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.model.name)
def test_every_model_takes_the_form_we_write(send: Sender, offer: Offer) -> None:
    """The sandbox refuses wrong types, words, images and, where strict, names."""
    for fields in wishes(offer):
        model = offer.model
        begun(send, model=model.name, media_type=model.media_type, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"images": (an_image_url(),), "aspect_ratio": "9:16"},
        {"video_url": CLIP, "size": "1920x1080"},
        {"metadata": {"draft_cache": "d"}, "resolution": "4K"},
        {"metadata": {"mode": "i2v", "keyframes": [[0, "https://x.example/a.png"]]}},
    ],
)
def test_every_mode_of_a_film_is_taken(send: Sender, fields: dict[str, Any]) -> None:
    begun(send, model=VIDEO, media_type=MediaType.VIDEO, **fields)


def test_image_is_fetched_without_the_key_in_the_size_asked_for(send: Sender) -> None:
    end = made(send, aspect_ratio="16:9", output_format="jpg")
    (image,) = end.artifacts
    assert (end.phase, end.usage) == (Phase.SUCCEEDED, {"credits": 4.0})
    file = Image.open(io.BytesIO(send.fetch(image)))
    assert (file.size, file.format) == ((1360, 768), "JPEG")
    assert send.sent[-1].public


def test_film_with_its_draft(send: Sender) -> None:
    end = made(send, model=VIDEO, media_type=MediaType.VIDEO, metadata={"draft": True})
    film, cache = end.artifacts
    with av.open(io.BytesIO(send.fetch(film))) as container:
        assert container.streams.video
    assert cache.text


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("x [blocked]", Reason.CONTENT_REJECTED),
        ("x [blocked late]", Reason.CONTENT_REJECTED),
        ("x [fail]", Reason.UPSTREAM_FAILED),
    ],
)
def test_failure_is_read(send: Sender, prompt: str, reason: Reason) -> None:
    end = made(send, prompt)
    assert end.failure is not None
    assert (end.phase, end.failure.reason) == (Phase.FAILED, reason)


@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [401]", SECRET, errors.KeyRefused, 0),
        ("x [403]", SECRET, errors.KeyRefused, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [503 before]", SECRET, errors.Unavailable, 0),
        ("x [502]", SECRET, errors.Unavailable, 1),
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
    assert len(sandbox.ledger.submits("bfl")) == paid


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("unknown status once", errors.UnexpectedReply),
        ("poll 404 once", errors.NotFound),
        ("poll 429 once", errors.RateLimited),
        ("poll 500 once", errors.Unavailable),
        ("poll html once", errors.UnexpectedReply),
    ],
)
def test_spoiled_look_is_taken_again(
    send: Sender, tag: str, kind: type[errors.ProviderError]
) -> None:
    start = begun(send, f"x [{tag}]")
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    assert send.wait(start).phase is Phase.SUCCEEDED


def test_key_is_proved_with_the_credits(sandbox: Sandbox, send: Sender) -> None:
    assert drive(bfl.test(), send) is None
    with pytest.raises(errors.KeyRefused):
        drive(bfl.test(), a_sender(sandbox, "bad-key"))
