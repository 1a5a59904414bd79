"""Vidu's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import errors, vidu
from providers.dialects.vidu_models import BY_NAME, MODELS
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
from tests.sandbox.listening import listening
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
UPLOADS = [Upload(make_image("a frame", 320, 240))]
TURBO, PICTURE, SOUND, SPEECH = (
    "viduq3-turbo",
    "viduq2-reference2image",
    "audio1.0",
    "audio-tts",
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET) -> Sender:
    base_url = sandbox.url + vidu.PROVIDER.sandbox_path
    return sender(base_url, vidu.PROVIDER, secret, uploads=UPLOADS)


def wanted(model: str, **fields: Any) -> GenerationRequest:
    if model == SPEECH:
        fields.setdefault("voice", "v1")
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


CHOSEN = {
    "vidu-template": {"template": "hugging"},
    "vidu-template-story": {"story": "love_story"},
}


def least(model: Model) -> dict[str, Any]:
    """As little as the model may be asked for, in its shortest form."""
    fields: dict[str, Any] = {"metadata": CHOSEN.get(model.name, {})}
    if "images" in model.needs or model.name in ("viduq3", "viduq3-mix", "vidu2.0"):
        fields["images"] = (an_upload(),)
    elif model.name == "viduq2-pro":
        fields["images"] = (an_image_url(),)
    seconds = (*model.durations, *(model.duration_range or ()))
    if seconds:
        fields["duration"] = seconds[0]
    return fields


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_makes_a_file_of_its_kind(send: Sender, model: Model) -> None:
    end = made(send, model.name, **least(model))
    assert (end.phase, end.usage) == (Phase.SUCCEEDED, {"credits": 20})
    (artifact,) = end.artifacts
    check_media(model.media_type, send.fetch(artifact))
    assert len([call for call in send.sent if call.paid]) == 1


IMAGES = (an_upload(), an_image_url(), an_upload(), an_image_url())


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("viduq3-pro", {"size": "1080x1920", "duration": 16.0, "seed": 3}),
        ("viduq3-pro", {"images": (an_upload(),) * 2, "voice": "v1"}),
        (TURBO, {"images": IMAGES, "size": "540x540"}),
        (TURBO, {"images": IMAGES[:2], "action": "reference"}),
        (TURBO, {"metadata": {"subjects": [{"name": "a", "images": []}]}}),
        ("viduq2", {"images": IMAGES, "aspect_ratio": "3/4"}),
        ("viduq2-pro", {"images": IMAGES, "action": "multiframe", "duration": 2.0}),
        ("viduq1", {"style": "anime", "size": "16:9"}),
        ("vidu2.0", {"images": IMAGES[:2], "duration": 8.0, "size": "1920x1080"}),
        ("vidu1.5", {"resolution": "360P", "duration": 8.0}),
        (PICTURE, {"images": IMAGES, "size": "2k", "aspect_ratio": "auto"}),
        ("viduq1-reference2image", {"images": IMAGES, "size": "3:4"}),
        (SOUND, {"duration": 2.5, "seed": 7}),
        (
            SOUND,
            {
                "metadata": {
                    "timing_prompts": [{"from": 0, "to": 1, "prompt": "a bell"}]
                }
            },
        ),
        (SPEECH, {"input": "Mind the step.", "speed": 2.0}),
    ],
)
def test_each_way_to_ask_is_understood(
    send: Sender, model: str, fields: dict[str, Any]
) -> None:
    snapshot = send.submit(wanted(model, callback_url=None, **fields))
    assert snapshot.phase in (Phase.PENDING, Phase.SUCCEEDED)


def test_picture_has_the_size_asked_for(send: Sender) -> None:
    (artifact,) = made(send, PICTURE, size="1080x1920").artifacts
    assert Image.open(io.BytesIO(send.fetch(artifact))).size == (1080, 1920)


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED),
        ("[blocked late]", Reason.CONTENT_REJECTED),
    ],
)
def test_failed_task_is_a_value(send: Sender, tag: str, reason: Reason) -> None:
    end = made(send, TURBO, prompt=f"a kite {tag}")
    assert (end.phase, end.usage) == (Phase.FAILED, {"credits": 0})
    assert end.failure is not None
    assert end.failure.reason is reason


@pytest.mark.parametrize("model", [TURBO, SPEECH])
@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [quota]", SECRET, errors.QuotaExhausted, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [403]", SECRET, errors.ChannelRefused, 0),
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
    assert len(sandbox.ledger.submits("vidu")) == paid


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
def test_spoilt_look_does_not_end_the_task(
    send: Sender, tag: str, kind: type[errors.ProviderError]
) -> None:
    start = send.submit(wanted(TURBO, prompt=f"a kite {tag}"))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    assert send.wait(start).phase is Phase.SUCCEEDED


def test_task_whose_answer_was_lost_is_found(sandbox: Sandbox, send: Sender) -> None:
    lost = wanted(TURBO, prompt="x [reset]", submission_key="gw-lost")
    with pytest.raises(errors.OutcomeUnknown):
        drive(vidu.find(lost), send)
    with pytest.raises(errors.AnswerLost):
        send.submit(lost)
    for number in range(3):
        send.submit(wanted(TURBO, submission_key=f"gw-{number}"))
    found = drive(vidu.find(lost), send)
    assert found is not None
    (paid,) = sandbox.ledger.submits("vidu", "reset")
    assert found.remote == Remote(paid.job_id, {"media": "video"})
    assert send.wait(found).phase is Phase.SUCCEEDED


def test_waiting_task_is_cancelled_and_others_are_not(send: Sender) -> None:
    start = send.submit(wanted(TURBO, prompt="x [slow 60s]"))
    assert start.remote is not None
    assert drive(vidu.cancel(start.remote), send) is True
    assert send.poll(start.remote).phase is Phase.CANCELLED
    assert drive(vidu.cancel(start.remote), send) is False
    assert drive(vidu.cancel(Remote("1")), send) is False


def test_callback_names_the_task(send: Sender) -> None:
    with listening() as listener:
        start = send.submit(wanted(TURBO, callback_url=listener.url))
        heard = [vidu.receive(listener.next(), TURBO) for _ in range(2)]
    assert start.remote is not None
    assert [each.ids for each in heard] == [(start.remote.id,)] * 2
    assert [each.remote for each in heard] == [start.remote] * 2


def test_key_is_proved_without_a_task(sandbox: Sandbox, send: Sender) -> None:
    drive(vidu.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(vidu.test(), a_sender(sandbox, "bad-key"))
    with pytest.raises(errors.NotFound):
        send.poll(Remote("1"))
    assert sandbox.ledger.submits("vidu") == []
