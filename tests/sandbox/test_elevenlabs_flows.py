"""ElevenLabs' flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
import pytest
import requests
from PIL import Image

from app.security.signatures import verify_hmac_sha256
from providers import elevenlabs, errors
from providers.dialects import elevenlabs_models as catalogue
from providers.flow import drive
from providers.types import MediaType, Model, Phase, Reason, Snapshot
from sandbox.jobs import CallKind, parse_durations
from sandbox.media import make_audio, make_image, make_video
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
TTS, GPT, VEO = (
    "eleven_multilingual_v2",
    "gpt-image-2",
    "veo-3.1-fast-generate-001",
)
FILES = {
    "upload:0": make_image("a frame", 64, 64),
    "upload:1": make_video("a film", 64, 64, 0.5),
    "upload:2": make_audio("a sound", 0.5),
}
# a film and a sound are URLs; those of the sandbox's own uploads stand for them
CLIP, SOUND = "upload:1", "upload:2"
UPLOADS = [
    Upload(FILES["upload:0"]),
    Upload(FILES["upload:1"], "video/mp4"),
    Upload(FILES["upload:2"], "audio/mpeg"),
]
LYRICS = "[Verse]\nThe sea is wide\n[Chorus]\nLight, light"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.01"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET, **settings: str) -> Sender:
    base_url = sandbox.url + elevenlabs.PROVIDER.sandbox_path
    provider = elevenlabs.PROVIDER
    return sender(base_url, provider, secret, settings=settings, uploads=UPLOADS)


def begun(send: Sender, model: str = GPT, prompt: str = "x", **fields: Any) -> Snapshot:
    described = catalogue.describe(model)
    assert described is not None
    wanted = {"model": model, "media_type": described.media_type, "prompt": prompt}
    return send.submit(a_request(**{**wanted, **fields}))


def made(send: Sender, *args: str, **fields: Any) -> Snapshot:
    return send.wait(begun(send, *args, **fields), pause_s=0.02)


def check_media(media_type: MediaType, content: bytes) -> None:
    if media_type is MediaType.IMAGE:
        Image.open(io.BytesIO(content)).load()
        return
    with av.open(io.BytesIO(content)) as opened:
        next(opened.decode(opened.streams[0]))


def wishes(model: Model) -> Iterator[dict[str, Any]]:
    """Requests within the model's limits: the least, and with what it may take."""
    needed = {"images": (an_upload(),), "audio_url": SOUND}
    least = {field: needed[field] for field in needed if field in model.needs}
    if model.duration_range:
        least["duration"] = model.duration_range[0]
    yield least
    more: dict[str, Any] = {"seed": 4, "negative_prompt": "blur", "speed": 1.1}
    more["duration"] = int((model.duration_range or (4,))[0] + 0.5)
    for field, words in (
        ("resolution", model.resolutions),
        ("quality", model.qualities),
        ("aspect_ratio", model.aspect_ratios),
        ("output_format", model.output_formats),
    ):
        if words:
            more[field] = words[-1].lower()
    if model.name.startswith("music"):
        more |= {"lyrics": "[Verse]\nThe sea is wide", "tags": "folk, calm"}
    if "images" not in model.refuses:
        more["images"] = (an_upload(),) * min(2, model.max_images or 2)
    yield {**least, **{name: more[name] for name in more if name not in model.refuses}}


@pytest.mark.parametrize("model", catalogue.MODELS, ids=lambda model: model.name)
def test_every_model_takes_the_body_we_write(send: Sender, model: Model) -> None:
    """The sandbox refuses unknown and missing fields, and words that are none."""
    for fields in wishes(model):
        begun(send, model.name, "hi", **fields)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (TTS, {"voice": "George", "output_format": "wav"}),
        ("flows/eleven_v3", {"voice": "sarah"}),
        ("eleven_text_to_sound_v2", {"duration": 0.5}),
        ("music_v1", {"lyrics": LYRICS}),
        (GPT, {"images": (an_upload(),)}),
        (VEO, {"images": (an_upload(),) * 2, "duration": 4, "resolution": "720p"}),
        (
            "bytedance-seedance-v2",
            {
                "images": (an_upload(),),
                "video_url": CLIP,
                "audio_url": SOUND,
                "duration": 2,
            },
        ),
        ("creatify-aurora", {"images": (an_upload(),), "audio_url": SOUND}),
    ],
)
def test_result_can_be_played(
    send: Sender, sandbox: Sandbox, model: str, fields: dict[str, Any]
) -> None:
    end = made(send, model, **fields)
    assert end.phase is Phase.SUCCEEDED
    (artifact,) = end.artifacts
    described = catalogue.describe(model)
    assert described is not None
    check_media(described.media_type, send.fetch(artifact))
    assert len(sandbox.ledger.submits("elevenlabs")) == 1


def test_dialogue_is_spoken(send: Sender) -> None:
    lines = [{"text": "Who is there?", "voice_id": elevenlabs.DEFAULT_VOICE}]
    end = begun(send, "eleven_v3", metadata={"inputs": lines})
    assert (end.phase, end.usage) == (Phase.SUCCEEDED, {"credits": 13})
    check_media(MediaType.AUDIO, send.fetch(end.artifacts[0]))


def test_large_input_is_an_asset(
    send: Sender, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elevenlabs, "INLINE_BYTES", 10)
    begun(send, "bytedance-seedance-v2", images=(an_upload(),), video_url=CLIP)
    assert sandbox.ledger.calls("elevenlabs", CallKind.UPLOAD) == 2


def test_link_dies_without_its_signature(send: Sender) -> None:
    (artifact,) = made(send, GPT, size="1024x1024").artifacts
    assert Image.open(io.BytesIO(send.fetch(artifact))).size == (1024, 1024)
    unsigned = str(artifact.url).partition("?")[0]
    assert requests.get(unsigned, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("x [blocked]", Reason.CONTENT_REJECTED),
        ("x [fail]", Reason.UPSTREAM_FAILED),
    ],
)
def test_failure_is_read(send: Sender, prompt: str, reason: Reason) -> None:
    end = made(send, GPT, prompt)
    assert end.failure is not None
    assert (end.phase, end.failure.reason) == (Phase.FAILED, reason)


@pytest.mark.parametrize(
    ("model", "prompt", "secret", "kind", "paid"),
    [
        (TTS, "x", "bad-key", errors.KeyRefused, 0),
        (TTS, "x", "quota-key", errors.QuotaExhausted, 0),
        (TTS, "x [429]", SECRET, errors.RateLimited, 0),
        (TTS, "x [400]", SECRET, errors.Rejected, 0),
        (TTS, "x [403]", SECRET, errors.ModelRefused, 0),
        (TTS, "x [blocked]", SECRET, errors.ContentRejected, 0),
        (TTS, "x [fail]", SECRET, errors.Unavailable, 1),
        (TTS, "x [502]", SECRET, errors.Unavailable, 1),
        (TTS, "x [cut]", SECRET, errors.AnswerLost, 1),
        (TTS, "x [html]", SECRET, errors.UnexpectedReply, 1),
        (GPT, "x", "bad-key", errors.KeyRefused, 0),
        (GPT, "x [503 before]", SECRET, errors.Unavailable, 0),
        (GPT, "x [reset]", SECRET, errors.AnswerLost, 1),
        (GPT, "x [no id]", SECRET, errors.UnexpectedReply, 1),
    ],
)
def test_spoiled_submit_is_classed(
    sandbox: Sandbox,
    send: Sender,
    model: str,
    prompt: str,
    secret: str,
    kind: type[errors.ProviderError],
    paid: int,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        begun(a_sender(sandbox, secret), model, prompt)
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("elevenlabs")) == paid


def test_undocumented_status_is_looked_at_again(send: Sender) -> None:
    start = begun(send, GPT, "x [unknown status once]")
    assert start.remote is not None
    with pytest.raises(errors.UnexpectedReply):
        send.poll(start.remote)
    assert send.wait(start, pause_s=0.02).phase is Phase.SUCCEEDED


def test_several_jobs_are_read_with_one_list_of_each_kind(
    send: Sender, sandbox: Sandbox
) -> None:
    starts = [begun(send, model, "x [slow 30s]") for model in (GPT, GPT, VEO, VEO)]
    remotes = [start.remote for start in starts if start.remote is not None]
    unknown = replace(remotes[0], id="gen_none")
    found = drive(elevenlabs.poll_many([*remotes, unknown]), send)
    assert list(found) == [remote.id for remote in reversed(remotes[:2])] + [
        remote.id for remote in reversed(remotes[2:])
    ]
    assert {each.phase for each in found.values()} == {Phase.PENDING}
    assert sandbox.ledger.calls("elevenlabs", CallKind.LIST) == 2
    assert sandbox.ledger.calls("elevenlabs", CallKind.POLL) == 1


def test_unknown_job_and_a_good_key(send: Sender) -> None:
    start = begun(send)
    assert start.remote is not None
    with pytest.raises(errors.NotFound):
        send.poll(replace(start.remote, id="gen_none"))
    assert drive(elevenlabs.test(), send) is None


def test_webhook_that_the_channel_names_is_heard(sandbox: Sandbox) -> None:
    sandbox.reset()
    with receiving() as (url, heard):
        reply = requests.post(
            f"{sandbox.url}/elevenlabs/v1/workspace/webhooks",
            json={
                "settings": {"auth_type": "hmac", "name": "hook", "webhook_url": url}
            },
            headers={"xi-api-key": SECRET},
            timeout=5,
        ).json()
        start = begun(a_sender(sandbox, webhook=reply["webhook_id"]))
        said = elevenlabs.receive(next_callback(heard), GPT)
    assert start.remote is not None
    assert said.ids == (start.remote.id,)
    assert said.signed is not None
    assert verify_hmac_sha256(
        said.signed.message, said.signed.signature, reply["webhook_secret"]
    )
    with pytest.raises(errors.Rejected):
        begun(a_sender(sandbox, webhook="wh_none"))
