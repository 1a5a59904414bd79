"""Stability AI's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import errors, stability
from providers.flow import Call, Reply, drive
from providers.types import GenerationRequest, MediaType, Model, Phase, Reason, Snapshot
from sandbox.jobs import parse_durations
from sandbox.media import make_audio, make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
JOB_MODELS = ("replace-background-and-relight", "stable-audio-3")
SOUND = "https://cdn.example.com/a-tune.mp3"
UPLOADS = [Upload(make_image("a jug", 320, 256))]
METADATA: dict[str, dict[str, Any]] = {
    "edit-outpaint": {"left": 64},
    "edit-search-and-replace": {"search_prompt": "the jug"},
    "edit-search-and-recolor": {"select_prompt": "the jug"},
}
TUNE = make_audio("a tune", 1.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.02"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return send_as(sandbox, SECRET)


def send_as(sandbox: Sandbox, secret: str) -> Sender:
    base_url = sandbox.url + stability.PROVIDER.sandbox_path
    return sender(base_url, stability.PROVIDER, secret, uploads=UPLOADS)


def wanted(name: str, prompt: str = "a kite", **fields: Any) -> GenerationRequest:
    model = stability.describe(name)
    assert model is not None
    if model.media_type is MediaType.AUDIO:
        fields.setdefault("duration", 2.0)
    if "images" in model.needs:
        count = 2 if name == "control-style-transfer" else 1
        fields.setdefault("images", (an_upload(),) * count)
    fields.setdefault("metadata", METADATA.get(name, {}))
    return a_request(model=name, media_type=model.media_type, prompt=prompt, **fields)


def made(send: Sender, request: GenerationRequest) -> Snapshot:
    return send.wait(send.submit(request), pause_s=0.02)


def check_media(media_type: MediaType, content: bytes) -> None:
    if media_type is MediaType.IMAGE:
        Image.open(io.BytesIO(content)).load()
        return
    with av.open(io.BytesIO(content)) as container:
        next(container.decode(audio=0))


@pytest.mark.parametrize("model", stability.MODELS, ids=lambda model: model.name)
def test_every_model_makes_a_file_of_its_kind(send: Sender, model: Model):
    snapshot = made(send, wanted(model.name))
    assert snapshot.phase is Phase.SUCCEEDED
    (artifact,) = snapshot.artifacts
    assert (artifact.content_type or "").startswith(f"{model.media_type}/")
    check_media(model.media_type, send.fetch(artifact))


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (
            "stable-image-core",
            {"size": "1536x1024", "style": "anime", "seed": 3, "output_format": "jpg"},
            (1536, 1024),
        ),
        ("stable-image-ultra", {"images": (an_upload(),)}, (320, 256)),
        (
            "sd3.5-large-turbo",
            {"images": (an_upload(),), "aspect_ratio": "16:9"},
            (320, 256),
        ),
        ("edit-inpaint", {"images": (an_upload(), an_upload())}, (320, 256)),
        (
            "replace-background-and-relight",
            {"images": (an_upload(),) * 3, "output_format": "webp"},
            (320, 256),
        ),
    ],
)
def test_image_has_the_shape_asked_for(
    send: Sender, model: str, fields: dict[str, Any], size: tuple[int, int]
):
    (artifact,) = made(send, wanted(model, **fields)).artifacts
    assert Image.open(io.BytesIO(send.fetch(artifact))).size == size


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("stable-audio-2", {"action": "inpaint"}),
        ("stable-audio-2.5", {"output_format": "wav"}),
        ("stable-audio-3", {}),
    ],
)
def test_sound_is_made_from_a_sound(send: Sender, model: str, fields: dict[str, Any]):
    """The client's file is on another host, which no test can reach."""

    def reach(call: Call) -> Reply:
        if call.url == SOUND:
            assert call.public
            return Reply(200, {"content-type": "audio/mpeg"}, TUNE)
        return send(call)

    request = wanted(model, audio_url=SOUND, **fields)
    (artifact,) = send.wait(drive(stability.submit(request), reach)).artifacts
    check_media(MediaType.AUDIO, send.fetch(artifact))


@pytest.mark.parametrize("model", ["stable-image-core", *JOB_MODELS])
def test_filtered_result_is_a_failure(sandbox: Sandbox, send: Sender, model: str):
    snapshot = made(send, wanted(model, "a kite [blocked late]"))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert len(sandbox.ledger.submits("stability")) == 1


SPOILT: list[tuple[str, type[errors.ProviderError], bool]] = [
    ("[400]", errors.Rejected, False),
    ("[401]", errors.KeyRefused, False),
    ("[quota]", errors.QuotaExhausted, False),
    ("[403]", errors.ChannelRefused, False),
    ("[blocked]", errors.ContentRejected, False),
    ("[429]", errors.RateLimited, False),
    ("[503 before]", errors.Unavailable, False),
    ("[500]", errors.Unavailable, True),
    ("[html]", errors.UnexpectedReply, True),
    ("[no id]", errors.UnexpectedReply, True),
    ("[cut]", errors.AnswerLost, True),
    ("[reset]", errors.AnswerLost, True),
]


@pytest.mark.parametrize("model", ["stable-image-core", "stable-audio-3"])
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
        send.submit(wanted(model, f"a kite {tag}"))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("stability")) == paid


@pytest.mark.parametrize("model", JOB_MODELS)
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll 502 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 401 once]", errors.KeyRefused),
        ("[unknown status once]", errors.UnexpectedReply),
    ],
)
def test_spoilt_look_does_not_end_the_job(
    send: Sender, model: str, tag: str, kind: type[errors.ProviderError]
):
    accepted = send.submit(wanted(model, f"a kite {tag}"))
    assert accepted.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(accepted.remote)
    assert type(caught.value) is kind
    assert send.wait(accepted, pause_s=0.02).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("model", JOB_MODELS)
def test_another_key_does_not_find_a_job(sandbox: Sandbox, send: Sender, model: str):
    accepted = send.submit(wanted(model))
    assert accepted.remote is not None
    with pytest.raises(errors.NotFound):
        send_as(sandbox, "sk-other").poll(accepted.remote)


def test_prompt_in_another_language_may_be_taken_elsewhere(send: Sender):
    with pytest.raises(errors.ModelRefused):
        send.submit(wanted("stable-image-core", "бумажный змей"))


def test_key_is_proved_without_a_job(sandbox: Sandbox, send: Sender):
    drive(stability.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(stability.test(), send_as(sandbox, "bad-key"))
    assert sandbox.ledger.submits("stability") == []
