"""Our own OpenAI flows against the simulated OpenAI, over a real socket."""

from __future__ import annotations

import base64
import hmac
import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import errors, openai
from providers.flow import drive
from providers.types import (
    GenerationRequest,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

SETTINGS = SandboxSettings(durations=parse_durations("fixed:0.05"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running(settings=SETTINGS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


@pytest.fixture
def channel(sandbox: Sandbox) -> Sender:
    return a_channel(sandbox)


def a_channel(sandbox: Sandbox, secret: str = "sk-flows", **fields: Any) -> Sender:
    base_url = sandbox.url + openai.PROVIDER.sandbox_path
    return sender(base_url, openai.PROVIDER, secret, **fields)


def an_image_request(model: str = "gpt-image-2", **fields: Any) -> GenerationRequest:
    return a_request(model=model, **fields)


def a_video_request(model: str = "sora-2", **fields: Any) -> GenerationRequest:
    return a_request(model=model, media_type=MediaType.VIDEO, **fields)


def a_speech_request(**fields: Any) -> GenerationRequest:
    return a_request(model="gpt-4o-mini-tts", media_type=MediaType.AUDIO, **fields)


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    "model",
    [m.name for m in openai.PROVIDER.models if m.media_type is MediaType.IMAGE],
)
def test_every_image_model_of_the_table_makes_an_image(channel, model):
    snapshot = channel.submit(an_image_request(model, size="1024x1024"))
    assert snapshot.phase is Phase.SUCCEEDED
    assert decoded(channel.fetch(snapshot.artifacts[0])).size == (1024, 1024)


def test_what_the_answer_says_of_an_image_is_true(channel):
    request = an_image_request(n=2, aspect_ratio="16:9", output_format="jpg")
    snapshot = channel.submit(request)
    assert len(snapshot.artifacts) == 2
    for artifact in snapshot.artifacts:
        image = decoded(channel.fetch(artifact))
        assert (image.width, image.height) == (artifact.width, artifact.height)
        assert image.size == (1536, 864)
        assert artifact.content_type == "image/jpeg"


@pytest.mark.parametrize("output_format", ["gif", "svg"])
def test_the_formats_of_the_newer_models_arrive_with_their_type(channel, output_format):
    request = an_image_request("gpt-image-2.5-sunburst", output_format=output_format)
    (artifact,) = channel.submit(request).artifacts
    assert artifact.content_type in {"image/gif", "image/svg+xml"}
    assert output_format in artifact.content_type


@pytest.mark.parametrize("quality", ["auto", "low", "medium", "high", "standard", "hd"])
def test_every_quality_of_the_table_is_taken(channel, quality):
    assert channel.submit(an_image_request(quality=quality)).artifacts


@pytest.mark.parametrize("count", [1, 3])
def test_input_images_are_edited(channel, count):
    channel.uploads = [Upload(make_image("in", 256, 256))]
    request = an_image_request(
        images=(an_upload(),) * count,
        metadata={
            "background": "opaque",
            "mask": "data:image/png;base64,"
            + base64.b64encode(make_image("mask", 256, 256)).decode(),
        },
    )
    assert channel.submit(request).phase is Phase.SUCCEEDED
    assert channel.sent[-1].url == "/images/edits"


def test_input_images_that_are_none_are_rejected_by_the_upstream(channel):
    channel.uploads = [Upload(b"garbage")]
    with pytest.raises(errors.Rejected, match="Invalid image"):
        channel.submit(an_image_request(images=(an_upload(),)))


def test_a_part_of_the_images_may_fail(channel):
    snapshot = channel.submit(an_image_request(prompt="a fox [partial]", n=3))
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(snapshot.artifacts) == 2
    assert snapshot.failure is not None
    assert "1 of 3" in snapshot.failure.message


@pytest.mark.parametrize(
    "model",
    [m.name for m in openai.PROVIDER.models if m.media_type is MediaType.VIDEO],
)
def test_every_video_model_of_the_table_makes_a_video(channel, model):
    started = channel.submit(a_video_request(model))
    assert started.phase is Phase.PENDING
    (artifact,) = channel.wait(started).artifacts
    with av.open(io.BytesIO(channel.fetch(artifact))) as film:
        assert next(film.decode(video=0)).width > 0


@pytest.mark.parametrize("seconds", [4.0, 8.0, 12.0, 16.0, 20.0])
@pytest.mark.parametrize("size", ["1280x720", "1024x1792", "1920x1080"])
def test_every_size_and_duration_of_the_table_is_taken(channel, seconds, size):
    request = a_video_request("sora-2-pro", duration=seconds, size=size)
    done = channel.wait(channel.submit(request))
    assert done.artifacts[0].duration_s == seconds
    assert f"{done.artifacts[0].width}x{done.artifacts[0].height}" == size


def test_progress_never_runs_backwards(channel):
    seen: list[int] = []
    started = channel.submit(a_video_request(prompt="a fox [slow 600ms]"))
    channel.wait(started, watch=lambda snapshot: seen.append(snapshot.percent or 0))
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_a_started_video_says_when_to_look(channel):
    started = channel.submit(a_video_request(prompt="a fox [stuck]"))
    assert started.look_after_s == 0.5
    assert started.remote is not None
    assert channel.poll(started.remote).look_after_s == 0.5


def test_the_content_of_a_video_needs_the_key(sandbox, channel):
    (artifact,) = channel.wait(channel.submit(a_video_request())).artifacts
    assert artifact.protected
    url = f"{sandbox.url}/openai/v1{artifact.url}"
    assert requests.get(url, timeout=10).status_code == 401
    assert channel.fetch(artifact)[4:8] == b"ftyp"


def test_a_reference_image_makes_a_video_of_its_size(channel):
    channel.uploads = [Upload(make_image("ref", 1280, 720, "webp"), "image/webp")]
    request = a_video_request(images=(an_upload("image/webp"),), aspect_ratio="16:9")
    assert channel.wait(channel.submit(request)).phase is Phase.SUCCEEDED


def test_a_reference_image_of_another_size_is_rejected(channel):
    channel.uploads = [Upload(make_image("ref", 1280, 720))]
    request = a_video_request(images=(an_upload(),), size="720x1280")
    with pytest.raises(errors.Rejected, match="width and height"):
        channel.submit(request)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "remix"},
        {"action": "edit"},
        {"action": "generate"},
        {"action": "extend", "duration": 4},
    ],
)
def test_a_video_starts_from_another_by_each_action(channel, fields):
    first = channel.wait(channel.submit(a_video_request()))
    assert first.remote is not None
    request = a_video_request(video_url=first.remote.id, **fields)
    assert channel.wait(channel.submit(request)).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED),
        ("[blocked]", Reason.CONTENT_REJECTED),
        ("[blocked late]", Reason.CONTENT_REJECTED),
    ],
)
def test_a_video_that_fails_is_a_value_with_its_reason(channel, tag, reason):
    ended = channel.wait(channel.submit(a_video_request(prompt=f"a fox {tag}")))
    assert ended.phase is Phase.FAILED
    assert ended.failure is not None
    assert ended.failure.reason is reason


def test_an_undocumented_status_is_unexpected_and_passes(channel):
    started = channel.submit(a_video_request(prompt="a fox [unknown status twice]"))
    assert started.phase is Phase.PENDING
    assert started.remote is not None
    with pytest.raises(errors.UnexpectedReply):
        channel.poll(started.remote)
    assert channel.wait(started).phase is Phase.SUCCEEDED


def test_an_unknown_video_is_not_found(channel):
    with pytest.raises(errors.NotFound):
        channel.poll(Remote("video_none"))


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll 503 once]", errors.Unavailable),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 401]", errors.KeyRefused),
        ("[poll html once]", errors.UnexpectedReply),
        ("[poll cut once]", errors.AnswerLost),
        ("[poll reset once]", errors.AnswerLost),
    ],
)
def test_each_trouble_of_a_poll_is_classed(channel, tag, kind):
    started = channel.submit(a_video_request(prompt=f"a fox {tag}"))
    assert started.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        channel.poll(started.remote)
    assert type(caught.value) is kind


@pytest.mark.parametrize("container", ["mp3", "opus", "aac", "flac", "wav"])
def test_speech_arrives_in_each_container_with_its_type(channel, container):
    (artifact,) = channel.submit(a_speech_request(output_format=container)).artifacts
    assert artifact.content_type is not None
    with av.open(io.BytesIO(channel.fetch(artifact))) as sound:
        assert next(sound.decode(audio=0)).samples > 0
        assert {
            "audio/mpeg": "mp3float",
            "audio/ogg": "opus",
            "audio/aac": "aac",
            "audio/flac": "flac",
            "audio/wav": "pcm_s16le",
        }[artifact.content_type] == sound.streams.audio[0].codec_context.name


def test_pcm_arrives_with_the_duration_of_its_samples(channel):
    request = a_speech_request(input="x" * 30, output_format="pcm", speed=2.0)
    (artifact,) = channel.submit(request).artifacts
    assert artifact.content_type == "audio/pcm"
    assert artifact.duration_s == pytest.approx(1.0, abs=0.01)


REQUESTS = {
    "image": an_image_request,
    "video": a_video_request,
    "speech": a_speech_request,
}


@pytest.mark.parametrize("kind_of_request", list(REQUESTS))
@pytest.mark.parametrize(
    ("tag", "kind", "paid"),
    [
        ("[400]", errors.Rejected, 0),
        ("[401]", errors.KeyRefused, 0),
        ("[403]", errors.ChannelRefused, 0),
        ("[429]", errors.RateLimited, 0),
        ("[quota]", errors.QuotaExhausted, 0),
        ("[503 before]", errors.Unavailable, 0),
        ("[500]", errors.Unavailable, 1),
        ("[502]", errors.Unavailable, 1),
        ("[html]", errors.UnexpectedReply, 1),
        ("[no id]", errors.UnexpectedReply, 1),
        ("[cut]", errors.ProviderError, 1),
        ("[reset]", errors.AnswerLost, 1),
    ],
)
def test_each_trouble_of_a_submit_is_classed_and_never_sent_again(
    sandbox, channel, kind_of_request, tag, kind, paid
):
    request = REQUESTS[kind_of_request](prompt=f"a fox {tag}")
    with pytest.raises(kind) as caught:
        channel.submit(request)
    assert not isinstance(caught.value, errors.NotSent)
    assert len(sandbox.ledger.submits("openai")) == paid
    assert len(channel.sent) == 1


def test_an_answer_that_never_comes_is_lost_and_paid(sandbox, channel):
    channel.timeout_s = 0.3
    with pytest.raises(errors.AnswerLost):
        channel.submit(a_video_request(prompt="a fox [hang]"))
    assert len(sandbox.ledger.submits("openai")) == 1


@pytest.mark.parametrize("tag", ["[blocked]", "[blocked late]"])
def test_a_blocked_image_is_rejected_for_its_content(channel, tag):
    with pytest.raises(errors.ContentRejected):
        channel.submit(an_image_request(prompt=f"a fox {tag}"))


def test_an_image_that_fails_is_final(channel):
    with pytest.raises(errors.Rejected):
        channel.submit(an_image_request(prompt="a fox [fail]"))


def test_the_wait_of_a_rate_limit_is_read_to_the_millisecond(channel):
    with pytest.raises(errors.RateLimited) as caught:
        channel.submit(an_image_request(prompt="a fox [429 once]"))
    assert caught.value.retry_after_s == 0.25
    assert channel.submit(an_image_request(prompt="a fox [429 once]")).artifacts


def test_a_call_that_never_left_is_known_as_such():
    channel = sender("http://127.0.0.1:9/openai/v1", openai.PROVIDER)
    with pytest.raises(errors.NotSent):
        channel.submit(an_image_request())


def test_a_model_the_upstream_does_not_offer_refuses_the_channel(channel):
    with pytest.raises(errors.ModelRefused):
        channel.submit(a_video_request("acme-video-3"))


def test_a_good_key_is_proved_and_a_bad_one_refused(sandbox):
    drive(openai.test(), a_channel(sandbox))
    with pytest.raises(errors.KeyRefused):
        drive(openai.test(), a_channel(sandbox, "bad-key"))


def test_a_webhook_is_heard_with_a_signature_that_holds(sandbox):
    channel = a_channel(sandbox, "sk-heard")
    with receiving() as (url, heard):
        requests.post(
            f"{channel.base_url}/webhook_endpoints",
            json={"name": "gw", "url": url, "event_types": ["video.completed"]},
            headers={"Authorization": f"Bearer {channel.secret}"},
            timeout=10,
        ).raise_for_status()
        started = channel.submit(a_video_request())
        said = openai.receive(next_callback(heard), "sora-2")
    assert started.remote is not None
    assert said.ids == (started.remote.id,)
    assert said.signed is not None
    key = sandbox.upstream("openai").keys.secret
    expected = hmac.digest(key, said.signed.message, "sha256")
    assert base64.b64decode(said.signed.signature) == expected
