"""Our own xAI flows against the simulated xAI, over a real socket."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import errors, xai
from providers.flow import drive
from providers.types import GenerationRequest, MediaType, Phase, Reason, Remote
from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

SETTINGS = SandboxSettings(durations=parse_durations("fixed:0.02"))
SECRET = "sandbox-id:sandbox-key"
PICTURE = Upload(make_image("in", 240, 160))


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running(settings=SETTINGS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


def a_channel(sandbox: Sandbox, secret: str = SECRET) -> Sender:
    base_url = sandbox.url + xai.PROVIDER.sandbox_path
    return sender(base_url, xai.PROVIDER, secret, uploads=[PICTURE])


@pytest.fixture
def channel(sandbox: Sandbox) -> Sender:
    return a_channel(sandbox)


def an_image(model: str = "grok-imagine-image", **fields: Any) -> GenerationRequest:
    return a_request(model=model, **fields)


def a_video(model: str = "grok-imagine-video", **fields: Any) -> GenerationRequest:
    fields = {"duration": 1.0, **fields}
    return a_request(model=model, media_type=MediaType.VIDEO, **fields)


def a_speech(**fields: Any) -> GenerationRequest:
    return a_request(model="grok-tts", media_type=MediaType.AUDIO, **fields)


REQUESTS = {"image": an_image, "video": a_video, "speech": a_speech}


def made(channel: Sender, request: GenerationRequest) -> Any:
    return channel.wait(channel.submit(request), pause_s=0.01)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("model", [m.name for m in xai.PROVIDER.models])
def test_every_model_of_the_table_makes_what_it_says(channel, model):
    described = xai.PROVIDER.describe(model)
    duration = 1.0 if described.media_type is MediaType.VIDEO else None
    end = made(
        channel,
        a_request(model=model, media_type=described.media_type, duration=duration),
    )
    assert end.phase is Phase.SUCCEEDED
    (artifact,) = end.artifacts
    data = channel.fetch(artifact)
    if described.media_type is MediaType.IMAGE:
        assert opened(data).size == (1024, 1024)
    else:
        with av.open(io.BytesIO(data)) as sound_or_film:
            assert sound_or_film.duration > 0
    assert artifact.content_type.startswith(described.media_type)


def test_images_have_the_shape_nearest_to_the_size(channel):
    request = an_image(size="800x1200", n=2, quality="high")
    end = channel.submit(request)
    assert len(end.artifacts) == 2
    image = opened(channel.fetch(end.artifacts[0]))
    assert image.width / image.height == pytest.approx(2 / 3, abs=0.01)
    assert end.usage["cost_in_usd_ticks"] > 0


def test_images_are_inline_when_metadata_says_so(channel):
    request = an_image(metadata={"response_format": "b64_json"})
    (artifact,) = channel.submit(request).artifacts
    assert artifact.url is None
    assert artifact.content_type == "image/jpeg"


@pytest.mark.parametrize("model", ["grok-imagine-image", "grok-imagine-video"])
@pytest.mark.parametrize(
    "images", [(an_upload(),), (an_image_url(),), (an_upload(), an_image_url())]
)
def test_input_images_reach_the_upstream_in_each_form(channel, model, images):
    media_type = xai.PROVIDER.describe(model).media_type
    request = a_request(
        model=model,
        media_type=media_type,
        images=images,
        duration=1.0 if media_type is MediaType.VIDEO else None,
    )
    assert made(channel, request).phase is Phase.SUCCEEDED


def test_an_upload_that_is_no_image_is_rejected_by_the_upstream(channel):
    channel.uploads = [Upload(b"garbage")]
    with pytest.raises(errors.Rejected, match="could not be read"):
        channel.submit(an_image(images=(an_upload(),)))


@pytest.mark.parametrize(
    ("action", "seconds"), [("generate", 2), ("edit", 2), ("extend", 5)]
)
def test_a_video_starts_from_another_by_each_action(channel, action, seconds):
    first = made(channel, a_video(duration=2.0))
    request = a_video(
        video_url=first.artifacts[0].url, action=action, duration=3.0, size="640x640"
    )
    (artifact,) = made(channel, request).artifacts
    assert artifact.duration_s == seconds


def test_a_video_is_seen_running_with_its_progress():
    now = [1_790_000_000.0]
    with running(settings=SandboxSettings(clock=lambda: now[0])) as sandbox:
        channel = a_channel(sandbox)
        started = channel.submit(a_video(prompt="x [slow 10s]"))
        assert started.phase is Phase.PENDING
        seen = []
        for seconds in (0, 5, 6):
            now[0] += seconds
            snapshot = channel.poll(started.remote)
            seen.append((snapshot.phase, snapshot.percent))
    assert seen[0] == (Phase.RUNNING, None)
    assert seen[1] == (Phase.RUNNING, 41)
    assert seen[2] == (Phase.SUCCEEDED, 100)


@pytest.mark.parametrize(
    ("tag", "reason", "billed"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED, False),
        ("[blocked]", Reason.CONTENT_REJECTED, True),
        ("[blocked late]", Reason.CONTENT_REJECTED, True),
    ],
)
def test_a_video_that_fails_is_a_value_with_its_reason(channel, tag, reason, billed):
    end = made(channel, a_video(prompt=f"x {tag}"))
    assert end.phase is Phase.FAILED
    assert end.failure.reason is reason
    assert bool(end.usage) is billed


def test_images_that_moderation_held_back_are_told_apart(channel):
    with pytest.raises(errors.ContentRejected):
        channel.submit(an_image(prompt="x [blocked]"))
    end = channel.submit(an_image(prompt="x [blocked late]"))
    assert (end.phase, end.failure.reason) == (Phase.FAILED, Reason.CONTENT_REJECTED)
    end = channel.submit(an_image(prompt="x [partial]", n=3))
    assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 2)
    assert "1 of 3" in end.failure.message


@pytest.mark.parametrize("codec", ["mp3", "wav", "pcm", "mulaw", "alaw"])
def test_speech_arrives_in_each_codec_with_its_type(channel, codec):
    (artifact,) = channel.submit(a_speech(output_format=codec)).artifacts
    assert artifact.content
    assert artifact.content_type == xai.AUDIO_TYPES[codec]


def test_speech_arrives_with_its_timestamps(channel):
    request = a_speech(metadata={"with_timestamps": True}, speed=1.5)
    (artifact,) = channel.submit(request).artifacts
    assert artifact.duration_s > 0
    assert artifact.text is not None


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
        ("[html]", errors.UnexpectedReply, 1),
        ("[reset]", errors.AnswerLost, 1),
    ],
)
def test_each_trouble_of_a_submit_is_classed_and_never_sent_again(
    sandbox, channel, kind_of_request, tag, kind, paid
):
    with pytest.raises(errors.ProviderError) as caught:
        channel.submit(REQUESTS[kind_of_request](prompt=f"x {tag}"))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("xai")) == paid
    assert len(channel.sent) == 1


@pytest.mark.parametrize("kind_of_request", ["image", "video"])
def test_an_answer_without_what_was_paid_for_is_unexpected(channel, kind_of_request):
    with pytest.raises(errors.UnexpectedReply):
        channel.submit(REQUESTS[kind_of_request](prompt="x [no id]"))


def test_an_answer_that_never_comes_is_lost_and_paid(sandbox, channel):
    channel.timeout_s = 0.5
    with pytest.raises(errors.AnswerLost):
        channel.submit(a_video(prompt="x [hang]"))
    assert len(sandbox.ledger.submits("xai")) == 1


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 401 once]", errors.KeyRefused),
        ("[poll 400 once]", errors.Rejected),
        ("[poll html once]", errors.UnexpectedReply),
        ("[poll reset once]", errors.AnswerLost),
        ("[unknown status once]", errors.UnexpectedReply),
    ],
)
def test_each_trouble_of_a_look_is_classed_and_passes(channel, tag, kind):
    started = channel.submit(a_video(prompt=f"x {tag}"))
    with pytest.raises(errors.ProviderError) as caught:
        channel.poll(started.remote)
    assert type(caught.value) is kind
    assert channel.wait(started, pause_s=0.01).phase is Phase.SUCCEEDED


def test_an_unknown_video_is_not_found(channel):
    with pytest.raises(errors.NotFound):
        channel.poll(Remote("nobody"))


@pytest.mark.parametrize(
    ("secret", "kind"),
    [("bad-key", errors.KeyRefused), ("quota-key", errors.QuotaExhausted)],
)
def test_a_key_that_cannot_pay_refuses_the_channel(sandbox, secret, kind):
    with pytest.raises(kind):
        a_channel(sandbox, secret).submit(an_image())


def test_a_good_key_is_proved_and_a_bad_one_refused(sandbox, channel):
    assert drive(xai.test(), channel) is None
    with pytest.raises(errors.KeyRefused):
        drive(xai.test(), a_channel(sandbox, "bad-key"))
    assert sandbox.ledger.submits("xai") == []


def test_a_model_that_is_not_offered_refuses_the_channel(channel):
    with pytest.raises(errors.ModelRefused):
        channel.submit(a_video("grok-imagine-video-9"))
