"""Zhipu's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import errors, zhipu
from providers.dialects.zhipu_models import BY_NAME, MODELS
from providers.flow import drive
from providers.types import (
    GenerationRequest,
    MediaType,
    Model,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
UPLOADS = [Upload(make_image("a frame", 320, 240))]
V3, GLM, VIEW, TTS = "cogvideox-3", "glm-image", "cogview-4", "glm-tts"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET, **settings: str) -> Sender:
    base_url = sandbox.url + zhipu.PROVIDER.sandbox_path
    return sender(base_url, zhipu.PROVIDER, secret, uploads=UPLOADS, settings=settings)


def wanted(model: str, **fields: Any) -> GenerationRequest:
    return a_request(model=model, media_type=BY_NAME[model].model.media_type, **fields)


def made(send: Sender, model: str, **fields: Any) -> Snapshot:
    return send.wait(send.submit(wanted(model, **fields)), pause_s=0.01)


def check_media(media_type: MediaType, content: bytes) -> None:
    if media_type is MediaType.IMAGE:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
        return
    with av.open(io.BytesIO(content)) as container:
        next(container.decode(container.streams[0]))


def wishes(model: Model) -> dict[str, Any]:
    """As much as the model may be asked for."""
    fields: dict[str, Any] = {}
    if model.max_images:
        fields["images"] = (an_upload(), an_image_url(), an_upload())[
            : model.max_images
        ]
    if model.durations:
        fields["duration"] = model.durations[0]
    if model.aspect_ratios:
        fields["aspect_ratio"] = model.aspect_ratios[-1]
    if model.media_type is MediaType.IMAGE:
        fields["size"] = "512x512"  # made the fastest
    if model.qualities:
        fields["quality"] = model.qualities[-1]
    if model.output_formats == ("wav", "pcm"):
        fields |= {"voice": "kazi", "speed": 2.0, "output_format": "wav"}
    return fields


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_makes_a_file_of_its_kind(send: Sender, model: Model) -> None:
    end = made(send, model.name, **wishes(model))
    assert end.phase is Phase.SUCCEEDED
    (artifact,) = end.artifacts
    check_media(model.media_type, send.fetch(artifact))


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (GLM, {"size": "512x768"}, (512, 768)),
        (VIEW, {"width": 1024, "height": 512}, (1024, 512)),
        (VIEW, {"aspect_ratio": "3:4"}, (864, 1152)),
    ],
)
def test_image_has_the_size_asked_for(
    send: Sender, model: str, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    (artifact,) = made(send, model, **fields).artifacts
    assert Image.open(io.BytesIO(send.fetch(artifact))).size == size


@pytest.mark.parametrize("offer", BY_NAME["cogvideox-3"].sizes, ids=lambda s: s.size)
def test_every_size_of_a_film_is_taken(send: Sender, offer: Any) -> None:
    resolution = offer.resolutions[0]
    request = wanted(V3, aspect_ratio=offer.ratio, resolution=resolution)
    assert send.submit(request).remote
    assert send.sent[-1].json["size"] == offer.size


@pytest.mark.parametrize("model", [V3, GLM])
@pytest.mark.parametrize(
    ("tag", "reason", "code"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED, "task_failed"),
        ("[blocked late]", Reason.CONTENT_REJECTED, "1301"),
    ],
)
def test_failed_job_is_a_value(
    send: Sender, model: str, tag: str, reason: Reason, code: str
) -> None:
    end = made(send, model, prompt=f"a kite {tag}")
    assert (end.phase, end.artifacts) == (Phase.FAILED, ())
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


@pytest.mark.parametrize("model", [V3, VIEW, TTS])
@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [quota]", SECRET, errors.QuotaExhausted, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [403]", SECRET, errors.ModelRefused, 0),
        ("x [blocked]", SECRET, errors.ContentRejected, 0),
        ("x [503 before]", SECRET, errors.Unavailable, 0),
        ("x [502]", SECRET, errors.Unavailable, 1),
        ("x [html]", SECRET, errors.UnexpectedReply, 1),
        ("x [no id]", SECRET, errors.UnexpectedReply, 1),
        ("x [cut]", SECRET, errors.AnswerLost, 1),
        ("x [reset]", SECRET, errors.AnswerLost, 1),
    ],
)
def test_spoilt_submit_is_classed(
    sandbox: Sandbox,
    send: Sender,
    model: str,
    prompt: str,
    secret: str,
    kind: type[errors.ProviderError],
    paid: int,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        a_sender(sandbox, secret).submit(wanted(model, prompt=prompt))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("zhipu")) == paid


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
    send: Sender, tag: str, kind: type[errors.ProviderError]
) -> None:
    start = send.submit(wanted(V3, prompt=f"a kite {tag}"))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    assert send.wait(start).phase is Phase.SUCCEEDED


def test_second_sending_of_a_submission_is_never_made_twice(
    sandbox: Sandbox, send: Sender
) -> None:
    with pytest.raises(errors.AnswerLost):
        send.submit(wanted(V3, prompt="x [reset]"))
    with pytest.raises(errors.OutcomeUnknown) as caught:
        send.submit(wanted(V3, prompt="x [reset]"))
    assert caught.value.code == "1231"
    assert len(sandbox.ledger.submits("zhipu")) == 1


def test_signed_token_enters_where_the_secret_is_right(sandbox: Sandbox) -> None:
    for secret in ("sandbox-id:sandbox-key", "sandbox-id.sandbox-key", "other.key"):
        drive(zhipu.test(), a_sender(sandbox, secret, token="jwt"))
    with pytest.raises(errors.KeyRefused):
        drive(zhipu.test(), a_sender(sandbox, "sandbox-id.wrong", token="jwt"))


def test_key_is_proved_without_a_job(sandbox: Sandbox, send: Sender) -> None:
    drive(zhipu.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(zhipu.test(), a_sender(sandbox, "bad-key"))
    with pytest.raises(errors.NotFound):
        send.poll(Remote("1-2"))
    assert sandbox.ledger.submits("zhipu") == []
